//! Samples of round trips.

use std::time::Duration;
/// A call that has ended: its round trip, the calls in flight, and whether it was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub(super) round_trip: Duration,
    pub(super) in_flight: u32,
    pub(super) is_dropped: bool,
}

impl Sample {
    /// A call that was answered after `round_trip`; `in_flight` were under way when it began, itself among them.
    pub const fn new(round_trip: Duration, in_flight: u32) -> Self {
        Self { round_trip, in_flight, is_dropped: false }
    }

    /// The call was dropped: it timed out, or was rejected for overload.
    #[must_use]
    pub const fn dropped(mut self) -> Self {
        self.is_dropped = true;
        self
    }
}
