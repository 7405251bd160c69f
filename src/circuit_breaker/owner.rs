//! Owners of permits: a circuit breaker, or one key of a group.

use super::ticket::Ticket;
use crate::clock::Instant;
use crate::outcome::Classification;
/// Owner of permits: a [`CircuitBreaker`](super::CircuitBreaker), or one key's circuit. Sealed.
pub trait PermitOwner {
    /// The name of the circuit or the group.
    fn name(&self) -> &'static str;
    /// Records how a call ended.
    #[doc(hidden)]
    fn record(&self, ticket: &Ticket, classification: Classification, is_slow: bool);
    /// Returns whether a call has been slow up to now.
    #[doc(hidden)]
    fn is_slow(&self, ticket: Ticket) -> bool;
    /// The time now, as of the last tick.
    #[doc(hidden)]
    fn now(&self) -> Instant;
    /// Returns whether nothing has come since then for too long.
    #[doc(hidden)]
    fn is_stalled(&self, ticket: Ticket) -> bool;
    /// A fallback answered.
    #[doc(hidden)]
    fn count_fallback(&self);
}
