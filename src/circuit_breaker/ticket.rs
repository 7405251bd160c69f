//! An admission of a call.

use crate::clock::Instant;

/// An admission, small enough to travel with the call.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    pub(super) generation: u64,
    /// Its number among the calls that are followed in flight; 0 where none are.
    pub(super) flight: u64,
    /// Start of the call; `NEVER` if no setting needs it.
    pub(super) started: Instant,
}

impl Ticket {
    /// Returns whether the call is timed.
    #[inline]
    pub(in crate::circuit_breaker) fn is_timed(&self) -> bool {
        self.started != Instant::NEVER
    }
}
