//! Stores for tests: a memory store with some of its methods replaced.

use backstop::kill_switch::store::{MemoryStore, Store, StoreError, Watch};
use std::sync::Arc;

/// The methods of a [`Store`] that are named, as those of the memory store in `self.0`.
macro_rules! as_memory_store {
    (@ read) => {
        fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.read()
        }
    };
    (@ compare_and_set) => {
        fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
            self.0.compare_and_set(expected, generation, bytes)
        }
    };
    (@ revisions) => {
        fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
            self.0.revision(generation)
        }

        fn revisions(&self) -> Result<Vec<u64>, StoreError> {
            self.0.revisions()
        }
    };
    ($($method:ident)*) => {
        $(as_memory_store!(@ $method);)*
    };
}

/// A store that parks the reading thread where it watches: everything happens on the test's thread, which is the one
/// with the recorder or the log. The thread for events publishes at every poll: set one of an hour.
#[derive(Clone, Default)]
pub(crate) struct Kept(pub(crate) Arc<MemoryStore>);

impl Store for Kept {
    as_memory_store!(read compare_and_set revisions);

    fn watch(&self, _: Arc<dyn Fn() + Send + Sync>) -> Watch {
        loop {
            std::thread::park();
        }
    }
}
