//! The last good document on disk: what the next start begins with when the store cannot be read.

use crate::kill_switch::model::document::Document;
use crate::sync::Mutex;
use std::fmt;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file that never goes back to an older document, however many threads keep theirs.
pub(in crate::kill_switch) struct Snapshot {
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
    /// At this path, which is the same one when the program changes its directory later.
    ///
    /// # Errors
    ///
    /// A relative path, and no current directory.
    pub(in crate::kill_switch) fn new(path: &Path) -> io::Result<Self> {
        let path = std::path::absolute(path)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.new", RandomState::new().hash_one(0)));
        Ok(Self { temp: path.with_file_name(name), path, kept: Mutex::default() })
    }

    /// The document of an earlier run; `None` where there is none. What writers that were killed have left is removed.
    ///
    /// # Errors
    ///
    /// Why what is there is of no use.
    pub(in crate::kill_switch) fn last_good(&self) -> Result<Option<Document>, String> {
        self.sweep();
        let failed = |why: &dyn fmt::Display| format!("the snapshot {} is of no use: {why}", self.path.display());
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if !metadata.is_file() || metadata.len() > Document::SIZE_MAX as u64 {
            return Err(failed(&format!("it has to be a file of at most {} bytes", Document::SIZE_MAX)));
        }
        let bytes = fs::read(&self.path).map_err(|error| failed(&error))?;
        let document = Document::parse(&bytes, Document::SIZE_MAX).map_err(|error| failed(&error))?;
        self.kept.lock().generation = Some(document.generation());
        Ok(Some(document))
    }

    /// Why the last document was not kept, if it was not.
    pub(in crate::kill_switch) fn failure(&self) -> Option<String> {
        self.kept.lock().failure.clone()
    }

    fn sweep(&self) {
        let Some((directory, name)) = self.path.parent().zip(self.path.file_name()) else { return };
        let is_left = |entry: &std::ffi::OsStr| {
            let rest = entry.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
            let random = rest.and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".new"));
            random.is_some_and(|random| random.len() == 16 && random.iter().all(u8::is_ascii_hexdigit))
        };
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if is_left(&entry.file_name()) {
                let _: io::Result<()> = fs::remove_file(entry.path());
            }
        }
    }

    /// Keeps the document unless it, or a newer one, is kept already. A failure leaves the one of before, and is tried
    /// again at the next call.
    ///
    /// # Errors
    ///
    /// Why not, the first time only.
    pub(in crate::kill_switch) fn keep(&self, document: &Document) -> Result<(), String> {
        let mut kept = self.kept.lock(); // over the writing: what is on disk is what the generation says
        let is_kept = kept.generation.is_some_and(|generation| document.generation() <= generation);
        if is_kept && self.path.exists() {
            return Ok(()); // somebody may have tidied up
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
        // It is there; a directory that cannot be synced leaves it to the system when it comes to the disk.
        let _: io::Result<()> = sync_directory_of(&self.path);
        Ok(())
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
    use crate::kill_switch::control::editor::Editor;
    use crate::kill_switch::model::author::Author;
    use crate::kill_switch::model::change::Change;
    use crate::kill_switch::model::id::SwitchId;
    use crate::kill_switch::model::switch::{Definition, OnUnknown};
    use crate::kill_switch::store::memory::MemoryStore;

    /// A desk that keeps the generations 2 to 9.
    fn editor() -> Editor {
        let editor = Editor::new(MemoryStore::new());
        let by = Author::person("mira", Timestamp::UNIX_EPOCH).because("a test");
        for number in 2..=9 {
            let switch = SwitchId::new(&format!("recs-{number}")).unwrap();
            let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
            editor.change(&Change::Define { switch, definition }, &by).unwrap();
        }
        editor
    }

    #[test]
    fn an_older_document_never_takes_the_place_of_a_newer_one() {
        let editor = editor();
        let document = |generation| editor.revision(generation).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("last-good.json");
        let snapshot = Snapshot::new(&path).unwrap();
        std::thread::scope(|scope| {
            for generation in [5, 9, 6, 8, 7] {
                let (snapshot, document) = (&snapshot, &document);
                scope.spawn(move || snapshot.keep(&document(generation)).unwrap());
            }
        });
        snapshot.keep(&document(4)).unwrap();
        fs::write(directory.path().join("last-good.json.0123456789abcdef.new"), "half of").unwrap();
        let again = Snapshot::new(&path).unwrap();
        let generation = || again.last_good().unwrap().unwrap().generation();
        assert_eq!(generation(), 9);
        again.keep(&document(8)).unwrap();
        assert_eq!(generation(), 9, "what an earlier run has kept counts too");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_file(&path).unwrap();
        again.keep(&document(9)).unwrap();
        assert_eq!(generation(), 9, "it is written again when somebody has removed it");
        fs::write(&path, "{").unwrap();
        assert!(again.last_good().unwrap_err().contains("is of no use"));
    }

    #[test]
    fn a_failure_is_told_once_and_tried_again() {
        let document = editor().revision(5).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("later");
        let snapshot = Snapshot::new(&below.join("last-good.json")).unwrap();
        assert!(snapshot.keep(&document).unwrap_err().contains("cannot be written"));
        assert_eq!(snapshot.keep(&document), Ok(()), "it is known by now");
        assert!(snapshot.failure().is_some());
        fs::create_dir(&below).unwrap();
        assert_eq!(snapshot.keep(&document), Ok(()));
        assert_eq!(snapshot.last_good().unwrap().unwrap().generation(), 5);
        assert_eq!(snapshot.failure(), None);
    }
}
