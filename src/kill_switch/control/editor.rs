//! Editor of documents: read, change, compare and set, audit.

use super::error::TRIES;
use crate::kill_switch::audit::AuditRecord;
use crate::kill_switch::audit::describe;
use crate::kill_switch::rules::apply::restored;
use crate::kill_switch::rules::revert::undoes_as_named;
use crate::kill_switch::store::{Store, StoreError};
use crate::kill_switch::{Author, Change, ChangeError, Document, EditError, apply_with, earlier_generation};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// Changes the document of a store, on behalf of the command, an admin page, or the program itself.
///
/// It blocks on the store: it does not belong on an async thread.
///
/// # Examples
///
/// ```
/// use backstop::clock::Timestamp;
/// use backstop::kill_switch::store::MemoryStore;
/// use backstop::kill_switch::{Author, Change, Definition, Editor, Engage, OnUnknown, Scope, SwitchId};
///
/// let editor = Editor::new(MemoryStore::new());
/// let now: Timestamp = "2026-11-20T20:00:00Z".parse()?;
/// let by = |reason| Author::person("mira", now).because(reason);
/// let switch = SwitchId::new("recommendations")?;
/// let expires = "2027-11-20T00:00:00Z".parse()?;
/// let definition = Definition::new("team-recs", "the recommendations on every page", expires, OnUnknown::Allow);
/// editor.change(&Change::Define { switch: switch.clone(), definition }, &by("a new feature"))?;
/// let engage = Engage::new(switch, Scope::new().tenant("acme"));
/// let document = editor.change(&Change::Engage(engage), &by("wrong prices shown"))?;
/// assert_eq!((document.generation(), editor.revisions()?.len()), (3, 2)); // defining it made two
/// editor.revert(2, &by("it was another service"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Editor {
    pub(crate) store: Arc<dyn Store>,
    audit: Option<Arc<dyn Audit>>,
    /// Entries that the audit is missing, of all clones.
    pub(crate) unrecorded: Arc<AtomicU64>,
    /// The last rejected change: a program that repeats it is recorded once for each document.
    refused: Arc<Mutex<Option<(u64, String, Change)>>>,
}

