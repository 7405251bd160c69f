//! A store that ends with the process.

use super::{HISTORY_LIMIT, check, generation_of};
use crate::events::Events;
use crate::kill_switch::store::{Store, StoreError, Watch};
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// Keeps the document in memory. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
    wakes: Arc<Events<()>>,
}

#[derive(Default)]
struct Shared {
    document: Option<Vec<u8>>,
    history: BTreeMap<u64, Vec<u8>>,
}

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
        self.wakes.push([()]);
        self.wakes.dispatch(|()| {});
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

    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch {
        let subscription = self.wakes.subscribe(Arc::new(move |()| wake()));
        Watch::new(move || drop(subscription))
    }
}

impl Shared {
    fn compare_and_set(&mut self, expected: Option<u64>, bytes: &[u8]) -> Result<(), StoreError> {
        let found = super::found(self.document.as_deref(), expected, Path::new("the memory store"))?;
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
