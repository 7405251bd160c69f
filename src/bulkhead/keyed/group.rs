//! State that all keys share.

use crate::bulkhead::compartment::Compartment;
use crate::bulkhead::config::BulkheadConfig;
use crate::bulkhead::counters::Counters;
use crate::bulkhead::event::Event;
#[cfg(feature = "metrics")]
use crate::bulkhead::snapshot::Snapshot;
use crate::bulkhead::snapshot::Totals;
use crate::clock::Clock;
use crate::config::Problems;
use crate::events::Events;
#[cfg(feature = "metrics")]
use crate::keyed_table::Position;
use crate::keyed_table::{Entry, Key, Keys};
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};

/// Permits after which the next caller publishes.
const PUBLISH_EVERY: u64 = 1024;

/// Buckets of the table that a publication looks at.
#[cfg(feature = "metrics")]
const LOOKS_MAX: usize = 256;

/// An event of one key's bulkhead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyedEvent<K> {
    /// The key; `None` for the overflow bulkhead.
    pub key: Option<K>,
    /// The event.
    pub event: Event,
}

/// An event and the entry of its key: the key is foreign code, and is cloned without a lock.
pub(super) struct OfKey<K> {
    pub(super) entry: Arc<Entry<K, Compartment>>,
    pub(super) event: Event,
}

/// A group at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct KeyedSnapshot {
    /// Keys that are known.
    pub keys: u64,
    /// Calls in flight over all keys.
    pub in_flight: u64,
    /// Calls that wait over all keys.
    pub queue_depth: u64,
    /// Calls in flight at most, of each key: where the limit is adaptive, that which a key begins with.
    pub limit_per_key: u32,
    /// Keys that have lately rejected calls.
    pub saturated: u64,
}

#[cfg(feature = "metrics")]
type Oldest<K> = (Position, Option<Arc<Entry<K, Compartment>>>);

pub(super) struct Group<K> {
    pub(super) counters: Counters,
    pub(super) keys: Keys<K, Compartment>,
    // Over all keys: those that are gone, too.
    pub(super) permitted: AtomicU64,
    pub(super) returned: AtomicU64,
    pub(super) rejected: AtomicU64,
    /// Enough permits were given to publish their number.
    pub(super) is_due: AtomicBool,
    pub(super) reconfiguring: Mutex<()>,
    pub(super) events: Events<OfKey<K>>,
    /// Place of the next look for the oldest call, and the key that had it at the last.
    #[cfg(feature = "metrics")]
    oldest: Mutex<Oldest<K>>,
    #[cfg(feature = "metrics")]
    publish_lock: crate::telemetry::PublishLock,
}

impl<K> Group<K> {
    pub(super) fn name(&self) -> &'static str {
        self.counters.name
    }

    pub(super) fn count_permit(&self) {
        if (self.permitted.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(PUBLISH_EVERY) {
            self.is_due.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn count_return(&self) {
        self.returned.fetch_add(1, Ordering::Release); // pairs with the load in `snapshot`
    }
}

impl<K: Key> Group<K> {
    pub(super) fn new(name: &'static str, config: BulkheadConfig, max_keys: usize, clock: Clock) -> Self {
        let zero = || AtomicU64::new(0);
        let group = Self {
            keys: Keys::new(max_keys, Compartment::new(&config)),
            counters: Counters::new(name, config, clock),
            permitted: zero(),
            returned: zero(),
            rejected: zero(),
            is_due: AtomicBool::new(false),
            reconfiguring: Mutex::new(()),
            events: Events::default(),
            #[cfg(feature = "metrics")]
            oldest: Mutex::default(),
            #[cfg(feature = "metrics")]
            publish_lock: crate::telemetry::PublishLock::default(),
        };
        group.publish();
        group
    }

    /// The sums for metrics.
    #[cfg(feature = "metrics")]
    fn sums(&self) -> Snapshot {
        let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let returned = self.returned.load(Ordering::Acquire);
        let in_flight = whole(self.permitted.load(Ordering::Relaxed).saturating_sub(returned));
        let queue_depth = whole(self.counters.waiting.load(Ordering::Relaxed));
        Snapshot { in_flight, limit: self.counters.config().first_limit(), queue_depth, is_saturated: false }
    }

    /// The age of the oldest call that is known. Each publication looks at a few keys, and at the key of that call.
    #[cfg(feature = "metrics")]
    fn oldest_call(&self) -> Option<std::time::Duration> {
        let now = self.counters.clock.now();
        let (mut at, known) = std::mem::take(&mut *self.oldest.lock());
        let looks = self.keys.scan(&mut at, LOOKS_MAX).into_iter().chain(known);
        let aged = looks.filter_map(|entry| Some((entry.value.oldest_age(now)?, entry)));
        let (age, entry) = aged.max_by_key(|(age, _)| *age).unzip(); // drops keys, foreign code, without the lock
        *self.oldest.lock() = (at, entry);
        age
    }

    pub(super) fn totals(&self) -> Totals {
        let permitted = self.permitted.load(Ordering::Relaxed);
        let rejected_full = self.rejected.load(Ordering::Relaxed);
        Totals { permitted, rejected_full, events_lost: self.events.lost(), ..self.counters.totals() }
    }

    #[cold]
    #[inline(never)]
    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "nothing to publish to"))]
    pub(super) fn publish(&self) {
        #[cfg(feature = "metrics")]
        self.publish_lock.run(|publisher| {
            let oldest_call = if self.counters.config().needs_lock() { self.oldest_call() } else { None };
            let sample = crate::bulkhead::metrics::Sample { snapshot: self.sums(), totals: self.totals(), oldest_call };
            crate::bulkhead::metrics::publish(publisher, self.counters.name, &sample);
        });
    }
}

/// Keys are partitions already.
pub(super) fn no_partitions(problems: &mut Problems, config: &BulkheadConfig) {
    let partitions = config.partitions().count();
    if partitions > 0 {
        problems.add("config.partitions", partitions, "none: every key has permits of its own");
    }
}
