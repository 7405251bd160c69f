//! Windows of the last calls: the evidence that a circuit breaker trips on.
//!
//! Every method takes the time it needs and costs O(1) amortised; totals are exact. Successes may be counted
//! elsewhere and handed in later in bulk ([`Window::add_successes`]): they belong to the bucket that was open
//! when the window last saw the time.

pub(super) mod count;
pub(super) mod counts;
pub(super) mod kind;
pub(super) mod time;

use super::window::count::CountWindow;
use super::window::counts::{Counts, Stamp};
use super::window::kind::{BucketAlignment, SlidingWindow};
use super::window::time::{TimeWindow, Tumbling};
use crate::clock::Instant;

/// A window over the last calls or the last stretch of time.
#[derive(Clone, Debug)]
pub(crate) enum Window {
    Count(CountWindow),
    Time(TimeWindow),
    Tumbling(Tumbling),
}

impl Window {
    pub(crate) fn new(kind: SlidingWindow, now: Instant) -> Self {
        match kind {
            SlidingWindow::Count { calls } => Self::Count(CountWindow::new(calls)),
            SlidingWindow::Time { duration, buckets, alignment } => {
                let mut window = TimeWindow::new(duration, buckets, alignment);
                if alignment == BucketAlignment::Clock {
                    window.expire(now); // the other kind has no bucket yet
                }
                Self::Time(window)
            }
            SlidingWindow::Tumbling { duration } => Self::Tumbling(Tumbling::new(duration, now)),
        }
    }

    /// Takes a new shape and keeps the calls it knows, if the shapes can share them. Otherwise it starts
    /// empty, and no stamp given before is of a call in it: false.
    pub(crate) fn reshape(&mut self, kind: SlidingWindow, now: Instant) -> bool {
        let mut fresh = Self::new(kind, now);
        match (&mut *self, &mut fresh) {
            (Self::Count(window), Self::Count(fresh)) => window.resize(fresh.size()),
            (Self::Time(window), Self::Time(fresh)) if window.has_width_of(fresh) => {
                window.resize(fresh);
                window.expire(now);
            }
            (Self::Tumbling(window), Self::Tumbling(fresh)) if window.has_length_of(fresh) => {}
            _ => {
                fresh.expire(now);
                *self = fresh;
                return false;
            }
        }
        true
    }

    /// Lets go of what is too old. True when everything went at once (a tumbling window turned over).
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        match self {
            Self::Count(_) => false,
            Self::Time(window) => {
                window.expire(now);
                false
            }
            Self::Tumbling(window) => window.expire(now),
        }
    }

    /// Counts one call. Call [`Window::expire`] first.
    pub(crate) fn add(&mut self, failed: bool, slow: bool) -> Stamp {
        match self {
            Self::Count(window) => window.add(failed, slow),
            Self::Time(window) => window.add(1, failed, slow),
            Self::Tumbling(window) => window.add(1, failed, slow),
        }
    }

    /// Counts successes that were neither failed nor slow.
    pub(crate) fn add_successes(&mut self, calls: u64) {
        if calls > 0 {
            match self {
                Self::Count(window) => window.add_successes(calls),
                Self::Time(window) => drop(window.add(calls, false, false)),
                Self::Tumbling(window) => drop(window.add(calls, false, false)),
            }
        }
    }

    /// Adds a failure to a call counted before, unless it has left the window.
    pub(crate) fn mark_failed(&mut self, at: Stamp) {
        match self {
            Self::Count(window) => window.mark_failed(at),
            Self::Time(window) => window.mark_failed(at),
            Self::Tumbling(window) => window.mark_failed(at),
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        match self {
            Self::Count(window) => window.counts(),
            Self::Time(window) => window.counts(),
            Self::Tumbling(window) => window.counts(),
        }
    }

    /// End a further success can only lower the rates, given enough calls: nothing expires before it.
    ///
    /// `None` if each call must be looked at.
    pub(crate) fn steady_until(&self) -> Option<Instant> {
        match self {
            Self::Count(_) => Some(Instant::NEVER),
            Self::Time(window) => window.steady_until(),
            Self::Tumbling(_) => None,
        }
    }
}
