//! Receiver of what a compartment counts and reports.

use super::counters::Counters;
use super::event::Event;

/// Receiver of the counts and events of a compartment.
pub trait EventSink {
    /// Counters of the bulkhead or the group.
    fn counters(&self) -> &Counters;

    /// Queues an event. The caller holds the compartment's lock.
    fn push(&self, event: Event);

    /// Delivers the queued events. The caller holds no lock.
    fn dispatch(&self);

    /// Publishes a change that cannot wait.
    fn publish(&self);

    /// Publishes if a second has passed since the last time. The caller has counted its call.
    fn look(&self);

    /// Returns whether each call looks, if the word of the permits does not say so: a group has one for all keys.
    #[inline]
    fn asks_to_look(&self) -> bool {
        false
    }

    /// Counts a call answered by a fallback.
    fn count_fallback(&self);

    // A group counts over all its compartments; one compartment's own counts are enough otherwise.

    /// Counts a permit that was given.
    #[inline]
    fn count_permit(&self) {}

    /// Counts a permit that came back.
    #[inline]
    fn count_return(&self) {}

    /// Counts a call rejected at once.
    #[inline]
    fn count_rejection(&self) {}
}
