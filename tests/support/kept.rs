//! A store whose board reads on the test's own thread.

use backstop::kill_switch::store::{MemoryStore, Store, StoreError, Watch};
use std::sync::Arc;

/// A store that keeps the board's own thread where it asks to watch: all that happens, happens on the test's thread,
/// which is the one with the recorder, or the log. The board's other thread tells at every poll: set one of an hour.
#[derive(Clone, Default)]
pub(crate) struct Kept(pub(crate) Arc<MemoryStore>);

impl Store for Kept {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.read()
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.compare_and_set(expected, generation, bytes)
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.revision(generation)
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        self.0.revisions()
    }

    fn watch(&self, _: Arc<dyn Fn() + Send + Sync>) -> Watch {
        loop {
            std::thread::park();
        }
    }
}
