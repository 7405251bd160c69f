//! A writer that is killed at any instant leaves a document that is whole, and loses no change that it told of.

use super::common::{document, generation, store, temporaries, whole};
use super::roles::process;
use backstop::kill_switch::store::Store;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

/// Starts a writer, kills it after a while, and returns the last change that it told of.
fn kill_after(path: &Path, micros: u64) -> Option<u64> {
    let mut writer = process("writer", path, 0).spawn().unwrap();
    let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "ready"), "the writer did not start");
    std::thread::sleep(Duration::from_micros(micros));
    writer.kill().unwrap(); // SIGKILL
    let told = lines.filter_map(|line| line.strip_prefix("made ")?.parse().ok()).last();
    writer.wait().unwrap();
    told
}

fn kills() -> u64 {
    std::env::var("BACKSTOP_STORE_KILLS")
        .map_or(if cfg!(debug_assertions) { 100 } else { 300 }, |kills| kills.parse().unwrap())
}

#[test]
fn killed_at_any_instant_nothing_is_torn_or_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("switches.json");
    let store = store(&path);
    store.compare_and_set(None, 1, &document(1)).unwrap();
    let mut random = 7_u64;
    let (mut left, mut untold) = (0, 0);
    for kill in 0..kills() {
        let before = generation(&store);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let told = kill_after(&path, (random >> 33) % 8_000).unwrap_or(before);
        left += temporaries(&path).len();
        let found = generation(&store);
        assert!(found == told || found == told + 1, "kill {kill}: told of {told}, found {found}");
        untold += found - told;
        for revision in store.revisions().unwrap() {
            // Those of earlier kills have been looked at.
            if revision >= before {
                assert_eq!(store.revision(revision).unwrap().as_deref().and_then(whole), Some(revision));
            }
        }
        store.compare_and_set(Some(found), found + 1, &document(found + 1)).unwrap();
        assert!(temporaries(&path).is_empty(), "kill {kill}: {:?}", temporaries(&path));
    }
    let made = generation(&store);
    println!("{} kills in {made} changes: {left} temporary files left, {untold} changes made and not told of", kills());
}
