//! A controller with a fake load balancer, a judge that is fed by the test, and a plan that lasts seconds.

use crate::servers::{FakeHaproxy, Program, eventually};
use backstop::rollback::{Arm, Instances, Judge, Policy, Segment, Tick};
use backstop::rollout::controller::{Controller, Ended, Looks, Seen, Settings};
use backstop::rollout::journal::{Journal, Record};
use backstop::rollout::requests::{Answer, Request};
use backstop::rollout::source::SourceError;
use backstop::rollout::stages::Ask;
use backstop::rollout::state_dir::{Holder, StateDir};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Behaviour of the service, set by the test.
#[derive(Clone, Default)]
pub(crate) struct World {
    /// Whether the release fails a third of its requests.
    pub(crate) is_bad: Arc<AtomicBool>,
    /// Whether the source hangs.
    pub(crate) hangs: Arc<AtomicBool>,
    /// Instances of the release that are not ready.
    pub(crate) not_ready: Arc<AtomicU32>,
}

/// Looks at a world where a second passes at each look.
pub(crate) struct Scripted {
    world: World,
    judge: Judge,
    at: f64,
    weight: u32,
}

impl Scripted {
    pub(crate) fn new(world: World) -> Self {
        Self { world, judge: Judge::new(Policy::default()), at: 0.0, weight: 0 }
    }
}

pub(crate) fn arm(requests: f64, errors: f64, not_ready: f64) -> Arm {
    let mut segment = Segment::default();
    (segment.requests, segment.server_errors) = (Some(requests), Some(errors));
    let mut arm = Arm::default();
    arm.segments.insert("default".to_owned(), segment);
    arm.instances = Some(Instances { total: 4.0, not_started: 0.0, not_ready });
    arm
}

impl Looks for Scripted {
    fn look(&mut self) -> Result<Seen, SourceError> {
        if self.world.hangs.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_secs(20));
        }
        self.at += 1.0;
        let requests = f64::from(self.weight) * 20.0;
        let errors = if self.world.is_bad.load(Ordering::Relaxed) { requests / 3.0 } else { 0.0 };
        let canary = arm(requests, errors.floor(), f64::from(self.world.not_ready.load(Ordering::Relaxed)));
        let tick = Tick::new(self.at, canary, Some(arm(2_000.0 - requests + 100.0, 1.0, 0.0))).unwrap();
        let verdict = self.judge.observe(tick.clone());
        Ok(Seen { tick: Some(tick), verdict, failure: None })
    }

    fn set_stage(&mut self, weight: u32) {
        self.weight = weight;
    }

    fn override_by(&mut self, by: &str, reason: &str) {
        self.judge.override_by(by, reason);
    }
}

pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) balancer: FakeHaproxy,
    pub(crate) dir: StateDir,
    pub(crate) rollout: PathBuf,
    pub(crate) world: World,
}

/// A plan whose stages last a moment, with commands that leave a line in `log`.
pub(crate) fn plan_text(socket: &Path, more: &str) -> String {
    let command = |name: &str| {
        format!("argv = [\"sh\", \"-c\", \"echo {name} >> log\"], verify = [\"grep\", \"-q\", \"{name}\", \"log\"]")
    };
    format!(
        r#"
service = "checkout"
artifact = "checkout:1.2.4"
previous = "checkout:1.2.3"
owner = "team-checkout"
expires = "2099-01-31T00:00:00Z"
budget = "2m"
recovery = {{ metric = "failed checkouts", lasts = "100ms" }}
escalation = {{ contacts = ["on call: +41 44 000 00 00"] }}
data = [{{ kind = "additive" }}]
stage = [
    {{ weight = 5, min = "50ms", max = "1m", samples = 200 }},
    {{ weight = 50, min = "50ms", max = "1m", samples = 200 }},
    {{ weight = 100, min = "50ms", max = "1m" , samples = 0}},
]
rollback = [
    {{ kind = "kill_switch", {} }},
    {{ kind = "traffic_shift", argv = ["true"] }},
    {{ kind = "scale_down", {} }},
]
promote = [{{ {} }}]
preserve = [{{ argv = ["sh", "-c", "echo evidence >> log"], timeout = "10s" }}]
traffic = {{ kind = "haproxy", socket = "{}", backend = "web", canary = ["c1"], stable = ["s1"], timeout = "3s" }}
{more}
"#,
        command("switched"),
        command("down"),
        command("promoted"),
        socket.display()
    )
}

