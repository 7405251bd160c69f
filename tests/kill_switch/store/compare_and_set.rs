//! Who may write: the one who has seen what is there.

use super::common::{document, generation, names, store, temporaries};
use super::roles::{count_up, process};
use backstop::kill_switch::store::{FileStore, MemoryStore, Store, StoreError};
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use tempfile::TempDir;

fn file() -> (TempDir, PathBuf, FileStore) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    let store = store(&path);
    (directory, path, store)
}

/// What holds for every store.
fn obeys(store: &dyn Store) {
    assert_eq!(store.read().unwrap(), None);
    assert!(store.revisions().unwrap().is_empty());
    assert!(matches!(
        store.compare_and_set(Some(1), 2, &document(2)),
        Err(StoreError::Conflict { expected: Some(1), found: None })
    ));
    store.compare_and_set(None, 1, &document(1)).unwrap();
    for (expected, found) in [(None, 1), (Some(0), 1), (Some(2), 1)] {
        let error = store.compare_and_set(expected, 9, &document(9)).unwrap_err();
        assert!(matches!(error, StoreError::Conflict { expected: e, found: Some(f) } if (e, f) == (expected, found)));
    }
    store.compare_and_set(Some(1), 2, &document(2)).unwrap();
    store.compare_and_set(Some(2), 5, &document(5)).unwrap();
    assert_eq!(store.read().unwrap(), Some(document(5)));
    assert_eq!(store.revisions().unwrap(), [1, 2, 5]);
    for kept in [1, 2, 5] {
        assert_eq!(store.revision(kept).unwrap(), Some(document(kept)));
    }
    assert_eq!(store.revision(3).unwrap(), None);
}

#[test]
fn a_change_needs_the_generation_that_is_there() {
    obeys(&MemoryStore::new());
    let (_directory, path, store) = file();
    obeys(&store);
    assert_eq!(names(path.parent().unwrap()), ["switches.json", "switches.json.history", "switches.json.lock"]);
    assert!(temporaries(&path).is_empty());
}

#[test]
fn what_is_no_document_is_never_overwritten() {
    for garbage in [&b""[..], b"{", b"not json", br#"{"generation": "7"}"#] {
        let memory = MemoryStore::new();
        memory.overwrite(Some(garbage.to_vec()));
        let (_directory, path, store) = file();
        std::fs::write(&path, garbage).unwrap();
        for store in [&memory as &dyn Store, &store] {
            for expected in [None, Some(7)] {
                let error = store.compare_and_set(expected, 8, &document(8)).unwrap_err();
                assert!(matches!(error, StoreError::Unversioned { .. }), "{error}");
            }
            assert_eq!(store.read().unwrap().as_deref(), Some(garbage));
        }
    }
}

#[test]
fn history_keeps_the_last_thousand() {
    let memory = MemoryStore::new();
    for generation in 0..1_010_u64 {
        memory.compare_and_set(generation.checked_sub(1), generation, &document(generation)).unwrap();
    }
    assert_eq!(memory.revisions().unwrap().len(), 1_001); // with the present one
    assert_eq!(memory.revisions().unwrap()[0], 9);

    let (_directory, path, store) = file();
    let history = path.with_file_name("switches.json.history");
    std::fs::create_dir(&history).unwrap();
    for generation in 0..1_003_u64 {
        std::fs::write(history.join(format!("{generation:020}.json")), document(generation)).unwrap();
    }
    std::fs::write(history.join("notes.txt"), "not ours").unwrap();
    std::fs::write(&path, document(1_003)).unwrap();
    store.compare_and_set(Some(1_003), 1_004, &document(1_004)).unwrap();
    let revisions = store.revisions().unwrap();
    assert_eq!((revisions.len(), revisions[0], revisions[1_000]), (1_001, 4, 1_004));
    assert!(history.join("notes.txt").exists());
}

#[test]
fn all_revisions_are_there_when_the_document_is_broken() {
    let (_directory, path, store) = file();
    store.compare_and_set(None, 1, &document(1)).unwrap();
    store.compare_and_set(Some(1), 2, &document(2)).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(store.revisions().unwrap(), [1, 2]);
    for kept in [1, 2] {
        assert_eq!(store.revision(kept).unwrap(), Some(document(kept)));
    }
}

