//! Where the switches are, who asks, and the one way in which a command changes something.

use super::report::{Failure, Report, json};
use super::{show, when};
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{By, Change, Desk, Document};
use clap::Args;
use std::path::{Path, PathBuf};

/// Where the switches and the audit are, and how to answer.
#[derive(Args)]
pub(super) struct Place {
    /// The document of the switches.
    #[arg(long, global = true, value_name = "PATH", env = "BACKSTOP_SWITCHES", hide_env_values = true)]
    file: Option<PathBuf>,
    /// Where changes are written down. Default: the document's path and .audit.jsonl.
    #[arg(long, global = true, value_name = "PATH")]
    audit: Option<PathBuf>,
    /// Writes no change down.
    #[arg(long, global = true, conflicts_with = "audit")]
    no_audit: bool,
    /// Prints one JSON value.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

impl Place {
    fn file(&self) -> Result<&Path, Failure> {
        let file = self.file.as_deref().filter(|file| !file.as_os_str().is_empty());
        file.ok_or_else(|| Failure::Usage("say where the switches are: --file PATH, or set BACKSTOP_SWITCHES".into()))
    }

    pub(super) fn audit(&self) -> Result<PathBuf, Failure> {
        if let Some(audit) = &self.audit {
            return Ok(audit.clone());
        }
        let mut audit = self.file()?.as_os_str().to_owned();
        audit.push(".audit.jsonl");
        Ok(audit.into())
    }

    /// The one door to the store: nothing after it knows that it is a file.
    pub(super) fn desk(&self) -> Result<Desk, Failure> {
        let store = FileStore::new(self.file()?).map_err(|error| Failure::Store(error.to_string()))?;
        let desk = Desk::new(store);
        Ok(if self.no_audit { desk } else { desk.audited(AuditLog::new(self.audit()?)) })
    }

    /// Makes a change, and reports it: `done` tells people what holds now.
    pub(super) fn change(
        &self,
        change: &Change,
        who: &Who,
        done: impl FnOnce(&Document) -> String,
    ) -> Result<Report, Failure> {
        let by = who.by()?;
        let changes = self.desk()?.change_and_tell(change, &by)?;
        let warning = changes.unrecorded.map(|why| format!("it is done, and the audit has no entry of it: {why}"));
        let document = changes.document;
        let report = if let Some(number) = document.changed().proposed() {
            waiting(&document, number)
        } else {
            let note = show::break_glass(document.changed());
            let text = format!("{}{note}\nGeneration {}.", done(&document), document.generation());
            let switch = change.switch().and_then(|switch| document.switch(switch.as_str()));
            let json = switch.map_or_else(|| document_json(&document), json);
            Report { text, json, ..Report::default() }
        };
        Ok(Report { warning, ..report })
    }
}

fn waiting(document: &Document, number: u64) -> Report {
    let proposal = document.pending().iter().find(|proposal| proposal.number() == number);
    let what = proposal.map_or_else(|| "it".to_owned(), |proposal| format!("\"{}\"", proposal.change()));
    let text = format!(
        "Nothing has changed yet: {what} takes two persons, and waits as proposal {number}.\n\
         Another person does it: backstop switch approve {number} --reason \"..\"",
    );
    Report { waits: true, ..Report::of(text, &proposal) }
}

/// A document as it stands in its store.
fn document_json(document: &Document) -> String {
    String::from_utf8_lossy(&document.to_bytes()).into_owned()
}

/// Who asks for a change, and why.
#[derive(Args)]
#[command(next_help_heading = "Who and why")]
pub(super) struct Who {
    /// Why. It stands in the document, the history and the audit.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who you are. Nobody checks it: whoever may write the file may be anybody. Default: your user name.
    #[arg(long, value_name = "NAME", env = "BACKSTOP_ACTOR", hide_env_values = true)]
    by: Option<String>,
    /// Does alone what takes two persons. It is recorded, and somebody has to look at it later.
    #[arg(long)]
    break_glass: bool,
}

impl Who {
    pub(super) fn by(&self) -> Result<By, Failure> {
        let user = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        let name = self.by.clone().filter(|name| !name.is_empty()).or_else(user).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| Failure::Usage("say who you are: --by NAME, or set BACKSTOP_ACTOR".into()))?;
        let by = By::person(name, when::now()).because(&self.reason);
        Ok(if self.break_glass { by.break_glass() } else { by })
    }
}
