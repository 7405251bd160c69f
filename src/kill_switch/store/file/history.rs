//! The revisions, a file each.

use super::paths::Paths;
use super::{os, read};
use crate::fs;
use crate::kill_switch::store::HISTORY_LIMIT;
use crate::kill_switch::store::StoreError;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::PathBuf;

/// A directory of revisions, which need not exist yet.
#[derive(Debug)]
pub(super) struct History {
    directory: PathBuf,
}

impl History {
    pub(super) fn of(paths: &Paths) -> Self {
        Self { directory: paths.beside(".history") }
    }

    fn path(&self, generation: u64) -> PathBuf {
        self.directory.join(format!("{generation:020}.json"))
    }

    pub(super) fn read(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        read::document(&self.path(generation))
    }

    /// The generations that are kept, in no order.
    pub(super) fn list(&self) -> Result<Vec<u64>, StoreError> {
        let doing = || StoreError::io("listing", &self.directory);
        let entries = match std::fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(doing()(error)),
        };
        let mut generations = Vec::new();
        for entry in entries {
            let name = entry.map_err(doing())?.file_name();
            generations.extend(generation_in(name.as_encoded_bytes()));
        }
        Ok(generations)
    }

    /// The path of a revision in the directory itself: a link in its place is not followed.
    fn written(&self, generation: u64) -> Result<(impl Sized, PathBuf), StoreError> {
        let opened = os::open_directory(&self.directory).map_err(StoreError::io("opening", &self.directory))?;
        let path = opened.1.join(self.path(generation).file_name().unwrap_or_default());
        Ok((opened.0, path))
    }

    /// Saves a revision, in the place of one of the same number: a file that was put back from a backup counts on from
    /// there, and the later history is the one that is in force.
    pub(super) fn save(&self, generation: u64, bytes: &[u8], like: &Metadata) -> Result<(), StoreError> {
        os::make_directory(&self.directory, like).map_err(StoreError::io("making", &self.directory))?;
        let (_directory, path) = self.written(generation)?;
        if read::document(&path).is_ok_and(|kept| kept.as_deref() == Some(bytes)) {
            return Ok(());
        }
        let failed = |fs::Failure { doing, source, .. }| StoreError::io(doing, self.path(generation))(source);
        fs::replace(&path, bytes, Some(like)).map_err(failed)
    }

    /// Removes what a killed writer has left.
    pub(super) fn sweep(&self) {
        if let Ok((_directory, path)) = os::open_directory(&self.directory) {
            fs::remove_temporaries(&path, |target| generation_in(target).is_some());
        }
    }

    /// Removes what is over the limit of those before the present one: what is above it first, as the document went back to
    /// an older one, then the oldest.
    /// Files that cannot be removed stay until the next time: no change waits for them.
    pub(super) fn tidy(&self, present: u64) {
        self.remove(present, |kept| kept.saturating_sub(HISTORY_LIMIT + 1));
    }

    /// Removes the older half on a disk that is full. False if there is nothing to remove.
    pub(super) fn make_room(&self) -> bool {
        self.remove(0, |kept| kept.div_ceil(2))
    }

    /// Removes that many of those that are kept, those up to `present` last.
    fn remove(&self, present: u64, count: impl Fn(usize) -> usize) -> bool {
        let mut generations = self.list().unwrap_or_default();
        generations.sort_unstable_by_key(|&generation| (generation <= present, generation));
        generations.truncate(count(generations.len()));
        for generation in &generations {
            let written = self.written(*generation);
            let _: std::io::Result<()> = written.map_or(Ok(()), |(_directory, path)| std::fs::remove_file(path));
        }
        !generations.is_empty()
    }
}

/// The generation of a file's name, which has 20 digits, so that names sort as numbers do.
fn generation_in(name: &[u8]) -> Option<u64> {
    let digits = name.strip_suffix(b".json").filter(|digits| digits.len() == 20)?;
    // `parse` alone would take a sign.
    let is_number = digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| std::str::from_utf8(digits).ok()?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revisions_name_is_its_generation() {
        for generation in [0, 7, u64::MAX] {
            let path = (History { directory: PathBuf::from("a") }).path(generation);
            assert_eq!(generation_in(path.file_name().unwrap().as_encoded_bytes()), Some(generation));
        }
        for other in ["7.json", "+0000000000000000007.json", "99999999999999999999.json", "00000000000000000007.txt"] {
            assert_eq!(generation_in(other.as_bytes()), None, "{other}");
        }
    }
}
