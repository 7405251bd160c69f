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
use crate::keyed_table::Key;
use crate::sync::Arc;
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::Hash;

/// A bulkhead for each key: a cheap handle to the group. See the [module](super).
pub struct KeyedBulkhead<K> {
    group: Arc<Group<K>>,
}

impl<K: Key> KeyedBulkhead<K> {
    pub(super) fn new(group: Arc<Group<K>>) -> Self {
        Self { group }
    }

    /// The name, as it stands in metrics and events.
    pub fn name(&self) -> &'static str {
        self.group.counters.name
    }

    /// Returns whether both handles are of the same group.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.group, &other.group)
    }

    /// The bulkhead of a key, made if it is not there. Where there is no room it is the overflow bulkhead.
    pub fn key<Q>(&self, key: &Q) -> KeyHandle<K>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        KeyHandle { group: Arc::clone(&self.group), entry: self.group.find_or_insert(key) }
    }

    /// The bulkhead of a key, if it is there.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<KeyHandle<K>>
    where
        K: Borrow<Q>,
    {
        Some(KeyHandle { group: Arc::clone(&self.group), entry: self.group.find(key)? })
    }

    /// A Tower layer that finds the key of each request with `key`.
    pub fn layer<F>(&self, key: F) -> BulkheadLayer<ByKey<K, F>> {
        BulkheadLayer::new(ByKey { bulkheads: self.clone(), key })
    }

    /// Number of known keys.
    pub fn len(&self) -> u64 {
        self.group.len()
    }

    /// Returns whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls in flight and waiting over all keys. Looks at every key.
    pub fn snapshot(&self) -> KeyedSnapshot {
        self.group.snapshot()
    }

    /// The keys that have lately rejected calls; `None` is the overflow bulkhead. Looks at every key.
    pub fn saturated(&self) -> Vec<Option<K>> {
        self.group.saturated()
    }

    /// Calls that found no room for their key.
    pub fn overflowed(&self) -> u64 {
        self.group.overflowed()
    }

    /// Keys that made room for others.
    pub fn evicted(&self) -> u64 {
        self.group.evicted()
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
        self.group.for_each(|entry| {
            let key = KeyHandle::new(Arc::clone(&self.group), Arc::clone(entry));
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

    /// Brings the metrics up to date.
    pub fn publish(&self) {
        self.saturated(); // ends what time alone ends
        self.group.publish();
    }
}

impl<K> Clone for KeyedBulkhead<K> {
    fn clone(&self) -> Self {
        Self { group: Arc::clone(&self.group) }
    }
}

impl<K> fmt::Debug for KeyedBulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, len) = (self.group.counters.name, self.group.len());
        f.debug_struct("KeyedBulkhead").field("name", &name).field("len", &len).finish()
    }
}

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
        let group = Arc::clone(&self.bulkheads.group);
        Cow::Owned(KeyHandle { entry: group.overflow(), group })
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

crate::registry::registered!(KeyedBulkhead<K>, Bulkhead, K);
