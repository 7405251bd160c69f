//! The sealed trait through which a permit reports to its circuit breaker, or to the circuit of one key.

use super::machine::types::Left;
use super::slow_calls::Stopwatch;
use super::ticket::Ticket;
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

    /// Times its calls.
    fn stopwatch(&self) -> &Stopwatch;

    /// Records that the caller left.
    fn abandon(&self, ticket: &Ticket, classification: Classification, is_slow: bool, left: Left);

    /// Records that the head of the response has arrived, and its body decides the outcome.
    fn record_head(&self, ticket: &mut Ticket);

    /// Counts a call that a fallback answered.
    fn count_fallback(&self);
}
