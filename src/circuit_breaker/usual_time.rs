//! Usual time to an answer: a running median, in one word.

use crate::clock::Instant;
use crate::sync::{AtomicU64, Ordering};
use std::time::Duration;

/// The least time after which a call counts as unanswered by default: many times what the coarse clock may lag.
const UNANSWERED_LEAST: Duration = Duration::from_millis(50);
/// The usual time, as many times.
const UNANSWERED_TIMES: u64 = 4;

/// A running median of the time to an answer. Each answer that it learns from moves it towards itself, by an eighth at
/// most: how far the answer is away does not matter, so a few long ones among many short ones do not show.
///
/// "Frugal-1U" of Ma, Muthukrishnan and Sandler, "Frugal Streaming for Estimating Quantiles" (2013), with steps that are
/// shares, as times of calls differ by orders of magnitude. A moving mean instead keeps, where a dependency hangs just
/// after a long answer, a wait beyond the deadlines of callers.
///
/// One answer in the usual time moves it, so that threads seldom write where all of them read, and so that the last
/// answers before a dependency hangs, the slowest of all, hardly lengthen the wait.
#[derive(Debug)]
pub struct UsualTime {
    /// Microseconds in the upper half, 0 before the first answer; in the lower half the millisecond of the last move.
    word: AtomicU64,
}

impl UsualTime {
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    fn micros(&self) -> u64 {
        self.word.load(Ordering::Relaxed) >> 32
    }

    /// How long a caller waits for an answer, by default, before its leaving says something.
    pub(super) fn unanswered_after(&self) -> Duration {
        Duration::from_micros(self.micros() * UNANSWERED_TIMES).max(UNANSWERED_LEAST)
    }

    /// Returns whether it should [learn](Self::learn) from an answer that comes now.
    #[inline]
    pub(super) fn learns(&self, now: Instant, started: Instant) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        let usual = (word >> 32) * 1_000;
        let taken = now.as_nanos().saturating_sub(started.as_nanos());
        let since = u64::from(millis(now).wrapping_sub(lower(word))) * 1_000_000;
        // Far shorter ones may move it at every tick: the first call of all may have taken long.
        since > 0 && (since >= usual || taken < usual / 8)
    }

    /// Learns how long answers take, from one that has just come.
    #[cold]
    #[inline(never)]
    pub(super) fn learn(&self, now: Instant, started: Instant) {
        if self.learns(now, started) {
            let taken = now.as_nanos().saturating_sub(started.as_nanos()) / 1_000;
            let usual = moved(self.micros(), taken.clamp(1, u64::from(u32::MAX)));
            self.word.store(usual << 32 | u64::from(millis(now)), Ordering::Relaxed);
        }
    }
}

/// The median after one more answer.
fn moved(usual: u64, taken: u64) -> u64 {
    let step = (usual / 8).max(1);
    if usual == 0 { taken } else { taken.clamp(usual - step, usual + step) }
}

/// The millisecond of a time, which comes again after seven weeks: then an answer is skipped.
fn millis(time: Instant) -> u32 {
    lower(time.as_nanos() / 1_000_000)
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is asked for")]
const fn lower(word: u64) -> u32 {
    word as u32
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::clock::{Clock, ManualClock};

    fn usual() -> (UsualTime, Clock, ManualClock) {
        let (clock, time) = Clock::manual();
        (UsualTime::new(), clock, time)
    }

    /// A thousand calls in flight, one in a hundred of them seven times as long as usual.
    #[test]
    fn the_slow_answers_before_a_hang_hardly_lengthen_the_wait() {
        let (usual, clock, time) = usual();
        let answer_all = |times: &[u64]| {
            let began = clock.now();
            for at in times {
                let passed = clock.now().saturating_duration_since(began);
                time.advance(Duration::from_millis(*at).saturating_sub(passed));
                usual.learn(clock.now(), began);
            }
        };
        (0..100).for_each(|_| answer_all(&[1_000]));
        assert_eq!(usual.unanswered_after(), Duration::from_secs(4));
        answer_all(&(0..1_000).map(|n| 1_000 + 6 * n).collect::<Vec<_>>());
        assert!(usual.unanswered_after() < Duration::from_secs(10), "{:?}", usual.unanswered_after());
    }

    #[test]
    fn a_slow_first_call_is_soon_forgotten_and_a_lasting_change_soon_learned() {
        let (usual, clock, time) = usual();
        let answer = |millis: u64| {
            let started = clock.now();
            time.advance(Duration::from_millis(millis));
            usual.learn(clock.now(), started);
        };
        std::iter::once(30_000).chain([10; 120]).for_each(answer);
        assert_eq!(usual.unanswered_after(), Duration::from_millis(50));
        (0..50).for_each(|_| answer(1_000));
        assert_eq!(usual.unanswered_after(), Duration::from_secs(4));
    }

    #[test]
    fn long_answers_among_more_short_ones_do_not_lengthen_the_wait() {
        let (usual, clock, time) = usual();
        let mut longest = Duration::ZERO;
        for number in 0..10_000_u64 {
            time.advance(Duration::from_millis(10));
            let taken = if number % 5 < 2 { 10_000 } else { 2 };
            let started = clock.now().as_nanos().saturating_sub(taken * 1_000_000);
            usual.learn(clock.now(), Instant::from_nanos(started));
            longest = longest.max(if number > 2_000 { usual.unanswered_after() } else { Duration::ZERO });
        }
        assert_eq!(longest, Duration::from_millis(50));
    }
}
