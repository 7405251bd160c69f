//! `baseline`: records known-good values of the stable version.

use super::judge::policy;
use super::output::{Failure, Report};
use super::source_args::SourceArgs;
use super::stop;
use backstop::clock::{Clock, Instant};
use backstop::rollback::Decision;
use backstop::rollout::judging::Judging;
use backstop::signals::{self, Baseline as Recorded};
use clap::{Args, Subcommand};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

const HELP: &str = "\
Records the stable version: the baseline of the source, or its canary where there is no baseline. An hour counts from 1,000
requests, only ticks whose verdict is continue are in it (15 minutes after a pause or a rollback judging begins anew), and it
is merged with the same UTC hour of earlier weeks. The file
is written at the end of each hour and when the command is stopped.

Example:
  backstop baseline record --service checkout --source scrape --canary dns:checkout:9090 --file checkout.json

Exit codes:
  0  ended by SIGTERM or SIGINT
  2  bad usage, or a file that cannot be read
  3  the file cannot be written";

/// Recorded baselines, for rollouts that have no live one.
#[derive(Args)]
pub(super) struct Baseline {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Record(Box<Record>),
}

/// Records error rate, p99 and throughput by UTC hour of the week, until it is stopped.
#[derive(Args)]
#[command(after_help = HELP)]
struct Record {
    /// The service, as its signals are named.
    #[arg(long, value_name = "NAME")]
    service: String,
    #[command(flatten)]
    source: SourceArgs,
    /// The policy whose verdict decides, TOML or JSON. Default: the built-in one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The file of the baseline; one that exists is gone on with.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
}

/// Time for which nothing is recorded after a decision that no tick ends: a glitch is over by then, and what is still
/// wrong is found again.
const HELD: Duration = Duration::from_secs(900);

/// A pause or a rollback, while nothing is recorded.
#[derive(Default)]
struct Held {
    since: Option<Instant>,
}

impl Held {
    /// Whether it has lasted for long enough.
    fn is_over(&mut self, decision: Decision, now: Instant) -> bool {
        if matches!(decision, Decision::Continue | Decision::Collecting) {
            self.since = None;
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_over = now.saturating_duration_since(since) >= HELD;
        if is_over {
            self.since = None;
        }
        is_over
    }
}

impl Baseline {
    pub(super) fn run(self) -> Result<Report, Failure> {
        match self.command {
            Command::Record(record) => record.run(),
        }
    }
}

impl Record {
    fn run(self) -> Result<Report, Failure> {
        let policy = policy(self.policy.as_deref())?;
        let before = match Recorded::read(&self.file) {
            Ok(baseline) => baseline,
            Err(error) if error.kind() == ErrorKind::NotFound => Recorded::default(),
            Err(error) => return Err(Failure::Usage(format!("{} cannot be read: {error}", self.file.display()))),
        };
        let source = self.source.open(&self.service, &policy, false)?;
        let mut judging = Judging::new(&self.service, policy, source).recording(before.clone());
        let (runtime, mut stop) = stop::runtime()?;
        let mut written = before;
        let (clock, mut held) = (Clock::system(), Held::default());
        loop {
            let published = judging.look();
            if held.is_over(published.decision(), clock.now()) {
                let decision = published.decision().as_str();
                eprintln!("the verdict has been {decision} for 15 min: judging begins anew");
                judging.begin("recorded");
            }
            if let Some(baseline) = judging.baseline().filter(|baseline| **baseline != written) {
                written = baseline.clone();
                self.write(&written)?;
            }
            if runtime.block_on(stop.within(Duration::from_secs(1))) {
                break;
            }
        }
        let baseline = judging.finish_recording().unwrap_or(written);
        self.write(&baseline)?;
        Ok(Report::of(format!("{} is written.", self.file.display()), &serde_json::json!({})))
    }

    fn write(&self, baseline: &signals::Baseline) -> Result<(), Failure> {
        let written = baseline.write(&self.file);
        written.map_err(|error| Failure::Store(format!("{} cannot be written: {error}", self.file.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_holds_recording_for_a_quarter_of_an_hour() {
        let (clock, time) = Clock::manual();
        let mut held = Held::default();
        assert!(!held.is_over(Decision::Rollback, clock.now()));
        time.advance(Duration::from_secs(899));
        assert!(!held.is_over(Decision::Rollback, clock.now()));
        assert!(!held.is_over(Decision::Continue, clock.now()), "it ended by itself");
        assert!(!held.is_over(Decision::Pause, clock.now()));
        time.advance(Duration::from_secs(900));
        assert!(held.is_over(Decision::Pause, clock.now()));
        assert!(!held.is_over(Decision::Rollback, clock.now()), "it begins anew");
    }
}
