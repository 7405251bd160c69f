//! The canary's presence: it is gone between rollouts.

use crate::rollback::Instances;

/// Seconds without an instance after which the next ones are a new rollout.
const GONE: f64 = 60.0;

/// Instances of the canary in this rollout.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Presence {
    was_there: bool,
    gone_since: Option<f64>,
}

/// Effect of a tick's instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// There has been no canary yet: nothing to judge.
    Nothing,
    /// A canary, or one that was there.
    Canary,
    /// One that is back after a minute: a new rollout.
    Anew,
}

impl Presence {
    /// `None` is not measured: then there is always a canary. A rollout with a name was begun by a controller,
    /// so one without instances is judged, too.
    pub(super) fn see(&mut self, instances: Option<Instances>, now: f64, is_named: bool) -> Seen {
        let is_there = instances.is_none_or(|instances| instances.total > 0.0);
        if !is_there {
            self.gone_since.get_or_insert(now);
            return if self.was_there || is_named { Seen::Canary } else { Seen::Nothing };
        }
        let is_new = self.was_there && self.gone_since.is_some_and(|since| now - since >= GONE);
        (self.was_there, self.gone_since) = (true, None);
        if is_new { Seen::Anew } else { Seen::Canary }
    }

    pub(super) fn was_there(&self) -> bool {
        self.was_there
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
        assert_eq!(presence.see(Some(of(1.0)), 760.0, false), Seen::Anew);
        assert_eq!(presence.see(Some(of(1.0)), 761.0, false), Seen::Canary);
    }

    #[test]
    fn a_named_rollout_without_instances_is_judged() {
        assert_eq!(Presence::default().see(Some(of(0.0)), 0.0, true), Seen::Canary);
        assert_eq!(Presence::default().see(None, 0.0, false), Seen::Canary);
    }
}
