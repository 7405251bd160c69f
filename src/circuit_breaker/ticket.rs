//! An admission of a call.

use crate::clock::Instant;
/// An admission, small enough to travel with the call.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    pub(super) generation: u64,
    /// Its number among the calls that are followed in flight; 0 where none are.
    pub(super) flight: u64,
    /// When the call began; `NEVER` where nobody needs to know.
    pub(super) started: Instant,
}

impl Ticket {
    /// Whether somebody needs to know when the call began.
    #[inline]
    pub(in crate::circuit_breaker) fn is_timed(&self) -> bool {
        self.started != Instant::NEVER
    }
}
