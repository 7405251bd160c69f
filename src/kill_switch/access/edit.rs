//! Edits of an access list in a file.

use super::list::AccessList;
use crate::clock::Timestamp;
use crate::config::ConfigError;
use crate::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An access list in a file that was not edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessFileError {
    /// The list in the file, or the edited one, is invalid.
    #[error("{doing} {}: {source}", path.display())]
    Invalid {
        /// The step: "reading" or "editing".
        doing: &'static str,
        /// The path of the list.
        path: PathBuf,
        /// Every problem of the list.
        source: ConfigError,
    },
    /// The file system returned an error.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// The step: "locking".
        doing: &'static str,
        /// The path of the step.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
}

impl AccessList {
    /// Edits the list in a file under a lock beside it (`.lock`), and replaces the file whole. A file that does not
    /// exist is an empty list. The file keeps its owner and mode; a new one is for its owner alone.
    ///
    /// # Errors
    ///
    /// [`AccessFileError::Invalid`] if the list in the file or the edited list is invalid, [`AccessFileError::Io`] if
    /// the file is a link or no regular file, or cannot be locked within 5 s, read or written.
    pub fn edit_file(
        path: &Path,
        now: Timestamp,
        edit: impl FnOnce(&Self) -> Result<Self, ConfigError>,
    ) -> Result<(), AccessFileError> {
        let io = |doing| move |source| AccessFileError::Io { doing, path: path.to_owned(), source };
        let invalid = |doing| move |source| AccessFileError::Invalid { doing, path: path.to_owned(), source };
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        // Two writers at once would lose one of two tokens that are both shown.
        let lock = fs::lock_at(Path::new(&lock_path), Duration::from_secs(5)).map_err(io("locking"))?;
        let _lock = lock.ok_or_else(|| io("locking")(ErrorKind::WouldBlock.into()))?;
        let before = match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => Some(metadata),
            Ok(_) => return Err(io("reading")(io::Error::other("must be a regular file, no link"))),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(io("reading")(error)),
        };
        let list = match &before {
            Some(_) => {
                let json = std::fs::read(path).map_err(io("reading"))?;
                Self::from_json(&json, now).map_err(invalid("reading"))?
            }
            None => Self::default(),
        };
        let edited = edit(&list).map_err(invalid("editing"))?;
        match fs::replace(path, edited.to_json().as_bytes(), before.as_ref()) {
            // A directory that cannot be synced leaves it to the system when the file comes to the disk.
            Ok(()) | Err(fs::Failure { is_in_place: true, .. }) => Ok(()),
            Err(fs::Failure { doing, path, source, .. }) => Err(AccessFileError::Io { doing, path, source }),
        }
    }
}
