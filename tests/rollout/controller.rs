//! The controller with a fake load balancer: whole rollouts, faults around it, and a crash at every instant.

use crate::scene::{Scene, holder};
use crate::servers::{Fault, Hook, eventually};
use backstop::rollout::controller::{Controller, Ended, Settings, StartError, Status};
use backstop::rollout::journal::Journal;
use backstop::rollout::stages::{Action, Ask, End, Event, Job, Step};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn a_good_release_is_promoted_with_a_record_of_each_step() {
    let scene = Scene::new("");
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::Promoted));
    assert_eq!((scene.balancer.share(), scene.log()), (100.0, vec!["promoted".to_owned()]));
    let journal = scene.journal();
    let weights = journal.iter().flat_map(|record| &record.actions).filter_map(|action| match action {
        Action::Do { job: Job::Move { weight, .. }, .. } => Some(*weight),
        _ => None,
    });
    assert_eq!(weights.collect::<Vec<_>>(), [0, 5, 50, 100]);
    let status = Status::read(&scene.dir).unwrap().unwrap();
    assert_eq!((&*status.state, status.weight, status.holder), ("promoted", 100, None));
    for evidence in ["ticks.jsonl", "verdicts.jsonl", "before.json", "commands.log"] {
        assert!(scene.rollout.join("evidence").join(evidence).exists(), "{evidence}");
    }
}

#[test]
fn a_bad_release_is_rolled_back_and_its_recovery_is_seen() {
    let scene = Scene::new("");
    scene.world.is_bad.store(true, Ordering::Relaxed);
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::RolledBack));
    assert!(scene.balancer.is_at(0));
    assert_eq!(scene.log(), ["switched", "evidence", "down"]);
}

#[test]
fn commands_and_webhooks_carry_whole_rollouts() {
    let hook = Hook::new(|_| (204, String::new()));
    let webhook = format!("traffic = {{ kind = \"webhook\", url = \"{}\", timeout = \"3s\" }}", hook.url);
    let command = "traffic = { kind = \"command\", argv = [\"sh\", \"-c\", \"echo $1 >> weights\", \"x\", \"{weight}\"], \
                   verify = [\"sh\", \"-c\", \"test $(tail -n 1 weights) = {weight}\"], timeout = \"3s\" }";
    for traffic in [&*webhook, command] {
        for is_bad in [false, true] {
            let scene = Scene::moved_by(traffic);
            scene.world.is_bad.store(is_bad, Ordering::Relaxed);
            let end = if is_bad { End::RolledBack } else { End::Promoted };
            assert_eq!(scene.start().join().unwrap(), Ended::Done(end), "{traffic}");
            if traffic == command {
                let weights = fs::read_to_string(scene.folder.path().join("weights")).unwrap();
                assert_eq!(weights, if is_bad { "0\n5\n0\n" } else { "0\n5\n50\n100\n" });
            }
        }
    }
    let sent = hook.requests.lock().unwrap();
    let weights: Vec<_> = sent.iter().filter_map(|text| text.split("\"weight\":").nth(1)).collect();
    let weights: Vec<_> = weights.iter().map(|text| text.trim_end_matches('}')).collect();
    assert_eq!(weights, ["0", "5", "50", "100", "0", "5", "0"]);
}

#[test]
fn every_command_is_answered_and_in_the_journal_with_its_author_and_reason() {
    let scene = Scene::new("");
    scene.world.not_ready.store(4, Ordering::Relaxed);
    let running = scene.start();
    scene.reaches("checking");
    assert!(scene.ask(Ask::Pause).is_accepted);
    assert!(!scene.ask(Ask::Enable).is_accepted);
    assert!(scene.ask(Ask::Disable { seconds: 60 }).text.contains("automation is disabled for 60 s"));
    assert!(scene.ask(Ask::Enable).is_accepted && scene.ask(Ask::Resume).is_accepted);
    assert!(scene.ask(Ask::Reject).is_accepted);
    assert_eq!(running.join().unwrap(), Ended::Done(End::Aborted));
    let asked: Vec<_> = scene
        .journal()
        .into_iter()
        .filter_map(|record| match record.event {
            Event::Asked { ask, by, reason, .. } => Some(format!("{} {by} {reason}", ask.as_str())),
            _ => None,
        })
        .collect();
    let expected = ["pause", "enable", "disable", "enable", "resume", "reject"].map(|ask| format!("{ask} bo because"));
    assert_eq!(asked, expected);
}

