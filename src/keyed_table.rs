//! Bounded table of keys in parts, each behind its own lock.
//!
//! A key that has to make room is found as by a clock's hand: a key that was used since the hand last passed is
//! spared once. It looks at a few keys only, so that an insertion stays cheap when nothing can go.

use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use hashbrown::HashTable;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};

/// Keys per part below which more parts are not worth it.
const KEYS_PER_PART: usize = 64;
const PARTS_MAX: usize = 64;

/// Keys that the hand looks at before it gives up.
const LOOKS_MAX: usize = 32;

/// A key: anything that can be hashed, compared, cloned and shared between threads.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Key for K {}

/// A key and what is kept for it.
#[derive(Debug)]
pub(crate) struct Entry<K, V> {
    /// `None` for that of keys which found no room.
    pub(crate) key: Option<K>,
    hash: u64,
    pub(crate) value: V,
    /// Whether it was used since the hand last passed.
    touched: AtomicBool,
}

impl<K, V> Entry<K, V> {
    /// One that is in no table, for all keys that find no room in it.
    pub(crate) fn of_overflow(value: V) -> Self {
        Self::new(None, 0, value)
    }

    fn new(key: Option<K>, hash: u64, value: V) -> Self {
        Self { key, hash, value, touched: AtomicBool::new(true) }
    }

    /// A reference; the hand will spare the entry once.
    fn touch(self: &Arc<Self>) -> Arc<Self> {
        self.touched.store(true, Ordering::Relaxed);
        Arc::clone(self)
    }

    fn was_touched(&self) -> bool {
        self.touched.swap(false, Ordering::Relaxed)
    }
}

#[derive(Debug)]
pub(crate) struct Table<K, V> {
    parts: Box<[Mutex<Part<K, V>>]>,
    keys_per_part: usize,
    /// Random keys for `SipHash`: callers that choose keys cannot choose where they go.
    hasher: RandomState,
}

#[derive(Debug)]
struct Part<K, V> {
    entries: HashTable<Arc<Entry<K, V>>>,
    /// The place that the clock's hand is at.
    hand: usize,
}

/// Result of looking up a key.
#[derive(Debug)]
pub(crate) enum Found<K, V> {
    /// It was there.
    Known(Arc<Entry<K, V>>),
    /// It was not, and has been made; another may have made room for it.
    New { entry: Arc<Entry<K, V>>, gone: Option<Arc<Entry<K, V>>> },
    /// It was not, and nothing near could be forgotten.
    NoRoom,
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub(crate) fn new(max_keys: usize) -> Self {
        let parts = (max_keys / KEYS_PER_PART).clamp(1, PARTS_MAX);
        let part = || Mutex::new(Part { entries: HashTable::new(), hand: 0 });
        Self {
            parts: (0..parts).map(|_| part()).collect(),
            keys_per_part: max_keys / parts,
            hasher: RandomState::new(),
        }
    }

