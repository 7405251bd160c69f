//! What permits are given out by.

use super::common::Common;
use super::compartment::Compartment;
use super::holds::HoldId;
use super::snapshot::Event;

/// What permits are given out by: a [`Bulkhead`](super::Bulkhead), or one key's. Not for others to implement.
pub trait Holder: Clone {
    /// The name of the bulkhead or of the group.
    fn name(&self) -> &'static str;
    #[doc(hidden)]
    fn common(&self) -> &Common;
    #[doc(hidden)]
    fn compartment(&self) -> &Compartment;
    #[doc(hidden)]
    fn partition(&self) -> usize;

    /// Queues an event. The caller holds the compartment's lock.
    #[doc(hidden)]
    fn push(&self, event: Event);
    /// Delivers the events. The caller holds no lock.
    #[doc(hidden)]
    fn dispatch(&self);
    #[doc(hidden)]
    fn publish(&self);
    /// A fallback answered.
    #[doc(hidden)]
    fn count_fallback(&self);

    // A group counts over all its compartments; one compartment's own counts are enough otherwise.

    #[doc(hidden)]
    #[inline]
    fn count_permit(&self) {}
    #[doc(hidden)]
    #[inline]
    fn count_return(&self) {}
    #[doc(hidden)]
    #[inline]
    fn count_rejection(&self) {}
}

/// A permit's own data, small enough to travel with the call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) hold: HoldId,
    pub(super) epoch: u16,
}
