//! The document in force, and what becomes of it when the store was read.

use crate::clock::Instant;
use crate::kill_switch::store::StoreError;
use crate::kill_switch::{Document, DocumentRejected, Event, Sha256, Source, Update, check_update};
use crate::sync::Arc;

/// Result of reading a store.
pub(crate) type Reading = Result<Option<Vec<u8>>, StoreError>;

/// The document in force.
pub(crate) struct ActiveDocument {
    pub(crate) document: Option<Arc<Document>>,
    pub(crate) source: Source,
    /// Time at which the store was last read with success.
    pub(crate) good_at: Instant,
    pub(crate) refused: Option<(&'static str, String)>,
    pub(crate) refusals: u64,
    /// Documents taken from the store: a reading that began before the last of them says nothing against it.
    pub(crate) takes: u64,
    /// Hash of the bytes in force: reading the same bytes again is a no-op.
    bytes: Option<Sha256>,
}

impl ActiveDocument {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            document: None,
            source: Source::Nothing,
            good_at: now,
            refused: None,
            refusals: 0,
            takes: 0,
            bytes: None,
        }
    }

    /// Applies or rejects a read that began after `seen` applications.
    pub(crate) fn take(&mut self, reading: Reading, seen: u64, now: Instant) -> Option<Event> {
        // The initial document is not of this store: no comparison.
        let current = self.document.as_deref().filter(|_| self.source != Source::BakedIn);
        let is_first = current.is_none();
        let hash = reading.as_ref().ok().and_then(|bytes| Some(Sha256::of(bytes.as_ref()?)));
        let taken = match reading {
            Ok(Some(_)) if hash == self.bytes && self.source == Source::Store => Ok(None),
            Ok(Some(bytes)) => {
                match check_update(current, &bytes).or_else(|rejected| self.over_snapshot(rejected, &bytes)) {
                    Ok(Update::New(document)) => Ok(Some(*document)),
                    Ok(Update::Same) => Ok(None),
                    Err(rejected) => Err((rejected.code(), rejected.to_string())),
                }
            }
            Ok(None) if is_first => Ok(None), // nothing has been written yet
            Ok(None) => Err(("missing", "the store is empty, but had a document before".to_owned())),
            Err(error) => Err(("unreachable", error.to_string())),
        };
        match taken {
            Ok(document) => {
                self.refused = None;
                self.bytes = hash;
                if document.is_some() || !is_first {
                    (self.source, self.good_at) = (Source::Store, now); // it confirms what was on disk, too
                }
                let document = Arc::new(document?);
                self.document = Some(Arc::clone(&document));
                self.takes += 1;
                Some(Event::Applied { document, source: Source::Store })
            }
            Err(_) if self.takes != seen => None, // another thread was faster; the next read decides
            Err((code, why)) => {
                let is_new = self.refused.as_ref().is_none_or(|(_, known)| *known != why);
                self.refused = Some((code, why.clone()));
                self.refusals += u64::from(is_new);
                is_new.then_some(Event::Rejected { code, why })
            }
        }
    }

    /// A snapshot of another store, which another program may have put there, stands in for the store's own document only
    /// until that is read.
    fn over_snapshot(&self, rejected: DocumentRejected, bytes: &[u8]) -> Result<Update, DocumentRejected> {
        let is_foreign = matches!(rejected, DocumentRejected::ForeignStore { .. });
        if is_foreign && self.source == Source::Snapshot { check_update(None, bytes) } else { Err(rejected) }
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::kill_switch::control::editor::Editor;
    use crate::kill_switch::model::author::Author;
    use crate::kill_switch::model::change::Change;
    use crate::kill_switch::model::engage::Engage;
    use crate::kill_switch::model::id::SwitchId;
    use crate::kill_switch::model::scope::Scope;
    use crate::kill_switch::model::switch::{Definition, OnUnknown};
    use crate::kill_switch::store::memory::MemoryStore;

    #[test]
    fn a_store_with_nothing_in_it_is_no_good_reading() {
        let mut active = ActiveDocument::new(Instant::from_nanos(0));
        assert_eq!(active.take(Ok(None), 0, Instant::from_nanos(9)), None);
        assert_eq!((active.good_at, &active.refused), (Instant::from_nanos(0), &None));
    }

    #[test]
    fn a_reading_that_others_were_faster_than_is_no_refusal() {
        let editor = Editor::new(MemoryStore::new());
        let (id, by) =
            (SwitchId::new("recs").unwrap(), Author::person("mira", Timestamp::UNIX_EPOCH).because("a test"));
        let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
        let older = editor.change(&Change::Define { switch: id.clone(), definition }, &by).unwrap();
        let newer = editor.change(&Change::Engage(Engage::new(id, Scope::all())), &by).unwrap();
        let mut active = ActiveDocument::new(Instant::from_nanos(0));
        let (seen, now) = (active.takes, Instant::from_nanos(1));
        assert!(matches!(active.take(Ok(Some(newer.to_bytes())), seen, now), Some(Event::Applied { .. })));
        let readings = || [Ok(Some(older.to_bytes())), Ok(None), Err(StoreError::Other("timed out".into()))];
        for late in readings() {
            assert_eq!(active.take(late, seen, now), None);
            assert_eq!((&active.refused, active.refusals), (&None, 0));
        }
        let seen = active.takes;
        for (count, new) in (1..).zip(readings()) {
            assert!(matches!(active.take(new, seen, now), Some(Event::Rejected { .. })));
            assert_eq!(active.refusals, count, "one that began since then counts");
        }
        assert_eq!(active.document.as_deref(), Some(&newer));
    }
}
