//! Time that was seen: between looks that had data and were good.
//!
//! ```text
//!  looks   g  g  g  g              g  g  c  g     g: data, and a verdict of continue
//!  counts  ────────                ───
//!                   no data: a gap       not good
//! ```

use std::time::Duration;

/// Longest pause between two looks that is no gap: a third of the time that is needed, within these limits.
const LEAST: Duration = Duration::from_secs(5);
const USUAL: Duration = Duration::from_secs(60);
/// No source is so slow that a longer pause is its usual one.
const MOST: Duration = Duration::from_secs(300);

/// Sum of the time that was seen. Times are those since any moment.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::rollout) struct Watched {
    limit: Duration,
    last: Duration,
    was_good: bool,
    /// Pause before the last look: a source that is slow all the time has no gaps.
    pause: Duration,
    total: Duration,
}

impl Watched {
    /// Begins now; so much time is needed.
    pub(in crate::rollout) fn new(needed: Duration, at: Duration) -> Self {
        let limit = (needed / 3).clamp(LEAST, USUAL);
        Self { limit, last: at, was_good: true, pause: Duration::ZERO, total: Duration::ZERO }
    }

    /// Takes a look that had data, or an error. Returns whether there was no gap before it.
    pub(in crate::rollout) fn look(&mut self, at: Duration, is_good: bool) -> bool {
        let pause = at.saturating_sub(self.last);
        let is_seen = pause <= self.limit.max(self.pause * 2).min(MOST);
        if is_seen && is_good && self.was_good {
            self.total = self.total.saturating_add(pause);
        }
        (self.last, self.was_good, self.pause) = (at, is_good, pause);
        is_seen
    }

    pub(in crate::rollout) const fn total(&self) -> Duration {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds seen of a stage of `needed` seconds with looks at these times; a negative one is not good.
    fn seen(needed: u64, looks: &[i64]) -> u64 {
        let mut watched = Watched::new(Duration::from_secs(needed), Duration::ZERO);
        for at in looks {
            watched.look(Duration::from_secs(at.unsigned_abs()), *at >= 0);
        }
        watched.total().as_secs()
    }

    #[test]
    fn an_outage_is_no_time_that_was_seen() {
        assert_eq!(seen(600, &[1, 2, 3, 4]), 4);
        assert_eq!(seen(600, &[1, 2, 902]), 2, "one look after 15 min");
        assert_eq!(seen(600, &[902]), 0);
        assert_eq!(seen(20, &[1, 21, 22]), 2, "an outage of a whole short stage");
        assert_eq!(seen(600, &[1, 2, -3, 4, 5]), 3, "a verdict that does not go on");
    }

    #[test]
    fn a_source_that_is_slow_all_the_time_has_no_gaps_except_the_first() {
        assert_eq!(seen(60, &[30, 60, 90]), 60);
        assert_eq!(seen(600, &[60, 120, 180]), 180);
        assert_eq!(seen(600, &[900, 1_800]), 0);
    }
}
