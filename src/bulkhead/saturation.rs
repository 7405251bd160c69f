//! Beginning and end of a time in which calls are rejected.

use crate::clock::Instant;
use std::time::Duration;

/// Without a rejection for this long, it is over.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// A time in which calls are rejected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saturation {
    since: Instant,
    /// Rejections before it began, and when last looked at.
    before: u64,
    seen: u64,
    /// Time at which a new rejection was last noticed.
    changed_at: Instant,
}

/// A time in which calls were rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Episode {
    pub(crate) rejected: u64,
    pub(crate) lasted: Duration,
}

impl Saturation {
    /// It begins with a rejection; `rejected` are those before it.
    pub(crate) fn begin(now: Instant, rejected: u64) -> Self {
        Self { since: now, before: rejected, seen: rejected + 1, changed_at: now }
    }

    /// The end of the episode, if it is over, by the total of rejections.
    pub(crate) fn look(&mut self, now: Instant, rejected: u64) -> Option<Episode> {
        if rejected != self.seen {
            (self.seen, self.changed_at) = (rejected, now);
            return None;
        }
        let is_over = now.saturating_duration_since(self.changed_at) >= QUIET;
        is_over.then(|| self.end(rejected))
    }

    /// Ends it, by all the rejections there have been.
    pub(crate) fn end(self, rejected: u64) -> Episode {
        Episode {
            rejected: rejected.saturating_sub(self.before),
            lasted: self.changed_at.saturating_duration_since(self.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_a_second_after_the_last_rejection_was_noticed() {
        let at = |millis| Instant::default().saturating_add(Duration::from_millis(millis));
        let mut saturation = Saturation::begin(at(0), 5);
        assert_eq!(saturation.look(at(10), 6), None);
        assert_eq!(saturation.look(at(900), 9), None);
        assert_eq!(saturation.look(at(1_899), 9), None);
        let lasted = Duration::from_millis(900);
        assert_eq!(saturation.look(at(1_900), 9), Some(Episode { rejected: 4, lasted }));
    }

    #[test]
    fn one_rejection_alone_is_over_after_a_second_whenever_somebody_looks() {
        let at = |millis| Instant::default().saturating_add(Duration::from_millis(millis));
        let mut saturation = Saturation::begin(at(0), 5);
        assert_eq!(saturation.look(at(60_000), 6), Some(Episode { rejected: 1, lasted: Duration::ZERO }));
    }
}
