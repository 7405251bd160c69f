//! State that all keys share.

use crate::bulkhead::compartment::Compartment;
use crate::bulkhead::config::BulkheadConfig;
use crate::bulkhead::counters::Counters;
use crate::bulkhead::event::Event;
use crate::bulkhead::reserves::Permits;
use crate::bulkhead::snapshot::Totals;
use crate::clock::Clock;
use crate::config::Problems;
use crate::events::Events;
#[cfg(feature = "metrics")]
use crate::keyed_table::Position;
use crate::keyed_table::{Entry, Key, KeyLabel, Keys};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

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
    /// Calls in flight at most, of each key: with an adaptive limit, the initial limit of a key.
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
    pub(super) reconfiguring: Mutex<()>,
    pub(super) events: Events<OfKey<K>>,
    /// Place of the next look for the oldest call, and the key that had it at the last.
    #[cfg(feature = "metrics")]
    pub(super) oldest: Mutex<Oldest<K>>,
    pub(super) label: KeyLabel<K>,
    #[cfg(feature = "metrics")]
    pub(super) publication: crate::telemetry::Publication,
}

impl<K> Group<K> {
    pub(super) fn name(&self) -> &'static str {
        self.counters.name
    }

    pub(super) fn count_permit(&self) {
        self.permitted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_return(&self) {
        self.returned.fetch_add(1, Ordering::Release); // pairs with the load in `snapshot`
    }
}

impl<K: Key> Group<K> {
    pub(super) fn new(
        name: &'static str,
        config: BulkheadConfig,
        max_keys: usize,
        clock: Clock,
        label: KeyLabel<K>,
    ) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            keys: Keys::new(max_keys, Compartment::new(&config, Permits::without_reserves)),
            counters: Counters::new(name, config, clock),
            permitted: zero(),
            returned: zero(),
            rejected: zero(),
            reconfiguring: Mutex::new(()),
            events: Events::default(),
            label,
            #[cfg(feature = "metrics")]
            oldest: Mutex::default(),
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let permitted = self.permitted.load(Ordering::Relaxed);
        let rejected_full = self.rejected.load(Ordering::Relaxed);
        Totals { permitted, rejected_full, events_lost: self.events.lost(), ..self.counters.totals() }
    }
}

/// Keys are partitions already.
pub(super) fn no_partitions(problems: &mut Problems, config: &BulkheadConfig) {
    let partitions = config.partitions().count();
    if partitions > 0 {
        problems.add("config.partitions", partitions, "none: every key has permits of its own");
    }
}
