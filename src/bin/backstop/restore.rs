//! `restore`: the way back from a document that was damaged, deleted, or put back from an older time.

use super::author_args::Who;
use super::backend::{Backend, no_file};
use super::output::{Failure, Report};
use backstop::kill_switch::EditError;
use clap::Args;

/// Replaces a document that is invalid, gone or older than its history by the last good one.
#[derive(Args)]
#[command(after_help = "\
With --admin it is the document that is in force in the program. With --file it is the newest that the history
has, and later changes are lost: the audit shows them.

Examples:
  backstop switch restore --admin http://127.0.0.1:9901 --reason \"the disk was full\"
  backstop switch restore --reason \"the disk was full, and nothing runs\"")]
pub(super) struct Restore {
    #[command(flatten)]
    who: Who,
}

impl Restore {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let by = backend.by(&self.who)?;
        match backend {
            Backend::File(editor, path) => {
                let lost = editor.lost().map_err(|error| match error {
                    EditError::Empty => no_file(editor, path),
                    error => error.into(),
                })?;
                let changes = editor.restore(&lost, &by)?;
                let (from, generation) = (lost.generation(), changes.document.generation());
                let text = format!(
                    "Generation {from} of the history is the document again.\nWhat was changed after it is lost: see \
                     the audit.\nGeneration {generation}.",
                );
                let unrecorded = |why| format!("the change is made, but its audit entry was not written: {why}");
                let response = serde_json::json!({ "restored": from, "generation": generation });
                Ok(Report { warning: changes.unrecorded.map(unrecorded), ..Report::of(text, &response) })
            }
            Backend::Admin(client) => {
                let generation = client.restore(&by)?;
                let text = format!("What is in force in the program is in its store again.\nGeneration {generation}.");
                Ok(Report::of(text, &serde_json::json!({ "generation": generation })))
            }
        }
    }
}
