//! A store that ends with the process.

use super::{HISTORY_LIMIT, check, generation_of};
use crate::kill_switch::store::{Store, StoreError, Watch};
use crate::panic::catch_panic;
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;
use std::fmt;

/// Keeps the document in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    document: Option<Vec<u8>>,
    history: BTreeMap<u64, Vec<u8>>,
    wakes: BTreeMap<u64, Wake>,
    next_wake: u64,
}

type Wake = Arc<dyn Fn() + Send + Sync>;

impl MemoryStore {
    /// A store with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts anything in the document's place, compared with nothing and kept in no history: what a person with an
    /// editor, or a broken disk, does to a file.
    pub fn overwrite(&self, bytes: Option<Vec<u8>>) {
        self.shared.lock().document = bytes;
        self.wake();
    }

    fn wake(&self) {
        let wakes: Vec<_> = self.shared.lock().wakes.values().cloned().collect();
        for wake in wakes {
            let _: Option<()> = catch_panic(|| wake());
        }
    }
}

impl Store for MemoryStore {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.shared.lock().document.clone())
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        check(expected, generation, bytes)?;
        self.shared.lock().compare_and_set(expected, bytes)?;
        self.wake();
        Ok(())
    }

    fn put_back(&self, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        check(None, generation, bytes)?;
        let mut shared = self.shared.lock();
        let earlier = shared.document.replace(bytes.to_vec());
        if let Some((found, earlier)) = earlier.and_then(|earlier| Some((generation_of(&earlier)?, earlier))) {
            shared.history.entry(found).or_insert(earlier);
        }
        shared.tidy();
        drop(shared);
        self.wake();
        Ok(())
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let shared = self.shared.lock();
        let present = shared.document.as_ref().filter(|bytes| generation_of(bytes) == Some(generation));
        Ok(present.or_else(|| shared.history.get(&generation)).cloned())
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        let shared = self.shared.lock();
        let mut revisions: Vec<_> = shared.history.keys().copied().collect();
        revisions.extend(shared.document.as_deref().and_then(generation_of));
        revisions.sort_unstable();
        revisions.dedup();
        Ok(revisions)
    }

    fn watch(&self, wake: Wake) -> Watch {
        let mut shared = self.shared.lock();
        let id = shared.next_wake;
        shared.next_wake += 1;
        shared.wakes.insert(id, wake);
        let store = self.clone();
        Watch::new(move || {
            let wake = store.shared.lock().wakes.remove(&id);
            drop(wake); // without the lock: what it owns is foreign
        })
    }
}

impl Shared {
    fn compare_and_set(&mut self, expected: Option<u64>, bytes: &[u8]) -> Result<(), StoreError> {
        let found = match &self.document {
            None => None,
            Some(bytes) => match generation_of(bytes) {
                None => return Err(StoreError::Unversioned { path: "the memory store".into() }),
                generation => generation,
            },
        };
        if found != expected {
            return Err(StoreError::Conflict { expected, found });
        }
        let earlier = self.document.replace(bytes.to_vec());
        self.history.extend(found.zip(earlier));
        self.tidy();
        Ok(())
    }

    /// Removes revisions from before a return to an older document first, then the oldest.
    fn tidy(&mut self) {
        let present = self.document.as_deref().and_then(generation_of).unwrap_or(u64::MAX);
        while self.history.len() > HISTORY_LIMIT {
            let first = self.history.range(present..).next().or_else(|| self.history.first_key_value());
            let Some(generation) = first.map(|(generation, _)| *generation) else { return };
            self.history.remove(&generation);
        }
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let generation = self.shared.lock().document.as_deref().and_then(generation_of);
        f.debug_struct("MemoryStore").field("generation", &generation).finish_non_exhaustive()
    }
}
