//! The switches of a running program: which route does what, and what it answers.

use super::committed::{Committed, Purpose};
use super::http::{Answer, Http};
use super::output::Failure;
use backstop::kill_switch::{Author, Change, Document, Switch, SwitchId};
use serde_json::{Value, json};
use std::time::Duration;

/// Between two looks at the effect of an engagement.
const PAUSE: Duration = Duration::from_millis(100);

/// The document in force in a program.
pub(super) struct InForce {
    pub(super) generation: u64,
    pub(super) hash: String,
    pub(super) switches: Vec<Switch>,
}

/// Asks a program's admin page.
pub(super) struct Client {
    http: Http,
}

impl Client {
    pub(super) const fn new(http: Http) -> Self {
        Self { http }
    }

    /// The document as it is in the program's store; `None` if there is none.
    pub(super) fn document(&self) -> Result<Option<Document>, Failure> {
        self.read("/v1/document", &["empty"])
    }

    /// An earlier one; `None` if it is not kept, or cannot be read.
    pub(super) fn revision(&self, generation: u64) -> Result<Option<Document>, Failure> {
        self.read(&format!("/v1/revisions/{generation}"), &["unknown_revision", "unreadable"])
    }

    /// Reads a document from the admin page; `None` if it answers with one of these error codes.
    fn read(&self, path: &str, none: &[&str]) -> Result<Option<Document>, Failure> {
        match self.http.get(path) {
            Ok(Answer { body, .. }) => {
                let foreign = |_| self.http.foreign("did not answer with a document");
                Document::parse(&body, Document::SIZE_MAX).map(Some).map_err(foreign)
            }
            Err(failure) if none.contains(&failure.code()) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Switches in force in the program, limited to those of the token; `None` before the first document.
    pub(super) fn in_force(&self) -> Result<Option<InForce>, Failure> {
        let foreign = || self.http.foreign("did not answer with switches");
        let response: Value = serde_json::from_slice(&self.http.get("/v1/switches")?.body).map_err(|_| foreign())?;
        let Some(switches) = response["switches"].as_array() else {
            return if response.is_null() { Ok(None) } else { Err(foreign()) };
        };
        let switch = |response: &Value| {
            let mut switch = response.clone();
            if let Value::Object(fields) = &mut switch {
                fields.retain(|field, _| !matches!(field.as_str(), "is_engaged" | "here"));
            }
            serde_json::from_value(switch).map_err(|_| foreign())
        };
        let switches = switches.iter().map(switch).collect::<Result<_, _>>()?;
        let (Some(generation), Some(hash)) = (response["generation"].as_u64(), response["hash"].as_str()) else {
            return Err(foreign());
        };
        Ok(Some(InForce { generation, hash: hash.to_owned(), switches }))
    }

    /// Warnings of the program; empty unless the token covers all switches.
    pub(super) fn warnings(&self) -> Vec<String> {
        let state = self.http.get("/v1/state").ok();
        let state: Value = state.and_then(|answer| serde_json::from_slice(&answer.body).ok()).unwrap_or_default();
        let warnings = state["board"]["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Why a switch that was engaged does not block requests of the program that it is meant for. They show it as they
    /// arrive, for which it waits a second.
    pub(super) fn doubt(&self, id: &SwitchId, response: &Value, is_scoped: bool) -> Option<String> {
        let told = |here: &Value| here["warning"].as_str().map(|why| format!("kill switch {id} {why}"));
        let mut here = response["here"].clone();
        for _ in 0..if is_scoped { 10 } else { 0 } {
            if here["warning"].is_string() || here["is_engaged"].as_bool() != Some(true) {
                break;
            }
            std::thread::sleep(PAUSE);
            let Ok(Answer { body, .. }) = self.http.get(&format!("/v1/switches/{id}")) else { break };
            let response: Value = serde_json::from_slice(&body).unwrap_or_default();
            here = response["switch"]["here"].clone();
        }
        told(&here)
    }

    /// Puts what is in force there into its store; the generation that it has then.
    pub(super) fn restore(&self, by: &Author) -> Result<u64, Failure> {
        let Answer { body, .. } = self.http.post("/v1/restore", &json!({ "reason": by.reason }))?;
        let response: Value = serde_json::from_slice(&body).unwrap_or_default();
        response["generation"].as_u64().ok_or_else(|| {
            self.http.foreign(
                "did not answer with a generation: check with `backstop switch list` whether the change was made",
            )
        })
    }

    /// Makes a change; if a generation is given, only on a document of it.
    pub(super) fn change(
        &self,
        change: &Change,
        by: &Author,
        generation: Option<u64>,
        purpose: Purpose,
    ) -> Result<Committed, Failure> {
        let Answer { status, body } = self.http.post(&path(change, purpose), &body(change, by, generation))?;
        let response: Value = serde_json::from_slice(&body).unwrap_or_default();
        let Some(generation) = response["generation"].as_u64() else {
            return Err(self.http.foreign(
                "did not answer with a generation: check with `backstop switch list` whether the change was made",
            ));
        };
        let is_audited = response["audited"].as_bool() == Some(true);
        let warning = "the change has no audit entry: the program has no audit, or could not write it";
        Ok(Committed {
            generation,
            // The very document that was made. The change is made, whether or not it can be read: a token may be for
            // changes alone, or for one switch.
            document: self.revision(generation).ok().flatten(),
            proposed: response["pending"].as_u64().filter(|_| status == 202),
            warning: {
                let unkept = response["unkept"].as_str();
                let unkept = unkept.map(|why| format!("the history lacks the document before the change: {why}"));
                let all = (!is_audited).then(|| warning.to_owned()).into_iter().chain(unkept);
                all.reduce(|all, more| format!("{all}; {more}"))
            },
            response,
        })
    }
}

/// Route of a change.
fn path(change: &Change, purpose: Purpose) -> String {
    let verb = match (change, purpose) {
        (Change::Engage(_), Purpose::Drill) => "drill",
        (Change::Release { .. }, Purpose::Drill) => "end_drill",
        _ => change.verb(),
    };
    match change.switch() {
        Some(switch) => format!("/v1/switches/{switch}/{verb}"),
        None => format!("/v1/{verb}"),
    }
}

/// Fields of the change, without those in the path and the token.
fn body(change: &Change, by: &Author, generation: Option<u64>) -> Value {
    let mut body = json!(change)[change.verb()].take();
    if let Value::Object(fields) = &mut body {
        fields.remove("switch");
        fields.remove("trigger");
    }
    body["reason"] = by.reason.as_str().into();
    if let Some(generation) = generation {
        body["if_generation"] = generation.into();
    }
    if by.break_glass {
        body["break_glass"] = true.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use backstop::clock::Timestamp;
    use backstop::kill_switch::{Engage, Scope, Trigger};

    fn by() -> Author {
        Author::person("ana", Timestamp::UNIX_EPOCH).because("why")
    }

    #[test]
    fn a_body_has_what_neither_the_path_nor_the_token_says() {
        let engage = Change::Engage(Engage::new(SwitchId::new("recs").unwrap(), Scope::all()));
        assert_eq!(path(&engage, Purpose::Need), "/v1/switches/recs/engage");
        let response = json!({ "scope": { "all": true }, "reason": "why" });
        assert_eq!(body(&engage, &by(), None), response);
    }

    #[test]
    fn what_was_decided_by_reading_is_for_the_generation_that_was_read() {
        let revert = Change::Revert { generation: 2 };
        assert_eq!(path(&revert, Purpose::Need), "/v1/revert");
        let response = json!({ "generation": 2, "reason": "why", "if_generation": 7, "break_glass": true });
        assert_eq!(body(&revert, &by().break_glass(), Some(7)), response);
    }

    #[test]
    fn a_drill_asks_for_the_drill_verb_only() {
        let id = || SwitchId::new("recs").unwrap();
        let engage = Change::Engage(Engage::new(id(), Scope::all()).trigger(Trigger::Drill).now());
        assert_eq!(path(&engage, Purpose::Drill), "/v1/switches/recs/drill");
        assert_eq!(body(&engage, &by(), None), json!({ "scope": { "all": true }, "now": true, "reason": "why" }));
        assert_eq!(path(&Change::Release { switch: id() }, Purpose::Drill), "/v1/switches/recs/end_drill");
        assert_eq!(path(&Change::TwoPerson { required: true }, Purpose::Need), "/v1/two_person");
    }
}
