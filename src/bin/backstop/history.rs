//! `history` and `revert`: what was, and the way back to it.

use super::author_args::Who;
use super::backend::Backend;
use super::output::{Failure, Report};
use super::{text, time_args};
use backstop::kill_switch::{Change, ChangeRecord, Document, EditError, SwitchId};
use clap::Args;
use serde::Serialize;

/// Lists changes with author and reason, the newest first.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch history --limit 5")]
pub(super) struct History {
    /// Number of changes.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    generation: u64,
    hash: String,
    changed: &'a ChangeRecord,
}

impl History {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let Some(newest) = backend.shown()? else {
            return Ok(Report::of("No changes yet.", &[0_u8; 0]));
        };
        let now = time_args::now();
        let documents = backend.revisions(&newest).take(self.limit).collect::<Result<Vec<_>, _>>()?;
        let rows: Vec<_> = documents.iter().map(|document| row(document, now)).collect();
        let lines: Vec<_> = documents.iter().map(line).collect();
        let table = text::table(["GENERATION", "WHEN", "WHO", "WHAT", "WHY", "NOTE"], &rows);
        let text = format!("{table}\n\nTo go back to one: backstop switch revert GENERATION --reason \"..\"");
        Ok(Report { warning: backend.went_back(&newest), ..Report::of(text, &lines) })
    }
}

fn line(document: &Document) -> Line<'_> {
    Line { generation: document.generation(), hash: document.content_hash().to_string(), changed: document.changed() }
}

fn row(document: &Document, now: backstop::clock::Timestamp) -> [String; 6] {
    let changed = document.changed();
    let note = match &changed.approved_by {
        Some(approver) => format!("approved by {approver}"),
        None if changed.break_glass => "without a second person".to_owned(),
        None => String::new(),
    };
    [
        document.generation().to_string(),
        time_args::relative(changed.at, now),
        changed.by.clone(),
        changed.what.clone(),
        changed.reason.clone(),
        note,
    ]
}

/// Restores switches to their state before the last change, or in a generation of the history.
#[derive(Args)]
#[command(after_help = "\
It undoes your own changes of one switch. To undo more, name each switch with --switch and each other author with --over.

Examples:
  backstop switch revert --reason \"it was another service\"
  backstop switch revert 12 --switch recs --reason \"as it was on Friday\"
  backstop switch revert 12 --switch recs --switch ads --over bo --reason \"back to Friday\"")]
pub(super) struct Revert {
    /// Generation to go back to. Default: the last one in which switches or settings differ from now.
    generation: Option<u64>,
    /// Switch to go back; the others stay as they are. Repeatable.
    #[arg(long, value_name = "SWITCH")]
    switch: Vec<SwitchId>,
    /// Also reverts the settings: stages, and the rule of two persons.
    #[arg(long)]
    settings: bool,
    /// Another author whose change it may undo. Repeatable.
    #[arg(long, value_name = "NAME")]
    over: Vec<String>,
    #[command(flatten)]
    who: Who,
}

impl Revert {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let before = match backend.shown() {
            Err(failure) if failure.code().starts_with("wrong_") && self.generation.is_some() => None, // no right to view
            document => document?,
        };
        let generation = match self.generation {
            Some(generation) => generation,
            None => before_the_last_change(backend, before.as_ref())?,
        };
        let change = if self.switch.is_empty() && self.over.is_empty() && !self.settings {
            Change::Revert { generation }
        } else {
            let (switches, over) = (self.switch.iter().cloned().collect(), self.over.into_iter().collect());
            Change::RevertSwitches { generation, switches, settings: self.settings, over }
        };
        // A change that came in between is not undone unread: the last one is then another one.
        let seen = before.as_ref().map(Document::generation);
        backend.change_if(seen, &change, &self.who, |document| {
            let now = time_args::now();
            let engaged: Vec<_> = document.switches().iter().filter(|switch| switch.is_engaged(now)).collect();
            let engaged: Vec<_> = engaged.into_iter().map(text::engagement).collect();
            let engaged = if engaged.is_empty() { "No switch is engaged.".to_owned() } else { engaged.join("\n") };
            let names: Vec<_> = self.switch.iter().map(ToString::to_string).collect();
            let what = match names.as_slice() {
                [] if matches!(change, Change::Revert { .. }) => "Everything is as it was".to_owned(),
                [] => "The settings are as they were".to_owned(),
                [one] => format!("{one} is as it was"),
                names => format!("{} are as they were", names.join(" and ")),
            };
            let on_again = before.as_ref().map(|before| text::on_again(before, document, now)).unwrap_or_default();
            format!("{what} in generation {generation}.\n{engaged}{on_again}")
        })
    }
}

/// The generation to go back to. A proposal, and its rejection, change no switch: they are passed over.
fn before_the_last_change(backend: &Backend, now: Option<&Document>) -> Result<u64, Failure> {
    let now = now.ok_or(EditError::Empty)?;
    for earlier in backend.revisions(now) {
        let earlier = earlier?;
        if earlier.switches() != now.switches()
            || earlier.is_two_person() != now.is_two_person()
            || earlier.stages() != now.stages()
        {
            return Ok(earlier.generation());
        }
    }
    let message = "nothing to revert: no generation in the history differs from the present one".to_owned();
    Err(Failure::Refused { code: "unknown_revision", message })
}
