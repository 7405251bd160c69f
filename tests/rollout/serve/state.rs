//! State on disk: torn, damaged, full of names, locked.

use crate::kit::{Script, arm, until};
use backstop::clock::{Clock, ManualClock};
use backstop::rollback::{Arm, Decision, Instances, Judge, Policy, Samples, Tick, TickReader};
use backstop::rollout::controller::{Judged, Looks as _};
use backstop::rollout::judging::{DataState, Judging};
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

fn judging(source: &Script) -> Judging {
    timed(source).0
}

fn timed(source: &Script) -> (Judging, ManualClock) {
    let (clock, time) = Clock::manual();
    time.advance(Duration::from_secs(1));
    (Judging::with_clock("shop", Policy::default(), source.clone(), clock), time)
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
    let (mut reader, mut judge) = (TickReader::new(), Judge::new(Policy::default()));
    for line in text.lines() {
        if let Some(tick) = reader.read(line).expect("the torn line is gone") {
            judge.observe(tick);
        }
    }
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
fn a_controller_that_goes_on_with_a_damaged_state_knows_no_more_than_it() {
    let folder = tempfile::tempdir().unwrap();
    let (state, source) = (folder.path().join("state"), Script::default());
    let look = || {
        let mut judged = Judged::new("shop", Policy::default(), Box::new(source.clone()), "7", &state).unwrap();
        source.push(Tick::new(1.0, arm(100.0, 0.0), Some(arm(1_900.0, 2.0))).unwrap());
        let seen = judged.look().unwrap();
        let latest = judged.verdicts().latest();
        assert_eq!(latest.rollout(), Some("7"));
        (latest.data(), seen.verdict.warnings.iter().any(|warning| warning.contains("rollout.json was damaged")))
    };
    assert_eq!(look(), (DataState::Ok, false), "a first start");
    std::fs::write(state.join("rollout.json"), "{").unwrap();
    assert_eq!(look(), (DataState::Restarted, true));
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
fn ticks_that_are_damaged_are_a_start_without_them_and_a_torn_one_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut first = judging(&source).state(folder.path()).unwrap();
    seconds(&mut first, &source, 1, &[0.0; 20]);
    drop(first);
    let path = ticks(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    for (at, end, data) in [(10, "", DataState::Restarted), (19, "", DataState::Ok), (19, "\n", DataState::Restarted)] {
        let lines = text.lines().enumerate().map(|(i, line)| if i == at { "\u{fffd}" } else { line });
        std::fs::write(&path, lines.collect::<Vec<_>>().join("\n") + end).unwrap();
        let restarted = judging(&source).state(folder.path()).unwrap().look();
        let warnings = &restarted.verdict().warnings;
        let is_said = warnings.iter().any(|warning| warning.contains("is damaged, in 1 of its lines"));
        assert_eq!((restarted.data(), is_said), (data, data == DataState::Restarted), "{warnings:?}");
    }
}

#[test]
fn numbers_of_files_have_no_end() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(format!("ticks.{}.jsonl", u64::MAX)), "").unwrap();
    std::fs::write(folder.path().join("rollout.json"), "{").unwrap();
    judging(&Script::default()).state(folder.path()).unwrap();
}

#[test]
fn the_state_of_another_service_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    drop(judging(&source).state(folder.path()).unwrap());
    let error = Judging::new("cart", Policy::default(), source.clone()).state(folder.path()).unwrap_err().to_string();
    assert!(error.contains("it is that of the service \"shop\""), "{error}");
    judging(&source).state(folder.path()).unwrap();
}

#[test]
fn old_ticks_stay_until_the_new_rollout_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let source = Script::default();
    let mut first = judging(&source).state(folder.path()).unwrap();
    seconds(&mut first, &source, 1, &[0.0; 5]);
    drop(first);
    let mut second = judging(&source).state(folder.path()).unwrap();
    let (old, rollout) = (ticks(folder.path()), folder.path().join("rollout.json"));
    std::fs::remove_file(&rollout).unwrap();
    std::fs::create_dir(&rollout).unwrap();
    second.begin("next");
    drop(second);
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

