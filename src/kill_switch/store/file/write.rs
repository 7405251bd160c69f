//! Replaces a file so that it is the old one or the new one, at any instant and after any fault.

use super::history::History;
use super::paths::Paths;
use super::{os, read};
use crate::fs::{self, Access};
use crate::kill_switch::store::{StoreError, found, generation_of};
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Duration;

/// Result of a write: why the history has not kept what was replaced.
type Written = Result<Option<StoreError>, StoreError>;

pub(super) fn compare_and_set(paths: &Paths, expected: Option<u64>, bytes: &[u8], mode: Option<u32>) -> Written {
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
    // Only the holder of the lock has a temporary file.
    let name = paths.name.as_encoded_bytes();
    fs::remove_temporaries(&paths.directory, |target| target == name);
    let earlier = read::document(path)?;
    let found = found(earlier.as_deref(), expected, path)?;
    let (like, unkept) = match found.zip(earlier) {
        None => (None, None),
        Some((generation, earlier)) => {
            let like = path.metadata().map_err(StoreError::io("looking at", path))?;
            let saved = match history.save(generation, &earlier, &like) {
                // To engage is worth more than what was a long time ago, and than what was a moment ago.
                Err(error) if error.is_full() && history.make_room() => history.save(generation, &earlier, &like),
                saved => saved,
            };
            (Some(like), saved.err())
        }
    };
    match replace(path, bytes, like.as_ref(), mode) {
        Err(error) if error.is_full() && history.make_room() => replace(path, bytes, like.as_ref(), mode)?,
        replaced => replaced?,
    }
    keep(&history, path, bytes);
    Ok(unkept)
}

/// Keeps the new revision, too, now that readers have it: if the document is damaged or goes back by one, it is in the
/// history. One that cannot be kept now is kept by the next change.
fn keep(history: &History, path: &Path, bytes: &[u8]) {
    let generation = generation_of(bytes).unwrap_or(u64::MAX);
    if let Ok(like) = path.metadata() {
        let _: Result<(), StoreError> = history.save(generation, bytes, &like);
    }
    history.tidy(generation);
}

/// As [`compare_and_set`], whatever is there. What has a generation goes into the history; what has none is kept
/// beside.
pub(super) fn put_back(paths: &Paths, generation: u64, bytes: &[u8], mode: Option<u32>) -> Written {
    let path = &paths.path;
    if path.is_symlink() {
        return Err(StoreError::ReadOnly { path: path.clone() });
    }
    let _lock = lock(paths)?;
    let history = History::of(paths);
    let like = path.symlink_metadata().ok().filter(Metadata::is_file);
    let mut unkept = None;
    match (&like, read::document(path)) {
        (Some(like), Ok(Some(earlier))) if generation_of(&earlier).is_some_and(|found| found < generation) => {
            let found = generation_of(&earlier).unwrap_or_default();
            // The document in the history under that number was in force; this may be a damaged copy of it.
            if history.read(found)?.is_none() {
                unkept = history.save(found, &earlier, like).err();
            }
        }
        (Some(like), _) => {
            let aside = paths.beside(".damaged");
            let mut damaged = os::for_reading_itself().open(path).map_err(StoreError::io("opening", path))?;
            let copy = |file: &mut File| std::io::copy(&mut damaged, file).map(drop);
            fs::replace_with(&aside, copy, Access::Like(like, None)).map_err(failed(&aside))?;
        }
        (None, _) => {}
    }
    replace(path, bytes, like.as_ref(), mode)?;
    keep(&history, path, bytes);
    Ok(unkept)
}

/// Replaces the file at a path; see [`fs::replace_with`].
fn replace(path: &Path, bytes: &[u8], like: Option<&Metadata>, mode: Option<u32>) -> Result<(), StoreError> {
    let new = mode.map_or(Access::Directory, Access::Mode);
    let access = like.map_or(new, |like| Access::Like(like, mode));
    fs::replace_with(path, |file| file.write_all(bytes), access).map_err(failed(path))
}

/// Error of a file operation, with the path of the file.
fn failed(target: &Path) -> impl FnOnce(fs::Failure) -> StoreError {
    move |fs::Failure { doing, path, source, is_in_place }| match source.kind() {
        _ if is_in_place => StoreError::NotDurable { path, source },
        ErrorKind::ResourceBusy => StoreError::Mounted { path: target.to_owned() },
        _ => StoreError::Io { doing, path, source },
    }
}

/// The lock of writers. A write takes milliseconds: after 5 s the other one hangs, and the caller must know.
fn lock(paths: &Paths) -> Result<File, StoreError> {
    let (path, waited) = (paths.beside(".lock"), Duration::from_secs(5));
    let lock = fs::lock_at(&path, waited).map_err(StoreError::io("locking", &path))?;
    lock.ok_or(StoreError::Locked { path, waited })
}