#[test]
fn of_two_threads_each_change_is_made_by_one() {
    let (_directory, path, store) = file();
    store.compare_and_set(None, 1, &document(1)).unwrap();
    let conflicts = std::thread::scope(|scope| {
        let writers = [(); 2].map(|()| scope.spawn(|| count_up(&path, 50)));
        writers.map(|writer| writer.join().unwrap())
    });
    assert_eq!(generation(&store), 101);
    assert_eq!(store.revisions().unwrap(), (1..=101).collect::<Vec<_>>());
    assert!(temporaries(&path).is_empty());
    println!("two threads, 100 changes: {conflicts:?} conflicts");
}

#[test]
fn of_many_that_expect_the_same_one_wins() {
    let (_directory, _path, store) = file();
    for generation in 1..=10_u64 {
        let expected = generation.checked_sub(1).filter(|expected| *expected > 0);
        let (won, lost, start) = (AtomicU64::new(0), AtomicU64::new(0), Barrier::new(8));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    start.wait();
                    match store.compare_and_set(expected, generation, &document(generation)) {
                        Ok(()) => won.fetch_add(1, Ordering::Relaxed),
                        Err(StoreError::Conflict { .. }) => lost.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                });
            }
        });
        assert_eq!((won.into_inner(), lost.into_inner()), (1, 7));
    }
}

#[test]
fn of_two_processes_each_change_is_made_by_one() {
    let (_directory, path, store) = file();
    store.compare_and_set(None, 1, &document(1)).unwrap();
    let writers = [(); 2].map(|()| process("counter", &path, 50).spawn().unwrap());
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(generation(&store), 101);
    assert_eq!(store.revisions().unwrap(), (1..=101).collect::<Vec<_>>());
    assert!(temporaries(&path).is_empty());
}

#[cfg(unix)]
#[test]
fn modes_are_those_of_the_file_that_is_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let (_directory, path, store) = file();
    let mode = |path: &PathBuf| path.metadata().unwrap().permissions().mode() & 0o777;
    store.compare_and_set(None, 1, &document(1)).unwrap();
    assert_eq!(mode(&path), 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    store.compare_and_set(Some(1), 2, &document(2)).unwrap();
    assert_eq!(mode(&path), 0o644, "whoever read the one before reads this one");
    assert_eq!(mode(&path.with_file_name("switches.json.history")), 0o700);
}

/// The superuser's command line must not take the file away from the service that reads it.
#[cfg(unix)]
#[test]
fn what_the_superuser_writes_belongs_to_whom_it_belonged() {
    use std::os::unix::fs::{MetadataExt, chown};
    let (directory, path, store) = file();
    if directory.path().metadata().unwrap().uid() != 0 {
        return println!("skipped: only the superuser can give files away");
    }
    chown(directory.path(), Some(65_534), Some(65_534)).unwrap();
    store.compare_and_set(None, 1, &document(1)).unwrap();
    store.compare_and_set(Some(1), 2, &document(2)).unwrap();
    let history = path.with_file_name("switches.json.history");
    let revision = history.join("00000000000000000001.json");
    for path in [path.clone(), path.with_file_name("switches.json.lock"), history, revision] {
        let metadata = path.metadata().unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (65_534, 65_534), "{}", path.display());
    }
}

#[test]
fn a_memory_store_wakes_until_the_guard_is_dropped() {
    let store = MemoryStore::new();
    let woken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&woken);
    let watch = store.watch(Arc::new(move || count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed)));
    let panics = store.watch(Arc::new(|| resume_unwind(Box::new("a wake that panics"))));
    assert!(watch.is_some());
    store.compare_and_set(None, 1, &document(1)).unwrap();
    store.overwrite(None);
    drop((watch, panics));
    store.overwrite(Some(document(2)));
    assert_eq!(woken.load(Ordering::Relaxed), 2);
    assert_eq!(Arc::strong_count(&woken), 1);
}
