//! `list`: every switch, those that are engaged first.

use super::admin::{Client, InForce};
use super::backend::Backend;
use super::output::{Failure, Report};
use super::{text, time_args};
use backstop::clock::Timestamp;
use backstop::kill_switch::{Document, Switch};
use clap::Args;

/// Lists the switches, those that are engaged first.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch list")]
pub(super) struct List {}

impl List {
    #[expect(clippy::unused_self, reason = "run as every other command is")]
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        if let Backend::Admin(client) = backend {
            return in_force(client);
        }
        let now = time_args::now();
        let Some(document) = backend.shown()? else { return Ok(none()) };
        let (text, switches) = table(document.switches(), now);
        let report = Report::of(format!("{text}\n\n{}", summary(&document, now)), &switches);
        Ok(Report { warning: backend.went_back(&document), ..report })
    }
}

fn none() -> Report {
    Report::of("There are no switches yet. To define one: backstop switch define --help", &[0_u8; 0])
}

/// Of a program: what is in force there, and how its store differs from that.
fn in_force(client: &Client) -> Result<Report, Failure> {
    let now = time_args::now();
    let Some(InForce { generation, hash, switches }) = client.in_force()? else { return Ok(none()) };
    let (text, switches) = table(&switches, now);
    let restore = "to write the document in force back to the store: backstop switch restore --reason \"..\"";
    let (summary, difference) = match client.document() {
        Ok(Some(stored)) if stored.content_hash().to_string() == hash => (summary(&stored, now), None),
        Ok(stored) => {
            let found = stored.map_or("nothing".to_owned(), |stored| format!("generation {}", stored.generation()));
            let difference = format!("generation {generation} is in force here, and the store has {found}; {restore}");
            (format!("Generation {generation} is in force."), Some(difference))
        }
        Err(failure) if failure.code().starts_with("wrong_") => {
            ("These are the switches that your token is for.".to_owned(), None)
        }
        Err(failure) => {
            let difference =
                format!("generation {generation} is in force here, and the store says: {failure}; {restore}");
            (format!("Generation {generation} is in force."), Some(difference))
        }
    };
    let warning = difference.into_iter().chain(client.warnings()).reduce(|all, more| format!("{all}\nwarning: {more}"));
    Ok(Report { warning, ..Report::of(format!("{text}\n\n{summary}"), &switches) })
}

/// Table of the switches, engaged ones first.
fn table(switches: &[Switch], now: Timestamp) -> (String, Vec<&Switch>) {
    let mut switches: Vec<_> = switches.iter().collect();
    switches.sort_by_key(|switch| !switch.is_engaged(now)); // stable: by name otherwise
    let headings = ["SWITCH", "STATE", "FOR", "SINCE", "UNTIL", "BY", "REASON", "OWNER", "NOTE"];
    let rows: Vec<_> = switches.iter().map(|switch| row(switch, now)).collect();
    let table = text::table(headings, &rows);
    (if rows.is_empty() { "There are no switches.".to_owned() } else { table }, switches)
}

fn row(switch: &Switch, now: Timestamp) -> [String; 9] {
    let engaged = switch.engaged.as_ref().filter(|_| switch.is_engaged(now));
    let expires = engaged.and_then(|engaged| engaged.expires).filter(|_| switch.pin.is_none());
    let definition = &switch.definition;
    let note = if definition.is_expired(now) {
        format!("look at it again: expired {}", time_args::relative(definition.expires, now))
    } else {
        String::new()
    };
    [
        switch.id.to_string(),
        text::state(switch, now),
        engaged.map(text::whom).unwrap_or_default(),
        engaged.map(|engaged| time_args::relative(engaged.at, now)).unwrap_or_default(),
        expires.map(|expiry| time_args::relative(expiry.at, now)).unwrap_or_default(),
        engaged.map(|engaged| engaged.by.clone()).unwrap_or_default(),
        engaged.map(|engaged| engaged.reason.clone()).unwrap_or_default(),
        definition.owner.clone(),
        note,
    ]
}

fn summary(document: &Document, now: Timestamp) -> String {
    let changed = document.changed();
    let last = format!("\"{}\" by {}, {}", changed.what, changed.by, time_args::relative(changed.at, now));
    let waiting = match document.pending().len() {
        0 => "",
        1 => " 1 change waits for approval: backstop switch pending",
        _ => " Changes wait for approval: backstop switch pending",
    };
    let rule = if document.is_two_person() { " Giving back takes two persons." } else { "" };
    let stages = document.stages().as_slice();
    let stages: Vec<_> = stages.iter().map(|stage| format!(" {stage},")).collect();
    let stages = if stages.is_empty() {
        String::new()
    } else {
        format!(" Engagements go to{} then everywhere.", stages.concat())
    };
    format!("Generation {}: {last}.{rule}{stages}{waiting}", document.generation())
}
