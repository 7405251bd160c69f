//! Bounded hash table of per-key state, sharded into parts with a lock each.
//!
//! Eviction follows the CLOCK algorithm: an entry used since the hand last passed is spared once, if another goes. The hand looks at a
//! few entries only, so that an insertion stays cheap if none can be evicted. No call looks at all entries.

mod keys;
mod label;

pub(crate) use keys::{Keys, keyed_handles};
pub(crate) use label::KeyLabel;

use crate::config::Problems;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use hashbrown::HashTable;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};
use std::hint::black_box;

/// Minimum number of keys per part: smaller parts are not worth a lock.
const KEYS_PER_PART: usize = 64;
const PARTS_MAX: usize = 64;

/// Entries that the hand examines before it gives up.
const LOOKS_MAX: usize = 32;

/// The most keys that can be asked for: some 15 GB of bulkheads, 20 GB of healthy circuits.
const MAX_KEYS_MAX: usize = 100_000_000;

/// Checks the number of keys that are kept at most.
pub(crate) fn check_max_keys(problems: &mut Problems, keys: usize) {
    problems.require((1..=MAX_KEYS_MAX).contains(&keys), "max_keys", keys, format!("from 1 to {MAX_KEYS_MAX}"));
}

/// Whether an unused entry may be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Evict {
    Never,
    /// Something is lost with it: it goes if none that may is found.
    Reluctantly,
    Gladly,
}

impl From<bool> for Evict {
    fn from(is_evictable: bool) -> Self {
        if is_evictable { Self::Gladly } else { Self::Never }
    }
}

/// A key: any type that can be hashed, compared, cloned and shared between threads.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry<K, V> {
    /// `None` in the entry shared by keys without a place of their own.
    pub(crate) key: Option<K>,
    hash: u64,
    pub(crate) value: V,
    /// Whether the entry was used since the hand last passed.
    touched: AtomicBool,
}

impl<K, V> Entry<K, V> {
    /// The entry outside the table that all keys share for which there is no room.
    fn of_overflow(value: V) -> Self {
        Self::new(None, 0, value)
    }

    fn new(key: Option<K>, hash: u64, value: V) -> Self {
        Self { key, hash, value, touched: AtomicBool::new(true) }
    }

    /// Returns a reference and sets the mark of the entry, so that the next sweep skips it.
    fn touch(self: &Arc<Self>) -> Arc<Self> {
        self.touched.store(true, Ordering::Relaxed);
        Arc::clone(self)
    }

    fn was_touched(&self) -> bool {
        self.touched.swap(false, Ordering::Relaxed)
    }
}

#[derive(Debug)]
struct Table<K, V> {
    parts: Box<[Mutex<Part<K, V>>]>,
    keys_per_part: usize,
    /// `SipHash` with random keys: a client that chooses keys cannot make them collide.
    hasher: RandomState,
}

#[derive(Debug)]
struct Part<K, V> {
    entries: HashTable<Arc<Entry<K, V>>>,
    /// Position of the CLOCK hand, as a bucket's index.
    hand: usize,
}

/// Place in the table, for a look at all entries in many small steps.
#[cfg(any(feature = "metrics", all(test, not(backstop_loom))))]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Position {
    part: usize,
    bucket: usize,
}

/// Result of a lookup that inserts.
#[derive(Debug)]
enum Found<K, V> {
    /// The key was present.
    Known(Arc<Entry<K, V>>),
    /// The key was inserted; `evicted` made room for it.
    New { entry: Arc<Entry<K, V>>, evicted: Option<Arc<Entry<K, V>>> },
    /// The key is absent, and none of the examined entries could be evicted.
    NoRoom,
}

impl<K: Hash + Eq, V> Table<K, V> {
    fn new(max_keys: usize) -> Self {
        let parts = (max_keys / KEYS_PER_PART).clamp(1, PARTS_MAX);
        let part = || Mutex::new(Part { entries: HashTable::new(), hand: 0 });
        Self {
            parts: (0..parts).map(|_| part()).collect(),
            keys_per_part: max_keys / parts,
            hasher: RandomState::new(),
        }
    }

