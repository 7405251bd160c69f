//! The last stretch of time, in buckets, and the tumbling window of breakers that count in intervals.
//!
//! Only buckets that saw a call exist, so an idle window is small and a jump of hours costs no more than the
//! buckets there are.

use super::counts::{Counts, Stamp};
use super::kind::BucketAlignment;
use crate::clock::{Instant, nanos};
use std::collections::VecDeque;
use std::time::Duration;

/// A ring of buckets over the last `width * buckets`.
#[derive(Clone, Debug)]
pub(crate) struct TimeWindow {
    /// The width of a bucket, in nanoseconds.
    width: u64,
    buckets: u64,
    alignment: BucketAlignment,
    /// Start of the present bucket; `None` before the first.
    head: Option<Instant>,
    ring: VecDeque<Bucket>,
    totals: Counts,
}

#[derive(Clone, Debug)]
struct Bucket {
    start: Instant,
    counts: Counts,
}

impl TimeWindow {
    pub(crate) fn new(duration: Duration, buckets: u32, alignment: BucketAlignment) -> Self {
        let buckets = u64::from(buckets.max(1));
        Self {
            width: (nanos(duration) / buckets).max(1),
            buckets,
            alignment,
            head: None,
            ring: VecDeque::new(),
            totals: Counts::default(),
        }
    }

    pub(crate) fn has_width_of(&self, other: &Self) -> bool {
        self.width == other.width && self.alignment == other.alignment
    }

    /// Takes the other's number of buckets, of the same width.
    pub(crate) fn resize(&mut self, other: &Self) {
        self.buckets = other.buckets;
    }

    /// Opens the bucket of `now` and drops those that ended a whole window ago.
    pub(crate) fn expire(&mut self, now: Instant) {
        let (head, oldest_from) = match (self.alignment, self.head) {
            (BucketAlignment::Clock, _) => {
                let head = Instant::from_nanos(now.as_nanos() / self.width * self.width);
                (head, head)
            }
            (BucketAlignment::FirstCall, Some(head)) if now.as_nanos() - head.as_nanos() < self.width => (head, now),
            (BucketAlignment::FirstCall, _) => (now, now),
        };
        self.head = Some(head);
        let span = self.width.saturating_mul(self.buckets);
        while let Some(bucket) = self.ring.front() {
            if oldest_from.as_nanos() - bucket.start.as_nanos() < span {
                break;
            }
            self.totals.subtract(bucket.counts);
            self.ring.pop_front();
        }
    }

    pub(crate) fn add(&mut self, calls: u64, failed: bool, slow: bool) -> Stamp {
        let (failed, slow) = (u64::from(failed), u64::from(slow));
        let stamp = self.count(Counts { calls, failed, slow });
        Stamp(stamp.as_nanos())
    }

    pub(crate) fn mark_failed(&mut self, at: Stamp) {
        if let Some(bucket) = self.ring.iter_mut().rev().find(|bucket| bucket.start.as_nanos() == at.0) {
            bucket.counts.failed += 1;
            self.totals.failed += 1;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.totals
    }

    pub(crate) fn steady_until(&self) -> Option<Instant> {
        match (self.alignment, self.head) {
            (BucketAlignment::Clock, Some(head)) => Some(head.saturating_add(Duration::from_nanos(self.width))),
            _ => None,
        }
    }

    fn count(&mut self, counts: Counts) -> Instant {
        let head = self.head.unwrap_or_default();
        self.totals.add(counts);
        match self.ring.back_mut() {
            Some(bucket) if bucket.start == head => bucket.counts.add(counts),
            _ => self.ring.push_back(Bucket { start: head, counts }),
        }
        head
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.calls += more.calls;
        self.failed += more.failed;
        self.slow += more.slow;
    }

    fn subtract(&mut self, less: Self) {
        self.calls -= less.calls;
        self.failed -= less.failed;
        self.slow -= less.slow;
    }
}

/// One interval after another: everything is forgotten when an interval has passed.
#[derive(Clone, Debug)]
pub(crate) struct Tumbling {
    duration: Duration,
    start: Instant,
    counts: Counts,
}

impl Tumbling {
    pub(crate) fn new(duration: Duration, now: Instant) -> Self {
        Self { duration, start: now, counts: Counts::default() }
    }

    pub(crate) fn has_length_of(&self, other: &Self) -> bool {
        self.duration == other.duration
    }

    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        let over = now.saturating_duration_since(self.start) > self.duration;
        if over {
            *self = Self::new(self.duration, now);
        }
        over
    }

    pub(crate) fn add(&mut self, calls: u64, failed: bool, slow: bool) -> Stamp {
        let (failed, slow) = (u64::from(failed), u64::from(slow));
        self.counts.add(Counts { calls, failed, slow });
        Stamp(self.start.as_nanos())
    }

    pub(crate) fn mark_failed(&mut self, at: Stamp) {
        if at.0 == self.start.as_nanos() {
            self.counts.failed += 1;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn a_bucket_leaves_when_its_number_is_a_window_behind() {
        let mut window = TimeWindow::new(5 * SECOND, 5, BucketAlignment::Clock);
        window.expire(at(900));
        window.add(1, true, false);
        window.expire(at(4_999));
        assert_eq!(window.counts().failed, 1);
        window.expire(at(5_000));
        assert_eq!(window.counts(), Counts::default());
    }

    #[test]
    fn a_jump_of_hours_costs_only_the_buckets_there_are() {
        let mut window = TimeWindow::new(SECOND, 10, BucketAlignment::Clock);
        for i in 0..10 {
            window.expire(at(i * 100));
            window.add(1, true, true);
        }
        window.expire(at(3_600_000_000));
        assert_eq!(window.counts(), Counts::default());
        assert!(window.ring.is_empty());
    }

    #[test]
    fn steady_until_the_edge_of_the_bucket() {
        let mut window = TimeWindow::new(5 * SECOND, 5, BucketAlignment::Clock);
        window.expire(at(2_300));
        assert_eq!(window.steady_until(), Some(at(3_000)));
    }

    #[test]
    fn a_tumbling_window_forgets_all_at_once() {
        let mut window = Tumbling::new(SECOND, at(0));
        window.add(3, true, false);
        assert!(!window.expire(at(1_000)));
        assert!(window.expire(at(1_001)));
        assert_eq!(window.counts(), Counts::default());
    }
}
