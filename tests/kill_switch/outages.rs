//! A store that fails, hangs, panics or cannot be written: what stays in force, and what is seen.

use crate::switches::{engage, store};
use backstop::clock::Clock;
use backstop::kill_switch::store::Store;
use backstop::kill_switch::{Document, Event, KillSwitches, OnUnknown, Scope, Source};
use std::sync::{Arc, Mutex};
use std::time::Duration;

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
fn where_two_programs_share_a_snapshot_each_follows_its_own_store() {
    let directory = tempfile::tempdir().unwrap();
    let snapshot = directory.path().join("last-good.json");
    let start = |name: &str, store: &Arc<backstop::kill_switch::store::MemoryStore>| {
        let builder = KillSwitches::builder(name).store(Arc::clone(store)).snapshot(&snapshot);
        let switches = builder.poll(Duration::from_secs(3_600)).build().unwrap();
        let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        (switches.status(), recs.is_engaged())
    };
    let ((one, editor), (other, _)) = (store(), store());
    engage(&editor, Scope::all());
    for _ in 0..2 {
        for (name, store, is_engaged) in [("one", &one, true), ("other", &other, false)] {
            let (status, found) = start(name, store);
            assert_eq!((status.source, status.refused, found), (Source::Store, None, is_engaged), "{name}");
        }
    }
}

#[test]
fn programs_that_overwrite_each_others_snapshot_are_warned() {
    let directory = tempfile::tempdir().unwrap();
    let start = |name: &str| {
        let builder = KillSwitches::builder(name).store(store().0).snapshot(directory.path().join("last-good.json"));
        builder.poll(Duration::from_secs(3_600)).build().unwrap()
    };
    let programs = [start("one"), start("other")];
    programs.iter().for_each(KillSwitches::refresh);
    let warnings = programs.map(|program| program.status().warnings().concat());
    assert!(warnings.concat().contains("overwritten by a program with another store"), "{warnings:?}");
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
