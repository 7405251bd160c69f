//! The handles that users hold: of the group, and of one key's bulkhead.

use super::Key;
use super::builder::{KeyedBulkheadBuilder, no_partitions};
use super::group::{Group, KeyedEvent, KeyedSnapshot, OfKey};
use crate::bulkhead::calls::Wait;
use crate::bulkhead::choose::Choose;
use crate::bulkhead::common::{Common, count};
use crate::bulkhead::compartment::Compartment;
use crate::bulkhead::config::{BulkheadConfig, WAIT_MAX};
use crate::bulkhead::control;
use crate::bulkhead::direct;
use crate::bulkhead::holder::Holder;
use crate::bulkhead::layer::BulkheadLayer;
use crate::bulkhead::partitions::UNPARTITIONED;
use crate::bulkhead::permit::Permit;
use crate::bulkhead::snapshot::{Event, Snapshot, Totals};
use crate::bulkhead::wait;
use crate::classify::{AnyResult, Classify};
use crate::config::{ConfigError, Problems};
use crate::events::{Subscription, note};
use crate::keyed_table::Entry;
use crate::reject::{CallError, Rejected};
use crate::sync::Arc;
use std::borrow::Borrow;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::time::Duration;

/// A bulkhead for each key: a cheap handle to the group. See the [module](super).
pub struct KeyedBulkhead<K> {
    group: Arc<Group<K>>,
}

impl<K: Key> KeyedBulkhead<K> {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> KeyedBulkheadBuilder<K> {
        KeyedBulkheadBuilder::new(name.into())
    }

    pub(super) fn new(group: Arc<Group<K>>) -> Self {
        Self { group }
    }

    /// The name, as it stands in metrics and events.
    pub fn name(&self) -> &'static str {
        self.group.common.name
    }

    /// Whether both handles are of the same group.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.group, &other.group)
    }

    /// The bulkhead of a key, made if it is not there. Where there is no room it is the overflow bulkhead.
    pub fn key<Q>(&self, key: &Q) -> KeyBulkhead<K>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        KeyBulkhead { group: Arc::clone(&self.group), entry: self.group.find_or_insert(key) }
    }

    /// The bulkhead of a key, if it is there.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<KeyBulkhead<K>>
    where
        K: Borrow<Q>,
    {
        Some(KeyBulkhead { group: Arc::clone(&self.group), entry: self.group.find(key)? })
    }

    /// A Tower layer that finds the key of each request with `key`.
    pub fn layer<F>(&self, key: F) -> BulkheadLayer<ByKey<K, F>> {
        BulkheadLayer::new(ByKey { bulkheads: self.clone(), key })
    }

    /// How many keys are known.
    pub fn len(&self) -> u64 {
        self.group.len()
    }

    /// Whether no key is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls in flight and waiting over all keys. Looks at every key.
    pub fn snapshot(&self) -> KeyedSnapshot {
        self.group.snapshot()
    }

    /// The keys that have lately refused calls; `None` is the overflow bulkhead. Looks at every key.
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

    /// What has been counted over all keys, those that are gone among them.
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
        self.group.common.config()
    }

    /// Takes every permit of every key away from its holder. See
    /// [`Bulkhead::reset_in_flight`](crate::Bulkhead::reset_in_flight).
    pub fn reset_in_flight(&self, reason: impl AsRef<str>) {
        let note = note(reason.as_ref());
        self.group.for_each(|entry| {
            let key = KeyBulkhead::new(Arc::clone(&self.group), Arc::clone(entry));
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
        let (name, len) = (self.group.common.name, self.group.len());
        f.debug_struct("KeyedBulkhead").field("name", &name).field("len", &len).finish()
    }
}

/// The permits of the key that a function finds in the request.
#[derive(Debug)]
pub struct ByKey<K, F> {
    bulkheads: KeyedBulkhead<K>,
    key: F,
}

impl<K: Key, Request, F: Fn(&Request) -> K> Choose<Request> for ByKey<K, F> {
    type Holder = KeyBulkhead<K>;

    fn any(&self) -> Cow<'_, KeyBulkhead<K>> {
        let group = Arc::clone(&self.bulkheads.group);
        Cow::Owned(KeyBulkhead { entry: group.overflow(), group })
    }

    fn choose<'a>(&'a self, request: &Request) -> Cow<'a, KeyBulkhead<K>> {
        Cow::Owned(self.bulkheads.key(&(self.key)(request)))
    }
}

impl<K, F: Clone> Clone for ByKey<K, F> {
    fn clone(&self) -> Self {
        Self { bulkheads: self.bulkheads.clone(), key: self.key.clone() }
    }
}

