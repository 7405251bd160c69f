//! A file of chained lines: each append is one write that is on the disk when it returns.

use super::chain::{Entry, LINE_MAX, append};
use super::tail::Tail;
use crate::fs::{careful, lock_within, share_as_directory, sync_directory_of};
use crate::sync::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for another writer.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Enough for a whole line before a torn one.
const TAIL_MAX: u64 = 2 * LINE_MAX as u64;

/// A file of chained lines with facts of one kind: see [`AuditLog`](super::AuditLog).
#[derive(Debug)]
pub(crate) struct ChainedLog<R> {
    path: PathBuf,
    /// The last entry that this log appended.
    last: Mutex<Option<Entry<R>>>,
}

impl<R: Serialize + DeserializeOwned + Clone> ChainedLog<R> {
    /// A log at this path. Nothing is opened before the first entry.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, last: Mutex::new(None) }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends an entry; facts that are too long for a line are shortened.
    pub(crate) fn append(&self, facts: R, shorten: impl FnOnce(R) -> R) -> Result<Entry<R>, AuditLogError> {
        let entry = self.try_append(facts, shorten)?;
        *self.last.lock() = Some(entry.clone());
        Ok(entry)
    }

    fn try_append(&self, facts: R, shorten: impl FnOnce(R) -> R) -> Result<Entry<R>, AuditLogError> {
        let mut file = self.open(&self.path)?;
        if !lock_within(&file, LOCK_PATIENCE).map_err(self.failed("lock"))? {
            return Err(AuditLogError::Busy { path: self.path.clone() });
        }
        let length = file.metadata().map_err(self.failed("look at"))?.len();
        let start = length.saturating_sub(TAIL_MAX);
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(self.failed("read"))?;
        (&file).take(TAIL_MAX).read_to_end(&mut bytes).map_err(self.failed("read"))?;
        let tail = Tail::of(&bytes);
        let previous = self.previous(&tail, start > 0)?;

        let mut entry = append(previous.as_ref(), facts);
        if entry.line.len() >= LINE_MAX {
            entry = append(previous.as_ref(), shorten(entry.facts.clone()));
        }
        let line = format!("{}\n", entry.line);
        if line.len() > LINE_MAX {
            return Err(AuditLogError::TooLong { bytes: line.len() });
        }
        let length = length - tail.torn.len() as u64;
        if !tail.torn.is_empty() {
            self.move_aside(tail.torn)?;
            file.set_len(length).map_err(self.failed("cut the incomplete last line off"))?;
        }
        let written = file.write(line.as_bytes()).map_err(self.failed("write to"))?;
        if written < line.len() {
            // Otherwise the next writer finds it torn; this one knows that it is not there.
            file.set_len(length).map_err(self.failed("cut half a line off"))?;
            return Err(self.failed("write to")(io::ErrorKind::WriteZero.into()));
        }
        file.sync_all().map_err(self.failed("sync"))?;
        if length == 0 {
            sync_directory_of(&self.path).map_err(self.failed("sync the directory of"))?;
        }
        Ok(entry)
    }

    /// The entry before the next one: the last of the file or, if that is older or unsound, our own last.
    fn previous(&self, tail: &Tail<'_>, has_more: bool) -> Result<Option<Entry<R>>, AuditLogError> {
        let own = self.last.lock().clone();
        let unsound = |why| AuditLogError::Unsound { path: self.path.clone(), why };
        let in_file = match tail.entry() {
            None if has_more => return Err(unsound("its last line is too long".to_owned())),
            None => Ok(None),
            Some(entry) => entry.map(Some).map_err(unsound),
        };
        match (in_file, own) {
            (in_file, None) => in_file,
            (Ok(Some(in_file)), Some(own)) if in_file.seq > own.seq => Ok(Some(in_file)),
            (_, own) => Ok(own),
        }
    }

    fn move_aside(&self, torn: &[u8]) -> Result<(), AuditLogError> {
        let mut path = self.path.clone().into_os_string();
        path.push(".torn");
        let mut aside = self.open(Path::new(&path))?;
        let line = [torn.strip_suffix(b"\n").unwrap_or(torn), b"\n"].concat();
        let moved = aside.write_all(&line).and_then(|()| aside.sync_all());
        moved.map_err(self.failed("move an incomplete last line aside from"))
    }

    fn open(&self, path: &Path) -> Result<File, AuditLogError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        careful(&mut options, 0o600);
        let file = options.open(path).map_err(self.failed("open"))?;
        let metadata = file.metadata().map_err(self.failed("look at"))?;
        if let Some(directory) = path.parent().filter(|_| metadata.is_file() && metadata.len() == 0) {
            share_as_directory(&file, if directory.as_os_str().is_empty() { Path::new(".") } else { directory });
        }
        if metadata.is_file() { Ok(file) } else { Err(AuditLogError::NotAFile { path: path.to_owned() }) }
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(io::Error) -> AuditLogError + use<'_, R> {
        move |source| AuditLogError::Io { doing, path: self.path.clone(), source }
    }
}

/// Error of appending an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditLogError {
    /// The file system said no.
    #[error("cannot {doing} the audit log {}", path.display())]
    Io {
        /// The failed step.
        doing: &'static str,
        /// The path of the log.
        path: PathBuf,
        /// Error of the file system.
        source: io::Error,
    },
    /// Another process has held its lock for a second.
    #[error("the audit log {} is locked by another process: try again, or give each program its own", path.display())]
    Busy {
        /// The path of the log.
        path: PathBuf,
    },
    /// The path is a directory, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// The entry is longer than a line may be.
    #[error("the entry for the audit log has {bytes} bytes, at most {LINE_MAX} are allowed")]
    TooLong {
        /// Its length, with the new line.
        bytes: usize,
    },
    /// The last line is not an entry, so nothing can follow it. Keep the file elsewhere for an investigation.
    #[error("the audit log {} cannot be appended to: {why}; move it away to begin a new one", path.display())]
    Unsound {
        /// The path of the log.
        path: PathBuf,
        /// Problem of the last line.
        why: String,
    },
}
