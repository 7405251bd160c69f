//! `rollout`: moves a release through its stages, and takes people's commands for it.

mod ask;
mod earlier;
mod place;
mod report;
mod service;
mod start;
mod status;

use super::output::{Failure, Report};
use clap::{Args, Subcommand};
use std::path::PathBuf;

const HELP: &str = "\
Examples:
  backstop rollout start plan.toml --source scrape --canary 10.0.0.7:9090 --baseline 10.0.0.2:9090,10.0.0.3:9090
  backstop rollout status --watch
  backstop rollout rollback checkout --break-glass --reason \"payments fail\"
  backstop rollout disable checkout --for 2h --reason \"database maintenance\"
  backstop rollout report checkout --html report.html

Exit codes:
  0   done: promoted, accepted, shown
  1   refused, with the reason
  2   bad usage, or a plan, policy or source that is not valid
  3   the state directory cannot be used, or no controller answers
  4   nothing to do: there is no such rollout, it has ended, or its traffic has returned
  6   held: a person has to decide
  20  start: rolled back
  21  start: superseded, or ended before it had traffic";

const STATE: &str = "The state directory. Default: $STATE_DIRECTORY, else ./backstop-state";

/// Rollouts: a release through its stages, with people's commands.
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Rollout {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[arg(long, global = true, value_name = "DIR", help = STATE)]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Start(Box<start::Start>),
    Status(status::Show),
    /// Lists the latest rollout of every service.
    List,
    /// Opens the gate of a stage, or decides against a verdict that pauses.
    Approve(ask::Plain),
    /// Ends the rollout: traffic returns to the previous version.
    Reject(ask::Plain),
    /// No further stage until `resume`; a verdict still rolls back.
    Pause(ask::Plain),
    /// Ends a pause, or tries again what a person was called for.
    Resume(ask::Plain),
    Rollback(ask::Rollback),
    Disable(ask::Disable),
    /// Ends a maintenance window.
    Enable(ask::Plain),
    Report(report::Write),
}

impl Rollout {
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn run(self) -> Result<Report, Failure> {
        use backstop::rollout::stages::Ask;
        // systemd separates several by colons.
        let of_unit = || std::env::split_paths(&std::env::var_os("STATE_DIRECTORY")?).next();
        let state = self.state.or_else(of_unit).filter(|state| !state.as_os_str().is_empty());
        let state = state.unwrap_or_else(|| PathBuf::from("backstop-state"));
        match self.command {
            Command::Start(start) => start.run(&state),
            Command::Status(show) => show.run(&state, self.json),
            Command::List => status::list(&state),
            Command::Approve(plain) => plain.send(&state, Ask::Approve),
            Command::Reject(plain) => plain.send(&state, Ask::Reject),
            Command::Pause(plain) => plain.send(&state, Ask::Pause),
            Command::Resume(plain) => plain.send(&state, Ask::Resume),
            Command::Rollback(rollback) => rollback.run(&state),
            Command::Disable(disable) => disable.run(&state),
            Command::Enable(plain) => plain.send(&state, Ask::Enable),
            Command::Report(report) => report.run(&state),
        }
    }
}
