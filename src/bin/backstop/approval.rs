//! `two-person`, `pending`, `approve` and `reject`: what one person proposes and another one does.

use super::author_args::Who;
use super::backend::Backend;
use super::output::{Failure, Report};
use super::{text, time_args};
use backstop::kill_switch::{Change, ChangeError, Document, Sha256};
use clap::Args;
use clap::builder::PossibleValuesParser;

/// Sets whether releasing, retiring, extending and overriding take two persons.
#[derive(Args)]
#[command(after_help = "Engaging takes one person, always.\n\nExample:\n  \
backstop switch two-person on --reason \"before the sale\"")]
pub(super) struct TwoPerson {
    /// Two persons, or one.
    #[arg(value_parser = PossibleValuesParser::new(["on", "off"]))]
    required: String,
    #[command(flatten)]
    who: Who,
}

impl TwoPerson {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let required = self.required == "on";
        backend.change(&Change::TwoPerson { required }, &self.who, |_| {
            let persons = if required { "two persons" } else { "one person" };
            format!("Releasing, retiring, extending and overriding take {persons} from now on.")
        })
    }
}

/// Lists the pending proposals.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch pending")]
pub(super) struct Pending {}

impl Pending {
    #[expect(clippy::unused_self, reason = "run as every other command is")]
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let now = time_args::now();
        let document = backend.shown()?;
        let pending = document.as_ref().map(Document::pending).unwrap_or_default();
        let rows: Vec<_> = pending
            .iter()
            .map(|proposal| {
                let (number, at) = (proposal.number.to_string(), time_args::relative(proposal.at, now));
                [number, at, proposal.by.clone(), proposal.change.to_string(), proposal.reason.clone()]
            })
            .collect();
        let text = match &document {
            Some(document) if !rows.is_empty() => format!(
                "{}\n\nTo do one: backstop switch approve NUMBER --reason \"..\"\nThe document is {}.",
                text::table(["NUMBER", "WHEN", "WHO", "WHAT", "WHY"], &rows),
                document.content_hash()
            ),
            _ => "No proposal is pending.".to_owned(),
        };
        Ok(Report::of(text, pending))
    }
}

/// Approves the proposal of another person, and makes its change.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch approve 7 --reason \"seen it work in staging\"")]
pub(super) struct Approve {
    /// The proposal's number.
    number: u64,
    /// Hash of the document that you have read, as `pending` prints it. Default: that of
    /// the one that came of the proposal, if it is the present one.
    #[arg(long, value_name = "HASH")]
    document: Option<Sha256>,
    #[command(flatten)]
    who: Who,
}

impl Approve {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let current = backend.required()?;
        let number = self.number;
        let proposal = current.pending().iter().find(|proposal| proposal.number == number);
        let proposal = proposal.ok_or(ChangeError::UnknownProposal { number })?;
        let what = format!("\"{}\", proposed by {} because \"{}\"", proposal.change, proposal.by, proposal.reason);
        let document = match self.document {
            Some(seen) => seen,
            None if current.generation() == number => current.content_hash(),
            None => {
                let message = format!(
                    "the document has changed since proposal {number}, and with it what the proposal would do: look at \
                     `backstop switch pending`, and pass the hash that it prints as --document"
                );
                return Err(Failure::Refused { code: "stale_approval", message });
            }
        };
        backend.change(&Change::Approve { number, document }, &self.who, |_| format!("Done: {what}."))
    }
}

/// Rejects a pending proposal.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch reject 7 --reason \"not before Monday\"")]
pub(super) struct Reject {
    /// The proposal's number.
    number: u64,
    #[command(flatten)]
    who: Who,
}

impl Reject {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let number = self.number;
        backend.change(&Change::Reject { number }, &self.who, |_| format!("Proposal {number} is rejected."))
    }
}
