//! Snapshot and totals of a bulkhead.

/// The state of a bulkhead at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Calls in flight. More than the limit for a while after it shrank.
    pub in_flight: u32,
    /// Calls in flight at most.
    pub limit: u32,
    /// Calls that wait.
    pub queue_depth: u32,
    /// Whether calls were rejected within the last second or so.
    pub is_saturated: bool,
}

impl Snapshot {
    /// Calls in flight divided by the limit: 1 is full. Above 1 for a while after the limit shrank.
    pub fn saturation(&self) -> f64 {
        f64::from(self.in_flight) / f64::from(self.limit.max(1))
    }

    /// Permits that are free.
    pub const fn available(&self) -> u32 {
        self.limit.saturating_sub(self.in_flight)
    }
}

/// Totals of a bulkhead since it was made.
///
/// Every call offered is in exactly one of `permitted`, `rejected_full`, `timed_out`, `shed`, `left_queue` and
/// `bypassed`, or still waits. Of those permitted, `abandoned` were dropped before their end, the others are in
/// flight or have finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Totals {
    /// Calls that got a permit.
    pub permitted: u64,
    /// Calls rejected at once: no permit was free, nor a place in the queue.
    pub rejected_full: u64,
    /// Calls that waited for as long as they may.
    pub timed_out: u64,
    /// Calls shed from a queue that had stood for too long.
    pub shed: u64,
    /// Calls whose callers went away while they waited.
    pub left_queue: u64,
    /// Permitted calls that were dropped before their end, or whose permit was revoked.
    pub abandoned: u64,
    /// Permits that were revoked: held longer than `max_hold`, or by
    /// [`reset_in_flight`](super::Bulkhead::reset_in_flight).
    pub revoked: u64,
    /// Calls let through without a permit, as they asked.
    pub bypassed: u64,
    /// Calls answered by a fallback.
    pub fallbacks: u64,
    /// Events that did not reach a listener: it panicked, or was far too slow.
    pub events_lost: u64,
}
