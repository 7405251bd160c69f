//! The keys that are known: a bounded table in parts, each behind its own lock.
//!
//! A key that has to make room is found as by a clock's hand: whoever was used since the hand last passed is
//! spared once. It looks at a few keys only, so that an insertion stays cheap when nothing can go.

use super::entry::Entry;
use crate::clock::Instant;
use crate::sync::{Arc, Mutex};
use indexmap::{Equivalent, IndexSet};
use std::borrow::Borrow;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

/// Keys per part below which more parts are not worth it.
const KEYS_PER_PART: usize = 64;
const PARTS_MAX: usize = 64;

/// Keys that the hand looks at before it gives up.
const LOOKS_MAX: usize = 32;

#[derive(Debug)]
pub(super) struct Table<K> {
    parts: Box<[Mutex<Part<K>>]>,
    keys_per_part: usize,
    /// Random keys for `SipHash`: whoever chooses keys cannot choose where they go.
    hasher: RandomState,
}

#[derive(Debug)]
struct Part<K> {
    entries: IndexSet<ByKey<K>, BuildHasherDefault<Known>>,
    hand: usize,
}

/// What became of a key that was not there.
pub(super) enum Inserted<K> {
    /// It took a free place.
    New,
    /// It took this one's place.
    InsteadOf(Arc<Entry<K>>),
}

impl<K: Hash + Eq> Table<K> {
    pub(super) fn new(max_keys: usize) -> Self {
        let parts = (max_keys / KEYS_PER_PART).clamp(1, PARTS_MAX);
        let part = || Mutex::new(Part { entries: IndexSet::default(), hand: 0 });
        Self {
            parts: (0..parts).map(|_| part()).collect(),
            keys_per_part: max_keys / parts,
            hasher: RandomState::new(),
        }
    }

    /// The entry of a key.
    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<Arc<Entry<K>>>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let part = self.part(hash).lock();
        part.entries.get(&Wanted { hash, key }).map(|found| found.0.touch())
    }

    /// The entry of a key, made if it is not there; `None` where there is no room.
    pub(super) fn get_or_insert<Q>(
        &self,
        key: &Q,
        now: impl FnOnce() -> Instant,
        make: impl FnOnce(u64) -> Entry<K>,
    ) -> (Option<Arc<Entry<K>>>, Option<Inserted<K>>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hasher.hash_one(key);
        let mut part = self.part(hash).lock();
        if let Some(found) = part.entries.get(&Wanted { hash, key }) {
            return (Some(found.0.touch()), None);
        }
        let mut inserted = Inserted::New;
        if part.entries.len() >= self.keys_per_part {
            match part.make_room(now()) {
                Some(gone) => inserted = Inserted::InsteadOf(gone),
                None => return (None, None),
            }
        }
        let entry = Arc::new(make(hash));
        part.entries.insert(ByKey(Arc::clone(&entry)));
        (Some(entry), Some(inserted))
    }

    /// Takes out the entries that are gone and that nobody uses.
    pub(super) fn sweep(&self, is_gone: impl Fn(&Entry<K>) -> bool) -> Vec<Arc<Entry<K>>> {
        let mut swept = Vec::new();
        for part in &self.parts {
            part.lock().entries.retain(|ByKey(entry)| {
                // Nobody can take another reference: that needs the lock of this part.
                let stays = Arc::strong_count(entry) > 1 || !is_gone(entry);
                if !stays {
                    swept.push(Arc::clone(entry));
                }
                stays
            });
        }
        swept
    }

    /// All entries, part by part.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Arc<Entry<K>>)) {
        for part in &self.parts {
            let entries: Vec<_> = part.lock().entries.iter().map(|entry| Arc::clone(&entry.0)).collect();
            entries.iter().for_each(&mut visit);
        }
    }

    fn part(&self, hash: u64) -> &Mutex<Part<K>> {
        // The low bits choose the place within a part.
        let index = (hash >> 48) as usize % self.parts.len();
        &self.parts[index]
    }
}

impl<K: Hash + Eq> Part<K> {
    /// Takes out an entry that can be forgotten, if one is found soon.
    fn make_room(&mut self, now: Instant) -> Option<Arc<Entry<K>>> {
        for _ in 0..LOOKS_MAX.min(2 * self.entries.len()) {
            if self.hand >= self.entries.len() {
                self.hand = 0;
            }
            let ByKey(entry) = self.entries.get_index(self.hand)?;
            // Nobody can take another reference: that needs the lock of this part.
            if !entry.was_touched() && Arc::strong_count(entry) == 1 && entry.is_forgettable(now) {
                return self.entries.swap_remove_index(self.hand).map(|gone| gone.0);
            }
            self.hand += 1;
        }
        None
    }
}

/// An entry found by its key.
#[derive(Debug)]
struct ByKey<K>(Arc<Entry<K>>);

impl<K: Eq> PartialEq for ByKey<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl<K: Eq> Eq for ByKey<K> {}

impl<K> Hash for ByKey<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

struct Wanted<'a, Q: ?Sized> {
    hash: u64,
    key: &'a Q,
}

impl<Q: ?Sized> Hash for Wanted<'_, Q> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<K: Borrow<Q>, Q: Eq + ?Sized> Equivalent<ByKey<K>> for Wanted<'_, Q> {
    fn equivalent(&self, entry: &ByKey<K>) -> bool {
        entry.0.key.as_ref().is_some_and(|key| key.borrow() == self.key)
    }
}

/// Hands on a hash that is known.
#[derive(Default)]
struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        debug_assert!(false, "only whole hashes are written");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