    /// The entry of a key.
    fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let part = self.part(hash).lock();
        part.find(hash, key).map(Entry::touch)
    }

    /// The entry of a key, inserted if absent.
    ///
    /// The closures run under a lock that other keys share: `may_evict` refuses instead of blocking.
    fn get_or_insert<Q, E: Into<Evict>>(
        &self,
        key: &Q,
        may_evict: impl Fn(&V) -> E,
        make: impl FnOnce() -> V,
    ) -> Found<K, V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let mut part = self.part(hash).lock();
        if let Some(found) = part.find(hash, key) {
            return Found::Known(found.touch());
        }
        let mut evicted = None;
        if part.entries.len() >= self.keys_per_part {
            evicted = part.make_room(may_evict);
            if evicted.is_none() {
                return Found::NoRoom;
            }
        }
        let entry = Arc::new(Entry::new(Some(key.to_owned()), hash, make()));
        part.entries.insert_unique(hash, Arc::clone(&entry), |entry| entry.hash);
        Found::New { entry, evicted }
    }

    /// Removes an entry that only the caller uses, if it is still there and `may_go`.
    fn remove(&self, entry: &Arc<Entry<K, V>>, may_go: impl FnOnce(&V) -> bool) -> bool {
        let mut part = self.part(entry.hash).lock();
        // The caller's reference and the table's. The count cannot rise meanwhile: cloning the table's needs the lock
        // of this part.
        let found = part.entries.find_entry(entry.hash, |known| Arc::ptr_eq(known, entry));
        found.is_ok_and(|found| {
            let goes = Arc::strong_count(entry) <= 2 && may_go(&entry.value);
            if goes {
                drop(found.remove());
            }
            goes
        })
    }

    /// The entries in the next buckets, and whether these are the last. The next scan goes on from there.
    #[cfg(any(feature = "metrics", all(test, not(backstop_loom))))]
    fn scan(&self, at: &mut Position, buckets: usize) -> (Vec<Arc<Entry<K, V>>>, bool) {
        let mut found = Vec::new();
        for _ in 0..buckets {
            let Some(part) = self.parts.get(at.part) else {
                *at = Position::default();
                return (found, true);
            };
            let part = part.lock();
            if at.bucket < part.entries.num_buckets() {
                found.extend(part.entries.get_bucket(at.bucket).map(Arc::clone));
                at.bucket += 1;
            } else {
                *at = Position { part: at.part + 1, bucket: 0 };
            }
        }
        (found, false)
    }

    /// All entries, part by part.
    fn for_each(&self, mut visit: impl FnMut(&Arc<Entry<K, V>>)) {
        for part in &self.parts {
            let entries: Vec<_> = part.lock().entries.iter().map(Arc::clone).collect();
            entries.iter().for_each(&mut visit);
        }
    }

    fn part(&self, hash: u64) -> &Mutex<Part<K, V>> {
        // The low bits choose the bucket within a part.
        let index = (hash >> 48) as usize % self.parts.len();
        &self.parts[index]
    }
}

impl<K: Hash + Eq, V> Part<K, V> {
    fn find<Q: Eq + ?Sized>(&self, hash: u64, key: &Q) -> Option<&Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
    {
        let is_it = |entry: &Arc<Entry<K, V>>| {
            entry.hash == hash && entry.key.as_ref().is_some_and(|known| known.borrow() == key)
        };
        // Fetched together with the control bytes that the search reads first: in a large table both miss the cache.
        #[expect(clippy::cast_possible_truncation, reason = "the bucket is that of the low bits")]
        let place = hash as usize & self.entries.num_buckets().wrapping_sub(1);
        black_box(self.entries.get_bucket(place).map(Arc::as_ptr));
        self.entries.find(hash, is_it)
    }

    /// Evicts the first evictable entry, if one is among the next few.
    fn make_room<E: Into<Evict>>(&mut self, may_evict: impl Fn(&V) -> E) -> Option<Arc<Entry<K, V>>> {
        let places = self.entries.num_buckets();
        let mut looks = LOOKS_MAX.min(2 * self.entries.len());
        let mut last_resort = None;
        // Two rounds at most: an entry is spared once.
        for _ in 0..2 * places {
            let place = self.hand;
            self.hand = (place + 1) % places;
            let Some(entry) = self.entries.get_bucket(place) else { continue };
            // The count cannot rise meanwhile: cloning a reference needs the lock of this part.
            let was_touched = entry.was_touched();
            if Arc::strong_count(entry) == 1 {
                match may_evict(&entry.value).into() {
                    Evict::Gladly if !was_touched => return self.remove(place),
                    Evict::Never => {}
                    // The first in the hand's way is, roughly, the one that was not used for longest.
                    _ => last_resort = last_resort.or(Some(place)),
                }
            }
            looks -= 1;
            if looks == 0 {
                break;
            }
        }
        self.remove(last_resort?)
    }

