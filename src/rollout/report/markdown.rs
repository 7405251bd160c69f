//! A report as Markdown, and as three sentences for a status page.

use super::document::Block;
use super::values::Report;
use super::words::{count, minute, sentence};
use crate::clock::Timestamp;
use std::fmt::Write as _;

impl Report {
    /// The report in Markdown, as GitHub and most trackers show it.
    pub fn markdown(&self) -> String {
        let document = self.document();
        let mut out = format!("# {}\n\n", plain(&document.title));
        let _ = write!(
            out,
            "**Status: {}**\n\n{}: {}\n\n",
            plain(&document.status),
            plain(&document.about),
            plain(&document.sentence)
        );
        for (name, value) in &document.facts {
            let _ = writeln!(out, "- {name}: {}", plain(value));
        }
        if !document.missing.is_empty() {
            out.push_str("\n## Missing evidence\n\n");
            for text in &document.missing {
                let _ = writeln!(out, "- {}", plain(text));
            }
        }
        for section in &document.sections {
            let _ = write!(out, "\n## {}\n", section.title);
            for block in &section.blocks {
                out.push('\n');
                match block {
                    Block::Text(text) => {
                        let _ = writeln!(out, "{}", plain(text));
                    }
                    Block::List(items) => {
                        for item in items {
                            let _ = writeln!(out, "- {}", plain(&sentence(item)));
                        }
                    }
                    Block::Table(head, rows) => {
                        let _ = writeln!(out, "| {} |\n|{}", head.join(" | "), "---|".repeat(head.len()));
                        for row in rows {
                            let cells: Vec<_> = row.iter().map(|cell| plain(cell)).collect();
                            let _ = writeln!(out, "| {} |", cells.join(" | "));
                        }
                    }
                    Block::Fill(question, true) => {
                        let _ = writeln!(out, "_To be filled in by people: {question}._\n\n- [ ] \n- [ ] ");
                    }
                    Block::Fill(question, false) => {
                        let _ = writeln!(out, "_To be filled in by people: {question}._");
                    }
                }
            }
        }
        out
    }

    /// Three sentences for a status page and for stakeholders, without internals.
    pub fn status_text(&self) -> String {
        let service = if self.service.is_empty() { "the service" } else { &self.service };
        let began = self.began.map_or_else(|| "at an unknown time".to_owned(), |at| format!("at {}", minute(at)));
        let time = |seconds: Option<f64>| Some(minute(after(self.began?, seconds?)));
        let at = |name: &str| time(self.steps.iter().find(|step| step.name == name).and_then(|step| step.at));
        let failed = match &self.impact {
            Some(impact) if impact.beyond >= 1.0 => {
                format!("About {} requests failed that would not have failed otherwise", count(impact.beyond))
            }
            Some(_) => "No more requests failed than usual".to_owned(),
            None => "It is not known whether requests failed".to_owned(),
        };
        let next = if self.causes.is_empty() { "the cause is being looked into" } else { "the cause has been found" };
        let had_traffic = self.largest_weight > 0;
        let sentences = match self.state.as_str() {
            "promoted" => [
                format!("A new version of {service} was released to all users, beginning {began}."),
                format!("{failed} while it was watched."),
                "Nothing needs to be done.".to_owned(),
            ],
            "rolled_back" => [
                format!(
                    "A new version of {service} that was released to some users, beginning {began}, did not work as expected."
                ),
                format!(
                    "It was withdrawn{}, and {service} has worked as before since {}.",
                    at("move").map(|at| format!(" at {at}")).unwrap_or_default(),
                    at("verify").unwrap_or_else(|| "then".to_owned()),
                ),
                format!("{failed}, and {next}."),
            ],
            "superseded" | "aborted" => [
                format!("A release of a new version of {service} that began {began} was ended early."),
                if had_traffic { format!("{failed}.") } else { "No user was served by it.".to_owned() },
                "Nothing needs to be done.".to_owned(),
            ],
            _ if self.is_retreat => [
                format!(
                    "A new version of {service} that was released to some users, beginning {began}, does not work as expected."
                ),
                if had_traffic && self.weight == 0 {
                    "It has been withdrawn, and we are watching whether everything works as before.".to_owned()
                } else {
                    "It is being withdrawn.".to_owned()
                },
                format!("{failed} so far."),
            ],
            "" => [
                format!("A release of {service} is being looked into."),
                "Its effect on users is not known.".to_owned(),
                "This page is updated as soon as more is known.".to_owned(),
            ],
            _ => [
                format!("A new version of {service} is being released, beginning {began}."),
                format!("{failed} so far."),
                "It is watched, and withdrawn if it does not work as expected.".to_owned(),
            ],
        };
        let sentences: Vec<_> = sentences.iter().map(|text| sentence(text)).collect();
        sentences.join(" ")
    }
}

fn after(began: Timestamp, seconds: f64) -> Timestamp {
    let seconds = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
    began.checked_add(seconds).unwrap_or(began)
}

/// A text without effect on the Markdown around it, and without HTML.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    let mut is_in_word = false;
    while let Some(char) = chars.next() {
        let next = chars.peek().copied();
        match char {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '_' if is_in_word && next.is_some_and(char::is_alphanumeric) => out.push('_'),
            ']' if matches!(next, Some('(' | '[' | ':')) => out.push_str("\\]"),
            '\\' | '`' | '*' | '_' | '|' | '~' | '#' => out.extend(['\\', char]),
            char if char.is_control() || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                out.push('\u{fffd}');
            }
            char => out.push(char),
        }
        is_in_word = char.is_alphanumeric() || char == '_';
    }
    out
}