/// One key's bulkhead. While one of these, or a permit of it, is held, the key is not evicted.
pub struct KeyBulkhead<K> {
    group: Arc<Group<K>>,
    entry: Arc<Entry<K, Compartment>>,
}

impl<K> KeyBulkhead<K> {
    pub(super) fn new(group: Arc<Group<K>>, entry: Arc<Entry<K, Compartment>>) -> Self {
        Self { group, entry }
    }

    /// The key; `None` for the overflow bulkhead.
    pub fn key(&self) -> Option<&K> {
        self.entry.key.as_ref()
    }
}

impl<K: Key> KeyBulkhead<K> {
    /// Asks for a permit. See [`Bulkhead::try_acquire`](crate::Bulkhead::try_acquire).
    ///
    /// # Errors
    ///
    /// [`Rejected`], under the name of the group.
    pub fn try_acquire(&self) -> Result<Permit<Self>, Rejected> {
        wait::enter_at_once(self)
    }

    /// Asks for a permit, and waits for it. See [`Bulkhead::acquire`](crate::Bulkhead::acquire).
    ///
    /// # Errors
    ///
    /// [`Rejected`], under the name of the group.
    #[cfg(feature = "tokio")]
    pub async fn acquire(&self) -> Result<Permit<Self>, Rejected> {
        wait::acquire(self, Wait::AsConfigured).await
    }

    /// Asks for a permit, and waits for it at most so long. See
    /// [`Bulkhead::acquire_within`](crate::Bulkhead::acquire_within).
    ///
    /// # Errors
    ///
    /// [`Rejected`], under the name of the group.
    #[cfg(feature = "tokio")]
    pub async fn acquire_within(&self, max_wait: Duration) -> Result<Permit<Self>, Rejected> {
        wait::acquire(self, Wait::Within(max_wait.min(WAIT_MAX))).await
    }

    /// Asks for a permit, and blocks this thread at most so long. See
    /// [`Bulkhead::acquire_blocking`](crate::Bulkhead::acquire_blocking).
    ///
    /// # Errors
    ///
    /// [`Rejected`], under the name of the group.
    pub fn acquire_blocking(&self, max_wait: Duration) -> Result<Permit<Self>, Rejected> {
        wait::acquire_blocking(self, Wait::Within(max_wait.min(WAIT_MAX)))
    }

    /// Runs a future with a permit. See [`Bulkhead::call`](crate::Bulkhead::call).
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    pub fn call<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.call_with(future, &AnyResult)
    }

    /// Runs a future with a permit; `classifier` tells an adaptive limit how it went.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    pub fn call_with<T, E, C: Classify<T, E>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        classifier: &C,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        direct::call_with(self, future, classifier)
    }

    /// Runs a closure with a permit. See [`Bulkhead::call_blocking`](crate::Bulkhead::call_blocking).
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the closure's own error in [`CallError::Inner`].
    pub fn call_blocking<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        direct::call_blocking(self, work)
    }

    /// Calls in flight, the limit, the queue of this key.
    pub fn snapshot(&self) -> Snapshot {
        self.entry.value.snapshot(self)
    }

    /// Takes every permit of this key away from its holder. See
    /// [`Bulkhead::reset_in_flight`](crate::Bulkhead::reset_in_flight).
    pub fn reset_in_flight(&self, reason: impl AsRef<str>) {
        control::reset_in_flight(self, &note(reason.as_ref()));
    }

    /// Nobody will look at this key again.
    pub(super) fn end_saturation(&self) {
        self.entry.value.end_saturation(self);
    }
}

impl<K: Key> Holder for KeyBulkhead<K> {
    fn name(&self) -> &'static str {
        self.group.common.name
    }

    fn common(&self) -> &Common {
        &self.group.common
    }

    fn compartment(&self) -> &Compartment {
        &self.entry.value
    }

    fn partition(&self) -> usize {
        UNPARTITIONED
    }

    fn push(&self, event: Event) {
        self.group.events.push([OfKey { entry: Arc::clone(&self.entry), event }]);
    }

    fn dispatch(&self) {
        self.group.events.dispatch(|of_key| crate::bulkhead::log::event(&of_key.event));
    }

    fn publish(&self) {
        self.group.publish();
    }

    fn count_fallback(&self) {
        count(&self.group.common.fallbacks);
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

impl<K> Clone for KeyBulkhead<K> {
    fn clone(&self) -> Self {
        Self { group: Arc::clone(&self.group), entry: Arc::clone(&self.entry) }
    }
}

impl<K: fmt::Debug> fmt::Debug for KeyBulkhead<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyBulkhead").field("key", &self.entry.key).finish_non_exhaustive()
    }
}
