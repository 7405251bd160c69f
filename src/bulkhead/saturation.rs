//! When a bulkhead begins to refuse calls, and when it has stopped.

use crate::clock::Instant;
use std::time::Duration;

/// Without a refusal for this long, it is over.
pub(crate) const QUIET: Duration = Duration::from_secs(1);

/// A time in which calls are refused.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Saturation {
    since: Instant,
    /// Refusals before it began, and when last looked at.
    before: u64,
    seen: u64,
    /// When a new refusal was last noticed.
    changed_at: Instant,
}

/// A time in which calls were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over {
    pub(crate) refused: u64,
    pub(crate) lasted: Duration,
}

impl Saturation {
    /// It begins with a refusal; `refused` are those before it.
    pub(crate) fn begin(now: Instant, refused: u64) -> Self {
        Self { since: now, before: refused, seen: refused + 1, changed_at: now }
    }

    /// Whether it is over, by all the refusals there have been.
    pub(crate) fn look(&mut self, now: Instant, refused: u64) -> Option<Over> {
        if refused != self.seen {
            (self.seen, self.changed_at) = (refused, now);
            return None;
        }
        let is_over = now.saturating_duration_since(self.changed_at) >= QUIET;
        is_over.then(|| self.end(refused))
    }

    /// Ends it, by all the refusals there have been.
    pub(crate) fn end(self, refused: u64) -> Over {
        Over {
            refused: refused.saturating_sub(self.before),
            lasted: self.changed_at.saturating_duration_since(self.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_a_second_after_the_last_refusal_was_noticed() {
        let at = |millis| Instant::default().saturating_add(Duration::from_millis(millis));
        let mut saturation = Saturation::begin(at(0), 5);
        assert_eq!(saturation.look(at(10), 6), None);
        assert_eq!(saturation.look(at(900), 9), None);
        assert_eq!(saturation.look(at(1_899), 9), None);
        let lasted = Duration::from_millis(900);
        assert_eq!(saturation.look(at(1_900), 9), Some(Over { refused: 4, lasted }));
    }

    #[test]
    fn one_refusal_alone_is_over_after_a_second_whenever_somebody_looks() {
        let at = |millis| Instant::default().saturating_add(Duration::from_millis(millis));
        let mut saturation = Saturation::begin(at(0), 5);
        assert_eq!(saturation.look(at(60_000), 6), Some(Over { refused: 1, lasted: Duration::ZERO }));
    }
}
