//! Kinds of windows.

use std::time::Duration;
#[non_exhaustive]
/// The window over which calls are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)
)]
pub enum SlidingWindow {
    /// The last `calls` calls, truly sliding. Valid: 1 to 1,000,000.
    Count {
        /// Number of calls.
        calls: u32,
    },
    /// The last `duration`, in `buckets` that are forgotten one at a time. Valid: 1 to 1,000 buckets of at
    /// least 1 ms each.
    Time {
        /// The whole stretch.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        duration: Duration,
        /// Into how many parts it is cut.
        #[cfg_attr(feature = "serde", serde(default = "ten"))]
        buckets: u32,
        /// Alignment of the buckets.
        #[cfg_attr(feature = "serde", serde(default))]
        alignment: BucketAlignment,
    },
    /// One interval after another, each forgotten whole when it is over; results of calls begun in an earlier
    /// interval are stale. For those who come from breakers that count this way: evidence that straddles the
    /// border of two intervals is lost. Valid: at least 1 ms.
    Tumbling {
        /// The length of an interval.
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        duration: Duration,
    },
}

impl SlidingWindow {
    /// The last `calls` calls.
    pub const fn count(calls: u32) -> Self {
        Self::Count { calls }
    }

    /// The last `duration`, in `buckets` parts.
    pub const fn time(duration: Duration, buckets: u32) -> Self {
        Self::Time { duration, buckets, alignment: BucketAlignment::Clock }
    }
}

/// Alignment of the buckets of a time window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum BucketAlignment {
    /// At multiples of their width. The default, and the fast one.
    #[default]
    Clock,
    /// At the first call after the bucket before; an event stays for exactly the window's length at most.
    FirstCall,
}

#[cfg(feature = "serde")]
const fn ten() -> u32 {
    10
}
