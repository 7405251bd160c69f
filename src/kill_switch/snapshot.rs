//! The last good document on disk: what the next start begins with when the store cannot be read.

use super::document::Document;
use crate::sync::Mutex;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that never goes back to an older document, however many threads keep theirs.
pub(super) struct Snapshot {
    path: PathBuf,
    kept: Mutex<Kept>,
    /// A file in the same directory, which is renamed in one step. Its name is random: no two writers share one.
    temp: PathBuf,
}

#[derive(Default)]
struct Kept {
    generation: Option<u64>,
    /// Why the last one was not kept, so that it is told once.
    failure: Option<String>,
}

impl Snapshot {
    pub(super) fn new(path: PathBuf) -> Self {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.new", RandomState::new().hash_one(0)));
        Self { temp: path.with_file_name(name), path, kept: Mutex::default() }
    }

    /// The document of an earlier run. What is no document is as good as nothing.
    pub(super) fn last_good(&self) -> Option<Document> {
        let size = fs::metadata(&self.path).ok().filter(fs::Metadata::is_file)?.len();
        if size > Document::SIZE_MAX as u64 {
            return None;
        }
        let document = Document::parse(&fs::read(&self.path).ok()?, Document::SIZE_MAX).ok()?;
        self.kept.lock().generation = Some(document.generation());
        Some(document)
    }

    /// Keeps the document unless it, or a newer one, is kept already. A failure leaves the one of before, and is tried
    /// again at the next call.
    ///
    /// # Errors
    ///
    /// Why not, the first time only.
    pub(super) fn keep(&self, document: &Document) -> Result<(), String> {
        let mut kept = self.kept.lock(); // over the writing: what is on disk is what the generation says
        if kept.generation.is_some_and(|generation| document.generation() <= generation) {
            return Ok(());
        }
        match self.write(&document.to_bytes()) {
            Ok(()) => {
                *kept = Kept { generation: Some(document.generation()), failure: None };
                Ok(())
            }
            Err(error) => {
                let why = format!("the snapshot {} cannot be written: {error}", self.path.display());
                let is_known = kept.failure.as_ref() == Some(&why);
                kept.failure = Some(why.clone());
                if is_known { Ok(()) } else { Err(why) }
            }
        }
    }

    /// Whole or not at all, after a power cut too.
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let written = File::create(&self.temp).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all() // else the new name may come to the disk before what it names
        });
        let moved = written.and_then(|()| fs::rename(&self.temp, &self.path));
        if moved.is_err() {
            let _ = fs::remove_file(&self.temp); // it may not be there
        }
        moved?;
        sync_directory_of(&self.path)
    }
}

#[cfg(unix)]
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    match File::open(directory.unwrap_or(Path::new(".")))?.sync_all() {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()), // a file system that cannot
        synced => synced,
    }
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
fn sync_directory_of(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::kill_switch::store::MemoryStore;
    use crate::kill_switch::{By, Change, Definition, Desk, OnUnknown, SwitchId};

    /// A desk that keeps the generations 2 to 9.
    fn desk() -> Desk {
        let desk = Desk::new(MemoryStore::new());
        let by = By::person("mira", Timestamp::UNIX_EPOCH).because("a test");
        for number in 2..=9 {
            let switch = SwitchId::new(&format!("recs-{number}")).unwrap();
            let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
            desk.change(&Change::Define { switch, definition }, &by).unwrap();
        }
        desk
    }

    #[test]
    fn an_older_document_never_takes_the_place_of_a_newer_one() {
        let desk = desk();
        let document = |generation| desk.revision(generation).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("last-good.json");
        let snapshot = Snapshot::new(path.clone());
        std::thread::scope(|scope| {
            for generation in [5, 9, 6, 8, 7] {
                let (snapshot, document) = (&snapshot, &document);
                scope.spawn(move || snapshot.keep(&document(generation)).unwrap());
            }
        });
        snapshot.keep(&document(4)).unwrap();
        let again = Snapshot::new(path);
        assert_eq!(again.last_good().unwrap().generation(), 9);
        again.keep(&document(8)).unwrap();
        assert_eq!(again.last_good().unwrap().generation(), 9, "what an earlier run has kept counts too");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_failure_is_told_once_and_tried_again() {
        let document = desk().revision(5).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("later");
        let snapshot = Snapshot::new(below.join("last-good.json"));
        assert!(snapshot.keep(&document).unwrap_err().contains("cannot be written"));
        assert_eq!(snapshot.keep(&document), Ok(()), "it is known by now");
        fs::create_dir(&below).unwrap();
        assert_eq!(snapshot.keep(&document), Ok(()));
        assert_eq!(snapshot.last_good().unwrap().generation(), 5);
    }
}