/// A pause or a rollback is written at once, and outlives ticks that a power cut or a halving took.
#[test]
fn a_decision_holds_without_the_ticks_behind_it_until_a_person_or_a_rollout_ends_it() {
    let source = Script::default();
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for folder in &folders {
        let mut first = judging(&source).state(folder.path()).unwrap();
        first.begin("1.2.4");
        seconds(&mut first, &source, 1, &[0.0; 20]);
        assert_eq!(seconds(&mut first, &source, 21, &[30.0; 10]), Decision::Rollback);
        let sentence = first.look().verdict().sentence.clone();
        drop(first);
        let path = ticks(folder.path());
        let text = std::fs::read_to_string(&path).unwrap();
        let kept: Vec<_> = text.lines().take(15).collect();
        std::fs::write(&path, kept.join("\n") + "\n").unwrap();
        let mut second = judging(&source).state(folder.path()).unwrap();
        assert_eq!(seconds(&mut second, &source, 40, &[0.0; 30]), Decision::Rollback);
        assert_eq!(second.look().verdict().sentence, sentence);
        if folder.path() == folders[0].path() {
            second.override_by("ann", "a known glitch");
        } else {
            second.begin("1.2.5");
        }
        assert_eq!(seconds(&mut second, &source, 80, &[0.0; 30]), Decision::Continue);
        drop(second);
        let third = judging(&source).state(folder.path()).unwrap();
        assert_ne!(third.verdicts().latest().decision(), Decision::Rollback);
    }
}

/// A tick of some 200 kB, so that few of them fill a file.
fn long(at: u32, errors: f64) -> Tick {
    let mut canary = arm(100.0, errors);
    canary.switches_engaged = vec!["s".repeat(200_000)];
    Tick::new(f64::from(at), canary, Some(arm(1_900.0, 2.0))).unwrap()
}

#[test]
fn ticks_are_halved_so_that_a_restart_judges_a_bounded_number_of_them() {
    const MOST: u64 = 17 << 20;
    let (folder, source) = (tempfile::tempdir().unwrap(), Script::default());
    let (first, time) = timed(&source);
    let mut first = first.state(folder.path()).unwrap();
    first.begin("1.2.4");
    let rollout = folder.path().join("rollout.json");
    until("it is written", || std::fs::read_to_string(&rollout).ok().filter(|text| text.contains("1.2.4")));
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    until("the old ticks are gone", || (files() == 3).then_some(()));
    let before = ticks(folder.path());
    let look = |judging: &mut Judging, time: &ManualClock, at: u32, errors: f64| {
        time.advance(Duration::from_secs(1));
        source.push(long(at, errors));
        judging.look()
    };
    let mut overridden = false;
    let at = 90; // 18 MB
    for at in 1..=at {
        let published = look(&mut first, &time, at, if at > 20 && !overridden { 60.0 } else { 0.0 });
        if published.decision() == Decision::Rollback {
            first.override_by("ann", "a known glitch");
            overridden = true;
        }
        assert!(std::fs::metadata(&before).map_or(0, |file| file.len()) < MOST);
    }
    assert!(overridden);
    until("they are halved", || (!before.exists()).then_some(()));
    let after = ticks(folder.path());
    assert!(std::fs::metadata(&after).unwrap().len() < MOST * 2 / 3);
    let published = look(&mut first, &time, at + 1, 0.0);
    let expected = (published.decision(), published.verdict().overridden.clone());
    drop(first);

    // A process that was killed before the old files were gone, and one before the new ones counted.
    let rollout = std::fs::read_to_string(folder.path().join("rollout.json")).unwrap();
    std::fs::write(&before, "of the process before\n").unwrap();
    let of = |json: &str| json.parse::<serde_json::Value>().unwrap()["files"].as_u64().unwrap();
    let next = folder.path().join(format!("ticks.{}.jsonl", of(&rollout) + 1));
    std::fs::write(&next, "not to be read\n").unwrap();
    let (second, time) = timed(&source);
    let mut second = second.state(folder.path()).unwrap();
    let resumed = second.look();
    let count = f64::from(at + 1);
    assert_eq!(
        (resumed.decision(), resumed.verdict().n),
        (expected.0, Samples { canary: 100.0 * count, baseline: 1_900.0 * count })
    );
    let overridden =
        |by: &Option<backstop::rollback::Override>| by.as_ref().map(|by| (by.by.clone(), by.reason.clone()));
    assert_eq!(overridden(&resumed.verdict().overridden), overridden(&expected.1));
    assert!(!before.exists() && !next.exists());
    let on = (2..7).map(|more| look(&mut second, &time, at + more, 0.0)).last().unwrap();
    assert!(on.verdict().n.canary > 100.0 * count + 300.0, "it goes on: {:?}", on.verdict().n);
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
