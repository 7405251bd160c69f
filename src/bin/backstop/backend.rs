//! Backend of the commands: a file, or a running program.

use super::admin::Client;
use super::author_args::Who;
use super::committed::{Committed, Purpose};
use super::output::{Failure, Report, json};
use super::{text, users};
use backstop::kill_switch::store::HISTORY_LIMIT;
use backstop::kill_switch::{self, Author, Change, Document, EditError, Editor, SwitchId};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Backend of the switches.
pub(super) enum Backend {
    /// A file on this machine: write access is enough for every change.
    File(Editor, PathBuf),
    /// In a program that runs: the token says who may do what.
    Admin(Client),
}

impl Backend {
    /// The document; `None` if there is none.
    pub(super) fn document(&self) -> Result<Option<Document>, Failure> {
        match self {
            Self::File(editor, _) => Ok(editor.document()?),
            Self::Admin(client) => client.document(),
        }
    }

    /// As [`document`](Self::document), to be shown: no file is not the same as no switches, as the path may be mistyped.
    pub(super) fn shown(&self) -> Result<Option<Document>, Failure> {
        match (self, self.document()?) {
            (Self::File(editor, path), None) => Err(no_file(editor, path)),
            (_, document) => Ok(document),
        }
    }

    /// Warning if this document of a file is older than its history.
    pub(super) fn went_back(&self, document: &Document) -> Option<String> {
        let Self::File(editor, _) = self else { return None };
        let newest = editor.lost().ok()?.generation();
        Some(Failure::from(EditError::WentBack { newest, found: document.generation() }).to_string())
    }

    /// As [`shown`](Self::shown), if there has to be one.
    pub(super) fn required(&self) -> Result<Document, Failure> {
        self.shown()?.ok_or_else(|| EditError::Empty.into())
    }

    /// The author, if the command has to name one: for a program the token does.
    pub(super) fn by(&self, who: &Who) -> Result<Author, Failure> {
        match self {
            Self::File(..) => who.by(),
            Self::Admin(_) if who.by.is_some() => {
                let message = "--by cannot be used with --admin: your token names you";
                Err(Failure::Usage(message.to_owned()))
            }
            Self::Admin(_) => Ok(who.named("the token's holder".to_owned())),
        }
    }

    /// The documents that are kept, the newest first, read when they are asked for.
    pub(super) fn revisions(&self, newest: &Document) -> impl Iterator<Item = Result<Document, Failure>> + use<'_> {
        let newest = newest.generation();
        let oldest = newest.saturating_sub(HISTORY_LIMIT as u64).max(1);
        // One that is missing or cannot be read is left out: the others are worth more than an error.
        (oldest..=newest).rev().filter_map(|generation| match self {
            Self::File(editor, _) => editor.revision(generation).ok().map(Ok),
            Self::Admin(client) => client.revision(generation).transpose(),
        })
    }

    /// The command that undoes an engagement: a revert to the generation before it, if the history has kept that one, or a
    /// release.
    pub(super) fn undo(&self, before: Option<u64>, id: &SwitchId) -> String {
        let is_kept = |generation: &u64| match self {
            Self::File(editor, _) => editor.revision(*generation).is_ok(),
            Self::Admin(client) => client.revision(*generation).is_ok_and(|kept| kept.is_some()),
        };
        match before.filter(is_kept) {
            Some(generation) => format!("backstop switch revert {generation} --switch {id} --reason \"..\""),
            None => format!("backstop switch release {id} --reason \"..\""),
        }
    }

    /// Makes a change and reports it; `done` is the text for people.
    pub(super) fn change(
        &self,
        change: &Change,
        who: &Who,
        done: impl FnOnce(&Document) -> String,
    ) -> Result<Report, Failure> {
        self.change_if(None, change, who, done)
    }

    /// As [`change`](Self::change), if the document is still of this generation: for a decision made by reading it.
    pub(super) fn change_if(
        &self,
        generation: Option<u64>,
        change: &Change,
        who: &Who,
        done: impl FnOnce(&Document) -> String,
    ) -> Result<Report, Failure> {
        let made = self.make(generation, change, &self.by(who)?, Purpose::Need)?;
        let Committed { generation, document, proposed, warning, response } = made;
        let document = document.as_ref();
        let report = if let Some(number) = proposed {
            waiting(document, change, number)
        } else {
            let note = document.map_or("", |document| text::break_glass(document.changed()));
            let done = document.map_or_else(|| format!("Done: {change}."), done);
            let switch = |document: &Document| {
                let switch = change.switch().and_then(|switch| document.switch(switch.as_str()));
                switch.map_or_else(|| document_json(document), json)
            };
            let json = document.map_or_else(|| json(&response), switch);
            let gate = match &response["here"] {
                Value::Object(here)
                    if here["is_engaged"].is_null() && matches!(change, Change::Engage(_)) && document.is_some() =>
                {
                    "\nThat program has no gate of this name, so it blocks nothing there."
                }
                _ => "",
            };
            let readers = match (self, change) {
                (Self::File(_, path), Change::Define { .. } | Change::Engage(_)) => users::readers(path),
                _ => None,
            };
            let readers = readers.map_or_else(String::new, |readers| format!("\n{readers}"));
            Report { text: format!("{done}{note}{gate}{readers}\nGeneration {generation}."), json, ..Report::default() }
        };
        let doubt = match (self, change) {
            (Self::Admin(client), Change::Engage(engage)) if proposed.is_none() => {
                change.switch().and_then(|id| client.doubt(id, &response, !engage.scope().all))
            }
            _ => None,
        };
        let warnings = warning.into_iter().chain(doubt).reduce(|all, more| format!("{all}; {more}"));
        Ok(Report { warning: warnings, ..report })
    }

    fn make(
        &self,
        generation: Option<u64>,
        change: &Change,
        by: &Author,
        purpose: Purpose,
    ) -> Result<Committed, Failure> {
        match self {
            Self::File(editor, path) => edit(editor, generation, change, by).map_err(|failure| match failure.code() {
                "empty" => no_file(editor, path),
                _ => failure,
            }),
            Self::Admin(client) => client.change(change, by, generation, purpose),
        }
    }
}

