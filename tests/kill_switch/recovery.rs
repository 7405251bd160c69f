//! Stores that were damaged, deleted or brought back from an older time: nothing is acknowledged that does not come into
//! force, and there is a way back.

use backstop::clock::Timestamp;
use backstop::kill_switch::store::{FileStore, MemoryStore, Store, StoreError, Watch};
use backstop::kill_switch::{
    Author, Change, Definition, Document, EditError, Editor, Engage, Event, KillSwitch, KillSwitches, OnUnknown,
    ParseError, Scope, Source, SwitchId, Target,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

fn by(reason: &str) -> Author {
    Author::person("mira", Timestamp::now()).because(reason)
}

fn id() -> SwitchId {
    SwitchId::new("recs").unwrap()
}

fn define() -> Change {
    let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
    Change::Define { switch: id(), definition }
}

fn engage(scope: Scope) -> Change {
    Change::Engage(Engage::new(id(), scope).replace())
}

/// A file of generation 4, in which `recs` is engaged for `acme`, and a program that has it in force.
struct Scene {
    directory: tempfile::TempDir,
    editor: Editor,
    switches: KillSwitches,
    recs: KillSwitch,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let editor = Editor::new(FileStore::new(path(&directory)).unwrap());
        editor.change(&define(), &by("new")).unwrap();
        for tenant in ["globex", "acme"] {
            editor.change(&engage(Scope::new().tenant(tenant)), &by("wrong prices")).unwrap();
        }
        let store = FileStore::new(path(&directory)).unwrap();
        let switches = KillSwitches::builder("shop").store(store).poll(Duration::from_secs(3_600)).build().unwrap();
        let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        Self { directory, editor, switches, recs }
    }

    fn path(&self) -> PathBuf {
        path(&self.directory)
    }

    fn is_off_for(&self, tenant: &str) -> bool {
        self.switches.refresh();
        self.recs.check(&Target::new().tenant(tenant)).is_err()
    }
}

fn path(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("switches.json")
}

fn history(path: &Path, generation: u64) -> PathBuf {
    path.with_file_name("switches.json.history").join(format!("{generation:020}.json"))
}

#[test]
fn what_could_not_come_into_force_is_not_acknowledged() {
    let scene = Scene::new();
    fs::copy(history(&scene.path(), 3), scene.path()).unwrap(); // from a backup
    let error = scene.switches.change(&engage(Scope::all()), &by("an incident")).unwrap_err();
    assert!(matches!(error, EditError::Behind { in_force: 4, found: 3 }), "{error}");
    fs::remove_file(scene.path()).unwrap();
    let error = scene.switches.change(&define(), &by("if it is missing")).unwrap_err();
    assert!(matches!(error, EditError::Behind { in_force: 4, found: 0 }), "{error}");
    let told = error.to_string();
    assert_eq!(told, "generation 4 is in force here, and the store has nothing: restore the document first");
    let error = scene.editor.change(&define(), &by("by hand")).unwrap_err();
    assert!(matches!(error, EditError::Gone), "a new document would be foreign to everybody: {error}");

    // A store of another identity, made by somebody who moved everything away.
    fs::remove_dir_all(scene.path().with_file_name("switches.json.history")).unwrap();
    scene.editor.change(&define(), &by("anew")).unwrap();
    let error = scene.switches.change(&engage(Scope::all()), &by("an incident")).unwrap_err();
    assert!(matches!(error, EditError::Behind { in_force: 4, found: 2 }), "{error}");
    assert!(scene.is_off_for("acme") && !scene.is_off_for("globex"), "what was in force stays");
}

#[test]
fn a_change_of_a_document_that_went_back_is_refused_until_it_is_restored() {
    let scene = Scene::new();
    fs::copy(history(&scene.path(), 2), scene.path()).unwrap(); // from a backup
    let error = scene.editor.change(&engage(Scope::all()), &by("an incident")).unwrap_err();
    assert!(matches!(error, EditError::WentBack { newest: 4, found: 2 }), "{error}");
    let lost = scene.editor.lost().unwrap();
    assert_eq!(scene.editor.restore(&lost, &by("a backup was put back")).unwrap().document.generation(), 6);
    fs::copy(history(&scene.path(), 4), scene.path()).unwrap();
    let error = scene.editor.change(&engage(Scope::all()), &by("an incident")).unwrap_err();
    assert!(matches!(error, EditError::WentBack { newest: 6, found: 4 }), "the last one, too: {error}");
    let lost = scene.editor.lost().unwrap();
    scene.editor.restore(&lost, &by("a backup was put back")).unwrap();
    scene.editor.change(&engage(Scope::all()), &by("an incident")).unwrap();
    assert!(scene.is_off_for("initech"), "and what is acknowledged is in force");
}

