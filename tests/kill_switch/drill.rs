//! Drills of a kill switch: over several instances, on a memory store and on files, and what stops them.

use backstop::clock::Timestamp;
use backstop::kill_switch::drill::Limits;
use backstop::kill_switch::drill::{Drill, DrillError, DrillReport, Instance};
use backstop::kill_switch::store::{FileStore, MemoryStore, Store, StoreError, Watch};
use backstop::kill_switch::{
    Author, Change, Definition, Document, EditError, Editor, Engage, KillSwitch, KillSwitches, OnUnknown, Scope, Stage,
    SwitchId, Target, Trigger,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn by(name: &str) -> Author {
    Author::person(name, Timestamp::now()).because("the drill of November")
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

fn drill() -> Drill {
    Drill::new(id(), Scope::new().tenant("drill")).time_limit(Duration::from_secs(20))
}

fn defined(editor: &Editor) {
    let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
    editor.change(&Change::Define { switch: id(), definition }, &by("mira")).unwrap();
}

fn memory() -> (Arc<MemoryStore>, Editor) {
    let store = Arc::new(MemoryStore::new());
    let editor = Editor::new(Arc::clone(&store));
    defined(&editor);
    (store, editor)
}

fn switch(store: impl Store, instance: &str) -> KillSwitch {
    let builder = KillSwitches::builder("shop").store(store).instance(instance).poll(Duration::from_millis(20));
    builder.build().unwrap().switch("recs", OnUnknown::Allow).unwrap()
}

/// As a request from outside sees it.
fn seen(switch: &KillSwitch) -> Instance<'_> {
    Instance::of(switch).verified(|| Some(switch.check(&Target::new().tenant("drill")).is_err()))
}

fn now(editor: &Editor) -> Document {
    editor.document().unwrap().unwrap()
}

fn assert_released_and_recorded(editor: &Editor, report: &DrillReport, instances: u64) {
    assert!(report.is_pass(), "{report}");
    let document = now(editor);
    let switch = document.switch("recs").unwrap();
    let drilled = switch.drilled.as_ref().unwrap();
    assert_eq!((&switch.engaged, drilled.instances, &*drilled.by), (&None, instances, "mira"));
    assert_eq!(report.generation, Some(document.generation()));
    assert!(Duration::from_millis(drilled.time_to_disable_ms) <= report.disable.time_to_disable.max.unwrap());
}

#[test]
fn every_instance_of_a_memory_store_goes_off_and_on_again_and_it_is_written_down() {
    let (store, editor) = memory();
    let fleet: Vec<_> = (1..=3).map(|number| switch(Arc::clone(&store), &format!("web-{number}"))).collect();
    let instances: Vec<_> = fleet.iter().map(seen).collect();
    let report = drill().run(&editor, &instances, &by("mira")).unwrap();
    assert_released_and_recorded(&editor, &report, 3);
    assert_eq!((report.disable.instances, report.restore.instances), (3, 3));
    let said = report.to_string();
    assert!(said.contains("was off after") && said.contains("was on after"), "{said}");
    assert!(fleet.iter().all(|switch| !switch.is_engaged()));
    let engaged = editor.revision(now(&editor).generation() - 2).unwrap();
    assert_eq!(engaged.switch("recs").unwrap().engaged.as_ref().unwrap().trigger, Trigger::Drill);
}

#[test]
fn instances_that_share_a_file_are_drilled_through_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    let editor = Editor::new(FileStore::new(&path).unwrap());
    defined(&editor);
    let fleet = ["web-1", "web-2"].map(|name| switch(FileStore::new(&path).unwrap(), name));
    let report = drill().run(&editor, &fleet.each_ref().map(seen), &by("mira")).unwrap();
    assert_released_and_recorded(&editor, &report, 2);
}

#[test]
fn a_stage_is_drilled_where_it_is_in_force() {
    let (store, editor) = memory();
    let (first, other) = (switch(Arc::clone(&store), "web-1"), switch(Arc::clone(&store), "web-2"));
    let report = drill().stage(Stage::instances(["web-1"])).run(&editor, &[seen(&first)], &by("mira")).unwrap();
    assert_released_and_recorded(&editor, &report, 1);
    assert_eq!(other.blocked(), 0);
}

#[test]
fn an_instance_that_never_answers_fails_the_drill_which_releases_and_does_not_count() {
    let (store, editor) = memory();
    let web = switch(store, "web-1");
    let dead = Instance::new("web-2", || None);
    let panics = Instance::new("web-3", || panic!("this probe is broken"));
    let quick = drill().time_limit(Duration::from_secs(1));
    let report = quick.run(&editor, &[seen(&web), dead, panics], &by("mira")).unwrap();
    assert_eq!(report.disable.silent, ["web-2", "web-3"]);
    assert_eq!(report.disable.sentence, "failed: 2 of 3 instances never answered");
    assert!(!report.is_pass() && report.generation.is_none());
    let document = now(&editor);
    let switch = document.switch("recs").unwrap();
    assert_eq!((&switch.engaged, &switch.drilled), (&None, &None));
}

#[test]
fn a_drill_that_is_too_slow_fails_and_is_recorded_with_its_times() {
    let (store, editor) = memory();
    let web = switch(store, "web-1");
    let strict = drill().limits(Limits::new(Duration::ZERO, Duration::ZERO));
    let report = strict.run(&editor, &[seen(&web)], &by("mira")).unwrap();
    assert!(!report.is_pass() && report.generation.is_some());
    assert!(report.restore.sentence.starts_with("failed: the 99th percentile was on after"), "{report}");
}