#[test]
fn a_source_that_hangs_delays_no_rollback() {
    let scene = Scene::new("");
    let running = scene.start();
    scene.reaches("soaking");
    scene.world.hangs.store(true, Ordering::Relaxed);
    assert!(scene.ask(Ask::Rollback { cut: true }).is_accepted);
    eventually("weight 0", || scene.balancer.is_at(0).then_some(()));
    scene.world.hangs.store(false, Ordering::Relaxed);
    drop(running);
}

#[test]
fn a_balancer_that_hangs_names_a_person_and_break_glass_works_when_it_is_back() {
    let hook = Hook::new(|_| (200, String::new()));
    let scene = Scene::new(&format!("alert = [{{ kind = \"generic\", url = \"{}\", level = \"page\" }}]", hook.url));
    let running = scene.start();
    scene.reaches("soaking");
    *scene.balancer.fault.lock().unwrap() = Fault::Refuses;
    scene.world.is_bad.store(true, Ordering::Relaxed);
    scene.reaches("escalated");
    let paged = |text: &str| {
        eventually(text, || hook.requests.lock().unwrap().iter().any(|sent| sent.contains(text)).then_some(()));
    };
    paged("could not be set");
    paged("on call: +41 44 000 00 00 decides");
    *scene.balancer.fault.lock().unwrap() = Fault::None;
    assert!(scene.ask(Ask::Rollback { cut: true }).is_accepted);
    assert_eq!(running.join().unwrap(), Ended::Done(End::RolledBack));
    assert!(scene.balancer.is_at(0));
    let journal = fs::read_to_string(scene.rollout.join("journal.jsonl")).unwrap();
    assert!(!journal.contains("secret-path"), "no secret in the journal");
}

#[test]
fn receivers_that_are_slow_fail_redirect_or_answer_at_length_delay_nothing() {
    let failing = Hook::new(|_| (500, String::new()));
    let slow = Hook::new(|_| {
        std::thread::sleep(Duration::from_secs(1));
        (200, String::new())
    });
    let redirecting = Hook::new(|_| (302, String::new()));
    let endless = Hook::new(|_| (200, "x".repeat(1 << 20)));
    let alert = |hook: &Hook| format!("{{ kind = \"slack\", url = \"{}\", level = \"info\" }}", hook.url);
    let more = format!("alert = [{}, {}, {}, {}]", alert(&redirecting), alert(&slow), alert(&endless), alert(&failing));
    let scene = Scene::new(&more);
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::Promoted));
    let kept = fs::read_to_string(scene.rollout.join("evidence/alerts.jsonl")).unwrap();
    let kept: Vec<serde_json::Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |receiver: u64| kept.iter().filter(move |one| one["receiver"] == receiver);
    assert!(of(0).all(|one| one["outcome"] == "failed" && one["attempts"] == 1) && of(0).count() > 0, "{kept:?}");
    assert!(of(2).all(|one| one["outcome"] == "sent" && one["why"].is_null()) && of(2).count() > 0, "{kept:?}");
    assert!(!redirecting.requests.lock().unwrap().is_empty() && !endless.requests.lock().unwrap().is_empty());
}

#[test]
fn a_weight_that_changes_from_outside_is_found_and_set_again() {
    let scene = Scene::new("");
    let running = scene.start();
    scene.reaches("soaking");
    scene.ask(Ask::Pause);
    let before = scene.balancer.share();
    scene.balancer.set_share(70);
    eventually("set again", || ((scene.balancer.share() - before).abs() < 0.6).then_some(()));
    scene.ask(Ask::Resume);
    assert_eq!(running.join().unwrap(), Ended::Done(End::Promoted));
    let found = scene.journal().iter().any(|record| format!("{:?}", record.actions).contains("changed from outside"));
    assert!(found);
}

