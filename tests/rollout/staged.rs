//! Engaging stage by stage: with real boards, and everything that can come between.

use backstop::clock::Timestamp;
use backstop::kill_switch::store::{MemoryStore, Store, StoreError, Watch};
use backstop::kill_switch::{
    Author, Change, Definition, EditError, Editor, Engage, KillSwitch, KillSwitches, OnUnknown, Scope, Stage, Stages,
    SwitchId,
};
use backstop::rollout::soak::Finding;
use backstop::rollout::staged::{Check, StagedEngage, StagedError};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn by(name: &str) -> Author {
    Author::person(name, Timestamp::now()).because("wrong prices")
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

/// `web-1` first, then `eu`, then all.
fn editor(store: impl Store) -> Editor {
    let editor = Editor::new(store);
    let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
    editor.change(&Change::Define { switch: id(), definition }, &by("mira")).unwrap();
    let stages = Stages::new([Stage::instances(["web-1"]), Stage::regions(["eu"])]).unwrap();
    editor.change(&Change::Stages { stages }, &by("mira")).unwrap();
    editor
}

fn switch(store: impl Store, instance: &str, region: &str) -> KillSwitch {
    let builder = KillSwitches::builder("shop").store(store).instance(instance).region(region);
    builder.poll(Duration::from_millis(20)).build().unwrap().switch("recs", OnUnknown::Allow).unwrap()
}

fn staged() -> StagedEngage {
    let quick = Duration::from_millis(5);
    StagedEngage::new(Engage::new(id(), Scope::all())).soak(quick).look_every(quick)
}

fn good() -> Check<'static> {
    Check::new("pages", |_| Finding::Good)
}

fn stage_now(editor: &Editor) -> Option<Stage> {
    editor.document().unwrap().unwrap().switch("recs").unwrap().engaged.as_ref().map(|engaged| engaged.stage.clone())
}

#[test]
fn every_instance_is_engaged_at_its_stage_and_not_before() {
    let store = Arc::new(MemoryStore::new());
    let editor = editor(Arc::clone(&store));
    let place = [("web-1", "us"), ("web-2", "eu"), ("web-3", "us")];
    let fleet = place.map(|(instance, region)| switch(Arc::clone(&store), instance, region));
    let checks = place.iter().zip(&fleet).map(|((instance, region), switch)| {
        Check::new(*instance, |reached| match (switch.is_engaged(), reached.stage.includes(instance, Some(region))) {
            (is, should) if is == should => Finding::Good,
            (true, _) => Finding::Bad("engaged before its stage".into()),
            (false, _) => Finding::Waiting("not yet".into()),
        })
    });
    let report = staged().strikes(1).run(&editor, &checks.collect::<Vec<_>>(), &by("mira")).unwrap();
    let way: Vec<_> = report.stages.iter().map(ToString::to_string).collect();
    assert_eq!(way, ["web-1", "eu, and web-1", "everywhere"]);
    assert_eq!(report.generation, editor.document().unwrap().unwrap().generation());
    assert!(fleet.iter().all(KillSwitch::is_engaged));
}

#[test]
fn a_bad_check_holds_the_stage_and_what_was_engaged_stays() {
    let editor = editor(MemoryStore::new());
    let bad = || Check::new("pages", |_| Finding::Bad("answers with 500".into()));
    let panics = || Check::new("broken", |_| panic!("this check is broken"));
    for (check, says) in [
        (bad(), "recs is held at the stage web-1, as a check failed: pages: answers with 500 (3 times in a row)"),
        (panics(), "recs is held at the stage web-1, as a check failed: broken: the check panicked (3 times in a row)"),
    ] {
        let error = staged().run(&editor, &[good(), check], &by("mira")).unwrap_err();
        assert_eq!(error.to_string(), says);
        assert_eq!(stage_now(&editor), Some(Stage::instances(["web-1"])));
    }
    let only_later = Check::new("pages", |reached| match reached.stage {
        Stage::Instances(_) => Finding::Good,
        _ => Finding::Waiting("slow".into()),
    });
    let error = staged().time_limit(Duration::from_millis(30)).run(&editor, &[only_later], &by("mira")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "recs is held at the stage eu, and web-1, as a check failed: pages: slow (checks did not pass within 30ms)"
    );
}

