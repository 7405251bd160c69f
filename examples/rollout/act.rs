//! One rollout by the library's controller, and a line a second of what both arms do meanwhile.

use crate::balancer::{Balancer, Wanted};
use crate::load::{Load, Sample, now};
use crate::process::Process;
use crate::service;
use backstop::BoxError;
use backstop::rollback::{Decision, Policy};
use backstop::rollout::controller::{Controller, Ended, Judged, Looks, Seen, Settings, Status};
use backstop::rollout::journal::{Journal, Record};
use backstop::rollout::source::{Scrape, SourceError};
use backstop::rollout::stages::Action;
use backstop::rollout::state_dir::{Holder, StateDir};
use std::io::IsTerminal;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::interval;

/// Between two readings of the weight, and readings a line.
const EVERY: Duration = Duration::from_millis(200);
const LINE: usize = 5;
/// Seconds for a rollout on a busy machine, which takes 20, and for the first requests.
const LIMIT: f64 = 70.0;
const START: f64 = 15.0;
/// Colors.
pub(crate) const STRONG: &str = "1";
const GOOD: &str = "32";
const BAD: &str = "1;31";
const PLAN: &str = include_str!("plan.toml");
const POLICY: &str = include_str!("policy.toml");

/// A release, and how many of a hundred requests it fails.
#[derive(Clone, Copy)]
pub(crate) struct Release {
    pub(crate) artifact: &'static str,
    pub(crate) previous: &'static str,
    pub(crate) failing: u32,
}

/// Decisions of the judge, with their times.
type Decisions = Vec<(f64, Decision)>;

/// A rollout that has ended.
pub(crate) struct Done {
    pub(crate) release: Release,
    pub(crate) ended: Ended,
    /// Folder of the rollout, with its journal.
    pub(crate) folder: PathBuf,
    pub(crate) balancer: &'static str,
    pub(crate) records: Vec<Record>,
    pub(crate) said: Decisions,
    pub(crate) samples: Vec<Sample>,
    /// Weights as the load balancer said, with their times.
    pub(crate) readings: Vec<(f64, f64)>,
}

/// Rolls a release out, with processes of its own.
pub(crate) async fn run(release: Release, state: &Path, wanted: Wanted) -> Result<Done, BoxError> {
    let Release { artifact, previous, failing } = release;
    let (_stable, stable) = Process::server(&[service::ROLE, previous, "0"])?;
    let (_canary, canary) = Process::server(&[service::ROLE, artifact, &failing.to_string()])?;
    let balancer = Balancer::start(state, stable, canary, wanted).await?;
    println!("{} at {} has stable at {stable} and the canary at {canary}", balancer.name(), balancer.address);
    let (begun, mut ticks) = (now(), interval(EVERY));
    let is_late = || now() - begun > START;
    while TcpStream::connect(balancer.address).is_err() && !is_late() {
        ticks.tick().await;
    }
    let load = Load::start(format!("http://{}/", balancer.address), artifact)?;
    while load.since(0.0).iter().filter(|sample| sample.is_ok).count() < 100 {
        if is_late() {
            return Err(format!("step `traffic`: {} did not answer 100 requests in {START} s", balancer.name()).into());
        }
        ticks.tick().await;
    }

    // The folder of a rollout, as `backstop rollout start` makes it.
    let plan = PLAN.replace("{artifact}", artifact).replace("{previous}", previous);
    let plan = plan.replace("{traffic}", &balancer.traffic());
    let dir = StateDir::new(state, service::NAME)?;
    dir.create()?;
    let holder = Holder { pid: std::process::id(), by: "example".to_owned(), ..Holder::default() };
    let lock = dir.lock(&holder)?.map_err(|holder| format!("the state directory is in use by {holder}"))?;
    let folder = dir.begin(&[("plan.toml", plan.as_bytes()), ("policy.toml", POLICY.as_bytes())])?;

    let number = folder.file_name().unwrap_or_default().to_string_lossy();
    let source = Scrape::new(service::NAME, canary.to_string().parse()?).baseline(stable.to_string().parse()?);
    let evidence = folder.join("evidence").join("judge");
    let judged = Judged::new(service::NAME, Policy::parse(POLICY)?, Box::new(source), &number, &evidence)?;
    let said: Arc<Mutex<Decisions>> = Arc::default();
    let settings = Settings {
        dir: dir.clone(),
        folder: folder.clone(),
        commands_in: state.to_owned(),
        looks: Some(Box::new(Watched { judged, said: Arc::clone(&said) })),
        look_every: Duration::from_secs(1),
        by: "example".to_owned(),
        reason: None,
    };
    let (sender, mut ended) = oneshot::channel();
    std::thread::spawn(move || {
        let ended = Controller::new(settings, lock).map(Controller::run);
        let _ = sender.send(ended.map_err(|error| error.to_string())); // fails once the run is over
    });

    let (begun, mut told, mut readings) = (now(), 0, Vec::new());
    let ended = loop {
        ticks.tick().await;
        let weight = balancer.weight().map_err(|error| format!("step `read-back`: {error}"))?;
        readings.push((now(), weight));
        let records = Journal::read(&folder.join("journal.jsonl"))?;
        tell(begun, &records[told..]);
        told = records.len();
        let Status { state, why, .. } = Status::read(&dir)?.unwrap_or_default();
        if readings.len().is_multiple_of(LINE) {
            let last = said.lock().expect("no panic while locked").last().map_or("", |(_, said)| said.as_str());
            println!("{}", line(now() - begun, weight, &load.since(now() - 1.0), &state, last));
        }
        match ended.try_recv() {
            Ok(ended) => break ended?,
            Err(TryRecvError::Empty) if now() - begun < LIMIT => {}
            Err(_) => return Err(format!("step `end of the rollout`: {state} at {weight} %, not ended. {why}").into()),
        }
    };
    let records = Journal::read(&folder.join("journal.jsonl"))?;
    tell(begun, &records[told..]);
    let (samples, said) = (load.stop().await?, std::mem::take(&mut *said.lock().expect("no panic while locked")));
    Ok(Done { release, ended, folder, balancer: balancer.name(), records, said, samples, readings })
}