#[test]
fn secrets_of_people_and_programs_are_in_no_file_and_no_alert() {
    let hook = Hook::new(|_| (200, String::new()));
    let said = "echo curl -H 'Authorization: Bearer sesame1' https://u:sesame2@host/x?t=sesame3 DB_PASSWORD=sesame4 --token sesame5; exit 1";
    let scene = Scene::with(|text| {
        let failing =
            format!("rollback = [\n    {{ kind = \"flag\", argv = [\"sh\", \"-c\", {said:?}], timeout = \"5s\" }},");
        let alert = format!("alert = [{{ kind = \"generic\", url = \"{}\", level = \"info\" }}]", hook.url);
        format!("{}{alert}", text.replace("rollback = [", &failing))
    });
    let running = scene.start();
    scene.reaches("soaking");
    let request = backstop::rollout::requests::Request::new(Ask::Pause, "bo", "see https://u:sesame6@wiki");
    request.send(&scene.dir).unwrap();
    assert!(request.answer(&scene.dir, Duration::from_secs(20)).unwrap().is_accepted);
    scene.ask(Ask::Rollback { cut: false });
    scene.reaches("escalated");
    let sent = |text: &str| hook.requests.lock().unwrap().iter().any(|sent| sent.contains(text));
    eventually("sent", || sent("failed: sh ended with exit code 1: curl").then_some(()));
    eventually("kept", || {
        let path = scene.rollout.join("evidence/alerts.jsonl");
        fs::read_to_string(path).ok().filter(|kept| kept.contains("failed: sh ended with exit code 1: curl"))
    });
    scene.ask(Ask::Rollback { cut: true });
    assert!(!sent("sesame"), "{:?}", hook.requests.lock().unwrap());
    let files = [
        scene.rollout.join("journal.jsonl"),
        scene.rollout.join("evidence/alerts.jsonl"),
        scene.rollout.join("evidence/verdicts.jsonl"),
        scene.dir.path().join("status.json"),
    ];
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("sesame"), "{}: {text}", file.display());
    }
    drop(running);
}

/// Takes a journal away in one step, and puts it back in one: a record is written to it or refused, never lost.
struct Aside {
    path: PathBuf,
    aside: PathBuf,
}

impl Aside {
    fn take(path: &Path) -> Self {
        let aside = path.with_extension("aside");
        fs::hard_link(path, &aside).unwrap();
        let link = path.with_extension("link");
        symlink("/dev/null", &link).unwrap();
        fs::rename(&link, path).unwrap();
        Self { path: path.to_owned(), aside }
    }

    fn put_back(self) {
        fs::rename(&self.aside, &self.path).unwrap();
    }
}

#[test]
fn a_journal_that_cannot_be_written_stops_promotion_and_never_a_rollback() {
    let scene = Scene::with(|text| text.replace("min = \"50ms\"", "min = \"50s\""));
    scene.world.not_ready.store(4, Ordering::Relaxed);
    let running = scene.start();
    scene.reaches("checking");
    let path = scene.rollout.join("journal.jsonl");
    let aside = Aside::take(&path);
    scene.world.not_ready.store(0, Ordering::Relaxed);
    let status = || Status::read(&scene.dir).ok().flatten();
    eventually("said in the status", || {
        status().filter(|status| status.troubles.iter().any(|trouble| trouble.contains("journal cannot be written")))
    });
    assert!(scene.balancer.is_at(0), "no traffic for the release");
    assert!(!scene.ask(Ask::Approve).is_accepted);
    aside.put_back();
    scene.reaches("soaking");
    scene.ask(Ask::Pause);
    let written = scene.journal().len();
    let aside = Aside::take(&path);
    assert!(scene.ask(Ask::Rollback { cut: true }).is_accepted);
    eventually("weight 0", || scene.balancer.is_at(0).then_some(()));
    aside.put_back();
    assert_eq!(running.join().unwrap(), Ended::Done(End::RolledBack));
    let journal = scene.journal();
    assert!(
        journal.len() > written
            && journal.iter().any(|record| matches!(&record.event, Event::Asked { ask: Ask::Rollback { .. }, .. })),
        "written down at last"
    );
}

#[test]
fn a_rollout_begins_only_if_it_can_be_recorded_and_has_one_controller() {
    let scene = Scene::new("");
    let lock = scene.dir.lock(&holder()).unwrap().unwrap();
    let other = scene.dir.lock(&holder()).unwrap().unwrap_err();
    assert_eq!(other.by, "mira", "the holder is named");
    fs::create_dir(scene.rollout.join("journal.jsonl")).unwrap();
    let error = Controller::new(scene.settings(), lock).err().unwrap();
    assert!(matches!(error, StartError::Journal(_) | StartError::NotWritten(_)), "{error}");
    assert_eq!(scene.balancer.sets.lock().unwrap().len(), 0);
}

#[test]
fn a_journal_that_was_changed_is_refused_and_one_with_a_torn_line_is_not() {
    let scene = Scene::new("");
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::Promoted));
    let path = scene.rollout.join("journal.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 20]).unwrap();
    assert_eq!(Journal::read(&path).unwrap().len(), text.lines().count() - 1);
    fs::write(&path, text.replacen("\"weight\":5", "\"weight\":6", 1)).unwrap();
    let error = Journal::read(&path).unwrap_err().to_string();
    assert!(error.contains("was changed: line"), "{error}");
}