/// A document by somebody who writes the file with another program, and the right hash.
fn forged(document: &str) -> Vec<u8> {
    match Document::parse(document.as_bytes(), Document::SIZE_MAX) {
        Err(ParseError::WrongHash { stated, actual }) => {
            document.replace(&stated.to_string(), &actual.to_string()).into_bytes()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_made_on_a_document_that_was_refused_is_not_acknowledged_either() {
    let scene = Scene::new();
    let text = fs::read_to_string(scene.path()).unwrap();
    let mut dropped: serde_json::Value = text.parse().unwrap();
    (dropped["generation"], dropped["switches"]) = (5.into(), serde_json::json!([]));
    fs::write(scene.path(), forged(&dropped.to_string())).unwrap();
    assert!(scene.is_off_for("acme"), "it drops a switch that is engaged");
    let other = SwitchId::new("ads").unwrap();
    let Change::Define { definition, .. } = define() else { unreachable!() };
    let error = scene.switches.change(&Change::Define { switch: other, definition }, &by("new")).unwrap_err();
    assert!(matches!(error, EditError::Behind { in_force: 4, found: 6 }), "{error}");
    scene.switches.restore(&by("somebody wrote the file by hand")).unwrap();
    scene.switches.change(&engage(Scope::all()), &by("an incident")).unwrap();
    assert!(scene.is_off_for("globex"));
}

#[test]
fn a_program_that_runs_puts_back_what_is_in_force() {
    for damage in ["garbage", "gone", "older", "bit"] {
        let scene = Scene::new();
        let path = scene.path();
        match damage {
            "garbage" => fs::write(&path, "{").unwrap(),
            "gone" => fs::remove_file(&path).unwrap(),
            "older" => drop(fs::copy(history(&path, 2), &path).unwrap()),
            _ => fs::write(&path, fs::read_to_string(&path).unwrap().replace("acme", "acmf")).unwrap(),
        }
        assert!(scene.is_off_for("acme"), "{damage}: what was in force stays");
        let document = scene.switches.restore(&by("the disk was full")).unwrap();
        assert!(document.generation() > 4, "{damage}");
        assert_eq!(scene.editor.document().unwrap().as_ref(), Some(&*document), "{damage}");
        assert!(scene.is_off_for("acme") && scene.switches.status().refused.is_none(), "{damage}");
        scene.switches.change(&engage(Scope::all()), &by("an incident")).unwrap();
        assert!(scene.is_off_for("globex"), "{damage}: and everything is as always");
        if damage == "garbage" {
            assert_eq!(fs::read(path.with_file_name("switches.json.damaged")).unwrap(), b"{", "nothing is lost");
        }
    }
}

#[test]
fn without_a_program_the_newest_of_the_history_comes_back_and_reaches_those_who_had_more() {
    let scene = Scene::new();
    assert!(matches!(scene.editor.lost(), Err(EditError::Sound(4))));
    fs::write(scene.path(), "garbage").unwrap();
    assert!(matches!(scene.editor.change(&engage(Scope::all()), &by("x")), Err(EditError::Unreadable(_))));
    let lost = scene.editor.lost().unwrap();
    assert_eq!(lost.generation(), 4, "the last one that was written");
    fs::remove_file(history(&scene.path(), 4)).unwrap(); // as if it could not be kept
    let lost = scene.editor.lost().unwrap();
    let document = scene.editor.restore(&lost, &by("the disk was full")).unwrap().document;
    assert_eq!((document.generation(), &*document.changed().what), (5, "restore generation 3"));
    assert!(scene.is_off_for("globex") && scene.switches.status().generation == 5, "whoever had 4 takes it");
    assert!(matches!(scene.editor.lost(), Err(EditError::Sound(5))));
}

#[test]
fn a_retired_switch_is_on_for_good_whatever_was_declared() {
    let store = MemoryStore::new();
    let editor = Editor::new(store.clone());
    editor.change(&define(), &by("new")).unwrap();
    let switches = KillSwitches::builder("shop").store(store).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Block).unwrap();
    let other = switches.switch("ads", OnUnknown::Block).unwrap();
    editor.change(&Change::Retire { switch: id() }, &by("the feature stays")).unwrap();
    switches.refresh();
    assert!(recs.check(&Target::new()).is_ok() && other.check(&Target::new()).is_err());
    let status = switches.status();
    assert_eq!((status.retired.as_slice(), status.unknown.as_slice()), (&["recs"][..], &["ads"][..]));
}

#[test]
fn a_store_with_nothing_in_it_is_no_healthy_one() {
    let (clock, time) = backstop::clock::Clock::manual();
    let baked = {
        let editor = Editor::new(MemoryStore::new());
        editor.change(&define(), &by("new")).unwrap().to_bytes()
    };
    let builder = KillSwitches::builder("shop").store(MemoryStore::new()).baked_in(baked).clock(clock);
    let switches = builder.poll(Duration::from_secs(3_600)).build().unwrap();
    time.advance(Duration::from_secs(90));
    switches.refresh();
    let status = switches.status();
    assert_eq!((status.source, status.stale_for), (Source::BakedIn, Duration::from_secs(90)));
    assert_eq!(status.warnings(), ["kill switches found no document in their store for 90s"]);
}

/// A store that hangs when it is read, until the test is over.
struct Hangs(MemoryStore, std::sync::Mutex<Receiver<()>>);

impl Store for Hangs {
    as_memory_store!(compare_and_set revisions);

    fn read(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let _ = self.1.lock().unwrap().recv();
        self.0.read()
    }

    fn watch(&self, _: Arc<dyn Fn() + Send + Sync>) -> Watch {
        Watch::none()
    }
}

#[test]
fn a_program_starts_though_its_store_hangs() {
    let (end, ended) = mpsc::channel();
    let switches = KillSwitches::builder("shop").store(Hangs(MemoryStore::new(), ended.into())).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Block).unwrap();
    assert!(recs.check(&Target::new()).is_err(), "as declared");
    drop(end);
}

#[test]
fn a_listener_that_hangs_holds_up_no_engagement() {
    let store = MemoryStore::new();
    let editor = Editor::new(store.clone());
    editor.change(&define(), &by("new")).unwrap();
    let switches = KillSwitches::builder("shop").store(store).poll(Duration::from_millis(20)).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    let (end, ended) = mpsc::channel::<()>();
    let ended = std::sync::Mutex::new(ended);
    let hangs = move |event: &Event| {
        if matches!(event, Event::Switched { .. }) {
            let _ = ended.lock().unwrap().recv();
        }
    };
    switches.subscribe(hangs).forever();
    let begun = Instant::now();
    for (change, is_engaged) in
        [(engage(Scope::all()), true), (Change::Release { switch: id() }, false), (engage(Scope::all()), true)]
    {
        editor.change(&change, &by("by another")).unwrap();
        while recs.is_engaged() != is_engaged {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody reads any more");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    drop(end);
}

/// What is turned off may hang, and says so in `poll_ready`.
#[tokio::test]
async fn a_switch_that_is_engaged_for_all_does_not_wait_for_what_it_turns_off() {
    use std::future::poll_fn;
    use tower::{Layer, Service, ServiceExt, service_fn};
    let store = MemoryStore::new();
    let switches = KillSwitches::builder("shop").store(store).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    switches.change(&define(), &by("new")).unwrap();
    let hangs = tower::util::MapRequest::new(
        tower::limit::ConcurrencyLimit::new(service_fn(async |_: u32| Ok::<_, std::io::Error>("on")), 0),
        |id: u32| id,
    );
    let mut service = recs.layer().fallback(|_: u32, _| Ok("off")).layer(hangs);
    let waits = tokio::time::timeout(Duration::from_millis(20), service.ready()).await;
    assert!(waits.is_err(), "released, it waits as the service does");
    switches.change(&engage(Scope::all()), &by("it hangs")).unwrap();
    poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    assert_eq!(service.call(1).await.unwrap(), "off");

    poll_fn(|cx| service.poll_ready(cx)).await.unwrap();
    switches.change(&Change::Release { switch: id() }, &by("fixed")).unwrap();
    assert_eq!(service.call(1).await.unwrap(), "off", "released in between: the service was not asked");
}
