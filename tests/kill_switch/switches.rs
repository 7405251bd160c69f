//! Switches of a program against a store: what is in force, what is refused, and what a gate does with it.

use backstop::clock::{Clock, Timestamp};
use backstop::kill_switch::store::{MemoryStore, Store};
use backstop::kill_switch::{
    Author, Change, Definition, Document, Editor, Engage, Event, Expiry, KillSwitch, KillSwitches, OnUnknown, PinState,
    Scope, Source, Stage, State, SwitchId, Target,
};
use backstop::{CallError, Rejected};
use futures_util::FutureExt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{Layer, Service, service_fn};

fn now() -> Timestamp {
    Timestamp::now()
}

fn by(reason: &str) -> Author {
    Author::person("mira", now()).because(reason)
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

/// A store that defines `recs`, and a desk on it.
fn store() -> (Arc<MemoryStore>, Editor) {
    let store = Arc::new(MemoryStore::new());
    let editor = Editor::new(Arc::clone(&store));
    let definition =
        Definition::new("team-recs", "recommendations", now() + Duration::from_secs(9_999_999), OnUnknown::Allow);
    editor.change(&Change::Define { switch: id(), definition }, &by("new")).unwrap();
    (store, editor)
}

fn engage(editor: &Editor, scope: Scope) -> Document {
    editor.change(&Change::Engage(Engage::new(id(), scope)), &by("wrong prices")).unwrap()
}

fn board(store: &Arc<MemoryStore>) -> (KillSwitches, KillSwitch) {
    let switches =
        KillSwitches::builder("shop").store(Arc::clone(store)).instance("web-1").region("eu").build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    (switches, recs)
}

#[test]
fn what_the_store_says_is_in_force_at_once_for_whom_it_says() {
    let (store, editor) = store();
    let (switches, recs) = board(&store);
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
    let (switches, recs) = board(&store);
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
    let (switches, recs) = board(&store);
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
    let (switches, recs) = board(&store);
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
    let (switches, recs) = board(&store);
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

/// A store that says what it is told to.
#[derive(Default)]
struct Scripted {
    document: Mutex<Option<Vec<u8>>>,
    watching: Watching,
    /// A reader that has read waits until it is sent for.
    hold: Mutex<Option<std::sync::mpsc::Receiver<()>>>,
}

/// What a scripted store does when it is asked to watch.
#[derive(Default)]
enum Watching {
    #[default]
    Never,
    Panics,
    /// It never returns, and holds the board's own thread.
    Hangs,
}

impl Store for Scripted {
    fn read(&self) -> Result<Option<Vec<u8>>, backstop::kill_switch::store::StoreError> {
        let document = self.document.lock().unwrap().clone();
        let hold = self.hold.lock().unwrap().take();
        if let Some(hold) = hold {
            hold.recv().unwrap();
        }
        Ok(document)
    }

    fn compare_and_set(
        &self,
        _: Option<u64>,
        _: u64,
        _: &[u8],
    ) -> Result<(), backstop::kill_switch::store::StoreError> {
        unreachable!("it is only read")
    }

    fn revision(&self, _: u64) -> Result<Option<Vec<u8>>, backstop::kill_switch::store::StoreError> {
        Ok(None)
    }

    fn revisions(&self) -> Result<Vec<u64>, backstop::kill_switch::store::StoreError> {
        Ok(Vec::new())
    }

    fn watch(&self, _: Arc<dyn Fn() + Send + Sync>) -> backstop::kill_switch::store::Watch {
        match self.watching {
            Watching::Never => backstop::kill_switch::store::Watch::none(),
            Watching::Panics => panic!("a store that cannot watch, and says so loudly"),
            Watching::Hangs => loop {
                std::thread::park();
            },
        }
    }
}

#[test]
fn whatever_the_store_says_an_engaged_switch_stays_engaged() {
    let (_, editor) = store();
    let engaged = engage(&editor, Scope::all());
    let older = editor.revision(engaged.generation() - 1).unwrap();
    let (_, other) = store();
    let foreign = engage(&other, Scope::all());
    let script = Arc::new(Scripted::default());
    *script.document.lock().unwrap() = Some(engaged.to_bytes());
    let switches = KillSwitches::builder("scripted").store(Arc::clone(&script)).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    assert!(recs.is_engaged());
    let whole = engaged.to_bytes();
    let mut cases: Vec<(&str, Option<Vec<u8>>)> = vec![
        ("missing", None),
        ("empty", Some(Vec::new())),
        ("garbage", Some(b"\x00\xffgarbage".to_vec())),
        ("huge", Some(vec![b'['; 3 << 20])),
        ("older", Some(older.to_bytes())),
        ("foreign", Some(foreign.to_bytes())),
    ];
    cases.extend((1..whole.len()).step_by(37).map(|end| ("truncated", Some(whole[..end].to_vec()))));
    for (what, bytes) in cases {
        *script.document.lock().unwrap() = bytes;
        switches.refresh();
        assert!(recs.is_engaged(), "{what}");
        assert!(switches.status().refused.is_some(), "{what} is refused aloud");
    }
    *script.document.lock().unwrap() = Some(whole);
    switches.refresh();
    assert_eq!((switches.status().refused, switches.status().stale_for), (None, Duration::ZERO));
}

#[test]
fn a_start_without_the_store_begins_with_the_last_good_document_then_the_baked_in_one() {
    let (store, editor) = store();
    let engaged = engage(&editor, Scope::all());
    let directory = tempfile::tempdir().unwrap();
    let snapshot = directory.path().join("last-good.json");
    {
        let switches = KillSwitches::builder("run-1").store(Arc::clone(&store)).snapshot(&snapshot).build().unwrap();
        assert_eq!(switches.status().source, Source::Store);
    }
    let gone = || Arc::new(Scripted::default());
    let start = |snapshot: &std::path::Path| {
        let baked_in = editor.revision(2).unwrap().to_bytes();
        let builder = KillSwitches::builder("run-2").store(gone()).snapshot(snapshot).baked_in(baked_in);
        let switches = builder.build().unwrap();
        let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        (switches.status().source, recs.is_engaged())
    };
    assert_eq!(start(&snapshot), (Source::Snapshot, true));
    std::fs::write(&snapshot, &engaged.to_bytes()[..40]).unwrap();
    assert_eq!(start(&snapshot), (Source::BakedIn, false));
    assert_eq!(start(&directory.path().join("none.json")), (Source::BakedIn, false));
}

#[test]
fn a_snapshot_that_could_not_be_written_is_written_at_a_later_reading() {
    let (store, _) = store();
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("later");
    let snapshot = below.join("last-good.json");
    let builder = KillSwitches::builder("later").store(Arc::clone(&store)).snapshot(&snapshot);
    let switches = builder.poll(Duration::from_secs(3_600)).build().unwrap();
    assert!(!snapshot.exists());
    std::fs::create_dir(&below).unwrap();
    switches.refresh();
    let kept = Document::parse(&std::fs::read(&snapshot).unwrap(), Document::SIZE_MAX).unwrap();
    assert_eq!(kept.generation(), switches.status().generation);
}

#[test]
fn a_layer_answers_as_it_was_told_to_and_lets_the_others_through() {
    let (store, editor) = store();
    let (switches, recs) = board(&store);
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
fn a_reading_that_another_was_faster_than_is_no_alarm() {
    let (_, editor) = store();
    let older = editor.document().unwrap().unwrap().to_bytes();
    let newer = engage(&editor, Scope::all());
    let script = Arc::new(Scripted { watching: Watching::Hangs, ..Scripted::default() });
    *script.document.lock().unwrap() = Some(older);
    let switches = KillSwitches::builder("races").store(Arc::clone(&script)).build().unwrap();
    let (go, hold) = std::sync::mpsc::channel();
    *script.hold.lock().unwrap() = Some(hold);
    std::thread::scope(|scope| {
        scope.spawn(|| switches.refresh());
        while script.hold.lock().unwrap().is_some() {
            std::thread::yield_now(); // until it has read the older document
        }
        *script.document.lock().unwrap() = Some(newer.to_bytes());
        switches.refresh();
        go.send(()).unwrap();
    });
    let status = switches.status();
    assert_eq!((status.generation, status.refusals, status.refused), (newer.generation(), 0, None));
}

#[test]
fn a_store_that_nobody_reads_shows_after_three_polls() {
    let (_, editor) = store();
    let document = Mutex::new(Some(editor.document().unwrap().unwrap().to_bytes()));
    let (clock, time) = Clock::manual();
    let builder = KillSwitches::builder("hangs")
        .store(Scripted { document, watching: Watching::Hangs, ..Scripted::default() })
        .clock(clock);
    let switches = builder.poll(Duration::from_secs(2)).build().unwrap();
    let stale = [6_000, 1, 999].map(|millis| {
        time.advance(Duration::from_millis(millis));
        switches.status().stale_for.as_millis()
    });
    assert_eq!(stale, [0, 6_001, 7_000]);
    switches.refresh();
    assert_eq!(switches.status().stale_for, Duration::ZERO, "somebody has read it");
}

#[test]
fn a_store_whose_watching_panics_is_still_read() {
    let (_, editor) = store();
    let script = Arc::new(Scripted { watching: Watching::Panics, ..Scripted::default() });
    let builder = KillSwitches::builder("panics").store(Arc::clone(&script)).poll(Duration::from_millis(10));
    let switches = builder.build().unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let told = Mutex::new(told);
    let _subscription = switches.subscribe(move |event| told.lock().unwrap().send(event.clone()).unwrap());
    *script.document.lock().unwrap() = Some(engage(&editor, Scope::all()).to_bytes());
    let event = heard.recv_timeout(Duration::from_secs(30));
    assert!(matches!(event, Ok(Event::Applied { .. })), "{event:?}");
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