    /// The entry of a key.
    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<Entry<K, V>>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let part = self.part(hash).lock();
        part.find(hash, key).map(Entry::touch)
    }

    /// The entry of a key, made if it is not there.
    ///
    /// The closures run under a lock that other keys share: `is_forgettable` says no where it would have to wait.
    pub(crate) fn get_or_insert<Q>(
        &self,
        key: &Q,
        is_forgettable: impl Fn(&V) -> bool,
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
        let mut gone = None;
        if part.entries.len() >= self.keys_per_part {
            gone = part.make_room(is_forgettable);
            if gone.is_none() {
                return Found::NoRoom;
            }
        }
        let entry = Arc::new(Entry::new(Some(key.to_owned()), hash, make()));
        part.entries.insert_unique(hash, Arc::clone(&entry), |entry| entry.hash);
        Found::New { entry, gone }
    }

    /// Removes the entries that are gone and unused.
    pub(crate) fn sweep(&self, is_gone: impl Fn(&V) -> bool) -> Vec<Arc<Entry<K, V>>> {
        let mut swept = Vec::new();
        for part in &self.parts {
            part.lock().entries.retain(|entry| {
                // Nobody can take another reference: that needs the lock of this part.
                let stays = Arc::strong_count(entry) > 1 || !is_gone(&entry.value);
                if !stays {
                    swept.push(Arc::clone(entry));
                }
                stays
            });
        }
        swept
    }

    /// All entries, part by part.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Arc<Entry<K, V>>)) {
        for part in &self.parts {
            let entries: Vec<_> = part.lock().entries.iter().map(Arc::clone).collect();
            entries.iter().for_each(&mut visit);
        }
    }

    fn part(&self, hash: u64) -> &Mutex<Part<K, V>> {
        // The low bits choose the place within a part.
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
        self.entries.find(hash, is_it)
    }

    /// Takes out an entry that can be forgotten, if one is found soon.
    fn make_room(&mut self, is_forgettable: impl Fn(&V) -> bool) -> Option<Arc<Entry<K, V>>> {
        let places = self.entries.num_buckets();
        let mut looks = LOOKS_MAX.min(2 * self.entries.len());
        // Twice round at most: who is spared once is not the second time.
        for _ in 0..2 * places {
            let place = self.hand;
            self.hand = (place + 1) % places;
            let Some(entry) = self.entries.get_bucket(place) else { continue };
            // Nobody can take another reference: that needs the lock of this part.
            if !entry.was_touched() && Arc::strong_count(entry) == 1 && is_forgettable(&entry.value) {
                let found = self.entries.get_bucket_entry(place).ok()?;
                return Some(found.remove().0);
            }
            looks -= 1;
            if looks == 0 {
                break;
            }
        }
        None
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    /// The value says whether it may be forgotten.
    fn insert(table: &Table<u32, bool>, key: u32, is_forgettable: bool) -> Found<u32, bool> {
        table.get_or_insert(&key, |value| *value, || is_forgettable)
    }

    /// The key that made room for this one.
    fn gone_for(table: &Table<u32, bool>, key: u32) -> Option<u32> {
        match insert(table, key, true) {
            Found::New { gone, .. } => gone.and_then(|gone| gone.key),
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
            let refused = (0..20_000).filter(|key| has_no_room(*key)).count();
            let len = len(&table);
            assert_eq!(len + refused, 20_000);
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
    fn only_what_is_forgettable_makes_room() {
        let table = Table::new(10);
        for key in 0..10 {
            insert(&table, key, key == 3);
        }
        assert_eq!(gone_for(&table, 10), Some(3));
        assert_eq!(gone_for(&table, 11), Some(10));
        let mut kept = Vec::new();
        table.for_each(|entry| kept.extend(entry.key.filter(|key| *key < 10)));
        kept.sort_unstable();
        assert_eq!(kept, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn what_was_touched_is_spared_once() {
        let table = Table::new(3);
        for key in 0..3 {
            assert_eq!(gone_for(&table, key), None);
        }
        let first = gone_for(&table, 3).expect("all are new, so the hand goes round once");
        let [spared, other] = (0..3).filter(|key| *key != first).collect::<Vec<_>>()[..] else {
            unreachable!("of three")
        };
        table.get(&spared);
        assert_eq!(gone_for(&table, 4), Some(other), "3 and the touched one were used since the hand passed");
        assert!(matches!(insert(&table, spared, true), Found::Known(_)));
    }

    #[test]
    fn what_somebody_holds_stays() {
        let table = Table::new(2);
        let held: Vec<_> = (0..2)
            .map(|key| {
                insert(&table, key, true);
                table.get(&key).unwrap()
            })
            .collect();
        assert!(matches!(insert(&table, 2, true), Found::NoRoom));
        assert!(table.sweep(|_| true).is_empty());
        drop(held);
        assert!(matches!(insert(&table, 2, true), Found::New { gone: Some(_), .. }));
        assert_eq!((table.sweep(|_| true).len(), len(&table)), (2, 0));
    }

    #[test]
    fn a_sweep_takes_what_is_gone_and_nothing_else() {
        let table = Table::new(1_000);
        for key in 0..500 {
            insert(&table, key, key % 2 == 0);
        }
        let swept = table.sweep(|is_gone| *is_gone);
        assert!(swept.iter().all(|entry| entry.value));
        assert_eq!((swept.len(), len(&table)), (250, 250));
        assert!(table.get(&0).is_none() && table.get(&1).is_some());
    }
}
