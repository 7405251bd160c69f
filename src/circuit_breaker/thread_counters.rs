//! Counters of a breaker in [`ThreadLines`], so that a success costs a store and shares no cache line.
//!
//! A line's successes are tagged with the generation they belong to, so a thread that is overtaken between looking at
//! the state and storing its success cannot put it into a later generation.
//!
//! # Memory ordering
//!
//! A line is read by summing under the breaker's lock, while the generation cannot change. The owner stores
//! `base` before `generation` (release) and `generation` before the next count (release), so a reader that sees
//! the tag sees the base that goes with it.

use crate::sync::{AtomicU64, Ordering};
use crate::thread_lines::ThreadLines;

/// Calls of a thread after which one looks whether a publication is due.
const LOOK_EVERY: u64 = 64;

/// One breaker's counters.
#[derive(Debug)]
pub(crate) struct ThreadCounters {
    lines: ThreadLines<Line>,
}

/// One thread's counters, on a cache line of their own.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Line {
    /// The generation that `successes - base` belong to.
    generation: AtomicU64,
    base: AtomicU64,
    /// All successes; never less than before.
    successes: AtomicU64,
    late: AtomicU64,
    not_permitted: AtomicU64,
    ignored: AtomicU64,
}

impl ThreadCounters {
    pub(crate) fn new() -> Self {
        Self { lines: ThreadLines::new(Line::new) }
    }

    /// Counts a success of `generation`. True now and then: time to look whether to publish.
    pub(crate) fn succeed(&self, generation: u64) -> bool {
        self.lines.with(|line| line.succeed(generation))
    }

    /// This thread's own line, if it has one.
    #[inline]
    pub(crate) fn own_line(&self) -> Option<&Line> {
        self.lines.own()
    }

    /// Counts a rejection. True now and then: time to look whether to publish.
    #[inline]
    pub(crate) fn reject(&self) -> bool {
        self.lines.with(|line| {
            let rejections = line.not_permitted.load(Ordering::Relaxed) + 1;
            line.not_permitted.store(rejections, Ordering::Relaxed);
            rejections.is_multiple_of(LOOK_EVERY)
        })
    }

    /// Counts a call that says nothing. True now and then: time to look whether to publish.
    #[inline]
    pub(crate) fn ignore(&self) -> bool {
        self.lines.with(|line| {
            let ignored = line.ignored.load(Ordering::Relaxed) + 1;
            line.ignored.store(ignored, Ordering::Relaxed);
            ignored.is_multiple_of(LOOK_EVERY)
        })
    }

    /// Successes in `generation`. The caller holds the lock under which generations change.
    pub(crate) fn successes_of(&self, generation: u64) -> u64 {
        let of_line = |line: &Line| {
            // Acquire: pairs with the stores in `Line::succeed` and `Line::begin`.
            if line.generation.load(Ordering::Acquire) != generation {
                return 0;
            }
            line.successes.load(Ordering::Acquire).wrapping_sub(line.base.load(Ordering::Relaxed))
        };
        self.lines.iter().map(of_line).sum()
    }

    /// All successes, all rejections, and what was ignored.
    pub(crate) fn totals(&self) -> (u64, u64, u64) {
        let sum = |of: fn(&Line) -> &AtomicU64| -> u64 {
            self.lines.iter().map(|line| of(line).load(Ordering::Relaxed)).sum()
        };
        let successes = sum(|line| &line.successes) + sum(|line| &line.late);
        (successes, sum(|line| &line.not_permitted), sum(|line| &line.ignored))
    }
}

impl Line {
    /// Counts a success of `generation`. Its writer alone may call it. True now and then: time to look whether to publish.
    #[inline]
    pub(crate) fn succeed(&self, generation: u64) -> bool {
        if self.generation.load(Ordering::Relaxed) != generation && !self.begin(generation) {
            return false;
        }
        let successes = self.successes.load(Ordering::Relaxed) + 1;
        // Release: pairs with the load in `successes_of`.
        self.successes.store(successes, Ordering::Release);
        successes.is_multiple_of(LOOK_EVERY)
    }

    #[cold]
    fn begin(&self, generation: u64) -> bool {
        if self.generation.load(Ordering::Relaxed) > generation {
            // Overtaken on a shared line: the success counts, but not for a generation it is not of.
            self.late.store(self.late.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            return false;
        }
        self.base.store(self.successes.load(Ordering::Relaxed), Ordering::Relaxed);
        // Release: pairs with the load in `successes_of`, which then sees this base.
        self.generation.store(generation, Ordering::Release);
        true
    }

    fn new() -> Self {
        Self {
            generation: AtomicU64::new(0), // generations start at 1
            base: AtomicU64::new(0),
            successes: AtomicU64::new(0),
            late: AtomicU64::new(0),
            not_permitted: AtomicU64::new(0),
            ignored: AtomicU64::new(0),
        }
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn successes_belong_to_their_generation_and_none_is_lost() {
        let thread_counters = ThreadCounters::new();
        for _ in 0..5 {
            thread_counters.succeed(1);
        }
        thread_counters.succeed(2);
        assert_eq!((thread_counters.successes_of(1), thread_counters.successes_of(2)), (0, 1));
        thread_counters.succeed(1); // a thread that was overtaken
        assert_eq!((thread_counters.successes_of(1), thread_counters.successes_of(2)), (0, 1));
        assert_eq!(thread_counters.totals().0, 7);
    }

    #[test]
    fn more_threads_than_lines_lose_nothing() {
        let thread_counters = ThreadCounters::new();
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    (0..1_000).for_each(|_| {
                        thread_counters.succeed(3);
                    });
                });
            }
        });
        assert_eq!((thread_counters.successes_of(3), thread_counters.totals().0), (64_000, 64_000));
    }
}
