//! The handles that users hold: of the group, and of one key's bulkhead.

use super::group::{Group, KeyedEvent, KeyedSnapshot, OfKey, no_partitions};
use super::key::KeyHandle;
use crate::bulkhead::config::BulkheadConfig;
use crate::bulkhead::control;
use crate::bulkhead::layer::BulkheadLayer;
use crate::bulkhead::select::Select;
use crate::bulkhead::snapshot::Totals;
use crate::config::{ConfigError, Problems};
use crate::events::{Subscription, note};
use crate::keyed_table::{Key, keyed_handles};
#[cfg(feature = "axum")]
use crate::registry::GroupState;
#[cfg(feature = "axum")]
use crate::reject::Mechanism;
use crate::shared_ref::Counted;
use crate::sync::Arc;
use std::borrow::Cow;

/// A bulkhead for each key: a cheap handle to the group. See the [module](super).
pub struct KeyedBulkhead<K> {
    group: Counted<Group<K>>,
}

impl<K: Key> KeyedBulkhead<K> {
    /// A Tower layer that finds the key of each request with `key`.
    pub fn layer<F>(&self, key: F) -> BulkheadLayer<ByKey<K, F>> {
        BulkheadLayer::new(self.by_key(key))
    }

    /// Selects the permits of each request with `key`.
    pub(crate) fn by_key<F>(&self, key: F) -> ByKey<K, F> {
        ByKey { bulkheads: self.clone(), key }
    }

    /// Calls in flight and waiting over all keys. Looks at every key.
    pub fn snapshot(&self) -> KeyedSnapshot {
        self.group.snapshot()
    }

    /// The keys that have lately rejected calls; `None` is the overflow bulkhead. Looks at every key.
    pub fn saturated(&self) -> Vec<Option<K>> {
        self.group.saturated()
    }

    /// Totals over all keys, evicted ones among them.
    pub fn totals(&self) -> Totals {
        self.group.totals()
    }

    /// Calls `listener` with every event of every key until the subscription is dropped. See
    /// [`Bulkhead::subscribe`](crate::Bulkhead::subscribe).
    pub fn subscribe(&self, listener: impl Fn(&KeyedEvent<K>) + Send + Sync + 'static) -> Subscription {
        self.group.events.subscribe(Arc::new(move |of_key: &OfKey<K>| {
            listener(&KeyedEvent { key: of_key.entry.key.clone(), event: of_key.event.clone() });
        }))
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<BulkheadConfig> {
        self.group.counters.config()
    }

    /// Takes every permit of every key away from its holder. See
    /// [`Bulkhead::reset_in_flight`](crate::Bulkhead::reset_in_flight).
    pub fn reset_in_flight(&self, reason: impl AsRef<str>) {
        let note = note(reason.as_ref());
        self.group.keys.for_each(|entry| {
            let key = KeyHandle::new(self.group.for_call(), Arc::clone(entry));
            control::reset_in_flight(&key, &note);
        });
    }

    /// Takes new settings for all keys. Calls in flight and calls that wait stay.
    ///
    /// # Errors
    ///
    /// Settings with partitions.
    pub fn reconfigure(&self, config: BulkheadConfig) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        no_partitions(&mut problems, &config);
        problems.into_result(())?;
        self.group.reconfigure(config);
        Ok(())
    }

    /// The keys that have lately rejected calls, for the admin page.
    #[cfg(feature = "axum")]
    fn group_state(&self) -> GroupState {
        let states = self.saturated().into_iter().map(|key| (key, "saturated"));
        GroupState::new((Mechanism::Bulkhead, self.name(), self.len()), &self.group.label, states)
    }

    /// Brings the metrics up to date.
    pub fn publish(&self) {
        self.saturated(); // ends what time alone ends
        self.group.publish_now();
    }
}

keyed_handles!(KeyedBulkhead<K>, KeyHandle<K> = "KeyHandle", "bulkhead");

/// The permits of the key that a function finds in the request.
#[derive(Debug)]
pub struct ByKey<K, F> {
    bulkheads: KeyedBulkhead<K>,
    key: F,
}

impl<K: Key, F> crate::sealed::Sealed for ByKey<K, F> {}

impl<K: Key, Request, F: Fn(&Request) -> K> Select<Request> for ByKey<K, F> {
    type PermitOwner = KeyHandle<K>;

    fn any(&self) -> Cow<'_, KeyHandle<K>> {
        let group = self.bulkheads.group.clone();
        Cow::Owned(KeyHandle { entry: Arc::clone(&group.keys.overflow), group })
    }

    fn select<'a>(&'a self, request: &Request) -> Cow<'a, KeyHandle<K>> {
        Cow::Owned(self.bulkheads.key(&(self.key)(request)))
    }
}

impl<K, F: Clone> Clone for ByKey<K, F> {
    fn clone(&self) -> Self {
        Self { bulkheads: self.bulkheads.clone(), key: self.key.clone() }
    }
}

crate::registry::registered!(KeyedBulkhead<K>, Bulkhead, K, group_state);
