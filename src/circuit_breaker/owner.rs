//! Owners of permits: a circuit breaker, or one key of a group.

use super::ticket::Ticket;
use crate::clock::Instant;
use crate::outcome::Classification;

/// Owner of permits: a [`CircuitBreaker`](super::CircuitBreaker), or one key's circuit. Sealed.
pub trait PermitOwner: Owner {
    /// The name of the circuit or the group.
    fn name(&self) -> &'static str {
        self.label()
    }
}

impl<O: Owner> PermitOwner for O {}

/// The parts of an owner that its permits use.
pub trait Owner {
    /// The name of the circuit or the group.
    fn label(&self) -> &'static str;

    /// Records how a call ended.
    fn record(&self, ticket: &Ticket, classification: Classification, is_slow: bool);

    /// Returns whether a call has been slow up to now.
    fn is_slow(&self, ticket: Ticket) -> bool;

    /// The time now, as of the last tick.
    fn now(&self) -> Instant;

    /// Returns whether a call has had no progress for too long.
    fn is_stalled(&self, ticket: Ticket) -> bool;

    /// Counts a call that a fallback answered.
    fn count_fallback(&self);
}
