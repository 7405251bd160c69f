//! The sealed trait through which a permit reports to its bulkhead, or to that of one key.

use super::compartment::Compartment;
use super::sink::EventSink;

/// Owner of permits: a [`Bulkhead`](crate::bulkhead::Bulkhead), or one key of a group. Sealed.
pub trait PermitOwner: Owner {
    /// The name of the bulkhead or of the group.
    fn name(&self) -> &'static str {
        self.counters().name
    }
}

impl<O: Owner> PermitOwner for O {}

/// The parts of an owner that its permits use.
pub trait Owner: EventSink + Clone + 'static {
    /// The compartment that the permits are of.
    fn compartment(&self) -> &Compartment;

    /// A handle for a call, which does not count among those that users hold.
    #[must_use]
    fn for_call(&self) -> Self;

    /// Index of the partition whose share the permits are of.
    fn partition(&self) -> usize;
}
