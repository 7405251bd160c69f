//! A store in one file, for one host or for a directory that several share.

mod history;
mod os;
mod paths;
mod read;
mod watch;
mod write;

use self::history::History;
use self::paths::Paths;
use super::{check, generation_of};
use crate::kill_switch::store::{Store, StoreError, Watch};
use crate::sync::{Arc, Mutex};
use std::path::Path;

/// Keeps the document in a file that people and other programs may write, too.
///
/// ```text
/// switches.json            the document; replaced by renaming, so that a reader sees the old one or the new one
/// switches.json.lock       held while a writer compares and replaces; never removed
/// switches.json.history/   the revisions, 00000000000000000007.json; the present one and the last 1,000
/// switches.json.damaged    what could not be read when a document was put back in its place
/// ```
///
/// **Reading** opens the path anew each time and follows links, so that a mounted `ConfigMap` works. Only a regular
/// file of at most 4 MiB is read; a FIFO or a device is refused without being opened. A file that looks half written is read
/// again a few times, within 15 ms, and then handed on as it is.
///
/// **Writing** needs the lock, which is advisory: it keeps out other stores, not an editor. The revision that goes is
/// saved first, unless it is in the history, and if it can be: a history that cannot be written stops no change. Then a
/// temporary file (mode 0600) is written, synced, given the owner, mode and ACL of the file that it replaces, renamed over
/// it, and the directory is synced. The new revision is saved last. Temporary files of writers that were killed are removed by the next. A path that is a symbolic link is only
/// read, and none is followed in the history or beside the document. In a directory that its group may write, a new
/// document is the group's, too.
///
/// **Watching** sees every change in the directory, which survives renaming over, writing in place and the swap of a
/// `ConfigMap`'s `..data`. One thread serves all stores of the process. A directory that was deleted and made again is
/// noticed by the next [`read`](Store::read). Not noticed, and left to the reading every second: a change behind a
/// symbolic link to another directory, and a change by another host on a network file system.
///
/// # Examples
///
/// ```
/// use backstop::kill_switch::store::{FileStore, Store};
///
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// let store = FileStore::new(directory.join("switches.json"))?;
/// store.compare_and_set(None, 1, br#"{"generation": 1}"#)?;
/// store.compare_and_set(Some(1), 2, br#"{"generation": 2}"#)?;
/// assert_eq!(store.revisions()?, [1, 2]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileStore {
    paths: Arc<Paths>,
    mode: Option<u32>,
    /// Why the history has not kept what the last write replaced.
    unkept: Arc<Mutex<Option<String>>>,
}

impl FileStore {
    /// A store in the file at this path, which need not exist yet. Nothing is opened or made.
    ///
    /// # Errors
    ///
    /// When the path has no file name, or is relative and there is no current directory.
    pub fn new(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        // Absolute: a program that changes its directory later still means the same file.
        let path = std::path::absolute(path).map_err(StoreError::io("making absolute", path))?;
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(StoreError::NotAFile { path, found: "without a file name" });
        };
        let (directory, name) = (directory.to_owned(), name.to_owned());
        Ok(Self { paths: Arc::new(Paths { path, directory, name }), mode: None, unkept: Arc::default() })
    }

    /// The mode of the file from the next write on, 0o644 for example. Default: that of the file it replaces; of a new one
    /// 0o600, and 0o660 in a directory that its group may write.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode & 0o666 | 0o600);
        self
    }

    fn written(&self, written: Result<Option<StoreError>, StoreError>) -> Result<(), StoreError> {
        *self.unkept.lock() = written.as_ref().ok().and_then(|unkept| Some(unkept.as_ref()?.to_string()));
        written.map(drop)
    }

    /// The document's path, absolute.
    pub fn path(&self) -> &Path {
        &self.paths.path
    }
}

impl Store for FileStore {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        // Before the reading: what changes in between is then seen by one of the two.
        watch::renew(&self.paths.directory);
        read::document(&self.paths.path)
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        check(expected, generation, bytes)?;
        let written = write::compare_and_set(&self.paths, expected, bytes, self.mode);
        self.written(written)
    }

    fn put_back(&self, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        check(None, generation, bytes)?;
        let written = write::put_back(&self.paths, generation, bytes, self.mode);
        self.written(written)
    }

    fn unkept(&self) -> Option<String> {
        self.unkept.lock().clone()
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        // A document that cannot be read is when the earlier ones are needed.
        let present = read::document(&self.paths.path).ok().flatten();
        match present.filter(|bytes| generation_of(bytes) == Some(generation)) {
            Some(bytes) => Ok(Some(bytes)),
            None => History::of(&self.paths).read(generation),
        }
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        let mut revisions = History::of(&self.paths).list()?;
        let present = read::document(&self.paths.path).ok().flatten();
        revisions.extend(present.as_deref().and_then(generation_of));
        revisions.sort_unstable();
        revisions.dedup();
        Ok(revisions)
    }

    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch {
        watch::begin(&self.paths.directory, &self.paths.name, wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_without_a_name_is_refused() {
        assert!(matches!(FileStore::new("/"), Err(StoreError::NotAFile { .. })));
        assert!(matches!(FileStore::new(""), Err(StoreError::Io { .. })));
        assert!(FileStore::new("switches.json").unwrap().path().is_absolute());
    }
}
