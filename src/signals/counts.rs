//! Counts of requests on lines that each thread keeps for itself, and seconds with a request or an error.
//!
//! A second is counted by the first request that ends in it: one shared write a second, otherwise a load.

use super::outcome_class::OutcomeClass;
use crate::clock::Instant;
use crate::sync::{AtomicU64, Ordering};
use crate::telemetry::REQUEST_BUCKETS;
use crate::thread_lines::ThreadLines;
use std::time::Duration;

/// Buckets of a histogram: one more than bounds.
pub(super) const BUCKETS: usize = REQUEST_BUCKETS.len() + 1;
const CLASSES: usize = OutcomeClass::ALL.len();
/// Cells of a segment: its classes, then the buckets of successes and those of failures.
const CELLS: usize = CLASSES + 2 * BUCKETS;
/// Cells that keep a line's counts off the cache lines of its neighbours.
const APART: usize = 8;
/// Requests of a thread after which one looks whether a publication is due.
const LOOK_EVERY: u64 = 64;

/// Upper bounds in nanoseconds.
static BOUNDS: [u64; BUCKETS - 1] = {
    let mut bounds = [0; BUCKETS - 1];
    let mut i = 0;
    while i < bounds.len() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "up to a minute, and positive")]
        let nanos = (REQUEST_BUCKETS[i] * 1e9 + 0.5) as u64;
        bounds[i] = nanos;
        i += 1;
    }
    bounds
};

/// The bucket of a latency.
#[inline]
pub(super) fn bucket_of(latency: Duration) -> u8 {
    let nanos = crate::clock::nanos(latency);
    #[expect(clippy::cast_possible_truncation, reason = "there are fifty")]
    let bucket = BOUNDS.partition_point(|bound| *bound < nanos) as u8;
    bucket
}

/// Counts of a service.
#[derive(Debug)]
pub(super) struct Counts {
    lines: ThreadLines<Line>,
    seconds: Box<[Seconds]>,
}

/// One thread's counts: requests begun, then the cells of each segment.
#[derive(Debug)]
struct Line(Box<[AtomicU64]>);

/// Seconds of a segment, and the newest that is counted, from 1.
#[derive(Debug, Default)]
struct Seconds {
    active: Marked,
    error: Marked,
}

#[derive(Debug, Default)]
struct Marked {
    newest: AtomicU64,
    total: AtomicU64,
}

/// Counts of a segment at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    pub(super) classes: [u64; CLASSES],
    pub(super) successes: [u64; BUCKETS],
    pub(super) failures: [u64; BUCKETS],
    pub(super) active_seconds: u64,
    pub(super) error_seconds: u64,
}

impl Counts {
    pub(super) fn new(segments: usize) -> Self {
        let cells = APART + 1 + segments * CELLS + APART;
        let line = || Line((0..cells).map(|_| AtomicU64::new(0)).collect());
        Self { lines: ThreadLines::new(line), seconds: (0..segments).map(|_| Seconds::default()).collect() }
    }

    /// Counts a request that begins.
    #[inline]
    pub(super) fn begin(&self) {
        self.lines.with(|line| line.add(APART));
    }

    /// Counts a request that has ended. True now and then: time to look whether to publish.
    #[inline]
    pub(super) fn end(&self, segment: u8, class: OutcomeClass, bucket: Option<u8>, now: Instant) -> bool {
        let segment = usize::from(segment);
        let first = APART + 1 + segment * CELLS;
        let ended = self.lines.with(|line| {
            if let Some(bucket) = bucket {
                match class {
                    OutcomeClass::Success => drop(line.add(first + CLASSES + usize::from(bucket))),
                    OutcomeClass::ClientError | OutcomeClass::ServerError => {
                        line.add(first + CLASSES + BUCKETS + usize::from(bucket));
                    }
                    _ => {}
                }
            }
            line.add(first + class as usize)
        });
        if class.is_evidence() {
            let second = now.as_nanos() / 1_000_000_000 + 1;
            let seconds = &self.seconds[segment];
            seconds.active.mark(second);
            if class.is_server_error() {
                seconds.error.mark(second);
            }
        }
        ended.is_multiple_of(LOOK_EVERY)
    }

