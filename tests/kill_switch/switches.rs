//! Switches of a program against a store: what is in force, what is refused, and what a gate does with it.

use backstop::clock::Timestamp;
use backstop::kill_switch::store::MemoryStore;
use backstop::kill_switch::{
    Author, Change, Definition, Document, Editor, Engage, Event, Expiry, KillSwitch, KillSwitches, OnUnknown, PinState,
    Scope, Stage, State, SwitchId, Target,
};
use backstop::{CallError, Rejected};
use futures_util::FutureExt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{Layer, Service, service_fn};

pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) fn by(reason: &str) -> Author {
    Author::person("mira", now()).because(reason)
}

pub(crate) fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

/// A store that defines `recs`, and a desk on it.
pub(crate) fn store() -> (Arc<MemoryStore>, Editor) {
    let store = Arc::new(MemoryStore::new());
    let editor = Editor::new(Arc::clone(&store));
    let definition =
        Definition::new("team-recs", "recommendations", now() + Duration::from_secs(9_999_999), OnUnknown::Allow);
    editor.change(&Change::Define { switch: id(), definition }, &by("new")).unwrap();
    (store, editor)
}

pub(crate) fn engage(editor: &Editor, scope: Scope) -> Document {
    editor.change(&Change::Engage(Engage::new(id(), scope)), &by("wrong prices")).unwrap()
}

pub(crate) fn start(store: &Arc<MemoryStore>) -> (KillSwitches, KillSwitch) {
    let switches =
        KillSwitches::builder("shop").store(Arc::clone(store)).instance("web-1").region("eu").build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    (switches, recs)
}

#[test]
fn what_the_store_says_is_in_force_at_once_for_whom_it_says() {
    let (store, editor) = store();
    let (switches, recs) = start(&store);
    assert_eq!(recs.check(&Target::new()), Ok(State::Released));
    engage(&editor, Scope::new().tenant("acme"));
    switches.refresh();
    let rejected = recs.check(&Target::new().tenant("acme")).unwrap_err();
    assert_eq!(rejected.to_string(), "kill switch recs rejected the call: engaged");
    assert_eq!(recs.check(&Target::new().tenant("other")), Ok(State::Released));
    engage(&editor, Scope::all());
    switches.refresh();
    assert!(recs.check(&Target::new()).is_err());
    editor.change(&Change::Release { switch: id() }, &by("fixed")).unwrap();
    switches.refresh();
    assert_eq!((recs.check(&Target::new().tenant("acme")), recs.blocked()), (Ok(State::Released), 2));
    assert_eq!(switches.document().unwrap().generation(), 5);
}

#[test]
fn the_boards_own_thread_hears_of_a_change() {
    let (store, editor) = store();
    let (switches, recs) = start(&store);
    let (told, heard) = std::sync::mpsc::channel();
    let told = Mutex::new(told);
    switches
        .subscribe(move |event| {
            if let Event::Switched { is_engaged, .. } = event {
                told.lock().unwrap().send(*is_engaged).unwrap();
            }
        })
        .forever();
    engage(&editor, Scope::all());
    assert_eq!(heard.recv_timeout(Duration::from_secs(30)), Ok(true));
    assert!(recs.is_engaged());
}

#[test]
fn a_stage_reaches_the_instances_it_names() {
    let (store, editor) = store();
    let (switches, recs) = start(&store);
    let stage = |stage| {
        editor.change(&Change::Advance { switch: id(), stage }, &by("wider")).unwrap();
        switches.refresh();
        recs.is_engaged()
    };
    let first = Engage::new(id(), Scope::all()).stage(Stage::instances(["web-2"]));
    editor.change(&Change::Engage(first), &by("try one")).unwrap();
    switches.refresh();
    assert!(!recs.is_engaged(), "it is another instance's");
    assert!(!stage(Stage::regions(["us"])) && stage(Stage::regions(["us", "eu"])) && stage(Stage::Everywhere));
}

#[test]
fn unknown_is_neither_engaged_nor_released_and_does_what_was_declared() {
    let switches = KillSwitches::builder("empty").build().unwrap();
    let allowed = switches.switch("a", OnUnknown::Allow).unwrap();
    let blocked = switches.switch("b", OnUnknown::Block).unwrap();
    assert_eq!(allowed.check(&Target::new()), Ok(State::Unknown));
    assert_eq!(
        blocked.check(&Target::new()).unwrap_err().to_string(),
        "kill switch b rejected the call: not known whether it is engaged"
    );
    assert_eq!(switches.status().unknown, ["a", "b"]);
    assert!(switches.switch("a", OnUnknown::Block).is_err(), "it was declared otherwise");
    assert!(switches.switch("../etc", OnUnknown::Allow).is_err());
}

#[test]
fn an_engagement_ends_when_it_said_so_and_not_when_a_clock_says_so() {
    let (store, editor) = store();
    let (switches, recs) = start(&store);
    let soon = Engage::new(id(), Scope::all()).expires(Expiry::release(now() + Duration::from_millis(300)));
    editor.change(&Change::Engage(soon), &by("for a moment")).unwrap();
    switches.refresh();
    assert!(recs.is_engaged());
    let (told, heard) = std::sync::mpsc::channel();
    let told = Mutex::new(told);
    switches.subscribe(move |_| told.lock().unwrap().send(()).unwrap()).forever();
    heard.recv_timeout(Duration::from_secs(30)).expect("the board looks every second");
    assert!(!recs.is_engaged());
}

