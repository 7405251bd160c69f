//! Distinguishes slow calls from others, with as few readings of the exact clock as possible.

use super::config::CircuitBreakerConfig;
use super::machine::types::Part;
use super::usual_time::UsualTime;
use crate::clock::{Clock, Instant, nanos};
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// The coarse clock may lag: nearer to the threshold than this, or a tenth of it, the exact one is read.
const COARSE_MARGIN: u64 = 50_000_000; // nanoseconds

/// Times calls against the slow-call threshold.
#[derive(Debug)]
pub struct Stopwatch {
    pub(crate) clock: Clock,
    /// In nanoseconds; the maximum if no call is slow.
    threshold: AtomicU64,
    /// The wait for an answer that is set, in nanoseconds; the maximum if it follows the usual time.
    unanswered_after: AtomicU64,
    stall_after: AtomicU64,
}

impl Stopwatch {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            clock,
            threshold: AtomicU64::new(u64::MAX),
            unanswered_after: AtomicU64::new(u64::MAX),
            stall_after: AtomicU64::new(u64::MAX),
        }
    }

    pub(crate) fn configure(&self, config: &CircuitBreakerConfig) {
        let or_none = |time: Option<Duration>| time.map_or(u64::MAX, nanos);
        self.threshold.store(or_none(config.slow_call_duration_threshold), Ordering::Relaxed);
        self.unanswered_after.store(or_none(config.unanswered_after), Ordering::Relaxed);
        self.stall_after.store(nanos(config.stall_after), Ordering::Relaxed);
    }

    /// How long a caller waits for an answer before its leaving says something.
    pub(crate) fn unanswered_after(&self, usual: &UsualTime) -> Duration {
        match self.unanswered_after.load(Ordering::Relaxed) {
            u64::MAX => usual.unanswered_after(),
            nanos => Duration::from_nanos(nanos),
        }
    }

    /// Returns whether a caller has waited too long since then for an answer, or for the next part of it.
    pub(crate) fn has_waited(&self, usual: &UsualTime, since: Instant, is_answered: bool) -> bool {
        let waited = self.clock.coarse().saturating_duration_since(since);
        let long = if is_answered {
            Duration::from_nanos(self.stall_after.load(Ordering::Relaxed))
        } else {
            self.unanswered_after(usual)
        };
        since != Instant::NEVER && waited >= long
    }

    /// Returns whether a call that began then and is answered now was slow, and whether its usual time should
    /// [learn](UsualTime::learn) from it. One reading of the coarse clock serves both.
    pub(crate) fn time_answer(&self, usual: &UsualTime, started: Instant) -> (bool, bool) {
        let now = self.clock.coarse();
        (self.is_slow_at(now, started), usual.learns(now, started))
    }

    /// Returns whether a call that began then has lasted longer than the threshold.
    pub(crate) fn is_slow(&self, started: Instant) -> bool {
        let has_rule = self.threshold.load(Ordering::Relaxed) != u64::MAX;
        has_rule && started != Instant::NEVER && self.is_slow_at(self.clock.coarse(), started)
    }

    #[inline]
    fn is_slow_at(&self, coarse: Instant, started: Instant) -> bool {
        // In nanoseconds: a `Duration` of them is a division each.
        let threshold = self.threshold.load(Ordering::Relaxed);
        // The coarse clock is never ahead, so this is never too much.
        let at_least = coarse.as_nanos().saturating_sub(started.as_nanos());
        let is_near = threshold != u64::MAX && threshold.saturating_sub(at_least) < COARSE_MARGIN.max(threshold / 10);
        if at_least <= threshold && is_near {
            return self.clock.now().as_nanos().saturating_sub(started.as_nanos()) > threshold;
        }
        at_least > threshold
    }

    /// The time for the machine: exact if calls in flight are timed by it, else that of the last tick.
    pub(crate) fn now(&self, exactly: bool) -> Instant {
        if exactly { self.clock.now() } else { self.clock.coarse() }
    }

    /// Start of a call that plays this part: a probe always has one, as its round does not count the waits for its caller.
    pub(crate) fn start_of(&self, part: Part) -> Instant {
        if part == Part::PROBE { self.clock.now() } else { self.start() }
    }

    /// Start of a call; [`Instant::NEVER`], without a clock read, if no setting needs it.
    #[inline]
    pub(crate) fn start(&self) -> Instant {
        if self.threshold.load(Ordering::Relaxed) == u64::MAX { Instant::NEVER } else { self.clock.now() }
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn slow_is_strictly_longer_than_the_threshold() {
        let (clock, time) = Clock::manual();
        let stopwatch = Stopwatch::new(clock);
        assert_eq!(stopwatch.start(), Instant::NEVER);
        for threshold in [Duration::from_millis(1), Duration::from_secs(100)] {
            let config = CircuitBreakerConfig::builder().slow_call_duration_threshold(threshold).build().unwrap();
            stopwatch.configure(&config);
            let started = stopwatch.start();
            time.advance(threshold);
            assert!(!stopwatch.is_slow(started));
            time.advance(Duration::from_nanos(1));
            assert!(stopwatch.is_slow(started));
        }
    }
}
