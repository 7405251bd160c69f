//! Errors of a store.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, io};

/// Error of a store.
///
/// After every error but [`NotDurable`](Self::NotDurable) the document is what it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The document is not of the generation that the writer saw: read it again, and decide again.
    #[error(
        "another writer changed the document: {} was expected, {} was found",
        Generation(expected),
        Generation(found)
    )]
    Conflict {
        /// The generation that the writer saw; `None` for no document.
        expected: Option<u64>,
        /// The generation that is there; `None` for no document.
        found: Option<u64>,
    },
    /// Bytes above the limit. They were not read, or not written.
    #[error("{what} has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// The path, or what else it is.
        what: String,
        /// Number of bytes, or a lower bound of it.
        size: u64,
        /// Largest number allowed.
        limit: u64,
    },
    /// The bytes to be written are of another generation than the writer says.
    #[error(
        "generation: {generation} is not allowed, must be the one in the document's bytes, {}",
        Generation(written)
    )]
    Mismatch {
        /// Generation of the writer.
        generation: u64,
        /// Generation in the bytes; `None` if there is none.
        written: Option<u64>,
    },
    /// The generation to be written is not above the one that it replaces.
    #[error("generation: {generation} is not allowed, must be above the one it replaces, {expected}")]
    NotNewer {
        /// The generation that the writer saw.
        expected: u64,
        /// The generation to be written.
        generation: u64,
    },
    /// The path leads to something that is not a regular file.
    #[error("{} is {found}, must be a regular file", path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// Kind of the file.
        found: &'static str,
    },
    /// The file has no generation to compare with. It is never overwritten.
    #[error("{} is not a document of kill switches and is not overwritten: check the path, repair the file, or move it away", path.display())]
    Unversioned {
        /// The path.
        path: PathBuf,
    },
    /// The path is a symbolic link, as in a mounted `ConfigMap`: it is changed at its source.
    #[error("{} is a symbolic link and is not written to: change the file at its source, such as the ConfigMap", path.display())]
    ReadOnly {
        /// The path.
        path: PathBuf,
    },
    /// The file was replaced by renaming on the host, and the mount keeps the old one.
    #[error(
        "{} was replaced on the host, but the mount still shows the old file: mount its directory instead of the file",
        path.display()
    )]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// The file is mounted by itself, as a bind mount or a `subPath`: no other file can take its place.
    #[error(
        "{} is mounted by itself, and the system replaces no mounted file: mount its directory instead of the file",
        path.display()
    )]
    Mounted {
        /// The path.
        path: PathBuf,
    },
    /// Another writer has held the lock all the time.
    #[error("{} was locked by another writer for {} s: try again", path.display(), waited.as_secs_f64())]
    Locked {
        /// The path of the lock.
        path: PathBuf,
        /// Time for which this writer has waited.
        waited: Duration,
    },
    /// The new document is in place, and a power cut may still undo it.
    #[error("{} is written, but may be lost in a power cut, as it could not be synced to disk: {source}", path.display())]
    NotDurable {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The system said no.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// The failed step: "opening".
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// Error of another kind of store.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    /// Turns the system's error into one that says what was being done, and to what.
    #[cfg(feature = "file")]
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { doing, path, source }
    }
}

struct Generation<'a>(&'a Option<u64>);

impl fmt::Display for Generation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(generation) => write!(f, "generation {generation}"),
            None => f.write_str("no document"),
        }
    }
}

impl StoreError {
    /// Returns whether the device is full.
    #[cfg(feature = "file")]
    pub(super) fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Self::Io { source, .. } if full.contains(&source.kind()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_path_the_value_and_what_is_allowed() {
        let path = || PathBuf::from("/etc/shop/switches.json");
        let source = || io::Error::other("no space left");
        for (error, message) in [
            (
                StoreError::Conflict { expected: Some(4), found: Some(5) },
                "another writer changed the document: generation 4 was expected, generation 5 was found",
            ),
            (
                StoreError::Conflict { expected: None, found: Some(5) },
                "another writer changed the document: no document was expected, generation 5 was found",
            ),
            (
                StoreError::NotAFile { path: path(), found: "a directory" },
                "/etc/shop/switches.json is a directory, must be a regular file",
            ),
            (
                StoreError::Io { doing: "renaming", path: path(), source: source() },
                "renaming /etc/shop/switches.json: no space left",
            ),
            (StoreError::TooLarge { what: "a".to_owned(), size: 9, limit: 8 }, "a has 9 bytes, at most 8 are allowed"),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }
}
