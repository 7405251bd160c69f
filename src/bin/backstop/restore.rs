//! `restore`: the way back from a document that was damaged, deleted, or put back from an older time.

use super::author_args::Who;
use super::backend::{Backend, no_file};
use super::connection::Place;
use super::output::{Failure, Report};
use super::{text, time_args};
use backstop::clock::Timestamp;
use backstop::kill_switch::audit::AuditRecord;
use backstop::kill_switch::{Document, EditError, Scope};
use clap::Args;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

/// Bytes read from the end of the audit: what was lost is among the last changes, and a line has at most 1 MiB.
const AUDIT_MAX: u64 = 4 << 20;

/// Replaces a document that is invalid, gone or older than its history by the last good one.
#[derive(Args)]
#[command(after_help = "\
With --admin it is the document that is in force in the program. With --file it is the newest that the history
has, which lacks a change that could not be kept: the audit shows it.

Examples:
  backstop switch restore --admin http://127.0.0.1:9901 --reason \"the disk was full\"
  backstop switch restore --reason \"the disk was full, and nothing runs\"")]
pub(super) struct Restore {
    #[command(flatten)]
    who: Who,
}

impl Restore {
    pub(super) fn run(self, place: &Place) -> Result<Report, Failure> {
        let backend = place.backend()?;
        let by = backend.by(&self.who)?;
        match &backend {
            Backend::File(editor, path) => {
                let lost = editor.lost().map_err(|error| match error {
                    EditError::Empty => no_file(editor, path),
                    error => error.into(),
                })?;
                let present = editor.document().ok().flatten();
                let since = place.audit(None).ok().and_then(|audit| engaged_since(&audit, lost.generation()).ok());
                let changes = editor.restore(&lost, &by)?;
                let (from, generation) = (lost.generation(), changes.document.generation());
                let on_again = on_again(present.as_ref(), since, &changes.document);
                let text = format!(
                    "Generation {from} of the history is the document again.{on_again}\nA change after it, if there \
                     was one, is lost: see the audit.\nGeneration {generation}.",
                );
                let unrecorded = |why| format!("the change is made, but its audit entry was not written: {why}");
                let response = serde_json::json!({ "restored": from, "generation": generation });
                Ok(Report { warning: changes.unrecorded.map(unrecorded), ..Report::of(text, &response) })
            }
            Backend::Admin(client) => {
                let present = client.document().ok().flatten();
                let generation = client.restore(&by)?;
                let restored = client.revision(generation).ok().flatten();
                let on_again = present.zip(restored).map(|(present, restored)| {
                    text::on_again(&present, &restored, time_args::now()) // in other programs
                });
                let text = format!(
                    "What is in force in the program is in its store again.{}\nGeneration {generation}.",
                    on_again.unwrap_or_default(),
                );
                Ok(Report::of(text, &serde_json::json!({ "generation": generation })))
            }
        }
    }
}

/// An engagement of the audit.
struct Engaged {
    scope: Scope,
    /// When it is released by itself; `None` if it is not, or if that is unknown.
    ends: Option<Timestamp>,
    is_pinned: bool,
    by: String,
    reason: String,
}

impl Engaged {
    /// Takes in one more change.
    fn change(&mut self, change: &Value) {
        let time = |value: &Value| value.as_str().and_then(|text| text.parse::<Timestamp>().ok());
        let engage = &change["engage"];
        let end = time(&engage["expires"]["at"]).filter(|_| engage["expires"]["then"] == "release");
        self.ends = match self.ends {
            known if engage.is_null() => time(&change["extend"]["until"]).or(known).filter(|_| known.is_some()),
            known if engage["add"] == true && !engage["expires"].is_null() => known.zip(end).map(|(a, b)| a.max(b)),
            known if engage["add"] == true => known,
            _ => end,
        };
        self.is_pinned = (self.is_pinned || change["pin"]["state"] == "engaged") && change["unpin"].is_null();
    }

    fn is_over(&self, now: Timestamp) -> bool {
        !self.is_pinned && self.ends.is_some_and(|end| end <= now)
    }
}

/// The switches that changes after a generation left engaged, as the end of the audit has them.
fn engaged_since(audit: &Path, generation: u64) -> io::Result<BTreeMap<String, Engaged>> {
    if !audit.metadata()?.is_file() {
        return Err(io::ErrorKind::InvalidInput.into()); // a pipe would never end
    }
    let (mut file, mut bytes) = (File::open(audit)?, Vec::new());
    file.seek(SeekFrom::Start(file.metadata()?.len().saturating_sub(AUDIT_MAX)))?;
    file.take(AUDIT_MAX).read_to_end(&mut bytes)?;
    let mut lost: Vec<AuditRecord> = Vec::new();
    for record in bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<AuditRecord>(line).ok())
    {
        if record.what == "restore" {
            let restored = record.change.as_ref().and_then(|change| change["restore"]["generation"].as_u64());
            lost.retain(|record| Some(record.generation) <= restored);
        } else if record.generation > generation && record.refused.is_none() {
            lost.push(record);
        }
    }
    let mut engaged = BTreeMap::<String, Engaged>::new();
    for AuditRecord { by, switch, reason, scope_after, change, what, .. } in lost {
        let change = change.filter(|_| what != "propose").unwrap_or_default();
        let scopes = match switch {
            Some(switch) => serde_json::json!({ switch: scope_after }),
            None => scope_after.unwrap_or_default(),
        };
        let scopes: BTreeMap<String, Option<Scope>> = serde_json::from_value(scopes).unwrap_or_default();
        for (switch, scope) in scopes {
            let Some(scope) = scope else {
                engaged.remove(&switch);
                continue;
            };
            let begins = || {
                let (scope, reason) = (scope.clone(), reason.clone().unwrap_or_default());
                Engaged { scope, ends: None, is_pinned: false, by: by.clone(), reason }
            };
            let known = engaged.entry(switch).or_insert_with(begins);
            // A pin, for one, changes no scope: the author of the engagement stays.
            if known.scope != scope {
                *known = Engaged { ends: known.ends, is_pinned: known.is_pinned, ..begins() };
            }
            known.change(&change);
        }
    }
    Ok(engaged)
}

/// The switches that were engaged in the document that was there, or by changes that are lost, and are on again.
fn on_again(present: Option<&Document>, since: Option<BTreeMap<String, Engaged>>, restored: &Document) -> String {
    let now = time_args::now();
    let Some(since) = since else {
        let unknown = "\nWithout an audit it is unknown what is on again: compare programs with `backstop switch list --admin URL`.";
        return unknown.to_owned();
    };
    let is_engaged = |id: &str| restored.switch(id).filter(|switch| switch.is_engaged(now));
    let lost = since.iter().filter(|(_, engaged)| !engaged.is_over(now));
    let lost = lost.filter_map(|(id, Engaged { scope, by, reason, .. })| {
        let except = match is_engaged(id).and_then(|switch| switch.engaged.as_ref()) {
            Some(engaged) if engaged.scope == *scope => return None,
            Some(engaged) => format!(" except {}", text::whom(engaged)),
            None => String::new(),
        };
        Some(format!(
            "\nTurned on again: {id}, for {}{except}; {by} engaged it because \"{reason}\".",
            text::scope(scope)
        ))
    });
    let lost: String = lost.collect();
    match present {
        Some(present) if lost.is_empty() => text::on_again(present, restored, now),
        _ if lost.is_empty() => "\nNothing was turned on again.".to_owned(),
        _ => lost,
    }
}
