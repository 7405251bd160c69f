//! Claims of mechanisms on a name in a recorder: while two of one name are alive, the gauges are those of the newest.

use super::background;
use super::source::Source;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};
use std::collections::BTreeMap;
use std::sync::Weak;

/// A recorder by its address, the first metric of a mechanism, and a name.
type Key = (usize, &'static str, &'static str);

/// Mechanisms of one key that are alive, oldest first.
#[derive(Default)]
struct Claimed {
    standings: Vec<Arc<Standing>>,
    /// Whether the log has had a line on several of them.
    is_logged: bool,
}

static CLAIMS: Mutex<BTreeMap<Key, Claimed>> = Mutex::new(BTreeMap::new());

/// Standing of one mechanism among those of its name.
struct Standing {
    /// Rises with the time at which the mechanism was made.
    age: u64,
    is_newest: AtomicBool,
    /// Changes whenever the gauges may have been set by another mechanism.
    term: AtomicU64,
    source: Option<Weak<dyn Source>>,
}

/// Claim of a mechanism; it ends when this is dropped.
pub(super) struct Claim {
    key: Key,
    standing: Arc<Standing>,
}

impl Claim {
    /// Registers a mechanism. One made later than all others of its name has the gauges from now on.
    pub(super) fn new(key: Key, age: u64, source: Option<Weak<dyn Source>>) -> Self {
        let is_newest = AtomicBool::new(false);
        let standing = Arc::new(Standing { age, is_newest, term: AtomicU64::new(0), source });
        let is_first_overlap = {
            let mut claims = CLAIMS.lock();
            let claimed = claims.entry(key).or_default();
            let place = claimed.standings.partition_point(|known| known.age < age);
            claimed.standings.insert(place, Arc::clone(&standing));
            claimed.elect();
            claimed.standings.len() > 1 && !std::mem::replace(&mut claimed.is_logged, true)
        };
        if is_first_overlap {
            log_overlap(key);
        }
        Self { key, standing }
    }

    /// Releases the name. Returns whether no other handle has the gauges now.
    pub(super) fn resign(self) -> bool {
        let key = self.key;
        let was_newest = self.is_newest();
        drop(self);
        was_newest && CLAIMS.lock().get(&key).is_none_or(|claimed| claimed.standings.is_empty())
    }

    /// Returns whether the gauges are this mechanism's.
    pub(super) fn is_newest(&self) -> bool {
        self.standing.is_newest.load(Ordering::Acquire)
    }

    /// A number that changes whenever another mechanism may have set the gauges.
    pub(super) fn term(&self) -> u64 {
        self.standing.term.load(Ordering::Acquire)
    }

    /// Has the newest mechanism set its gauges again: this one has set them after it had been replaced.
    pub(super) fn make_up_for_late_gauges(&self) {
        let newest = {
            let claims = CLAIMS.lock();
            claims.get(&self.key).and_then(|claimed| claimed.standings.last().cloned())
        };
        if let Some(newest) = newest {
            newest.renew();
        }
    }
}

impl Claimed {
    /// Marks the newest; returns it if it was not the newest before.
    fn elect(&mut self) -> Option<Arc<Standing>> {
        let newest = Arc::clone(self.standings.last()?);
        for older in &self.standings[..self.standings.len() - 1] {
            older.is_newest.store(false, Ordering::Release); // pairs with the load in `is_newest`
        }
        let is_new = !newest.is_newest.swap(true, Ordering::AcqRel);
        is_new.then_some(newest)
    }
}

impl Standing {
    /// All gauges are due again.
    fn renew(&self) {
        self.term.fetch_add(1, Ordering::Release); // pairs with the load in `term`
        if let Some(source) = self.source.as_ref().and_then(Weak::upgrade) {
            source.waiting().owe();
            background::enlist(source.waiting(), || self.source.clone());
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let successor = {
            let mut claims = CLAIMS.lock();
            let Some(claimed) = claims.get_mut(&self.key) else { return };
            claimed.standings.retain(|known| !Arc::ptr_eq(known, &self.standing));
            let successor = claimed.elect();
            if claimed.standings.is_empty() && !claimed.is_logged {
                claims.remove(&self.key);
            }
            successor
        };
        if let Some(successor) = successor {
            successor.renew();
        }
    }
}

#[cfg(not(feature = "tracing"))]
fn log_overlap(_: Key) {}

#[cfg(feature = "tracing")]
fn log_overlap((_, metric, name): Key) {
    tracing::warn!(
        target: "backstop::telemetry",
        name,
        metric,
        "two mechanisms of one name are alive: the gauges are those of the newest, counters are sums"
    );
}