#[test]
fn what_somebody_else_does_meanwhile_stands() {
    let editor = editor(MemoryStore::new());
    let looks = Cell::new(0);
    let meanwhile = Check::new("pages", |_| {
        looks.set(looks.get() + 1);
        if looks.get() == 2 {
            editor.change(&Change::Release { switch: id() }, &by("bo")).unwrap();
        }
        Finding::Good
    });
    let slow = staged().soak(Duration::from_secs(30));
    let error = slow.run(&editor, &[meanwhile], &by("mira")).unwrap_err();
    assert!(matches!(&error, StagedError::Interrupted { by, .. } if by == "bo"), "{error}");
    assert_eq!(stage_now(&editor), None);
}

#[test]
fn changes_of_other_switches_do_not_hold_it_up() {
    let editor = editor(MemoryStore::new());
    let other = SwitchId::new("ads").unwrap();
    let number = Cell::new(0);
    let busy = Check::new("pages", |_| {
        number.set(number.get() + 1);
        let definition = Definition::new(format!("team-{}", number.get()), "ads", Timestamp::MAX, OnUnknown::Allow);
        editor.change(&Change::Define { switch: other.clone(), definition }, &by("bo")).unwrap();
        Finding::Good
    });
    assert_eq!(staged().run(&editor, &[busy], &by("mira")).unwrap().stages.len(), 3);
}

#[test]
fn nothing_is_engaged_where_nobody_looks_or_a_rule_says_no() {
    let editor = editor(MemoryStore::new());
    assert!(matches!(staged().run(&editor, &[], &by("mira")), Err(StagedError::NoChecks)));
    let none = staged().strikes(0).run(&editor, &[good()], &by("mira")).unwrap_err();
    assert_eq!(none.to_string(), "invalid configuration: strikes: 0 is not allowed, must be 1 or more");
    let skipping = StagedEngage::new(Engage::new(id(), Scope::all()).stage(Stage::Everywhere));
    let error = skipping.run(&editor, &[good()], &by("mira")).unwrap_err();
    assert!(matches!(&error, StagedError::NotEngaged(why) if why.is::<EditError>()), "{error}");
    assert_eq!(stage_now(&editor), None);
}

/// A store that takes no more writes once it is told to.
struct Full(MemoryStore, Arc<AtomicBool>);

impl Store for Full {
    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.read()
    }

    fn compare_and_set(&self, expected: Option<u64>, generation: u64, bytes: &[u8]) -> Result<(), StoreError> {
        if self.1.load(Ordering::SeqCst) {
            return Err(StoreError::Other("the disk is full".into()));
        }
        self.0.compare_and_set(expected, generation, bytes)
    }

    fn revision(&self, generation: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.revision(generation)
    }

    fn revisions(&self) -> Result<Vec<u64>, StoreError> {
        self.0.revisions()
    }

    fn watch(&self, wake: Arc<dyn Fn() + Send + Sync>) -> Watch {
        self.0.watch(wake)
    }
}

#[test]
fn a_store_that_fails_between_the_stages_is_told_with_where_it_stands() {
    let is_full = Arc::new(AtomicBool::new(false));
    let editor = editor(Full(MemoryStore::new(), Arc::clone(&is_full)));
    let fills = Check::new("pages", |_| {
        is_full.store(true, Ordering::SeqCst);
        Finding::Good
    });
    let error = staged().run(&editor, &[fills], &by("mira")).unwrap_err();
    assert!(
        error.to_string().starts_with(
            "recs passed its checks at the stage web-1, but the next stage could not be set, so it stays there: "
        ),
        "{error}"
    );
    assert_eq!(stage_now(&editor), Some(Stage::instances(["web-1"])));
}