/// The library's judge. Others read its verdicts with their times.
struct Watched {
    judged: Judged,
    said: Arc<Mutex<Decisions>>,
}

impl Looks for Watched {
    fn look(&mut self) -> Result<Seen, SourceError> {
        let seen = self.judged.look()?;
        self.said.lock().expect("no panic while locked").push((now(), seen.verdict.decision));
        Ok(seen)
    }

    fn set_stage(&mut self, weight: u32) {
        self.judged.set_stage(weight);
    }

    fn override_by(&mut self, by: &str, reason: &str) {
        self.judged.override_by(by, reason);
    }
}

/// Prints the controller's alerts.
fn tell(begun: f64, records: &[Record]) {
    for record in records {
        for action in &record.actions {
            if let Action::Alert { level, text } = action {
                let color = if level.as_str() == "page" { BAD } else { STRONG };
                println!("{:>5.1} s  {}", time(record) - begun, paint(color, text));
            }
        }
    }
}

/// Time of day of a record.
pub(crate) fn time(record: &Record) -> f64 {
    record.at.as_microsecond() as f64 / 1e6
}

fn line(at: f64, weight: f64, second: &[Sample], state: &str, verdict: &str) -> String {
    let count = |is_canary: bool| {
        let of: Vec<_> = second.iter().filter(|sample| sample.is_canary == is_canary).collect();
        let failed = of.iter().filter(|sample| !sample.is_ok).count();
        format!("{:>3}/s {}", of.len(), paint(if failed > 0 { BAD } else { "" }, &format!("{failed:>2} failed")))
    };
    let (stable, canary) = (count(false), count(true));
    let color = if verdict == "continue" { GOOD } else { BAD };
    let (state, verdict) = (state.replace('_', " "), paint(if verdict == "collecting" { "" } else { color }, verdict));
    format!("{at:>5.1} s  weight {weight:>3.0} %  stable {stable}  canary {canary}  {state:<12} {verdict}")
}

/// Colors text on a terminal, and nowhere else.
pub(crate) fn paint(color: &str, text: &str) -> String {
    let is_plain = color.is_empty() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if is_plain || !std::io::stdout().is_terminal() { text.to_owned() } else { format!("\x1b[{color}m{text}\x1b[0m") }
}
