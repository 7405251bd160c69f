//! Controlled delay: how long a call may queue, by how long there has been a queue.
//!
//! A queue that empties now and then absorbs a burst; one that stands is only delay. So a call may wait for
//! `interval` while the queue has been empty within the last `interval`, and for `target` at most once it has
//! not. The two times are those of `CoDel` (Nichols and Jacobson 2012, RFC 8289); the rule is the one for requests
//! of "Fail at Scale" (Maurer, ACM Queue 13(8), 2015). `CoDel`'s own rule, which drops one packet and then
//! ever more, waits for senders that slow down when they lose a packet. Requests do not: at twice the capacity
//! it would take some 20 s to shed half of a thousand calls a second.

use crate::clock::Instant;
use std::time::Duration;

/// Limits of the time in the queue, past which calls are shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
#[must_use = "pass it to the builder"]
pub struct Shedding {
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub(crate) target: Duration,
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub(crate) interval: Duration,
}

impl Default for Shedding {
    fn default() -> Self {
        Self { target: Duration::from_millis(5), interval: Duration::from_millis(100) }
    }
}

impl Shedding {
    /// The published times: 5 ms and 100 ms.
    pub fn new() -> Self {
        Self::default()
    }

    /// Longest wait in a queue that does not empty. Default: 5 ms. Valid: above 0, at most the interval.
    ///
    /// Smaller keeps answers fresh and sheds more; larger answers more calls, later.
    pub fn target(mut self, target: Duration) -> Self {
        self.target = target;
        self
    }

    /// How long a call may wait in a queue that was empty a moment ago, and how long that moment may be past.
    /// Default: 100 ms. Valid: at least the target, at most 1 hour.
    ///
    /// Smaller takes a short burst for overload; larger lets a queue stand longer before it is one.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Longest wait of a call that arrives now, if the queue was last empty at that time.
    pub(crate) fn allowed_wait(&self, last_empty: Instant, now: Instant) -> Duration {
        let stands = now.saturating_duration_since(last_empty) > self.interval;
        if stands { self.target } else { self.interval }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_that_stands_for_longer_than_the_interval_lets_calls_wait_for_the_target() {
        let at = |millis| Instant::default().saturating_add(Duration::from_millis(millis));
        let shedding = Shedding::new();
        assert_eq!(shedding.allowed_wait(at(0), at(100)), Duration::from_millis(100));
        assert_eq!(shedding.allowed_wait(at(0), at(101)), Duration::from_millis(5));
        assert_eq!(shedding.allowed_wait(at(101), at(101)), Duration::from_millis(100));
        assert_eq!(shedding.allowed_wait(at(200), at(101)), Duration::from_millis(100), "time that goes back");
    }
}
