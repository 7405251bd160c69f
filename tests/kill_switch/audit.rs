//! A program's changes and its audit: one that cannot be written is told, and a change that is in force is applied.

use backstop::clock::Timestamp;
use backstop::kill_switch::audit::AuditRecord;
use backstop::kill_switch::store::{MemoryStore, Store, StoreError, Watch};
use backstop::kill_switch::{
    Audit, Author, Change, Definition, EditError, Engage, Event, KillSwitches, KillSwitchesBuilder, OnUnknown, Scope,
    SwitchId,
};
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An audit whose disk is full at times.
#[derive(Clone, Default)]
struct Disk {
    entries: Arc<Mutex<Vec<AuditRecord>>>,
    is_full: Arc<AtomicBool>,
}

impl Audit for Disk {
    fn record(&self, facts: AuditRecord) -> Result<(), Box<dyn Error + Send + Sync>> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err("no space left".into());
        }
        self.entries.lock().unwrap().push(facts);
        Ok(())
    }
}

fn builder() -> KillSwitchesBuilder {
    KillSwitches::builder("audited").poll(Duration::from_secs(3_600))
}

fn by() -> Author {
    Author::person("mira", Timestamp::now()).because("wrong prices")
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

fn define() -> Change {
    let next_hour = Timestamp::now() + Duration::from_secs(3_600);
    let definition = Definition::new("team-recs", "recommendations", next_hour, OnUnknown::Allow);
    Change::Define { switch: id(), definition }
}

#[test]
fn an_audit_counts_wherever_it_is_set_and_needs_a_store() {
    for store_is_first in [true, false] {
        let disk = Disk::default();
        let builder = if store_is_first {
            builder().store(MemoryStore::new()).audit(disk.clone())
        } else {
            builder().audit(disk.clone()).store(MemoryStore::new())
        };
        let switches = builder.build().unwrap();
        switches.change(&define(), &by()).unwrap();
        assert_eq!(disk.entries.lock().unwrap().len(), 1, "store first: {store_is_first}");
    }
    let error = builder().audit(Disk::default()).build().unwrap_err();
    assert!(error.to_string().contains("audit"), "{error}");
}

#[test]
fn a_change_that_is_not_written_down_is_in_force_and_told() {
    let disk = Disk::default();
    let switches = builder().store(MemoryStore::new()).audit(disk.clone()).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    switches.change(&define(), &by()).unwrap();
    assert_eq!(switches.status().unrecorded, 0);
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let _subscription = switches.subscribe(move |event| {
        if let Event::Unrecorded { generation, why } = event {
            log.lock().unwrap().push((*generation, why.clone()));
        }
    });
    disk.is_full.store(true, Ordering::Relaxed);
    let document = switches.change(&Change::Engage(Engage::new(id(), Scope::all())), &by()).unwrap();
    assert!(recs.is_engaged());
    assert_eq!(switches.status().unrecorded, 1);
    assert_eq!(*told.lock().unwrap(), [(document.generation(), "no space left".to_owned())]);
}

/// A store whose writes are in place, and a power cut may undo them. It does not watch.
#[derive(Default)]
struct NotDurable(MemoryStore);

impl Store for NotDurable {
    as_memory_store!(read revisions);

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.0.compare_and_set(expected, generation, bytes)?;
        Err(StoreError::NotDurable { path: "switches.json".into(), source: io::Error::other("cannot sync") })
    }

    fn watch(&self, _: Arc<dyn Fn() + Send + Sync>) -> Watch {
        Watch::none()
    }
}

#[test]
fn a_change_that_a_power_cut_may_undo_is_applied_before_it_is_told() {
    let switches = builder().store(NotDurable::default()).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    for change in [define(), Change::Engage(Engage::new(id(), Scope::all()))] {
        let error = switches.change(&change, &by()).unwrap_err();
        assert!(matches!(error, EditError::Store(StoreError::NotDurable { .. })), "{error}");
    }
    assert!(recs.is_engaged());
}
