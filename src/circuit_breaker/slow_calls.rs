//! Tells slow calls from others, with as few readings of the exact clock as that takes.

use crate::clock::{Clock, Instant, nanos};
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// The coarse clock may lag: nearer to the threshold than this, or a tenth of it, the exact one is read.
const COARSE_MARGIN: Duration = Duration::from_millis(50);

/// A body that gives nothing for longer has stalled, where no threshold says otherwise.
const DEFAULT_STALL: Duration = Duration::from_secs(1);

/// Times calls against the slow-call threshold.
#[derive(Debug)]
pub struct Stopwatch {
    pub(crate) clock: Clock,
    /// In nanoseconds; the maximum where no call is slow.
    threshold: AtomicU64,
}

impl Stopwatch {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, threshold: AtomicU64::new(u64::MAX) }
    }

    pub(crate) fn set_threshold(&self, threshold: Option<Duration>) {
        self.threshold.store(threshold.map_or(u64::MAX, nanos), Ordering::Relaxed);
    }

    /// Returns whether a body whose last part came then has stalled: for longer than the threshold, or 1 s without one.
    pub(crate) fn is_stalled(&self, since: Instant) -> bool {
        match self.threshold.load(Ordering::Relaxed) {
            u64::MAX => self.clock.coarse().saturating_duration_since(since) > DEFAULT_STALL,
            _ => self.is_slow(since),
        }
    }

    /// The time for the machine: exact where it times calls in flight by it, else that of the last tick.
    pub(crate) fn now(&self, exactly: bool) -> Instant {
        if exactly { self.clock.now() } else { self.clock.coarse() }
    }

    /// Start of a call; [`Instant::NEVER`], without a clock read, if no setting needs it.
    #[inline]
    pub(crate) fn start(&self) -> Instant {
        if self.threshold.load(Ordering::Relaxed) == u64::MAX { Instant::NEVER } else { self.clock.now() }
    }

    /// Returns whether a call that began then has lasted longer than the threshold.
    #[inline]
    pub(crate) fn is_slow(&self, started: Instant) -> bool {
        started != Instant::NEVER && self.is_slow_since(started)
    }

    #[inline(never)]
    fn is_slow_since(&self, started: Instant) -> bool {
        let threshold = Duration::from_nanos(self.threshold.load(Ordering::Relaxed));
        // The coarse clock is never ahead, so this is never too much.
        let at_least = self.clock.coarse().saturating_duration_since(started);
        let margin = COARSE_MARGIN.max(threshold / 10);
        if at_least <= threshold && threshold.checked_sub(at_least).unwrap() < margin {
            return self.clock.now().saturating_duration_since(started) > threshold;
        }
        at_least > threshold
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
            stopwatch.set_threshold(Some(threshold));
            let started = stopwatch.start();
            time.advance(threshold);
            assert!(!stopwatch.is_slow(started));
            time.advance(Duration::from_nanos(1));
            assert!(stopwatch.is_slow(started));
        }
    }
}