    fn remove(&mut self, place: usize) -> Option<Arc<Entry<K, V>>> {
        Some(self.entries.get_bucket_entry(place).ok()?.remove().0)
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    /// The value is whether the entry may be evicted.
    fn insert(table: &Table<u32, bool>, key: u32, is_evictable: bool) -> Found<u32, bool> {
        table.get_or_insert(&key, |value| *value, || is_evictable)
    }

    /// The key evicted for this one.
    fn evicted_for(table: &Table<u32, bool>, key: u32) -> Option<u32> {
        match insert(table, key, true) {
            Found::New { evicted, .. } => evicted.and_then(|evicted| evicted.key),
            other => panic!("{key} is not new: {other:?}"),
        }
    }

    fn len<V>(table: &Table<u32, V>) -> usize {
        let mut len = 0;
        table.for_each(|_| len += 1);
        len
    }

    #[test]
    fn the_table_fills_to_its_bound_and_no_further() {
        for max_keys in [1, 3, 64, 128, 1_000] {
            let table = Table::new(max_keys);
            let has_no_room = |key| matches!(insert(&table, key, false), Found::NoRoom);
            let rejected = (0..20_000).filter(|key| has_no_room(*key)).count();
            let len = len(&table);
            assert_eq!(len + rejected, 20_000);
            assert!(len <= max_keys && len * 10 >= max_keys * 9, "{len} of {max_keys}");
        }
    }

    #[test]
    fn a_known_key_keeps_its_value() {
        let table = Table::new(3);
        assert!(table.get(&1).is_none());
        insert(&table, 1, false);
        assert!(matches!(insert(&table, 1, true), Found::Known(entry) if !entry.value));
        assert!(table.get(&1).is_some_and(|entry| entry.key == Some(1)));
    }

    #[test]
    fn only_an_evictable_entry_makes_room() {
        let table = Table::new(10);
        for key in 0..10 {
            insert(&table, key, key == 3);
        }
        assert_eq!(evicted_for(&table, 10), Some(3));
        assert_eq!(evicted_for(&table, 11), Some(10));
        let mut kept = Vec::new();
        table.for_each(|entry| kept.extend(entry.key.filter(|key| *key < 10)));
        kept.sort_unstable();
        assert_eq!(kept, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_used_entry_is_spared_once() {
        let table = Table::new(3);
        for key in 0..3 {
            assert_eq!(evicted_for(&table, key), None);
        }
        let first = evicted_for(&table, 3).expect("all are new, so the hand goes round once");
        let [spared, other] = (0..3).filter(|key| *key != first).collect::<Vec<_>>()[..] else {
            unreachable!("of three")
        };
        table.get(&spared);
        assert_eq!(evicted_for(&table, 4), Some(other), "3 and the touched one were used since the hand passed");
        assert!(matches!(insert(&table, spared, true), Found::Known(_)));
    }

    #[test]
    fn an_entry_in_use_stays() {
        let table = Table::new(2);
        let held: Vec<_> = (0..2)
            .map(|key| {
                insert(&table, key, true);
                table.get(&key).unwrap()
            })
            .collect();
        assert!(matches!(insert(&table, 2, true), Found::NoRoom));
        let used = held.iter().map(Arc::clone).collect::<Vec<_>>();
        assert!(held.iter().all(|entry| !table.remove(entry, |_| true)));
        drop(used);
        assert!(!table.remove(&held[0], |_| false));
        assert!(table.remove(&held[0], |_| true) && !table.remove(&held[0], |_| true));
        drop(held);
        insert(&table, 2, true);
        assert!(matches!(insert(&table, 3, true), Found::New { evicted: Some(_), .. }));
        assert_eq!(len(&table), 2);
    }

    #[test]
    fn an_entry_with_something_to_lose_goes_only_when_no_other_may() {
        let table = Table::new(10);
        let evict = |value: &Evict| *value;
        for (key, value) in (0..10).zip([Evict::Never, Evict::Reluctantly, Evict::Gladly].into_iter().cycle()) {
            table.get_or_insert(&key, evict, || value);
        }
        let mut evicted = vec![];
        for key in 10..20_u32 {
            if let Found::New { evicted: Some(entry), .. } = table.get_or_insert(&key, evict, || Evict::Never) {
                evicted.push(entry.value);
            }
        }
        assert_eq!(evicted, [[Evict::Gladly; 3], [Evict::Reluctantly; 3]].concat());
    }

    #[test]
    fn small_scans_see_every_entry_once_a_round() {
        let table = Table::new(1_000);
        for key in 0..500 {
            insert(&table, key, true);
        }
        let (mut at, mut seen, mut scans) = (Position::default(), vec![], 0);
        let mut is_last = false;
        while !is_last {
            let (found, last) = table.scan(&mut at, 64);
            assert!(found.len() <= 64);
            seen.extend(found.iter().filter_map(|entry| entry.key));
            (is_last, scans) = (last, scans + 1);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..500).collect::<Vec<_>>());
        assert!(scans > 8);
    }
}
