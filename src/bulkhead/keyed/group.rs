//! What all keys share.

use super::Key;
use super::handle::KeyBulkhead;
use crate::bulkhead::common::Common;
use crate::bulkhead::compartment::Compartment;
use crate::bulkhead::config::BulkheadConfig;
use crate::bulkhead::control;
use crate::bulkhead::snapshot::{Event, Snapshot, Totals};
use crate::clock::Clock;
use crate::keyed::{Entry, Found, Table};
use crate::observe::Events;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use std::borrow::Borrow;
use std::hash::Hash;

/// Permits after which the next caller publishes.
const PUBLISH_EVERY: u64 = 1024;

/// An event of one key's bulkhead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyedEvent<K> {
    /// The key; `None` for the overflow bulkhead.
    pub key: Option<K>,
    /// What happened.
    pub event: Event,
}

pub(super) struct Group<K> {
    pub(super) common: Common,
    table: Table<K, Compartment>,
    /// For keys that found no room.
    overflow: Arc<Entry<K, Compartment>>,
    keys: AtomicU64,
    overflowed: AtomicU64,
    evicted: AtomicU64,
    // Over all keys: those that are gone, too.
    permitted: AtomicU64,
    returned: AtomicU64,
    pub(super) rejected: AtomicU64,
    /// Enough permits were given to publish their number.
    is_due: AtomicBool,
    pub(super) events: Events<KeyedEvent<K>>,
    #[cfg(feature = "metrics")]
    gate: crate::telemetry::Gate,
}

impl<K> Group<K> {
    pub(super) fn len(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    pub(super) fn count_permit(&self) {
        if (self.permitted.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(PUBLISH_EVERY) {
            self.is_due.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn count_return(&self) {
        self.returned.fetch_add(1, Ordering::Relaxed);
    }
}

impl<K: Key> Group<K> {
    pub(super) fn new(name: &'static str, config: BulkheadConfig, max_keys: usize, clock: Clock) -> Self {
        let zero = || AtomicU64::new(0);
        let group = Self {
            table: Table::new(max_keys),
            overflow: Arc::new(Entry::of_overflow(Compartment::new(&config))),
            common: Common::new(name, config, clock),
            keys: zero(),
            overflowed: zero(),
            evicted: zero(),
            permitted: zero(),
            returned: zero(),
            rejected: zero(),
            is_due: AtomicBool::new(false),
            events: Events::default(),
            #[cfg(feature = "metrics")]
            gate: crate::telemetry::Gate::default(),
        };
        group.publish();
        group
    }

    pub(super) fn find<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<Entry<K, Compartment>>>
    where
        K: Borrow<Q>,
    {
        self.table.get(key)
    }

    pub(super) fn find_or_insert<Q>(&self, key: &Q) -> Arc<Entry<K, Compartment>>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        if self.is_due.load(Ordering::Relaxed) && self.is_due.swap(false, Ordering::Relaxed) {
            self.publish();
        }
        let make = || Compartment::new(&self.common.config());
        match self.table.get_or_insert(key, Compartment::is_idle, make) {
            Found::Known(entry) => entry,
            Found::New { entry, gone } => {
                let counter = if gone.is_some() { &self.evicted } else { &self.keys };
                counter.fetch_add(1, Ordering::Relaxed);
                entry
            }
            Found::NoRoom => {
                self.overflowed.fetch_add(1, Ordering::Relaxed);
                Arc::clone(&self.overflow)
            }
        }
    }

    /// Every key's entry, and that of those without room.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Arc<Entry<K, Compartment>>)) {
        visit(&self.overflow);
        self.table.for_each(visit);
    }

    pub(super) fn reconfigure(self: &Arc<Self>, config: BulkheadConfig) {
        let config = Arc::new(config);
        self.common.set_config(Arc::clone(&config)); // first: a key that is made from now on has it
        self.for_each(|entry| {
            if !entry.value.refit_unused(&config) {
                control::reconfigure(&KeyBulkhead::new(Arc::clone(self), Arc::clone(entry)), &config);
            }
        });
    }

    /// The sums over all keys; the limit is that of one.
    pub(super) fn snapshot(self: &Arc<Self>) -> Snapshot {
        Snapshot { is_saturated: !self.saturated().is_empty(), ..self.sums() }
    }

    fn sums(&self) -> Snapshot {
        let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        // Returned first: between the two readings permits are only given.
        let returned = self.returned.load(Ordering::Acquire);
        let in_flight = self.permitted.load(Ordering::Acquire).saturating_sub(returned);
        let queue_depth = whole(self.common.waiting.load(Ordering::Relaxed));
        let limit = self.common.config().first_limit();
        Snapshot { in_flight: whole(in_flight), limit, queue_depth, is_saturated: false }
    }

    /// The keys that have lately refused calls.
    pub(super) fn saturated(self: &Arc<Self>) -> Vec<Option<K>> {
        let mut saturated = Vec::new();
        self.for_each(|entry| {
            let is_saturated = || KeyBulkhead::new(Arc::clone(self), Arc::clone(entry)).snapshot().is_saturated;
            if entry.value.is_refusing() && is_saturated() {
                saturated.push(entry.key.clone());
            }
        });
        saturated
    }

    pub(super) fn totals(&self) -> Totals {
        let permitted = self.permitted.load(Ordering::Relaxed);
        let rejected_full = self.rejected.load(Ordering::Relaxed);
        Totals { permitted, rejected_full, events_lost: self.events.lost(), ..self.common.totals() }
    }

    #[cold]
    #[inline(never)]
    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "nothing to publish to"))]
    pub(super) fn publish(&self) {
        #[cfg(feature = "metrics")]
        self.gate.run(|publisher| {
            let now = self.common.clock.now();
            let mut oldest_call = None;
            if self.common.config().is_careful() {
                self.for_each(|entry| oldest_call = oldest_call.max(entry.value.oldest_age(now)));
            }
            let sample = crate::bulkhead::metrics::Sample { snapshot: self.sums(), totals: self.totals(), oldest_call };
            crate::bulkhead::metrics::publish(publisher, self.common.name, &sample);
        });
    }
}
