//! The switches of a running program: which route does what, and what it answers.

use super::http::{Answer, Http};
use super::office::Made;
use super::report::Failure;
use super::who::Who;
use backstop::kill_switch::{Change, Document};
use serde_json::{Value, json};

/// Asks a program's admin page.
pub(super) struct Client {
    http: Http,
}

impl Client {
    pub(super) const fn new(http: Http) -> Self {
        Self { http }
    }

    /// The document as it is in the program's store; `None` where there is none.
    pub(super) fn document(&self) -> Result<Option<Document>, Failure> {
        self.read("/v1/document", &["empty"])
    }

    /// An earlier one; `None` where it is not kept, or cannot be read.
    pub(super) fn revision(&self, generation: u64) -> Result<Option<Document>, Failure> {
        self.read(&format!("/v1/revisions/{generation}"), &["unknown_revision", "unreadable"])
    }

    /// A document; `None` for these codes.
    fn read(&self, path: &str, none: &[&str]) -> Result<Option<Document>, Failure> {
        match self.http.get(path) {
            Ok(Answer { body, .. }) => {
                let foreign = |_| self.http.foreign("does not answer with a document");
                Document::parse(&body, Document::SIZE_MAX).map(Some).map_err(foreign)
            }
            Err(failure) if none.contains(&failure.code()) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Makes a change, where it is of this generation if one is given.
    pub(super) fn change(&self, change: &Change, who: &Who, generation: Option<u64>) -> Result<Made, Failure> {
        if who.by.is_some() {
            let message = "--by is not for an admin address: who you are is what your token says";
            return Err(Failure::Usage(message.to_owned()));
        }
        let path = path(change)?;
        let Answer { status, body } = self.http.post(&path, &body(change, who, generation))?;
        let told: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(generation) = told["generation"].as_u64() else {
            return Err(self.http.foreign("does not tell a generation: look whether it is done"));
        };
        let is_audited = told["audited"].as_bool() == Some(true);
        let warning = "the audit has no entry of it: the program keeps none, or could not write it";
        Ok(Made {
            generation,
            // The very document that was made. What is done is done, whether or not it can be read: a token may be for
            // changes alone, or for one switch.
            document: self.revision(generation).ok().flatten(),
            proposed: told["pending"].as_u64().filter(|_| status == 202),
            warning: (!is_audited).then(|| warning.to_owned()),
            told,
        })
    }
}

/// Where to ask for a change.
fn path(change: &Change) -> Result<String, Failure> {
    match (change.switch(), change) {
        (_, Change::TwoPerson { .. }) => Err(Failure::no_route("two-person")),
        (_, Change::Drilled { .. }) => Err(Failure::no_route("drill")),
        (Some(switch), _) => Ok(format!("/v1/switches/{switch}/{}", change.verb())),
        (None, _) => Ok(format!("/v1/{}", change.verb())),
    }
}

/// What the change has for itself, less what the path and the token say.
fn body(change: &Change, who: &Who, generation: Option<u64>) -> Value {
    let mut body = json!(change)[change.verb()].take();
    if let Value::Object(fields) = &mut body {
        fields.remove("switch");
        fields.remove("trigger");
    }
    body["reason"] = who.reason.as_str().into();
    if let Some(generation) = generation {
        body["if_generation"] = generation.into();
    }
    if who.break_glass {
        body["break_glass"] = true.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstop::kill_switch::{Engage, Scope, SwitchId};

    fn who(break_glass: bool) -> Who {
        Who { reason: "why".to_owned(), by: None, break_glass }
    }

    #[test]
    fn a_body_has_what_neither_the_path_nor_the_token_says() {
        let engage = Change::Engage(Engage::new(SwitchId::new("recs").unwrap(), Scope::all()));
        assert_eq!(path(&engage).unwrap(), "/v1/switches/recs/engage");
        let told = json!({ "scope": { "all": true }, "stage": "everywhere", "reason": "why" });
        assert_eq!(body(&engage, &who(false), None), told);
    }

    #[test]
    fn what_was_decided_by_reading_is_for_the_generation_that_was_read() {
        let revert = Change::Revert { generation: 2 };
        assert_eq!(path(&revert).unwrap(), "/v1/revert");
        let told = json!({ "generation": 2, "reason": "why", "if_generation": 7, "break_glass": true });
        assert_eq!(body(&revert, &who(true), Some(7)), told);
    }

    #[test]
    fn what_has_no_route_is_bad_usage() {
        let failure = path(&Change::TwoPerson { required: true }).err().unwrap();
        assert_eq!(failure.exit_code(), 2);
    }
}