/// Does something to the switch while the drill waits, and says what becomes of the drill.
fn during(change: &Change) -> (Result<DrillReport, DrillError>, Document) {
    let (store, editor) = memory();
    let web = switch(store, "web-1");
    let done = AtomicBool::new(false);
    let meddles = Instance::of(&web).verified(|| {
        if web.is_engaged() && !done.swap(true, Ordering::Relaxed) {
            editor.change(change, &by("ana")).unwrap();
        }
        None // so the drill goes on waiting
    });
    let result = drill().run(&editor, &[meddles], &by("mira"));
    (result, now(&editor))
}

#[test]
fn what_a_person_does_meanwhile_stops_the_drill_and_stands() {
    let all = Change::Engage(Engage::new(id(), Scope::all()));
    let (result, document) = during(&all);
    assert_eq!(
        result.unwrap_err().to_string(),
        "ana changed recs during the drill: the drill stopped and left the switch as ana set it"
    );
    let engaged = document.switch("recs").unwrap().engaged.as_ref().unwrap();
    assert_eq!((&*engaged.by, engaged.scope.all), ("ana", true));

    let (result, document) = during(&Change::Release { switch: id() });
    assert!(matches!(result, Err(DrillError::Interrupted { by, .. }) if by == "ana"));
    assert!(document.switch("recs").unwrap().engaged.is_none());
}

#[test]
fn what_is_engaged_before_the_drill_is_not_touched() {
    let (store, editor) = memory();
    let web = switch(store, "web-1");
    let real = editor.change(&Change::Engage(Engage::new(id(), Scope::all())), &by("ana")).unwrap();
    let result = drill().run(&editor, &[seen(&web)], &by("mira"));
    assert!(
        matches!(result, Err(DrillError::NotEngaged { ref why, ends: None }) if why.is::<EditError>()),
        "{result:?}"
    );
    assert!(matches!(drill().run(&editor, &[], &by("mira")), Err(DrillError::NoInstances)));
    assert_eq!(now(&editor), real);
}

#[test]
fn with_two_person_releases_the_author_of_a_drill_ends_it_alone() {
    let (store, editor) = memory();
    editor.change(&Change::TwoPerson { required: true }, &by("ana")).unwrap();
    let web = switch(store, "web-1");
    let report = drill().run(&editor, &[seen(&web)], &by("mira")).unwrap();
    assert_released_and_recorded(&editor, &report, 1);
    let program = Author::automation("cron", Timestamp::now()).because("every month");
    let result = drill().run(&editor, &[seen(&web)], &program);
    assert!(matches!(result, Err(DrillError::NotEngaged { .. })), "only people run drills: {result:?}");
}

/// A store that tells when it is to panic, or to fail after it has written.
struct Shaky {
    inner: Arc<MemoryStore>,
    panics_once: AtomicBool,
    forgets_once: AtomicBool,
}

impl Store for Shaky {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        assert!(!self.panics_once.swap(false, Ordering::Relaxed), "the store's own fault");
        self.inner.read()
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.compare_and_set(expected, generation, bytes)?;
        let conflict = StoreError::TooLarge { what: "a connection".to_owned(), size: 0, limit: 0 };
        if self.forgets_once.swap(false, Ordering::Relaxed) { Err(conflict) } else { Ok(()) }
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.revision(generation)
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        self.inner.revisions()
    }

    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch {
        self.inner.watch(wake)
    }
}

fn shaky() -> (Arc<Shaky>, Editor, KillSwitch) {
    let (inner, _) = memory();
    let web = switch(Arc::clone(&inner), "web-1");
    let (panics_once, forgets_once) = (AtomicBool::new(false), AtomicBool::new(false));
    let store = Arc::new(Shaky { inner, panics_once, forgets_once });
    (Arc::clone(&store), Editor::new(store), web)
}

#[test]
fn a_panic_in_the_middle_leaves_the_switch_released() {
    let (store, editor, web) = shaky();
    let panics = Instance::of(&web).verified(|| {
        store.panics_once.store(web.is_engaged(), Ordering::Relaxed);
        None
    });
    let result = catch_unwind(AssertUnwindSafe(|| drill().run(&editor, &[panics], &by("mira"))));
    assert!(result.is_err());
    store.panics_once.store(false, Ordering::Relaxed);
    assert!(now(&editor).switch("recs").unwrap().engaged.is_none());
}

#[test]
fn an_engagement_that_the_store_took_and_denied_is_taken_back() {
    let (store, editor, web) = shaky();
    store.forgets_once.store(true, Ordering::Relaxed);
    let before = now(&editor).generation();
    let result = drill().run(&editor, &[seen(&web)], &by("mira"));
    assert!(matches!(result, Err(DrillError::NotEngaged { .. })), "{result:?}");
    let after = now(&editor);
    assert!(after.switch("recs").unwrap().engaged.is_none());
    assert_eq!(after.generation(), before + 2, "it was engaged and released");
}

#[test]
fn an_engagement_of_a_drill_ends_by_itself_where_its_process_dies() {
    let (store, editor) = memory();
    let web = switch(store, "web-1");
    let looked = AtomicBool::new(false);
    let looks = Instance::of(&web).verified(|| {
        if web.is_engaged() {
            let document = now(&editor);
            let expires = document.switch("recs").unwrap().engaged.as_ref().unwrap().expires.unwrap();
            assert!(expires.at <= Timestamp::now() + Duration::from_secs(2 * 20 + 60));
            looked.store(true, Ordering::Relaxed);
        }
        Some(web.is_engaged())
    });
    drill().run(&editor, &[looks], &by("mira")).unwrap();
    assert!(looked.load(Ordering::Relaxed));
}
