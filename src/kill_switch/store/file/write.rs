//! Replaces a file so that it is the old one or the new one, at any instant and after any fault.

use super::history::History;
use super::paths::Paths;
use super::read;
use crate::fs;
use crate::kill_switch::store::{StoreError, found, generation_of};
use std::fs::{File, Metadata};
use std::path::Path;
use std::time::Duration;

pub(super) fn compare_and_set(paths: &Paths, expected: Option<u64>, bytes: &[u8]) -> Result<(), StoreError> {
    let path = &paths.path;
    // Before the lock is made: in a read-only mount that would fail, and say less. To rename over the link would cut
    // the document off from where it comes from.
    if path.is_symlink() {
        return Err(StoreError::ReadOnly { path: path.clone() });
    }
    let _lock = lock(paths)?;
    let history = History::of(paths);
    // Before anything is written: a full disk may be full of them.
    history.sweep();
    // Whoever holds the lock is the only one with a temporary file.
    let name = paths.name.as_encoded_bytes();
    fs::remove_temporaries(&paths.directory, |target| target == name);
    let earlier = read::document(path)?;
    let found = found(earlier.as_deref(), expected, path)?;
    let like = match found.zip(earlier) {
        None => None,
        Some((generation, earlier)) => {
            let like = path.metadata().map_err(StoreError::io("looking at", path))?;
            match history.save(generation, &earlier, &like) {
                // To engage is worth more than what was a long time ago.
                Err(error) if error.is_full() && history.make_room() => history.save(generation, &earlier, &like)?,
                saved => saved?,
            }
            Some(like)
        }
    };
    match replace(path, bytes, like.as_ref()) {
        Err(error) if error.is_full() && history.make_room() => replace(path, bytes, like.as_ref())?,
        replaced => replaced?,
    }
    history.tidy(generation_of(bytes).unwrap_or(u64::MAX));
    Ok(())
}

/// As [`compare_and_set`], whatever is there. What has a generation goes into the history; what has none is kept
/// beside.
pub(super) fn put_back(paths: &Paths, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let path = &paths.path;
    if path.is_symlink() {
        return Err(StoreError::ReadOnly { path: path.clone() });
    }
    let _lock = lock(paths)?;
    let history = History::of(paths);
    let like = path.metadata().ok().filter(Metadata::is_file);
    match (&like, read::document(path)) {
        (Some(like), Ok(Some(earlier))) if generation_of(&earlier).is_some_and(|found| found < generation) => {
            let found = generation_of(&earlier).unwrap_or_default();
            // What is in the history under that number was in force; this may be a damaged copy of it.
            if history.read(found)?.is_none() {
                history.save(found, &earlier, like)?;
            }
        }
        (Some(_), _) => {
            let aside = paths.beside(".damaged");
            std::fs::copy(path, &aside).map_err(StoreError::io("copying to", &aside))?;
        }
        (None, _) => {}
    }
    replace(path, bytes, like.as_ref())?;
    history.tidy(generation);
    Ok(())
}

/// Replaces the file at a path; see [`fs::replace`].
pub(super) fn replace(path: &Path, bytes: &[u8], like: Option<&Metadata>) -> Result<(), StoreError> {
    fs::replace(path, bytes, like).map_err(|failure| match failure {
        fs::Failure { path, source, is_in_place: true, .. } => StoreError::NotDurable { path, source },
        fs::Failure { doing, path, source, .. } => StoreError::Io { doing, path, source },
    })
}

/// The lock of writers. A write takes milliseconds: after 5 s the other one hangs, and the caller must know.
fn lock(paths: &Paths) -> Result<File, StoreError> {
    let (path, waited) = (paths.beside(".lock"), Duration::from_secs(5));
    let lock = fs::lock_at(&path, waited).map_err(StoreError::io("locking", &path))?;
    lock.ok_or(StoreError::Locked { path, waited })
}
