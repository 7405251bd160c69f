//! What happens at a desk when others are faster, and when the history cannot be read.
#![cfg(feature = "kill-switch")]

use backstop::clock::Timestamp;
use backstop::kill_switch::store::{MemoryStore, Store, StoreError, Watch};
use backstop::kill_switch::{Author, Change, Definition, EditError, Editor, Engage, OnUnknown, Scope, SwitchId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Somebody else engages `payments` just before the next write.
#[derive(Default)]
struct Rival {
    store: Arc<MemoryStore>,
    strikes: AtomicBool,
    is_torn: AtomicBool,
}

impl Store for Rival {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read()
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if self.strikes.swap(false, Ordering::Relaxed) {
            engage(&Editor::new(Arc::clone(&self.store)), "payments").unwrap();
        }
        self.store.compare_and_set(expected, generation, bytes)
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.store.revision(generation)?;
        Ok(if self.is_torn.load(Ordering::Relaxed) { bytes.map(|bytes| bytes[..9].to_vec()) } else { bytes })
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        self.store.revisions()
    }

    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch {
        self.store.watch(wake)
    }
}

fn by() -> Author {
    Author::person("mira", Timestamp::now()).because("a test")
}

fn engage(editor: &Editor, id: &str) -> Result<u64, EditError> {
    let engage = Engage::new(SwitchId::new(id).unwrap(), Scope::all());
    editor.change(&Change::Engage(engage), &by()).map(|document| document.generation())
}

/// `recs` and `payments`, of which nobody is engaged: generation 3.
fn editor() -> (Arc<Rival>, Editor) {
    let store = Arc::new(Rival::default());
    let editor = Editor::new(Arc::clone(&store));
    for id in ["recs", "payments"] {
        let definition = Definition::new("team", "a thing", Timestamp::MAX, OnUnknown::Allow);
        editor.change(&Change::Define { switch: SwitchId::new(id).unwrap(), definition }, &by()).unwrap();
    }
    (store, editor)
}

#[test]
fn who_goes_back_does_not_undo_what_somebody_else_has_just_done() {
    let (store, editor) = editor();
    assert_eq!(engage(&editor, "recs").unwrap(), 4);
    store.strikes.store(true, Ordering::Relaxed);
    let refused = editor.revert(3, &by()).unwrap_err();
    assert!(matches!(refused, EditError::Moved { expected: 4, found: 5 }), "{refused}");
    let document = editor.document().unwrap().unwrap();
    assert!(document.switch("payments").unwrap().engaged.is_some());
}

#[test]
fn any_other_change_is_made_on_what_somebody_else_left() {
    let (store, editor) = editor();
    store.strikes.store(true, Ordering::Relaxed);
    assert_eq!(engage(&editor, "recs").unwrap(), 5);
    let document = editor.document().unwrap().unwrap();
    assert!(document.switches().iter().all(|switch| switch.engaged.is_some()));
}

#[test]
fn a_revision_that_is_damaged_is_not_called_missing() {
    let (store, editor) = editor();
    engage(&editor, "recs").unwrap();
    store.is_torn.store(true, Ordering::Relaxed);
    assert!(matches!(editor.revert(3, &by()), Err(EditError::Unreadable(_))));
}