#[test]
fn an_engagement_that_outlives_its_time_is_told_as_overdue() {
    let (store, editor) = store();
    let (switches, recs) = start(&store);
    let soon = now() + Duration::from_millis(200);
    let overdue = |engage: Engage, by: &Author| {
        editor.change(&Change::Engage(engage), by).unwrap();
        switches.refresh();
        switches.status().overdue
    };
    let hour = now() + Duration::from_secs(3_600);
    assert_eq!(overdue(Engage::new(id(), Scope::all()).expires(Expiry::keep(hour)), &by("look later")), [""; 0]);
    overdue(Engage::new(id(), Scope::all()).expires(Expiry::keep(soon)), &by("look soon"));
    std::thread::sleep(Duration::from_millis(250)); // the wall's clock is no manual one
    assert_eq!(switches.status().overdue, ["recs"]);
    assert!(recs.is_engaged());
    editor.change(&Change::Release { switch: id() }, &by("fixed")).unwrap();
    switches.refresh();
    assert_eq!(switches.status().overdue, [""; 0]);

    let soon = now() + Duration::from_millis(200);
    overdue(Engage::new(id(), Scope::all()).expires(Expiry::release(soon)), &by("for a moment"));
    editor.change(&Change::Pin { switch: id(), state: PinState::Engaged }, &by("hands off")).unwrap();
    switches.refresh();
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!((switches.status().overdue, recs.is_engaged()), (vec!["recs".to_owned()], true), "the pin keeps it");
}

#[test]
fn a_switch_declared_otherwise_than_defined_is_told_once() {
    let (store, editor) = store();
    let builder = KillSwitches::builder("differing").store(Arc::clone(&store)).poll(Duration::from_secs(3_600));
    let switches = builder.build().unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    let _subscription = switches.subscribe(move |event| {
        if let Event::Differing { name, declared, defined } = event {
            log.lock().unwrap().push((*name, *declared, *defined));
        }
    });
    let _same = switches.switch("other", OnUnknown::Block).unwrap();
    let _recs = switches.switch("recs", OnUnknown::Block).unwrap();
    engage(&editor, Scope::all());
    switches.refresh();
    assert_eq!(switches.status().differing, ["recs"]);
    // The board's own thread may be the one that delivers; its event is not lost.
    let heard = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(1));
        !told.lock().unwrap().is_empty()
    });
    assert!(heard);
    assert_eq!(*told.lock().unwrap(), [("recs", OnUnknown::Block, OnUnknown::Allow)]);

    let (switches, hand) = KillSwitches::manual();
    let _recs = switches.switch("recs", OnUnknown::Block).unwrap();
    hand.engage("recs");
    assert_eq!(switches.status().differing, [""; 0], "a test's hand defines what the program declares");
}

#[test]
fn a_layer_answers_as_it_was_told_to_and_lets_the_others_through() {
    let (store, editor) = store();
    let (switches, recs) = start(&store);
    let works = || service_fn(|_: &'static str| std::future::ready(Ok::<_, io::Error>("fresh")));
    let layer = recs.layer().target(|tenant: &&'static str| Target::new().tenant(tenant));
    let mut service = layer.fallback(|_: &'static str, _: Rejected| Ok("of yesterday")).layer(works());
    let mut ask = |tenant| service.call(tenant).now_or_never().unwrap().unwrap();
    assert_eq!((ask("acme"), ask("other")), ("fresh", "fresh"));
    engage(&editor, Scope::new().tenant("acme"));
    switches.refresh();
    assert_eq!((ask("acme"), ask("other")), ("of yesterday", "fresh"));

    let mut service = recs.layer().as_error().layer(works());
    engage(&editor, Scope::all());
    switches.refresh();
    let error = service.call("any").now_or_never().unwrap().unwrap_err();
    assert!(Rejected::find(&*error).is_some());
    let call = recs.call(&Target::new(), async { Ok::<_, io::Error>(()) }).now_or_never().unwrap();
    assert!(matches!(call, Err(CallError::Rejected(_))));
    let anybody = Target::new();
    let degraded = recs.call_or(&anybody, async { Ok::<_, io::Error>("fresh") }, |_| Ok("degraded"));
    assert_eq!(degraded.now_or_never().unwrap().unwrap(), "degraded");
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let (store, _) = store();
    let builder = KillSwitches::builder("shop").store(Arc::clone(&store)).poll(Duration::from_secs(3_600));
    let switches = builder.build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    let weak = Arc::downgrade(&store);
    drop((switches, store));
    assert!(weak.upgrade().is_some(), "a switch keeps its board");
    drop(recs);
    let ended = (0..1_000).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        weak.upgrade().is_none()
    });
    assert!(ended, "it does not wait for the next poll");
}
