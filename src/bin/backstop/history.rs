//! `history` and `revert`: what was, and the way back to it.

use super::office::{Place, Who};
use super::report::{Failure, Report};
use super::{show, when};
use backstop::kill_switch::store::HISTORY_LIMIT;
use backstop::kill_switch::{Change, Changed, Desk, Document};
use clap::Args;
use serde::Serialize;

/// The documents that are kept, the newest first, read when they are asked for.
fn revisions<'a>(desk: &'a Desk, newest: &Document) -> impl Iterator<Item = Document> + use<'a> {
    let newest = newest.generation();
    let oldest = newest.saturating_sub(HISTORY_LIMIT as u64).max(1);
    // One that is missing or cannot be read is left out: the others are worth more than an error.
    (oldest..=newest).rev().filter_map(|generation| desk.revision(generation).ok())
}

/// Shows who changed what and why, the newest first.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch history --limit 5")]
pub(super) struct History {
    /// How many changes.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
}

#[derive(Serialize)]
struct Line<'a> {
    generation: u64,
    hash: String,
    changed: &'a Changed,
}

impl History {
    pub(super) fn run(self, place: &Place) -> Result<Report, Failure> {
        let desk = place.desk()?;
        let Some(newest) = desk.document()? else {
            return Ok(Report::of("Nothing has happened yet.", &[0_u8; 0]));
        };
        let now = when::now();
        let documents: Vec<_> = revisions(&desk, &newest).take(self.limit).collect();
        let rows: Vec<_> = documents.iter().map(|document| row(document, now)).collect();
        let lines: Vec<_> = documents.iter().map(line).collect();
        let table = show::table(["GENERATION", "WHEN", "WHO", "WHAT", "WHY", "NOTE"], &rows);
        Ok(Report::of(
            format!("{table}\n\nTo go back to one: backstop switch revert GENERATION --reason \"..\""),
            &lines,
        ))
    }
}

fn line(document: &Document) -> Line<'_> {
    Line { generation: document.generation(), hash: document.content_hash().to_string(), changed: document.changed() }
}

fn row(document: &Document, now: backstop::clock::Timestamp) -> [String; 6] {
    let changed = document.changed();
    let note = match changed.approved_by() {
        Some(approver) => format!("approved by {approver}"),
        None if changed.is_break_glass() => "without a second person".to_owned(),
        None => String::new(),
    };
    [
        document.generation().to_string(),
        when::relative(changed.at(), now),
        changed.by().to_owned(),
        changed.what().to_owned(),
        changed.reason().to_owned(),
        note,
    ]
}

/// Goes back to what held before the last change, or in a generation of the history.
#[derive(Args)]
#[command(after_help = "Examples:\n  backstop switch revert --reason \"it was another service\"\n  \
backstop switch revert 12 --reason \"back to Friday\"")]
pub(super) struct Revert {
    /// The generation. Default: the last one in which switches or settings were not what they are now.
    generation: Option<u64>,
    #[command(flatten)]
    who: Who,
}

impl Revert {
    pub(super) fn run(self, place: &Place) -> Result<Report, Failure> {
        let generation = match self.generation {
            Some(generation) => generation,
            None => before_the_last_change(&place.desk()?)?,
        };
        place.change(&Change::Revert { generation }, &self.who, |document| {
            let now = when::now();
            let engaged: Vec<_> = document.switches().iter().filter(|switch| switch.is_engaged(now)).collect();
            let engaged: Vec<_> = engaged.into_iter().map(show::engagement).collect();
            let engaged = if engaged.is_empty() { "No switch is engaged.".to_owned() } else { engaged.join("\n") };
            format!("Everything is as it was in generation {generation}.\n{engaged}")
        })
    }
}

/// A proposal, and its rejection, change no switch: they are passed over.
fn before_the_last_change(desk: &Desk) -> Result<u64, Failure> {
    let now = desk.document()?.ok_or(backstop::kill_switch::DeskError::Empty)?;
    let is_other =
        |earlier: &Document| earlier.switches() != now.switches() || earlier.is_two_person() != now.is_two_person();
    let found = revisions(desk, &now).find(is_other).map(|earlier| earlier.generation());
    found.ok_or_else(|| {
        let message = "the history has nothing that is different from now".to_owned();
        Failure::Refused { code: "unknown_revision", message }
    })
}
