//! A disk that hangs: what is decided, moved and asked does not wait for it.

use super::Ended;
use super::looking::{Looks, Seen};
use super::run::Controller;
use super::settings::Settings;
use super::status::Status;
use crate::rollback::{Arm, Decision, Judge, Policy, Segment, Tick};
use crate::rollout::requests::Request;
use crate::rollout::source::SourceError;
use crate::rollout::stages::Ask;
use crate::rollout::state_dir::{Holder, StateDir};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::thread;
use std::time::Duration;

/// Judge whose decision the test sets.
struct Told(Arc<Mutex<Decision>>, f64);

impl Looks for Told {
    fn look(&mut self) -> Result<Seen, SourceError> {
        self.1 += 1.0;
        let mut segment = Segment::default();
        (segment.requests, segment.server_errors) = (Some(1_000.0), Some(0.0));
        let mut arm = Arm::default();
        arm.segments.insert("default".to_owned(), segment);
        let tick = Tick::new(self.1, arm.clone(), Some(arm)).unwrap();
        let mut verdict = Judge::new(Policy::default()).observe(tick.clone());
        verdict.decision = *self.0.lock();
        Ok(Seen { tick: Some(tick), verdict, failure: None })
    }

    fn set_stage(&mut self, _: u32) {}

    fn override_by(&mut self, _: &str, _: &str) {}
}

fn eventually(is_so: impl Fn() -> bool) {
    while !is_so() {
        thread::yield_now();
    }
}

/// A controller whose journal hangs while `hangs`.
struct Hanging {
    folder: tempfile::TempDir,
    dir: StateDir,
    decision: Arc<Mutex<Decision>>,
    hangs: Arc<AtomicBool>,
    running: thread::JoinHandle<Ended>,
}

impl Hanging {
    fn new(decision: Decision) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../../tests/rollout/plan.toml").replace("30s", "100ms");
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with("traffic =")).collect();
        let traffic = r#"traffic = { kind = "command", argv = ["sh", "-c", "echo {weight} >> weights"] }"#;
        let plan = format!("{}\n{traffic}\n", lines.join("\n"));
        let dir = StateDir::new(folder.path(), "checkout").unwrap();
        dir.create().unwrap();
        let rollout = dir.begin(&[("plan.toml", plan.as_bytes())]).unwrap();
        let lock = dir.lock(&Holder::new("mira", "test")).unwrap().unwrap();
        let (decision, hangs) = (Arc::new(Mutex::new(decision)), Arc::new(AtomicBool::new(false)));
        let looks: Box<dyn Looks> = Box::new(Told(Arc::clone(&decision), 0.0));
        let settings = Settings {
            commands_in: folder.path().to_owned(),
            looks: Some(looks),
            look_every: Duration::from_millis(5),
            ..Settings::of(&dir, rollout, "mira")
        };
        let disk = Arc::clone(&hangs);
        let append = move |_| {
            while disk.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(())
        };
        let running = thread::spawn(move || Controller::with(settings, lock, Box::new(append)).unwrap().run());
        Self { folder, dir, decision, hangs, running }
    }

    fn weights(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("weights")).unwrap_or_default()
    }

    fn ask(&self, ask: Ask) -> bool {
        let request = Request::new(ask, "bo", "because");
        request.send(&self.dir).unwrap();
        request.answer(&self.dir, Duration::from_secs(60)).unwrap().is_accepted
    }
}

#[test]
fn a_verdict_returns_the_traffic_while_the_journal_hangs() {
    let hanging = Hanging::new(Decision::Continue);
    eventually(|| hanging.weights() == "0\n5\n");
    hanging.hangs.store(true, Ordering::Relaxed);
    *hanging.decision.lock() = Decision::Rollback;
    eventually(|| hanging.weights() == "0\n5\n0\n");
    assert!(!hanging.ask(Ask::Pause) && hanging.ask(Ask::Rollback { cut: true }), "people are answered");
    assert!(hanging.hangs.load(Ordering::Relaxed) && !hanging.running.is_finished());
}

#[test]
fn more_traffic_waits_for_a_journal_that_hangs_and_a_person_takes_it_back_meanwhile() {
    let hanging = Hanging::new(Decision::Pause);
    eventually(|| hanging.weights() == "0\n");
    hanging.hangs.store(true, Ordering::Relaxed);
    *hanging.decision.lock() = Decision::Continue;
    let says = |text: &str| {
        let status = std::fs::read_to_string(hanging.dir.path().join("status.json")).unwrap_or_default();
        status.contains(text)
    };
    eventually(|| says("the disk does not answer") && says("moving"));
    assert!(!hanging.ask(Ask::Approve) && hanging.ask(Ask::Rollback { cut: false }));
    hanging.hangs.store(false, Ordering::Relaxed);
    assert!(matches!(hanging.running.join().unwrap(), Ended::Done(_) | Ended::Escalated));
    assert_eq!(std::fs::read_to_string(hanging.folder.path().join("weights")).unwrap(), "0\n0\n");
}

#[test]
fn a_rollback_that_cannot_be_recorded_is_kept_beside_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let dir = StateDir::new(folder.path(), "checkout").unwrap();
    dir.create().unwrap();
    let traffic = r#"traffic = { kind = "command", argv = ["sh", "-c", "echo {weight} >> weights"] }"#;
    let text = include_str!("../../../tests/rollout/plan.toml");
    let plan: Vec<_> = text.lines().filter(|line| !line.starts_with("traffic =")).chain([traffic]).collect();
    let rollout = dir.begin(&[("plan.toml", plan.join("\n").as_bytes())]).unwrap();
    let lock = dir.lock(&Holder::new("mira", "test")).unwrap().unwrap();
    let settings = Settings { commands_in: folder.path().to_owned(), ..Settings::of(&dir, rollout, "mira") };
    let mut is_first = true;
    let append = move |_| if std::mem::take(&mut is_first) { Ok(()) } else { Err("no room".to_owned()) };
    let mut controller = Controller::with(settings, lock, Box::new(append)).unwrap();
    let said: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&said);
    assert!(controller.ask(Request::new(Ask::Rollback { cut: true }, "bo", "because")).is_accepted);
    controller.on_trouble(move |trouble| heard.lock().push(trouble.to_owned())).run();
    assert!(said.lock().iter().any(|trouble| trouble.starts_with("the journal has no record of this")), "{said:?}");
    assert!(Status::unrecorded(&dir).unwrap().is_some_and(|status| status.weight == 0));
}
