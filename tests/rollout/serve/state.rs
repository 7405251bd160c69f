//! State on disk: torn, damaged, full of names, locked.

use crate::kit::{Script, arm};
use backstop::rollback::{Arm, Decision, Instances, Judge, Policy, Tick, TickReader};
use backstop::rollout::judging::{DataState, Judging};
use std::io::Write as _;
use std::path::Path;

fn judging(source: &Script) -> Judging {
    let (clock, time) = backstop::clock::Clock::manual();
    time.advance(std::time::Duration::from_secs(1));
    Judging::with_clock("shop", Policy::default(), source.clone(), clock)
}

/// Seconds that begin at this one.
fn seconds(judging: &mut Judging, source: &Script, from: u32, errors: &[f64]) -> Decision {
    let mut decision = Decision::Collecting;
    for (i, errors) in (from..).zip(errors) {
        source.push(Tick::new(f64::from(i), arm(100.0, *errors), Some(arm(1_900.0, 2.0))).unwrap());
        decision = judging.look().decision();
    }
    decision
}

fn ticks(folder: &Path) -> std::path::PathBuf {
    let mut all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_ticks = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("ticks.");
    all.find(is_ticks).expect("a file of ticks")
}

#[test]
fn a_restart_with_state_has_the_same_verdict_and_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut first = judging(&source).state(folder.path()).unwrap();
    assert_eq!(first.look().data(), DataState::NoData, "an empty state is a first start");
    first.begin("1.2.4");
    seconds(&mut first, &source, 1, &[0.0; 20]);
    assert_eq!(seconds(&mut first, &source, 21, &[30.0; 10]), Decision::Rollback);
    first.override_by("ann", "a known glitch");
    let before = first.look();
    assert_eq!(before.decision(), Decision::Continue, "{}", before.verdict().sentence);
    drop(first);
    // The process was killed while it wrote.
    let path = ticks(folder.path());
    std::fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .unwrap()
        .write_all(b"{\"at\": 31.0, \"canary\": {\"segm")
        .unwrap();

    let mut second = judging(&source).state(folder.path()).unwrap();
    let after = second.look();
    assert_eq!((after.rollout(), after.verdict().n), (Some("1.2.4"), before.verdict().n));
    assert_eq!(after.verdict().overridden, before.verdict().overridden);
    let ids =
        |judging: &Judging| -> Vec<_> { judging.verdicts().evidence().iter().map(|one| one.id().to_owned()).collect() };
    assert!(ids(&second).contains(&before.evidence_id().to_owned()), "{:?}", ids(&second));
    assert_ne!(after.data(), DataState::Restarted);
    seconds(&mut second, &source, 40, &[0.0; 3]);

    // The command replays the same file.
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut reader, mut judge, mut torn) = (TickReader::new(), Judge::new(Policy::default()), 0);
    for line in text.lines() {
        match reader.read(line) {
            Ok(Some(tick)) => drop(judge.observe(tick)),
            Ok(None) => {}
            Err(_) => torn += 1,
        }
    }
    assert_eq!(torn, 1, "the torn line is on a line of its own");
}

#[test]
fn a_new_rollout_leaves_nothing_of_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut first = judging(&source).state(folder.path()).unwrap();
    assert_eq!(seconds(&mut first, &source, 1, &[30.0; 20]), Decision::Rollback);
    first.begin("next");
    drop(first);
    let second = judging(&source).state(folder.path()).unwrap();
    let latest = second.verdicts().latest();
    assert_eq!(
        (latest.decision(), latest.rollout(), latest.verdict().n.canary),
        (Decision::Collecting, Some("next"), 0.0)
    );
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, 3, "the lock, the rollout and its ticks");
}

#[test]
fn a_damaged_state_is_a_start_without_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rollout.json"), "{").unwrap();
    std::fs::write(folder.path().join("ticks.7.jsonl"), "{}\n").unwrap();
    let source = Script::default();
    let mut judging = judging(&source).state(folder.path()).unwrap();
    let published = judging.look();
    assert_eq!(published.data(), DataState::Restarted);
    assert!(published.verdict().warnings.iter().any(|warning| warning.contains("rollout.json")), "{published:?}");
}

#[test]
fn a_name_that_is_said_later_changes_no_evidence_id() {
    let ids = |judging: &Judging| -> Vec<_> {
        let evidence = judging.verdicts().evidence();
        evidence.iter().map(|one| one.id().to_owned()).collect()
    };
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut first = judging(&source).state(folder.path()).unwrap();
    seconds(&mut first, &source, 1, &[30.0; 20]);
    let before = ids(&first);
    let router = backstop::rollout::verdicts::router([first.verdicts()], None);
    let address = crate::kit::serve(router);
    assert_eq!(crate::kit::http("POST", address, "/v1/hooks/rollback", r#"{"checksum": "1.2.4"}"#).0, 200);
    assert_eq!(first.look().rollout(), Some("1.2.4"));
    drop(first);
    let second = judging(&source).state(folder.path()).unwrap();
    assert_eq!(ids(&second)[..before.len()], before);
}

#[test]
fn ticks_that_cannot_be_read_to_their_end_are_a_start_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut first = judging(&source).state(folder.path()).unwrap();
    first.begin("1.2.4");
    seconds(&mut first, &source, 1, &[0.0; 20]);
    drop(first);
    let path = ticks(folder.path());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let mut second = judging(&source).state(folder.path()).unwrap();
    let published = second.look();
    assert_eq!((published.data(), published.rollout()), (DataState::Restarted, Some("1.2.4")));
    let warnings = &published.verdict().warnings;
    assert!(warnings.iter().any(|warning| warning.contains("cannot be read to its end")), "{warnings:?}");
}

#[test]
fn old_ticks_stay_until_the_new_rollout_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut judging = judging(&source).state(folder.path()).unwrap();
    seconds(&mut judging, &source, 1, &[0.0; 5]);
    let (old, rollout) = (ticks(folder.path()), folder.path().join("rollout.json"));
    std::fs::remove_file(&rollout).unwrap();
    std::fs::create_dir(&rollout).unwrap();
    judging.begin("next");
    assert!(old.exists());
}

#[test]
fn a_restart_after_the_canary_is_gone_is_idle() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut first = judging(&source).state(folder.path()).unwrap();
    first.begin("1.2.4");
    for (at, total) in [(1.0, 2.0), (2.0, 2.0), (3.0, 0.0)] {
        let mut canary = if total > 0.0 { arm(100.0, 0.0) } else { Arm::default() };
        canary.instances = Some(Instances { total, ..Instances::default() });
        source.push(Tick::new(at, canary, Some(arm(1_900.0, 2.0))).unwrap());
        first.look();
    }
    drop(first);
    let second = judging(&source).state(folder.path()).unwrap();
    let latest = second.verdicts().latest();
    assert_eq!(latest.decision(), Decision::Collecting);
    assert_eq!(latest.verdict().sentence, "there is no canary: no instance is listed");
}

#[test]
fn a_state_is_held_by_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let first = judging(&source).state(folder.path()).unwrap();
    let error = judging(&source).state(folder.path()).unwrap_err().to_string();
    assert!(error.contains("another process judges with it"), "{error}");
    drop(first);
    judging(&source).state(folder.path()).unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    let error = judging(&source).state(folder.path().join("file")).unwrap_err().to_string();
    assert!(error.contains("cannot be made"), "{error}");
}
