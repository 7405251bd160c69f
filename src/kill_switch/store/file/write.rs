//! Replaces a file so that it is the old one or the new one, at any instant and after any fault.

use super::history::History;
use super::lock::Lock;
use super::paths::{Paths, target_of_temporary};
use super::{os, read};
use crate::kill_switch::store::error::StoreError;
use crate::kill_switch::store::generation_of;
use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub(super) fn compare_and_set(paths: &Paths, expected: Option<u64>, bytes: &[u8]) -> Result<(), StoreError> {
    let path = &paths.path;
    // Before the lock is made: in a read-only mount that would fail, and say less. To rename over the link would cut
    // the document off from where it comes from.
    if path.is_symlink() {
        return Err(StoreError::ReadOnly { path: path.clone() });
    }
    let _lock = Lock::acquire(&paths.beside(".lock"))?;
    let history = History::of(paths);
    // Before anything is written: a full disk may be full of them.
    history.sweep();
    // Whoever holds the lock is the only one with a temporary file.
    let name = paths.name.as_encoded_bytes();
    remove_temporaries(&paths.directory, |target| target == name);
    let earlier = read::document(path)?;
    let found = match &earlier {
        None => None,
        Some(bytes) => match generation_of(bytes) {
            None => return Err(StoreError::Unversioned { path: path.clone() }),
            generation => generation,
        },
    };
    if found != expected {
        return Err(StoreError::Conflict { expected, found });
    }
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

/// As [`compare_and_set`], whatever is there. What has a generation goes into the history; what has none is kept beside.
pub(super) fn put_back(paths: &Paths, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
    let path = &paths.path;
    if path.is_symlink() {
        return Err(StoreError::ReadOnly { path: path.clone() });
    }
    let _lock = Lock::acquire(&paths.beside(".lock"))?;
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
            fs::copy(path, &aside).map_err(StoreError::io("copying to", &aside))?;
        }
        (None, _) => {}
    }
    replace(path, bytes, like.as_ref())?;
    history.tidy(generation);
    Ok(())
}

/// Puts a file with these bytes at a path, with the owner and mode of what is there.
pub(super) fn replace(path: &Path, bytes: &[u8], like: Option<&Metadata>) -> Result<(), StoreError> {
    let directory = path.parent().unwrap_or(path);
    // Opened first: once the file is renamed, there is no way back.
    let opened = os::open_directory(directory).map_err(StoreError::io("opening", directory))?;
    let (mut temporary, mut file) = Temporary::create(path)?;
    let doing = |what| StoreError::io(what, &temporary.path);
    file.write_all(bytes).map_err(doing("writing"))?;
    match like {
        Some(like) => os::make_like(&file, like).map_err(doing("setting the mode of"))?,
        None => os::give_to_owner_of(&file, directory),
    }
    file.sync_all().map_err(doing("syncing"))?;
    drop(file); // closed after the rename, it would wake every reader a second time
    fs::rename(&temporary.path, path).map_err(doing("renaming"))?;
    temporary.is_renamed = true;
    os::sync_directory(&opened).map_err(|source| StoreError::NotDurable { path: path.to_owned(), source })
}

/// Removes temporary files of targets that are meant. What cannot be removed does no harm.
pub(super) fn remove_temporaries(directory: &Path, is_meant: impl Fn(&[u8]) -> bool) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if target_of_temporary(&entry.file_name()).is_some_and(&is_meant) {
            let _: std::io::Result<()> = fs::remove_file(entry.path());
        }
    }
}

/// A file that is removed again unless it is renamed.
struct Temporary {
    path: PathBuf,
    is_renamed: bool,
}

impl Temporary {
    /// In the same directory: a rename does not cross file systems.
    fn create(target: &Path) -> Result<(Self, File), StoreError> {
        let name = target.file_name().unwrap_or_default();
        loop {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            // std's keys are random for each: no other source of randomness is needed for a name.
            hidden.push(format!(".{:016x}.tmp", RandomState::new().hash_one(())));
            let path = target.with_file_name(hidden);
            match os::for_new_file().open(&path) {
                Ok(file) => return Ok((Self { path, is_renamed: false }, file)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("creating", path)(error)),
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.is_renamed {
            let _: std::io::Result<()> = fs::remove_file(&self.path);
        }
    }
}