    /// The sums of a segment.
    pub(super) fn sums(&self, segment: usize) -> Sums {
        let first = APART + 1 + segment * CELLS;
        let sum = |cell: usize| self.sum(first + cell);
        let seconds = &self.seconds[segment];
        Sums {
            classes: std::array::from_fn(sum),
            successes: std::array::from_fn(|i| sum(CLASSES + i)),
            failures: std::array::from_fn(|i| sum(CLASSES + BUCKETS + i)),
            active_seconds: seconds.active.total.load(Ordering::Relaxed),
            error_seconds: seconds.error.total.load(Ordering::Relaxed),
        }
    }

    /// Requests that have begun and, by these sums, not ended. The sums are older: a request that has ended has begun.
    pub(super) fn in_flight(&self, sums: &[Sums]) -> u64 {
        let ended = sums.iter().flat_map(|sums| sums.classes).sum();
        self.sum(APART).saturating_sub(ended)
    }

    fn sum(&self, cell: usize) -> u64 {
        self.lines.iter().map(|line| line.0[cell].load(Ordering::Relaxed)).sum()
    }
}

impl Line {
    /// Adds 1 and returns the sum. Its writer alone may call it.
    #[inline]
    fn add(&self, cell: usize) -> u64 {
        let count = self.0[cell].load(Ordering::Relaxed) + 1;
        self.0[cell].store(count, Ordering::Relaxed);
        count
    }
}

impl Marked {
    #[inline]
    fn mark(&self, second: u64) {
        // Of several threads that see an old second, one finds it there.
        if self.newest.load(Ordering::Relaxed) < second && self.newest.fetch_max(second, Ordering::Relaxed) < second {
            self.total.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_in_the_bucket_of_the_first_bound_that_is_not_below_it() {
        let bucket = |micros| bucket_of(Duration::from_micros(micros));
        assert_eq!((bucket(0), bucket(1_000), bucket(1_001)), (0, 0, 1));
        assert_eq!((bucket(60_000_000), bucket(60_000_001)), (48, 49));
        assert_eq!(bucket_of(Duration::MAX), 49);
        for (i, bound) in REQUEST_BUCKETS.iter().enumerate() {
            assert_eq!(usize::from(bucket_of(Duration::from_secs_f64(*bound))), i, "{bound}");
        }
    }

    #[test]
    fn a_second_is_counted_once_however_many_requests_end_in_it() {
        let counts = Counts::new(2);
        let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
        for (millis, class) in [
            (0, OutcomeClass::Success),
            (999, OutcomeClass::ServerError),
            (1_000, OutcomeClass::Success),
            (1_500, OutcomeClass::RejectedByBulkhead),
            (1_900, OutcomeClass::ServerError),
            (3_000, OutcomeClass::Ignored),
            (4_000, OutcomeClass::RejectedByKillSwitch),
        ] {
            counts.begin();
            counts.end(1, class, None, at(millis));
        }
        let sums = [counts.sums(0), counts.sums(1)];
        assert_eq!((sums[0].active_seconds, sums[1].active_seconds, sums[1].error_seconds), (0, 2, 2));
        assert_eq!(counts.in_flight(&sums), 0);
    }

    #[test]
    fn two_threads_lose_nothing_and_count_a_second_once() {
        let counts = Counts::new(1);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for i in 0..10_000 {
                        counts.begin();
                        let now = Instant::from_nanos(i * 1_000_000);
                        counts.end(0, OutcomeClass::Success, Some(3), now);
                    }
                });
            }
        });
        let sums = counts.sums(0);
        assert_eq!((sums.classes[0], sums.successes[3], counts.in_flight(&[sums])), (20_000, 20_000, 0));
    }
}
