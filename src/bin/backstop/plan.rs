//! `plan`: checks a release plan, and prints its runbook.

mod samples;

use super::output::{Failure, Report};
use super::text::shown;
use super::time_args::{minute, now};
use backstop::ConfigError;
use backstop::rollback::Policy;
use backstop::rollback::plan::{Plan as Release, TrafficKind};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

const HELP: &str = "\
Examples:
  backstop plan check plan.toml
  backstop plan runbook plan.toml > RUNBOOK.md

Exit codes:
  0  the plan is valid; warnings are printed to stderr
  2  bad usage, or a plan that cannot be read or is not valid; every problem is listed";

/// Release plans: how a release is undone, checked before it starts.
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Plan {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Checks a plan as a rollout does before it starts, and lists every problem.
    Check {
        /// The plan, in TOML or JSON.
        file: PathBuf,
    },
    /// Prints the instructions for an operator who has never seen the change, in Markdown.
    Runbook {
        /// The plan, in TOML or JSON. One that has expired is printed with a warning.
        file: PathBuf,
    },
}

impl Plan {
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn run(self) -> Result<Report, Failure> {
        match self.command {
            Command::Check { file } => check(&file),
            Command::Runbook { file } => runbook(&file),
        }
    }
}

fn check(file: &Path) -> Result<Report, Failure> {
    let plan = Release::check(&read(file)?, now()).map_err(|error| invalid(file, &error))?;
    socket(file, &plan)?;
    let mut warnings = plan.warnings();
    warnings.extend(of_policy(file, &plan));
    let way = if plan.forward_fix_only { "can only be fixed forward" } else { "can be rolled back" };
    let text = format!(
        "{} is valid until {}: {} {} {way}.",
        file.display(),
        minute(plan.expires),
        plan.service,
        plan.artifact
    );
    let value = serde_json::json!({
        "valid": true,
        "service": plan.service,
        "artifact": plan.artifact,
        "expires": plan.expires,
        "forward_fix_only": plan.forward_fix_only,
        "warnings": warnings,
    });
    let warning = (!warnings.is_empty()).then(|| warnings.join("\nwarning: "));
    Ok(Report { warning, ..Report::of(text, &value) })
}

/// An error if the runtime socket is neither a path nor an address. A file name without a slash looks like a path.
pub(super) fn socket(file: &Path, plan: &Release) -> Result<(), Failure> {
    let traffic = plan.traffic.as_ref().filter(|traffic| traffic.kind == TrafficKind::Haproxy);
    let Some(socket) = traffic.map(|traffic| &traffic.socket) else { return Ok(()) };
    let has_port = |(_, port): (&str, &str)| port.parse::<u16>().is_ok();
    if socket.contains('/') || socket.rsplit_once(':').is_some_and(has_port) {
        return Ok(());
    }
    Err(Failure::Input(format!(
        "{} has 1 problem:\n  traffic.socket: {} is not allowed, must be a path with a slash, as ./{}, or an address such as \
         127.0.0.1:9999",
        file.display(),
        shown(socket),
        shown(socket)
    )))
}

/// Warnings of the plan's policy about its stages: too short, or decided on too few requests. The policy is the one that a
/// rollout would use: where the plan looks for it, or the built-in one.
fn of_policy(file: &Path, plan: &Release) -> Vec<String> {
    let path = file.parent().unwrap_or(Path::new("")).join(&plan.policy);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(_) if plan.policy == "policy.toml" => Policy::DEFAULT.to_owned(),
        Err(_) => return Vec::new(),
    };
    match Policy::parse(&text) {
        Ok(policy) => {
            let shortest = plan.stages.iter().map(|stage| stage.min).min();
            let short = shortest.and_then(|shortest| policy.stage_warning(shortest));
            short.into_iter().chain(samples::warnings(plan, &policy)).collect()
        }
        Err(error) => vec![format!("the policy {} cannot be used: {error}", plan.policy)],
    }
}

fn runbook(file: &Path) -> Result<Report, Failure> {
    let plan = Release::parse(&read(file)?).map_err(|error| invalid(file, &error))?;
    let runbook = plan.runbook();
    let value = serde_json::json!({ "runbook": runbook });
    let expired = format!("the plan expired at {}: ask {} whether it still holds", minute(plan.expires), plan.owner);
    let warning = (plan.expires <= now()).then_some(expired);
    Ok(Report { warning, ..Report::of(runbook, &value) })
}

pub(super) fn read(file: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(file).map_err(|error| Failure::Input(format!("{} cannot be read: {error}", file.display())))
}

pub(super) fn invalid(file: &Path, error: &ConfigError) -> Failure {
    let problems = error.problems();
    let count = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Failure::Input(format!("{} has {count}:\n  {}", file.display(), lines.join("\n  ")))
}
