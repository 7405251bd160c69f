//! `engage`, `extend` and `release`: what takes a capability away and gives it back.

use super::author_args::Who;
use super::backend::Backend;
use super::connection::Place;
use super::engage_staged::Looks;
use super::output::{Failure, Report};
use super::scope_args::Whom;
use super::stages::stage;
use super::text;
use super::time_args::{When, now, parse_length};
use backstop::kill_switch::{self, Change, Expiry, SwitchId};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::time::Duration;

/// Engages a switch: turns its capability off for every request, or for a scope.
#[derive(Args)]
#[command(after_help = "\
If stages are set (`backstop switch stages`), the engagement begins on some instances; after a check by a person, `advance` goes on. With
--check or --instance the command checks each stage itself, advances while checks pass, and stops at the stage that fails.

Examples:
  backstop switch engage recs --all --reason \"wrong prices shown\"
  backstop switch engage recs --tenant initech --add --reason \"and they see them, too\"
  backstop switch engage recs --tenant acme --percent 10 --for 2h --reason \"error rate up\" --incident INC-1204
  backstop switch engage recs --all --stage instance:web-1 --reason \"try it on one first\"
  backstop switch engage recs --all --check http://127.0.0.1:8080/health --reason \"stage by stage, by itself\"
  backstop switch engage recs --all --now --reason \"no time to look\"")]
pub(super) struct Engage {
    /// The switch.
    id: SwitchId,
    /// Stage it begins at: instance:NAME, region:NAME or everywhere. Repeatable, of one kind. Default: the first
    /// of
    /// `stages`.
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
    /// Skips the stages: everywhere at once, or what --stage names. History and audit record it.
    #[arg(long, conflicts_with_all = ["check", "instance"])]
    now: bool,
    /// Adds this scope to the present engagement.
    #[arg(long, conflicts_with = "replace")]
    add: bool,
    /// Replaces the present engagement, also if that releases a part of it.
    #[arg(long)]
    replace: bool,
    /// Time after which it ends: 30m, 2h, 1d. Default: never.
    #[arg(long = "for", value_name = "LENGTH", value_parser = parse_length)]
    length: Option<Duration>,
    /// On expiry: `release` ends the engagement, `keep` only warns.
    #[arg(long, requires = "length", default_value = "release", value_name = "release|keep",
        value_parser = PossibleValuesParser::new(["release", "keep"]), hide_possible_values = true)]
    then: String,
    /// A link to the incident, or its number.
    #[arg(long, value_name = "URL")]
    incident: Option<String>,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    looks: Looks,
    #[command(flatten)]
    who: Who,
}

impl Engage {
    pub(super) fn run(self, place: &Place) -> Result<Report, Failure> {
        let backend = place.backend_and_programs()?;
        let engage = kill_switch::Engage::new(self.id.clone(), self.whom.scope()?);
        let engage = if self.stage.is_empty() { engage } else { engage.stage(stage(&self.stage)?) };
        let engage = if self.now { engage.now() } else { engage };
        let engage = if self.add { engage.add() } else { engage };
        let engage = if self.replace { engage.replace() } else { engage };
        let engage = match self.length {
            Some(length) => {
                let at = When::In(length).from(now());
                engage.expires(if self.then == "keep" { Expiry::keep(at) } else { Expiry::release(at) })
            }
            None => engage,
        };
        let engage = match self.incident {
            Some(incident) => engage.incident(incident),
            None => engage,
        };
        if self.looks.are_asked_for() {
            return self.looks.run(place, &backend, engage, &self.id, &self.who);
        }
        let slow = self.length.and_then(|_| behind(&backend));
        let report = backend.change(&Change::Engage(engage), &self.who, |document| {
            let next = document.next_stage(self.id.as_str()).map(|stage| {
                format!("\nThe next stage is {stage}: backstop switch advance {} --reason \"..\"", self.id)
            });
            let (state, conditions) = (text::state_of(document, &self.id), text::conditions(document, &self.id));
            // The very change, whatever others have done since.
            let undo = backend.undo(Some(document.generation() - 1), &self.id);
            format!("{state}{}\nTo undo it: {undo}{conditions}", next.unwrap_or_default())
        })?;
        let warnings = report.warning.clone().into_iter().chain(slow).reduce(|all, more| format!("{all}; {more}"));
        Ok(Report { warning: warnings, ..report })
    }
}

/// Warning if the document's last change is later than the local time.
fn behind(backend: &Backend) -> Option<String> {
    let last = backend.document().ok().flatten()?.changed().at;
    let seconds = last.as_second() - now().as_second();
    let end = "the engagement ends that much earlier than you asked";
    (seconds > 60).then(|| format!("the local clock is {} min behind the document's last change: {end}", seconds / 60))
}

/// Moves the end of an engagement to a later time.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch extend recs --until 4h --reason \"the fix takes longer\"")]
pub(super) struct Extend {
    /// The switch.
    id: SwitchId,
    /// New end: 2027-01-31T00:00:00Z, or 4h from now.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: When,
    #[command(flatten)]
    who: Who,
}

impl Extend {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let change = Change::Extend { switch: self.id.clone(), until: self.until.from(now()) };
        backend.change(&change, &self.who, |document| text::state_of(document, &self.id))
    }
}

/// Releases a switch: turns its capability on again.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch release recs --reason \"the fix is out\"")]
pub(super) struct Release {
    /// The switch.
    id: SwitchId,
    #[command(flatten)]
    who: Who,
}

impl Release {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let change = Change::Release { switch: self.id.clone() };
        backend.change(&change, &self.who, |document| text::state_of(document, &self.id))
    }
}
