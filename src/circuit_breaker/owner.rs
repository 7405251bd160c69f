//! The sealed trait through which a permit reports to its circuit breaker, or to the circuit of one key.

use super::machine::types::Left;
use super::slow_calls::Stopwatch;
use super::ticket::Ticket;
use super::usual_time::UsualTime;
use super::waiters::Place;
use crate::outcome::Classification;
use crate::reject::Rejected;
use crate::upload::Upload;
use std::task::Context;

/// Owner of permits: a [`CircuitBreaker`](super::CircuitBreaker), or one key's circuit. Sealed.
pub trait PermitOwner: Owner {
    /// The name of the circuit or the group.
    fn name(&self) -> &'static str {
        self.label()
    }
}

impl<O: Owner> PermitOwner for O {}

/// The parts of an owner that its permits use.
pub trait Owner: Clone + 'static {
    /// The name of the circuit or the group.
    fn label(&self) -> &'static str;

    /// A handle for a call, which does not count among those that users hold.
    #[must_use]
    fn for_call(&self) -> Self;

    /// Asks to let a call through.
    fn admit(&self) -> Result<Ticket, Rejected>;

    /// Admits a call on the fast path, if there is one. A call that is not made costs nothing.
    #[inline]
    fn try_admit_fast(&self) -> Option<Ticket> {
        None
    }

    /// Returns whether the next call is certain to be rejected, if that is known without the lock.
    #[inline]
    fn is_rejecting(&self) -> bool {
        false
    }

    /// The rejection that the next call is certain to get, counted as one.
    fn reject_now(&self) -> Option<Rejected>;

    /// Wakes the task when calls are rejected. Returns whether that may be so by now. No-op for a key's circuit.
    fn wake_when_rejecting(&self, _: &mut Place, _: &mut Context<'_>) -> bool {
        true
    }

    /// Records how a call ended.
    fn record(&self, ticket: &Ticket, classification: Classification, is_slow: bool);

    /// Times its calls.
    fn stopwatch(&self) -> &Stopwatch;

    /// The usual time to an answer.
    fn usual(&self) -> &UsualTime;

    /// Records that the handler may wait for its caller's body, if that means something.
    fn follow_upload(&self, ticket: &Ticket, upload: &Upload);

    /// Records that the caller left.
    fn abandon(&self, ticket: &Ticket, classification: Classification, is_slow: bool, left: Left);

    /// Records that the head of the response has arrived, and its body decides the outcome.
    fn record_head(&self, ticket: &mut Ticket);

    /// Counts a call that a fallback answered.
    fn count_fallback(&self);
}