pub(crate) fn holder() -> Holder {
    Holder { pid: std::process::id(), by: "mira".to_owned(), ..Holder::default() }
}

impl Scene {
    pub(crate) fn new(more: &str) -> Self {
        Self::with(|text| format!("{text}{more}"))
    }

    /// With a plan that was changed.
    pub(crate) fn with(change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let balancer = FakeHaproxy::new(folder.path(), &["c1", "s1"]);
        let dir = StateDir::new(&folder.path().join("state"), "checkout").unwrap();
        dir.create().unwrap();
        let start = serde_json::json!({ "commands_in": folder.path() }).to_string();
        let plan = change(plan_text(&balancer.socket, ""));
        let rollout = dir.begin(&[("plan.toml", plan.as_bytes()), ("start.json", start.as_bytes())]).unwrap();
        Self { folder, balancer, dir, rollout, world: World::default() }
    }

    /// With another `[traffic]`.
    pub(crate) fn moved_by(traffic: &str) -> Self {
        Self::with(|text| {
            let lines = text.lines().filter(|line| !line.starts_with("traffic ="));
            lines.chain([traffic]).map(|line| format!("{line}\n")).collect::<Vec<_>>().concat()
        })
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            looks: Some(Box::new(Scripted::new(self.world.clone()))),
            look_every: Duration::from_millis(10),
            ..Settings::of(&self.dir, self.rollout.clone(), "mira")
        }
    }

    pub(crate) fn controller(&self) -> Controller {
        let lock = eventually("the lock is free", || self.dir.lock(&holder()).unwrap().ok());
        Controller::new(self.settings(), lock).unwrap()
    }

    /// Runs a controller to its end on a thread of its own.
    pub(crate) fn start(&self) -> JoinHandle<Ended> {
        let (dir, settings) = (self.dir.clone(), self.settings());
        thread::spawn(move || {
            let lock = eventually("the lock is free", || dir.lock(&holder()).unwrap().ok());
            Controller::new(settings, lock).unwrap().run()
        })
    }

    pub(crate) fn journal(&self) -> Vec<Record> {
        Journal::read(&self.rollout.join("journal.jsonl")).unwrap()
    }

    pub(crate) fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn reaches(&self, state: &str) {
        eventually(state, || self.journal().last().is_some_and(|record| record.state == state).then_some(()));
    }

    pub(crate) fn ask(&self, ask: Ask) -> Answer {
        self.ask_as(ask, "because")
    }

    pub(crate) fn ask_as(&self, ask: Ask, reason: &str) -> Answer {
        let request = Request::new(ask, "bo", reason);
        request.send(&self.dir).unwrap();
        request.answer(&self.dir, Duration::from_secs(20)).expect("an answer")
    }
}

/// Ticks for the standard input of a controller: a line each 20 ms, with a second between two lines.
#[derive(Clone, Default)]
pub(crate) struct Ticks {
    pub(crate) is_bad: Arc<AtomicBool>,
    pub(crate) flow: Arc<AtomicBool>,
}

impl Ticks {
    /// Starts `backstop rollout start plan.toml` and feeds it.
    pub(crate) fn start(&self, mut command: Command, more: &[&str]) -> Program {
        command.args(["start", "plan.toml", "--source", "ticks:-", "--look-every", "0.02"]).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (mut input, ticks) = (child.stdin.take().unwrap(), self.clone());
        let begun = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        thread::spawn(move || {
            for at in begun.. {
                while !ticks.flow.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(5));
                }
                let errors = if ticks.is_bad.load(Ordering::Relaxed) { 100 } else { 0 };
                let arm = |requests: u32, errors: u32| {
                    format!(
                        r#"{{"segments": {{"default": {{"requests": {requests}, "server_errors": {errors}}}}}, "instances": {{"total": 2}}}}"#
                    )
                };
                let line =
                    format!("{{\"at\": {at}, \"canary\": {}, \"baseline\": {}}}\n", arm(300, errors), arm(1_900, 1));
                if input.write_all(line.as_bytes()).is_err() {
                    return;
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        Program(child)
    }
}
