//! Stores of the document: bytes and their generation, nothing more.
//!
//! A store does not know what a switch is. It hands on what is there, replaces it when the generation is still the
//! one that the writer saw, keeps what was there before, and says when to look again. Whether the bytes are to be
//! trusted (their hash, whose they are, what they drop) is decided by the reader.
//!
//! | store | for |
//! |---|---|
//! | [`MemoryStore`] | tests, and programs whose switches end with them |
#![cfg_attr(feature = "file", doc = "| [`FileStore`] | one host, or a directory that several share |")]
//!
//! # Examples
//!
//! ```
//! use backstop::kill_switch::store::{MemoryStore, Store, StoreError};
//!
//! let store = MemoryStore::new();
//! store.compare_and_set(None, 1, br#"{"generation": 1}"#)?;
//! let late = store.compare_and_set(None, 1, br#"{"generation": 1}"#);
//! assert!(matches!(late, Err(StoreError::Conflict { expected: None, found: Some(1) })));
//! # Ok::<(), StoreError>(())
//! ```

pub(super) mod error;
#[cfg(feature = "file")]
#[cfg_attr(docsrs, doc(cfg(feature = "file")))]
mod file;
pub(super) mod memory;

pub use error::StoreError;
#[cfg(feature = "file")]
pub use file::FileStore;
pub use memory::MemoryStore;

use crate::sync::Arc;
use serde::Deserialize;
use std::fmt;
use std::path::Path;

/// The most bytes that a document may have: 4 MiB.
pub const SIZE_LIMIT: u64 = 4 << 20;

/// Earlier revisions that a store keeps: 1,000.
pub const HISTORY_LIMIT: usize = 1_000;

/// Keeps one document and its earlier revisions.
///
/// Every method may block, on a disk or a network: none belongs on an async thread.
pub trait Store: Send + Sync + 'static {
    /// The present bytes, unchecked; `None` if there are none.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or has more bytes than [`SIZE_LIMIT`].
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces what is there, if its generation is `expected` (`None`: if there is nothing).
    ///
    /// Once this has returned `Ok`, the bytes stay, whatever happens to the process.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when someone else was faster. After any error but [`StoreError::NotDurable`] the old
    /// document is in place, whole.
    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Replaces what is there, whatever it is: the way back from what cannot be read, is gone, or came from a backup. A
    /// store that keeps what it replaces keeps an invalid one, too.
    ///
    /// # Errors
    ///
    /// A store that has no such way, which is the default; else as [`compare_and_set`](Self::compare_and_set), but for
    /// [`StoreError::Conflict`].
    fn put_back(&self, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let _ = (generation, bytes);
        Err(StoreError::Other("this store has no way to put a document back".into()))
    }

    /// Why the history has not kept what the last write replaced, which is no reason not to write; `None` if it has.
    fn unkept(&self) -> Option<String> {
        None
    }

    /// The revision of this generation, the present one among them; `None` if it is not kept.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// The generations of all revisions that are kept, the present one among them, in rising order.
    ///
    /// # Errors
    ///
    /// When they cannot be listed.
    fn revisions(&self) -> Result<Vec<u64>, StoreError>;

    /// Calls `wake` whenever there may be something new, until the returned guard is dropped.
    ///
    /// A hint: `wake` may be called for nothing, or, when the system loses a notice, not at all. So read once after
    /// this has returned, and again every second. `wake` runs on a thread that is not the caller's: it has to return at
    /// once, and to leave the reading to a thread of its own.
    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch;
}

/// A store that several share.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).read()
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        (**self).compare_and_set(expected, generation, bytes)
    }

    fn put_back(&self, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        (**self).put_back(generation, bytes)
    }

    fn unkept(&self) -> Option<String> {
        (**self).unkept()
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        (**self).revision(generation)
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        (**self).revisions()
    }

    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch {
        (**self).watch(wake)
    }
}

/// Ends a store's watching when it is dropped.
#[must_use = "dropped, it ends the watching"]
#[derive(Default)]
pub struct Watch {
    end: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl Watch {
    /// The watch of a store that cannot watch: it never wakes.
    pub fn none() -> Self {
        Self::default()
    }

    /// Calls `end` when it is dropped.
    pub fn new(end: impl FnOnce() + Send + Sync + 'static) -> Self {
        Self { end: Some(Box::new(end)) }
    }

    /// Returns whether the store can watch at all.
    pub fn is_some(&self) -> bool {
        self.end.is_some()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end();
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("is_some", &self.is_some()).finish()
    }
}

/// The generation that a document says it has.
fn generation_of(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Head {
        generation: u64,
    }
    serde_json::from_slice(bytes).ok().map(|Head { generation }| generation)
}

/// Checks of every write: bytes that could not be read back or compared with later are rejected.
fn check(expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let size = bytes.len() as u64;
    if size > SIZE_LIMIT {
        return Err(StoreError::TooLarge { what: "the new document".to_owned(), size, limit: SIZE_LIMIT });
    }
    let written = generation_of(bytes);
    if written != Some(generation) {
        return Err(StoreError::Mismatch { generation, written });
    }
    match expected {
        Some(expected) if generation <= expected => Err(StoreError::NotNewer { expected, generation }),
        _ => Ok(()),
    }
}

/// The generation of the document that is there, which is the expected one.
fn found(document: Option<&[u8]>, expected: Option<u64>, path: &Path) -> Result<Option<u64>, StoreError> {
    let unversioned = || StoreError::Unversioned { path: path.to_owned() };
    let found = document.map(|bytes| generation_of(bytes).ok_or_else(unversioned)).transpose()?;
    if found == expected { Ok(found) } else { Err(StoreError::Conflict { expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_read_from_the_top_level_alone() {
        assert_eq!(generation_of(br#"{"format": 1, "generation": 7, "switches": [{"generation": 9}]}"#), Some(7));
        for other in [
            "",
            "{}",
            "7",
            r#"{"generation": -1}"#,
            r#"{"generation": 1.5}"#,
            r#"{"generation": "1"}"#,
            r#"{"generation": 1, "generation": 2}"#,
            r#"{"inner": {"generation": 1}}"#,
            r#"{"generation": 1"#,
            r#"{"generation": 1} {}"#,
            r#"{"generation": 18446744073709551616}"#,
        ] {
            assert_eq!(generation_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn what_could_not_be_compared_with_later_is_not_written() {
        let bytes = br#"{"generation": 2}"#;
        assert!(check(Some(1), 2, bytes).is_ok());
        assert!(check(None, 2, bytes).is_ok());
        assert!(matches!(check(Some(1), 3, bytes), Err(StoreError::Mismatch { generation: 3, written: Some(2) })));
        assert!(matches!(check(Some(2), 2, bytes), Err(StoreError::NotNewer { expected: 2, generation: 2 })));
        assert!(matches!(check(None, 1, b"{"), Err(StoreError::Mismatch { generation: 1, written: None })));
        let large = vec![b' '; 4 << 20 | 1];
        assert!(matches!(check(None, 1, &large), Err(StoreError::TooLarge { size: 4_194_305, .. })));
    }

    #[test]
    fn a_watch_ends_once() {
        let ends = std::sync::Arc::new(std::sync::Mutex::new(0));
        let count = std::sync::Arc::clone(&ends);
        let watch = Watch::new(move || *count.lock().unwrap() += 1);
        assert!(watch.is_some() && !Watch::none().is_some());
        drop(watch);
        assert_eq!(*ends.lock().unwrap(), 1);
    }
}
