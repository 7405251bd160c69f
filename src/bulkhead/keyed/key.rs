//! Handle to the permits of one key.

use super::group::{Group, KeyedSnapshot, OfKey};
use crate::bulkhead::admission::Wait;
use crate::bulkhead::compartment::Compartment;
use crate::bulkhead::config::BulkheadConfig;
use crate::bulkhead::config::check::WAIT_MAX;
use crate::bulkhead::counters::{Counters, count};
use crate::bulkhead::event::Event;
use crate::bulkhead::owner::Owner;
use crate::bulkhead::partitions::UNPARTITIONED;
use crate::bulkhead::permit::Permit;
use crate::bulkhead::reserves::Permits;
use crate::bulkhead::sink::EventSink;
use crate::bulkhead::snapshot::Snapshot;
use crate::bulkhead::surface::acquire_and_call;
use crate::bulkhead::{acquire, call, control};
use crate::classify::{AnyResult, Classify};
use crate::events::note;
use crate::keyed_table::{Entry, Key};
use crate::reject::{CallError, Rejected};
use crate::shared_ref::Counted;
use crate::sync::{Arc, Ordering};
use std::borrow::Borrow;
use std::hash::Hash;
use std::time::Duration;
/// One key's bulkhead. While one of these, or a permit of it, is held, the key is not evicted.
pub struct KeyHandle<K> {
    pub(super) group: Counted<Group<K>>,
    pub(super) entry: Arc<Entry<K, Compartment>>,
}

impl<K> KeyHandle<K> {
    pub(super) fn new(group: Counted<Group<K>>, entry: Arc<Entry<K, Compartment>>) -> Self {
        Self { group, entry }
    }
}

impl<K: Key> KeyHandle<K> {
    acquire_and_call!();

    /// Calls in flight, the limit, the queue of this key.
    pub fn snapshot(&self) -> Snapshot {
        self.entry.value.snapshot(self)
    }

    /// Revokes every permit of this key. See
    /// [`Bulkhead::reset_in_flight`](crate::Bulkhead::reset_in_flight).
    pub fn reset_in_flight(&self, reason: impl AsRef<str>) {
        control::reset_in_flight(self, &note(reason.as_ref()));
    }

    /// Ends the saturation of a key that is evicted.
    pub(super) fn end_saturation(&self) {
        self.entry.value.end_saturation(self);
    }
}

impl<K: Key> EventSink for KeyHandle<K> {
    fn counters(&self) -> &Counters {
        &self.group.counters
    }

    fn push(&self, event: Event) {
        self.group.events.push([OfKey { entry: Arc::clone(&self.entry), event }]);
    }

    fn dispatch(&self) {
        let label = self.group.label.clone();
        self.group.events.dispatch(move |of_key| {
            let key = of_key.entry.key.as_ref().map_or_else(|| Some("(overflow)".to_owned()), |key| label.of(key));
            crate::bulkhead::log::keyed_event(key.as_deref(), &of_key.event);
        });
    }

    fn publish(&self) {
        self.group.publish_now();
    }

    fn look(&self) {
        self.group.look();
    }

    fn asks_to_look(&self) -> bool {
        self.group.asks_to_look()
    }

    fn count_fallback(&self) {
        count(&self.group.counters.fallbacks);
        if self.group.asks_to_look() {
            self.group.look();
        }
    }

    fn count_permit(&self) {
        self.group.count_permit();
    }

    fn count_return(&self) {
        self.group.count_return();
    }

    fn count_rejection(&self) {
        count(&self.group.rejected);
    }
}

impl<K: Key> Owner for KeyHandle<K> {
    fn compartment(&self) -> &Compartment {
        &self.entry.value
    }

    fn for_call(&self) -> Self {
        Self { group: self.group.for_call(), entry: Arc::clone(&self.entry) }
    }

    fn partition(&self) -> usize {
        UNPARTITIONED
    }
}

impl<K: Key> Counted<Group<K>> {
    pub(super) fn reconfigure(&self, config: BulkheadConfig) {
        let _one_after_the_other = self.reconfiguring.lock();
        let config = Arc::new(config);
        self.counters.set_config(Arc::clone(&config)); // first: a key that is made from now on has it
        self.keys.for_each(|entry| {
            if !entry.value.refit_unused(&config) {
                control::reconfigure(&KeyHandle::new(self.for_call(), Arc::clone(entry)), &config, || ());
            }
        });
    }

    pub(super) fn snapshot(&self) -> KeyedSnapshot {
        // Returned first: between the two readings permits are only given.
        // Acquire: pairs with the return, so that its permit has been counted.
        let returned = self.returned.load(Ordering::Acquire);
        KeyedSnapshot {
            keys: self.keys.len(),
            in_flight: self.permitted.load(Ordering::Relaxed).saturating_sub(returned),
            queue_depth: self.counters.waiting.load(Ordering::Relaxed),
            limit_per_key: self.counters.config().first_limit(),
            saturated: self.saturated().len() as u64,
        }
    }

    /// The keys that have lately rejected calls.
    pub(super) fn saturated(&self) -> Vec<Option<K>> {
        let mut saturated = Vec::new();
        self.keys.for_each(|entry| {
            let is_saturated = || KeyHandle::new(self.for_call(), Arc::clone(entry)).snapshot().is_saturated;
            if entry.value.is_rejecting() && is_saturated() {
                saturated.push(entry.key.clone());
            }
        });
        saturated
    }

    pub(super) fn find_or_insert<Q>(&self, key: &Q) -> Arc<Entry<K, Compartment>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let make = || Compartment::new(&self.counters.config(), Permits::without_reserves);
        let (entry, evicted) = self.keys.get_or_insert(key, Compartment::is_idle, make);
        if let Some(evicted) = evicted.filter(|evicted| evicted.value.is_rejecting()) {
            KeyHandle::new(self.for_call(), evicted).end_saturation();
        }
        entry
    }
}
