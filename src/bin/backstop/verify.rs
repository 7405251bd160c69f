//! `verify-audit`: whether the lines of the audit are those that were written.

use super::backend::Backend;
use super::connection::Place;
use super::output::{Failure, Report};
use backstop::kill_switch::audit::verify;
use clap::Args;
use std::path::PathBuf;

/// Checks that no line of the audit was changed, removed or moved. It reads the audit's file.
#[derive(Args)]
#[command(after_help = "Lines cut off at the end leave no trace in the file: keep the last hash elsewhere, and \
compare. That the document has changes which are later than the last line is a warning.\n\nExample:\n  backstop switch verify-audit")]
pub(super) struct VerifyAudit {
    /// The audit. Default: that of the document.
    path: Option<PathBuf>,
}

impl VerifyAudit {
    pub(super) fn run(self, place: &Place) -> Result<Report, Failure> {
        let is_own = self.path.is_none();
        let path = place.audit(self.path)?;
        let shown = path.display();
        let bytes = std::fs::read(&path);
        let bytes = bytes.map_err(|error| Failure::Store(format!("the audit {shown} cannot be read: {error}")))?;
        let verified = verify(&bytes).map_err(|error| Failure::Audit(format!("{shown}: {error}")))?;
        let hash = verified.last.as_ref().map(|entry| &*entry.hash);
        let entries =
            if verified.entries == 1 { "1 entry".to_owned() } else { format!("{} entries", verified.entries) };
        let last = hash.map_or_else(String::new, |hash| format!("\nThe hash of the last entry is {hash}."));
        let value = serde_json::json!({ "entries": verified.entries, "last_hash": hash });
        let newest = verified.last.as_ref().map_or(0, |entry| entry.facts.generation);
        let report = Report::of(format!("{shown} has {entries}, all as written.{last}"), &value);
        Ok(Report { warning: if is_own { lacks(place, newest) } else { None }, ..report })
    }
}

/// Changes of the document after the audit's newest entry.
fn lacks(place: &Place, newest: u64) -> Option<String> {
    let Ok(Backend::File(editor, _)) = place.backend() else { return None };
    let generation = editor.document().ok().flatten()?.generation();
    (generation > newest).then(|| {
        format!(
            "the document has generation {generation}, and the last entry is of {newest}: changes were made without \
             an audit, or lines were cut off at the end",
        )
    })
}