#[test]
fn without_a_controller_a_rollback_acts_and_says_that_nobody_watches() {
    let scene = Scene::new("");
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::Promoted));
    let lock = scene.dir.lock(&holder()).unwrap().unwrap();
    let mut controller = Controller::new(Settings { looks: None, ..scene.settings() }, lock).unwrap();
    let request = backstop::rollout::requests::Request::new(Ask::Rollback { cut: true }, "bo", "late");
    assert!(controller.ask(request).is_accepted);
    assert_eq!(controller.run(), Ended::Unwatched);
    assert!(scene.balancer.is_at(0));
    assert_eq!(scene.log(), ["promoted", "switched", "evidence", "down"]);
}

/// Weight in force and lines of `log` after so many records, if the action in progress was done, or not begun.
fn world_at(scene: &Scene, records: usize, is_last_done: bool) -> (u32, Vec<&'static str>) {
    let journal = &scene.journal()[..records];
    let is_finished = |key: u64| {
        journal.iter().any(|record| matches!(record.event, Event::Finished { key: finished, .. } if finished == key))
    };
    let (mut weight, mut log) = (50, Vec::new());
    for action in journal.iter().flat_map(|record| &record.actions) {
        match action {
            Action::Do { key, .. } if !is_last_done && !is_finished(*key) => {}
            Action::Do { job: Job::Move { weight: set, .. }, .. } => weight = *set,
            Action::Do { job: Job::Run { step, .. }, .. } => log.push(match step {
                Step::Rollback(0) => "switched",
                Step::Rollback(_) => "down",
                Step::Promote(_) => "promoted",
                _ => "evidence",
            }),
            _ => {}
        }
    }
    (weight, log)
}

/// Kills the controller after every record, before and after the action that follows from it, and in the middle of a line.
fn every_crash(is_bad: bool, end: End, share: f64, lines: &[&str]) {
    let whole = Scene::new("");
    whole.world.is_bad.store(is_bad, Ordering::Relaxed);
    assert_eq!(whole.start().join().unwrap(), Ended::Done(end));
    let text = fs::read_to_string(whole.rollout.join("journal.jsonl")).unwrap();
    let all: Vec<_> = text.split_inclusive('\n').collect();
    for records in 1..all.len() {
        for (is_last_done, is_torn) in [(false, false), (true, false), (true, true)] {
            let scene = Scene::new("");
            scene.world.is_bad.store(is_bad, Ordering::Relaxed);
            let (weight, log) = world_at(&whole, records, is_last_done);
            scene.balancer.set_share(weight);
            let log_text: Vec<_> = log.iter().map(|line| format!("{line}\n")).collect();
            fs::write(scene.folder.path().join("log"), log_text.concat()).unwrap();
            let torn = if is_torn { &all[records][..all[records].len() / 2] } else { "" };
            let kept = format!("{}{torn}", all[..records].concat());
            fs::copy(whole.rollout.join("evidence/before.json"), scene.rollout.join("evidence/before.json")).unwrap();
            fs::write(scene.rollout.join("journal.jsonl"), kept).unwrap();
            assert_eq!(scene.start().join().unwrap(), Ended::Done(end), "after {records} records");
            assert!((scene.balancer.share() - share).abs() < 1e-9, "after {records} records");
            let done: Vec<_> = scene.log().into_iter().filter(|line| line != "evidence").collect();
            assert_eq!(done, lines, "nothing is done twice or left out, after {records} records, {is_last_done}");
        }
    }
}

#[test]
fn a_crash_at_any_instant_of_a_rollback_loses_no_decision_and_repeats_no_action() {
    every_crash(true, End::RolledBack, 0.0, &["switched", "down"]);
}

#[test]
fn a_crash_at_any_instant_of_a_promotion_loses_no_decision_and_repeats_no_action() {
    every_crash(false, End::Promoted, 100.0, &["promoted"]);
}

#[test]
fn a_request_that_was_carried_out_before_a_crash_is_not_carried_out_again() {
    let scene = Scene::new("");
    scene.world.not_ready.store(4, Ordering::Relaxed);
    let request = backstop::rollout::requests::Request::new(Ask::Pause, "bo", "because");
    let mut controller = scene.controller();
    assert!(controller.ask(request.clone()).is_accepted);
    drop(controller);
    request.send(&scene.dir).unwrap();
    let running = scene.start();
    eventually("removed", || request.answer(&scene.dir, Duration::ZERO).is_none().then_some(()));
    scene.ask(Ask::Reject);
    assert_eq!(running.join().unwrap(), Ended::Done(End::Aborted));
    let pauses =
        scene.journal().iter().filter(|record| matches!(&record.event, Event::Asked { ask: Ask::Pause, .. })).count();
    assert_eq!(pauses, 1);
}
