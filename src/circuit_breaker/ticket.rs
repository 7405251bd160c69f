//! An admission of a call.

use super::machine::types::Part;
use crate::clock::Instant;

/// An admission, small enough to travel with the call.
#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    pub(super) generation: u64,
    pub(super) part: Part,
    /// Start of the call, later of the wait for the next part of its body; `NEVER` as long as nothing needs it.
    pub(super) started: Instant,
}

impl Ticket {
    /// Returns whether the call is timed.
    #[inline]
    pub(in crate::circuit_breaker) fn is_timed(&self) -> bool {
        self.started != Instant::NEVER
    }
}
