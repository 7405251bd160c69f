//! The last good document on disk: what the next start begins with when the store cannot be read.

use crate::fs;
use crate::kill_switch::Document;
use crate::sync::Mutex;
use std::path::{Path, PathBuf};
use std::{fmt, io};

/// File with the last good document. Concurrent writers never replace it with an older generation.
pub(crate) struct LastGoodFile {
    path: PathBuf,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The document's store and generation.
    document: Option<(String, u64)>,
    /// The file as it was at the last look.
    mark: Option<Mark>,
    /// Failure of the last write, or another program's write, so that it is reported once.
    failure: Option<String>,
}

/// Length of a file, its number, and the time of its last change in seconds and nanoseconds: another file in its place
/// differs in one of them.
type Mark = (u64, u64, i64, i64);

impl LastGoodFile {
    /// At this path, which is the same one when the program changes its directory later.
    ///
    /// # Errors
    ///
    /// A relative path, and no current directory.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        Ok(Self { path: std::path::absolute(path)?, kept: Mutex::default() })
    }

    /// The document of an earlier run; `None` if there is none. Temporary files of killed writers are removed.
    ///
    /// # Errors
    ///
    /// The file is unusable.
    pub(crate) fn last_good(&self) -> Result<Option<Document>, String> {
        if let Some((directory, name)) = self.path.parent().zip(self.path.file_name()) {
            fs::remove_temporaries(directory, |target| target == name.as_encoded_bytes());
        }
        let document = self.read()?;
        self.kept.lock().document =
            document.as_ref().map(|document| (document.store().to_owned(), document.generation()));
        Ok(document)
    }

    fn read(&self) -> Result<Option<Document>, String> {
        let failed = |why: &dyn fmt::Display| format!("the snapshot {} cannot be used: {why}", self.path.display());
        let metadata = match std::fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        if !metadata.is_file() || metadata.len() > Document::SIZE_MAX as u64 {
            return Err(failed(&format!("must be a file of at most {} bytes", Document::SIZE_MAX)));
        }
        let bytes = std::fs::read(&self.path).map_err(|error| failed(&error))?;
        Document::parse(&bytes, Document::SIZE_MAX).map(Some).map_err(|error| failed(&error))
    }

    fn mark(&self) -> Option<Mark> {
        let metadata = std::fs::metadata(&self.path).ok()?;
        #[cfg(unix)]
        let (number, seconds, nanos) = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
        };
        #[cfg(not(unix))]
        let (number, seconds, nanos) = (0, 0, 0);
        Some((metadata.len(), number, seconds, nanos))
    }

    /// Failure of the last write, if it failed, or that another program writes the file.
    pub(crate) fn failure(&self) -> Option<String> {
        self.kept.lock().failure.clone()
    }

    /// Keeps the document unless it, or a newer one, is kept already. A failure leaves the one of before, and is tried
    /// again at the next call. What a program with another store has put there stays until the next document: two that
    /// share a path would replace each other's at every look.
    ///
    /// # Errors
    ///
    /// The failure, once until it changes.
    pub(crate) fn keep(&self, document: &Document) -> Result<(), String> {
        let mut kept = self.kept.lock(); // over the writing: what is on disk is what the generation says
        let is_older =
            |(store, generation): &(String, u64)| store == document.store() && document.generation() <= *generation;
        if kept.document.as_ref().is_some_and(is_older)
            && let Some(mark) = self.mark()
        {
            if kept.mark.replace(mark) == Some(mark) {
                return Ok(());
            }
            if self.read().is_ok_and(|found| found.is_some_and(|found| found.store() != document.store())) {
                let why = format!(
                    "the snapshot {} was overwritten by a program with another store: give each program a path of its own",
                    self.path.display()
                );
                kept.failure = Some(why.clone());
                return Err(why);
            }
            kept.failure = None;
            return Ok(());
        } // without a mark it may have been deleted
        match fs::replace(&self.path, &document.to_bytes(), None) {
            // A directory that cannot be synced leaves it to the system when the file comes to the disk.
            Ok(()) | Err(fs::Failure { is_in_place: true, .. }) => {
                let document = Some((document.store().to_owned(), document.generation()));
                *kept = Kept { document, ..Kept::default() };
                Ok(())
            }
            Err(failure) => {
                let why = format!("the snapshot {} cannot be written: {failure}", self.path.display());
                let is_known = kept.failure.as_ref() == Some(&why);
                kept.failure = Some(why.clone());
                if is_known { Ok(()) } else { Err(why) }
            }
        }
    }
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
    use std::fs;

    /// An editor that keeps the generations 2 to 9.
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
        let snapshot = LastGoodFile::new(&path).unwrap();
        std::thread::scope(|scope| {
            for generation in [5, 9, 6, 8, 7] {
                let (snapshot, document) = (&snapshot, &document);
                scope.spawn(move || snapshot.keep(&document(generation)).unwrap());
            }
        });
        snapshot.keep(&document(4)).unwrap();
        fs::write(directory.path().join(".last-good.json.0123456789abcdef.tmp"), "half of").unwrap();
        let again = LastGoodFile::new(&path).unwrap();
        let generation = || again.last_good().unwrap().unwrap().generation();
        assert_eq!(generation(), 9);
        again.keep(&document(8)).unwrap();
        assert_eq!(generation(), 9, "what an earlier run has kept counts too");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_file(&path).unwrap();
        again.keep(&document(9)).unwrap();
        assert_eq!(generation(), 9, "it is written again after it was removed");
        fs::write(&path, "{").unwrap();
        assert!(again.last_good().unwrap_err().contains("cannot be used"));
    }

    #[test]
    fn a_program_of_another_store_that_overwrites_it_is_told_once() {
        let (editor, other) = (editor(), editor());
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("last-good.json");
        let (own, others) = (LastGoodFile::new(&path).unwrap(), LastGoodFile::new(&path).unwrap());
        let document = |generation| editor.revision(generation).unwrap();
        own.keep(&document(5)).unwrap();
        others.keep(&other.revision(5).unwrap()).unwrap();
        assert!(own.keep(&document(5)).unwrap_err().contains("give each program a path of its own"));
        assert_eq!(own.keep(&document(5)), Ok(()), "it is known by now");
        assert!(own.failure().is_some() && others.failure().is_none());
        own.keep(&document(6)).unwrap();
        assert!(own.failure().is_none() && others.keep(&other.revision(5).unwrap()).is_err());

        let sibling = LastGoodFile::new(&path).unwrap();
        sibling.keep(&document(7)).unwrap();
        assert_eq!(own.keep(&document(6)), Ok(()), "one of the same store may share it");
    }

    #[test]
    fn a_failure_is_told_once_and_tried_again() {
        let document = editor().revision(5).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("later");
        let snapshot = LastGoodFile::new(&below.join("last-good.json")).unwrap();
        assert!(snapshot.keep(&document).unwrap_err().contains("cannot be written"));
        assert_eq!(snapshot.keep(&document), Ok(()), "it is known by now");
        assert!(snapshot.failure().is_some());
        fs::create_dir(&below).unwrap();
        assert_eq!(snapshot.keep(&document), Ok(()));
        assert_eq!(snapshot.last_good().unwrap().unwrap().generation(), 5);
        assert_eq!(snapshot.failure(), None);
    }
}
