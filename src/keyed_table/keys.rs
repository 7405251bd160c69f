//! The keys of a group, and the handles that users hold of them.

#[cfg(feature = "metrics")]
use super::Position;
use super::{Entry, Evict, Found, Table};
use crate::sync::{Arc, AtomicU64, Ordering};
use std::borrow::Borrow;
use std::hash::Hash;

type EntryRef<K, V> = Arc<Entry<K, V>>;

/// The table of a group, the entry that keys without room share, and counts of both.
#[derive(Debug)]
pub(crate) struct Keys<K, V> {
    table: Table<K, V>,
    pub(crate) overflow: EntryRef<K, V>,
    len: AtomicU64,
    overflowed: AtomicU64,
    evicted: AtomicU64,
}

impl<K, V> Keys<K, V> {
    /// Keys that are known.
    pub(crate) fn len(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    /// Calls that found no room for their key.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    /// Keys that made room for others.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }
}

impl<K: Hash + Eq, V> Keys<K, V> {
    pub(crate) fn new(max_keys: usize, overflow: V) -> Self {
        Self {
            table: Table::new(max_keys),
            overflow: Arc::new(Entry::of_overflow(overflow)),
            len: AtomicU64::new(0),
            overflowed: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
        }
    }

    pub(crate) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<EntryRef<K, V>>
    where
        K: Borrow<Q>,
    {
        self.table.get(key)
    }

    /// The entry of a key, inserted if absent, or the overflow; and the entry that was evicted for it.
    ///
    /// The closures run under a lock that other keys share: `may_evict` refuses instead of blocking.
    pub(crate) fn get_or_insert<Q, E: Into<Evict>>(
        &self,
        key: &Q,
        may_evict: impl Fn(&V) -> E,
        make: impl FnOnce() -> V,
    ) -> (EntryRef<K, V>, Option<EntryRef<K, V>>)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        match self.table.get_or_insert(key, may_evict, make) {
            Found::Known(entry) => (entry, None),
            Found::New { entry, evicted } => {
                let counter = if evicted.is_some() { &self.evicted } else { &self.len };
                counter.fetch_add(1, Ordering::Relaxed);
                (entry, evicted)
            }
            Found::NoRoom => {
                self.overflowed.fetch_add(1, Ordering::Relaxed);
                (Arc::clone(&self.overflow), None)
            }
        }
    }

    /// Removes an entry that only the caller uses, if it is still there and `may_go`. That runs under a lock that other
    /// keys share, and while no other thread reaches the entry.
    pub(crate) fn remove(&self, entry: &EntryRef<K, V>, may_go: impl FnOnce(&V) -> bool) -> bool {
        let is_removed = self.table.remove(entry, may_go);
        self.len.fetch_sub(u64::from(is_removed), Ordering::Relaxed);
        self.evicted.fetch_add(u64::from(is_removed), Ordering::Relaxed);
        is_removed
    }

    /// The entries in the next buckets, and the overflow.
    #[cfg(feature = "metrics")]
    pub(crate) fn scan(&self, at: &mut Position, buckets: usize) -> Vec<EntryRef<K, V>> {
        let (mut found, _) = self.table.scan(at, buckets);
        found.push(Arc::clone(&self.overflow));
        found
    }

    /// All entries, the overflow last.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&EntryRef<K, V>)) {
        self.table.for_each(&mut visit);
        visit(&self.overflow);
    }
}

/// Handles of a group and of a key. The group has `keys`, and the methods `name(&self)` and
/// `find_or_insert(&self, key)`; the two types have the fields `group: Counted<Group<K>>`, and that and `entry`.
macro_rules! keyed_handles {
    ($handle:ident<K>, $key_handle:ident<K> = $shown:literal, $noun:literal) => {
        impl<K: Key> $handle<K> {
            pub(super) fn new(group: $crate::shared_ref::Counted<Group<K>>) -> Self {
                Self { group }
            }

            /// The name in metrics and events.
            pub fn name(&self) -> &'static str {
                self.group.name()
            }

            /// Returns whether both handles are of the same group.
            pub fn is_same(&self, other: &Self) -> bool {
                self.group.is_same(&other.group)
            }

            #[doc = concat!("The ", $noun, " of a key, made if it is not there.")]
            #[doc = concat!("Where there is no room it is the overflow ", $noun, ".")]
            pub fn key<Q>(&self, key: &Q) -> $key_handle<K>
            where
                K: std::borrow::Borrow<Q>,
                Q: std::hash::Hash + Eq + ToOwned<Owned = K> + ?Sized,
            {
                $key_handle { group: self.group.clone(), entry: self.group.find_or_insert(key) }
            }

            #[doc = concat!("The ", $noun, " of a key, if it is there.")]
            pub fn get<Q: std::hash::Hash + Eq + ?Sized>(&self, key: &Q) -> Option<$key_handle<K>>
            where
                K: std::borrow::Borrow<Q>,
            {
                Some($key_handle { group: self.group.clone(), entry: self.group.keys.get(key)? })
            }

            /// Number of known keys.
            pub fn len(&self) -> u64 {
                self.group.keys.len()
            }

            /// Returns whether no key is known.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Calls that found no room for their key.
            pub fn overflowed(&self) -> u64 {
                self.group.keys.overflowed()
            }

            /// Keys that made room for others.
            pub fn evicted(&self) -> u64 {
                self.group.keys.evicted()
            }
        }

        impl<K> $key_handle<K> {
            #[doc = concat!("The key; `None` for the overflow ", $noun, ".")]
            pub fn key(&self) -> Option<&K> {
                self.entry.key.as_ref()
            }
        }

        impl<K> Clone for $handle<K> {
            fn clone(&self) -> Self {
                Self { group: self.group.clone() }
            }
        }

        impl<K> Clone for $key_handle<K> {
            fn clone(&self) -> Self {
                Self { group: self.group.clone(), entry: Arc::clone(&self.entry) }
            }
        }

        impl<K> std::fmt::Debug for $handle<K> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let (name, len) = (self.group.name(), self.group.keys.len());
                f.debug_struct(stringify!($handle)).field("name", &name).field("len", &len).finish()
            }
        }

        impl<K: std::fmt::Debug> std::fmt::Debug for $key_handle<K> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct($shown).field("key", &self.entry.key).finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use keyed_handles;
