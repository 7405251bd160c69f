//! `rollout report`: a rollout as Markdown, as a page, and in three sentences; and the cause of a rollback.

use super::service::{BY, nothing};
use crate::author_args::name;
use crate::output::{Failure, Report, json};
use backstop::rollout::report::{Cause, Report as Written};
use backstop::rollout::state_dir::{StateDir, StateError};
use clap::Args;
use std::path::{Path, PathBuf};

const HELP: &str = "\
Examples:
  backstop rollout report checkout > report.md
  backstop rollout report checkout --number 7 --html report.html --markdown report.md
  backstop rollout report checkout --status-text
  backstop rollout report checkout --cause \"the new client has no timeout\" --by mira

A rollback stays open until a cause is recorded. Evidence that is missing or damaged is listed in the report.

Exit codes:
  0  the report is written
  2  bad usage, or the service has no rollout of this number
  3  a file cannot be written
  4  the service has no rollout";

/// Writes the report of a rollout, from the evidence in its state directory.
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Write {
    /// The service.
    service: String,
    /// Number of the rollout. Default: the latest.
    #[arg(long, value_name = "N")]
    number: Option<u32>,
    /// Writes the report in Markdown to a file.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Writes the report as a page with charts, which loads nothing.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Prints three sentences for a status page and for stakeholders.
    #[arg(long)]
    status_text: bool,
    /// Records the cause of a rollback, which closes it. Earlier causes stay.
    #[arg(long, value_name = "TEXT")]
    cause: Option<String>,
    #[arg(long, value_name = "NAME", requires = "cause", help = BY)]
    by: Option<String>,
}

impl Write {
    /// `state` is the state directory of all services.
    pub(super) fn run(self, state: &Path) -> Result<Report, Failure> {
        let dir = StateDir::new(state, &self.service)?;
        dir.check_readable()?;
        let folder = self.folder(&dir)?;
        if let Some(cause) = &self.cause {
            Cause::record(&folder, &name(self.by.as_deref())?, cause).map_err(|error| refused(&error))?;
        }
        let report = Written::read(&folder);
        let mut written = Vec::new();
        let files = [(&self.markdown, Written::markdown as fn(&Written) -> String), (&self.html, Written::html)];
        for (path, text) in files {
            let Some(path) = path else { continue };
            let failed = |error| Failure::Store(format!("{} cannot be written: {error}", path.display()));
            std::fs::write(path, text(&report)).map_err(failed)?;
            written.push(format!("{} is written.", path.display()));
        }
        if self.cause.is_some() {
            written.push("The cause is recorded.".to_owned());
        }
        let text = match (self.status_text, written.is_empty()) {
            (true, _) => report.status_text(),
            (false, true) => report.markdown(),
            (false, false) => {
                written.extend(report.is_open().then(|| "The rollback is open: no cause is recorded.".to_owned()));
                written.join("\n")
            }
        };
        Ok(Report { text, json: json(&report), ..Report::default() })
    }

    fn folder(&self, dir: &StateDir) -> Result<PathBuf, Failure> {
        let rollouts = dir.rollouts();
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let known: Vec<_> = rollouts.iter().filter_map(number).collect();
        let found = match self.number {
            Some(wanted) => rollouts.iter().find(|path| number(path) == Some(wanted)),
            None => rollouts.last(),
        };
        let allowed = match (known.first(), known.last()) {
            (Some(first), Some(last)) => format!("{} has rollouts {first} to {last}", self.service),
            _ => format!("{} has no rollouts in {}", self.service, dir.path().display()),
        };
        let wanted = self.number.map(|number| format!("number: {number} is not a rollout, ")).unwrap_or_default();
        found.cloned().ok_or_else(|| {
            if known.is_empty() { nothing(allowed) } else { Failure::Usage(format!("{wanted}{allowed}")) }
        })
    }
}

fn refused(error: &StateError) -> Failure {
    match error {
        StateError::Io { source, .. } if source.kind() == std::io::ErrorKind::InvalidInput => {
            Failure::Usage(error.to_string())
        }
        _ => Failure::Store(error.to_string()),
    }
}
