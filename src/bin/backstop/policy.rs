//! `backstop policy`: prints, checks and explains rollback policies.

mod explain;
mod file;

use super::output::{Failure, Report};
use backstop::rollback;
use clap::{Args, Subcommand};
use file::{joined, read};
use std::path::PathBuf;

/// Rollback policies: show the default one, check a file, and explain what a policy does at your traffic.
#[derive(Args)]
pub(super) struct Policy {
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Explain(explain::Explain),
    Check(Check),
    Show(Show),
}

/// Checks a policy file; reports every problem at once and exits with 2.
#[derive(Args)]
struct Check {
    file: PathBuf,
}

/// Prints the default policy, with every value and its reason: a file to begin with.
#[derive(Args)]
struct Show {}

impl Policy {
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn run(self) -> Result<Report, Failure> {
        match self.command {
            Command::Explain(explain) => explain.run(),
            Command::Check(check) => check.run(),
            Command::Show(Show {}) => {
                let text = rollback::Policy::DEFAULT;
                Ok(Report::of(text, &serde_json::json!({ "policy": text })))
            }
        }
    }
}

impl Check {
    fn run(self) -> Result<Report, Failure> {
        let policy = read(&self.file)?;
        let names: Vec<_> = policy.triggers().collect();
        let warnings = policy.warnings();
        let text = format!("{} is a policy with these triggers: {}.", self.file.display(), names.join(", "));
        let value = serde_json::json!({ "triggers": names, "warnings": warnings });
        Ok(Report { warning: joined(&warnings), ..Report::of(text, &value) })
    }
}