/// The steps of a drill or of a staged engagement, and what did not work in them and was no reason to stop.
pub(super) struct Steps<'a> {
    backend: &'a Backend,
    purpose: Purpose,
    warnings: RefCell<BTreeSet<String>>,
}

impl<'a> Steps<'a> {
    pub(super) fn new(backend: &'a Backend, purpose: Purpose) -> Self {
        Self { backend, purpose, warnings: RefCell::default() }
    }

    pub(super) fn warning(self) -> Option<String> {
        self.warnings.into_inner().into_iter().reduce(|all, more| format!("{all}; {more}"))
    }
}

impl kill_switch::ControlPlane for Steps<'_> {
    type Error = Failure;

    fn document(&self) -> Result<Option<Document>, Failure> {
        self.backend.document()
    }

    fn change(&self, generation: Option<u64>, change: &Change, by: &Author) -> Result<Document, Failure> {
        let made = self.backend.make(generation, change, by, self.purpose)?;
        self.warnings.borrow_mut().extend(made.warning);
        if let Some(document) = made.document {
            return Ok(document);
        }
        // The change is made: the present document has it, unless it was changed since.
        let failed = |why: &dyn std::fmt::Display| {
            Failure::Store(format!("{change} is done, but the new document cannot be read: {why}"))
        };
        let document = self.backend.document().map_err(|why| failed(&why))?;
        document.ok_or_else(|| failed(&"the document is gone"))
    }

    fn has_moved(failure: &Failure) -> bool {
        failure.code() == "moved"
    }
}

/// There is no document at the path.
pub(super) fn no_file(editor: &Editor, path: &Path) -> Failure {
    if editor.latest(1).is_ok_and(|kept| !kept.is_empty()) {
        return EditError::Gone.into();
    }
    let begin = "check the path, or create the document with `backstop switch define`";
    Failure::Store(format!("there is no file {}: {begin}", path.display()))
}

fn edit(editor: &Editor, generation: Option<u64>, change: &Change, by: &Author) -> Result<Committed, Failure> {
    let changes = match generation {
        Some(generation) => editor.change_if(generation, change, by)?,
        None => editor.change_and_tell(change, by)?,
    };
    let unrecorded =
        changes.unrecorded.map(|why| format!("the change is made, but its audit entry was not written: {why}"));
    let unkept =
        changes.unkept.map(|why| format!("the change is made, but the history lacks the document before it: {why}"));
    let warning = unrecorded.into_iter().chain(unkept).reduce(|all, more| format!("{all}; {more}"));
    let document = changes.document;
    let (generation, proposed) = (document.generation(), document.changed().proposed);
    Ok(Committed { generation, document: Some(document), proposed, warning, response: Value::Null })
}

pub(super) fn waiting(document: Option<&Document>, change: &Change, number: u64) -> Report {
    let pending = document.map(Document::pending).unwrap_or_default();
    let proposal = pending.iter().find(|proposal| proposal.number == number);
    let text = format!(
        "Nothing has changed yet: \"{change}\" takes two persons and is pending as proposal {number}.\n\
         Another person approves it: backstop switch approve {number} --reason \"..\"",
    );
    let number = serde_json::json!({ "number": number });
    let json = proposal.map_or_else(|| json(&number), json);
    Report { text, json, exit_code: 4, warning: None }
}

/// A document as it stands in its store.
fn document_json(document: &Document) -> String {
    String::from_utf8_lossy(&document.to_bytes()).into_owned()
}
