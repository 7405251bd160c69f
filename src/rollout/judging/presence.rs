//! The canary's presence: it is gone between rollouts.

use crate::rollback::Instances;

/// Seconds without an instance after which the next ones are a new rollout.
const GONE: f64 = 60.0;

/// Instances of the canary in this rollout.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Presence {
    was_there: bool,
    gone_since: Option<f64>,
    is_gone: bool,
}

/// Effect of a tick's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// There has been no canary yet, or none for a minute: nothing to judge.
    Nothing,
    /// A canary, or one that was there.
    Canary,
    /// One that is back after a minute: a new rollout.
    Anew,
}

impl Presence {
    /// `None` is not measured: then there is always a canary. A rollout that our side began is judged before its first
    /// instance, too; a controller names one before it scales the canary up.
    pub(super) fn see(&mut self, instances: Option<Instances>, now: f64, is_begun: bool) -> Seen {
        let is_there = instances.is_none_or(|instances| instances.total > 0.0);
        if !is_there {
            let since = *self.gone_since.get_or_insert(now);
            self.is_gone = self.was_there && now - since >= GONE;
            let is_judged = self.was_there && !self.is_gone || !self.was_there && is_begun;
            return if is_judged { Seen::Canary } else { Seen::Nothing };
        }
        let is_new = self.was_there && self.gone_since.is_some_and(|since| now - since >= GONE);
        *self = Self { was_there: true, ..Self::default() };
        if is_new { Seen::Anew } else { Seen::Canary }
    }

    pub(super) fn was_there(&self) -> bool {
        self.was_there
    }

    /// Whether there was a canary, and none at the last look.
    pub(super) fn is_away(&self) -> bool {
        self.was_there && self.gone_since.is_some()
    }

    /// Whether there was a canary, and none for a minute.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(total: f64) -> Instances {
        Instances { total, ..Instances::default() }
    }

    #[test]
    fn a_canary_that_is_back_after_a_minute_is_a_new_rollout() {
        let mut presence = Presence::default();
        assert_eq!(presence.see(Some(of(0.0)), 0.0, false), Seen::Nothing);
        assert_eq!(presence.see(Some(of(2.0)), 500.0, false), Seen::Canary);
        assert_eq!(presence.see(Some(of(0.0)), 600.0, false), Seen::Canary);
        assert_eq!(presence.see(Some(of(2.0)), 659.0, false), Seen::Canary, "a restart");
        assert_eq!(presence.see(Some(of(0.0)), 700.0, false), Seen::Canary);
        assert_eq!(presence.see(Some(of(0.0)), 755.0, false), Seen::Canary);
        assert!(presence.is_away() && !presence.is_gone());
        assert_eq!(presence.see(Some(of(0.0)), 760.0, true), Seen::Nothing);
        assert!(presence.is_gone());
        assert_eq!(presence.see(Some(of(1.0)), 760.0, false), Seen::Anew);
        assert_eq!(presence.see(Some(of(1.0)), 761.0, false), Seen::Canary);
    }

    #[test]
    fn a_rollout_that_our_side_began_is_judged_without_instances() {
        assert_eq!(Presence::default().see(Some(of(0.0)), 0.0, true), Seen::Canary);
        assert_eq!(Presence::default().see(None, 0.0, false), Seen::Canary);
    }
}