/// An audit: a log of changes. See [`audit`](crate::kill_switch::audit).
pub trait Audit: Send + Sync + 'static {
    /// Appends an entry. A failure never holds up a change.
    ///
    /// # Errors
    ///
    /// The entry could not be written.
    fn record(&self, facts: AuditRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

#[cfg(feature = "file")]
impl Audit for crate::kill_switch::audit::log::AuditLog {
    fn record(&self, facts: AuditRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.append(facts)?;
        Ok(())
    }
}

/// A document that was changed, and whether that was written down.
#[derive(Debug)]
#[non_exhaustive]
pub struct Committed {
    /// The document now.
    pub document: Document,
    /// The reason if the audit has no entry of it.
    pub unrecorded: Option<String>,
    /// The reason if the history has not kept the document before it.
    pub unkept: Option<String>,
}

impl Editor {
    /// Changes the document of this store.
    pub fn new(store: impl Store) -> Self {
        Self::of(Arc::new(store), None)
    }

    pub(crate) fn of(store: Arc<dyn Store>, audit: Option<Arc<dyn Audit>>) -> Self {
        Self { store, audit, unrecorded: Arc::default(), refused: Arc::default() }
    }

    /// Records every change here before it is reported as done, and those that a rule rejects.
    #[must_use]
    pub fn audited(mut self, audit: impl Audit) -> Self {
        self.audit = Some(Arc::new(audit));
        self
    }

    /// Returns whether changes are written down anywhere.
    pub fn is_audited(&self) -> bool {
        self.audit.is_some()
    }

    /// The document as it is in the store; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The store cannot be read, or holds something else.
    pub fn document(&self) -> Result<Option<Document>, EditError> {
        match self.store.read()? {
            Some(bytes) => Ok(Some(Document::parse(&bytes, Document::SIZE_MAX)?)),
            None => Ok(None),
        }
    }

    /// Does one thing to the document; the document after it.
    ///
    /// A change that others were faster than is tried again on what they left, except an approval, which is bound to
    /// the document that the approver saw. Defining a switch in an empty store makes the document.
    ///
    /// # Errors
    ///
    /// See [`EditError`]; nothing was changed then.
    pub fn change(&self, change: &Change, by: &Author) -> Result<Document, EditError> {
        self.change_and_tell(change, by).map(|changes| changes.document)
    }

    /// As [`change`](Self::change), and reports whether the audit has an entry of it.
    ///
    /// # Errors
    ///
    /// As [`change`](Self::change). An audit that cannot be written is no error: an engagement must not wait for a
    /// disk.
    pub fn change_and_tell(&self, change: &Change, by: &Author) -> Result<Committed, EditError> {
        self.change_where(change, by, |_| true)?.map_err(|_| EditError::Busy) // the condition is always true
    }

    /// As [`change_and_tell`](Self::change_and_tell), for a document of this generation and no other; 0 is an empty
    /// store. The same change sent twice is made once.
    ///
    /// # Errors
    ///
    /// As [`change`](Self::change), and [`EditError::Moved`].
    pub fn change_if(&self, generation: u64, change: &Change, by: &Author) -> Result<Committed, EditError> {
        let is_seen = |document: Option<&Document>| document.map_or(0, Document::generation) == generation;
        self.change_where(change, by, is_seen)?.map_err(|found| EditError::moved(generation, found.as_ref()))
    }

    /// As [`change_and_tell`](Self::change_and_tell) as long as the document meets a condition; else, the document that
    /// does not. It is asked of the very document that the change replaces.
    pub(crate) fn change_where(
        &self,
        change: &Change,
        by: &Author,
        condition: impl Fn(Option<&Document>) -> bool,
    ) -> Result<Result<Committed, Option<Document>>, EditError> {
        for _ in 0..TRIES {
            // Listed before the document is read: another writer's next generation is then no newer one than that. A
            // history that cannot be listed stops no change.
            let kept = self.store.revisions().unwrap_or_default();
            let before = self.document()?;
            if !condition(before.as_ref()) {
                return Ok(Err(before));
            }
            if let Some(document) = &before
                && let Some(newest) = self.above(document.generation(), kept)
            {
                return Err(EditError::WentBack { newest: newest.generation(), found: document.generation() });
            }
            let base = match (&before, change) {
                (Some(document), _) => document.clone(),
                (None, Change::Define { .. } | Change::TwoPerson { .. } | Change::Stages { .. }) => self.first(by)?,
                (None, _) => return Err(EditError::Empty),
            };
            let earlier = earlier_generation(&base, change).map(|generation| self.revision(generation)).transpose();
            let earlier = match earlier {
                Err(EditError::NoSuchRevision(_)) => None,
                earlier => earlier?,
            };
            let is_revert = matches!(change, Change::Revert { .. } | Change::RevertSwitches { .. });
            if let Some(earlier) = earlier.as_ref().filter(|earlier| is_revert && earlier.store() == base.store()) {
                let between = (earlier.generation() + 1..base.generation()).rev();
                let between = between.filter_map(|generation| self.revision(generation).ok());
                let checked = undoes_as_named(change, by, (&base, earlier), between);
                checked.inspect_err(|error| self.refused(&base, change, by, error))?;
            }
            let after = apply_with(&base, change, by, |_| earlier);
            let after = after.inspect_err(|error| self.refused(&base, change, by, error))?;
            let expected = before.as_ref().map(Document::generation);
            match self.store.compare_and_set(expected, after.generation(), &after.to_bytes()) {
                // The author of a revert has not seen a change that came meanwhile: it would be undone, too.
                Err(StoreError::Conflict { .. }) if is_revert => {
                    return Err(EditError::moved(base.generation(), self.document()?.as_ref()));
                }
                Err(StoreError::Conflict { .. }) => {}
                set => return self.committed(set, after, |after| describe::facts(&base, after, change, by)).map(Ok),
            }
        }
        Err(EditError::Busy)
    }

    /// Goes back to what an earlier generation said, as a new generation.
    ///
    /// # Errors
    ///
    /// As [`change`](Self::change), and [`ChangeError::UndoesMore`] if that would undo more than the author's own
    /// changes of one switch: name them with [`Change::RevertSwitches`].
    pub fn revert(&self, generation: u64, by: &Author) -> Result<Document, EditError> {
        self.change(&Change::Revert { generation }, by)
    }

    /// Puts a document in the place of whatever is in the store, a damaged one among it, as a generation that is above
    /// all that the store knows and the one that may have been lost with it. Any change after it is as always.
    ///
    /// # Errors
    ///
    /// Errors of the store.
    pub fn restore(&self, document: &Document, by: &Author) -> Result<Committed, EditError> {
        let newest = self.store.revisions()?.last().copied().unwrap_or(0).max(document.generation());
        // One above what is known may be in force somewhere, as the document that was lost.
        let after = restored(document, newest.saturating_add(2), by)?;
        let put_back = self.store.put_back(after.generation(), &after.to_bytes());
        self.committed(put_back, after, |after| describe::restored(document, after, by))
    }

    /// Restores the newest document of the history if the present one is invalid, gone, or older than that.
    ///
    /// # Errors
    ///
    /// [`EditError::Sound`] if there is nothing to restore, [`EditError::Empty`] if there never was a document.
    pub fn lost(&self) -> Result<Document, EditError> {
        let kept = self.store.revisions()?; // first, as in a change: a document that is written meanwhile is not older
        let present = match self.document() {
            Ok(present) => present,
            Err(EditError::Unreadable(_) | EditError::Store(_)) => None,
            Err(error) => return Err(error),
        };
        let present = present.map_or(0, |document| document.generation());
        match self.above(present, kept) {
            Some(newest) => Ok(newest),
            None if present > 0 => Err(EditError::Sound(present)),
            None => Err(EditError::Empty),
        }
    }

    /// The newest document of the history above this generation, as it is after a backup was put back.
    fn above(&self, generation: u64, kept: Vec<u64>) -> Option<Document> {
        let mut above = kept.into_iter().rev().take_while(|kept| *kept > generation);
        above.find_map(|kept| self.revision(kept).ok())
    }

    /// An earlier document.
    ///
    /// # Errors
    ///
    /// It is not kept, or cannot be read.
    pub fn revision(&self, generation: u64) -> Result<Document, EditError> {
        let bytes = self.store.revision(generation)?.ok_or(EditError::NoSuchRevision(generation))?;
        Ok(Document::parse(&bytes, Document::SIZE_MAX)?)
    }

    /// The documents that are kept, the newest first. Those that cannot be read are left out.
    ///
    /// # Errors
    ///
    /// The store cannot list them.
    pub fn revisions(&self) -> Result<Vec<Document>, EditError> {
        self.latest(usize::MAX)
    }

    /// As [`revisions`](Self::revisions), but no more than so many.
    ///
    /// # Errors
    ///
    /// The store cannot list them.
    pub fn latest(&self, most: usize) -> Result<Vec<Document>, EditError> {
        self.latest_told(most, |document| document)
    }

    /// As [`latest`](Self::latest), mapped one by one: they are not all held at once.
    pub(crate) fn latest_told<T>(&self, most: usize, tell: impl Fn(Document) -> T) -> Result<Vec<T>, EditError> {
        let generations = self.store.revisions()?;
        let readable = generations.into_iter().rev().filter_map(|generation| self.revision(generation).ok());
        Ok(readable.take(most).map(tell).collect())
    }

    /// Records a document that is in force, whatever a power cut makes of it.
    fn committed(
        &self,
        set: Result<(), StoreError>,
        document: Document,
        facts: impl FnOnce(&Document) -> AuditRecord,
    ) -> Result<Committed, EditError> {
        let is_there = matches!(set, Ok(()) | Err(StoreError::NotDurable { .. }));
        let unrecorded = is_there.then(|| self.write_down(facts(&document))).flatten();
        set?;
        Ok(Committed { document, unrecorded, unkept: self.store.unkept() })
    }

    /// Audits a change that a rule forbids. Values out of range are slips, and changes to the present state ask for
    /// nothing: neither is audited.
    fn refused(&self, document: &Document, change: &Change, by: &Author, error: &ChangeError) {
        if matches!(error, ChangeError::Invalid(_) | ChangeError::Unchanged) {
            return;
        }
        let refused = Some((document.generation(), by.name.clone(), change.clone()));
        let last = std::mem::replace(&mut *self.refused.lock(), refused.clone());
        if last != refused {
            self.write_down(describe::refused(document, change, by, error.code()));
        }
    }

    /// Writes an entry down, if there is an audit; why it could not be.
    pub(crate) fn write_down(&self, facts: AuditRecord) -> Option<String> {
        let audit = self.audit.as_ref()?;
        let failure = match crate::panic::catch_panic(|| audit.record(facts)) {
            Some(Ok(())) => return None,
            Some(Err(error)) => error.to_string(),
            None => "the audit panicked".to_owned(), // it is foreign code
        };
        self.unrecorded.fetch_add(1, Ordering::Relaxed);
        Some(failure)
    }

    /// Entries missing in the audit since this editor was made, including those of its clones.
    pub fn unrecorded(&self) -> u64 {
        self.unrecorded.load(Ordering::Relaxed)
    }

    /// The first document of an empty store. Its identity is unique.
    fn first(&self, by: &Author) -> Result<Document, EditError> {
        if !self.store.revisions()?.is_empty() {
            return Err(EditError::Gone);
        }
        let random = || RandomState::new().hash_one(0);
        let identity = format!("store-{:016x}{:016x}", random(), random());
        Document::new(&identity, by).map_err(|error| EditError::Change(error.into()))
    }
}

impl fmt::Debug for Editor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Editor").finish_non_exhaustive()
    }
}
