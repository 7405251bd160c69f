//! A change that somebody asks for over HTTP: its fields, and what every change has.

use crate::config::{ConfigError, Problems};
use crate::kill_switch::model::change::Change;
use crate::kill_switch::model::id::SwitchId;
use crate::kill_switch::model::json::Node;
use crate::kill_switch::model::read::{Fields, Read};
use std::collections::BTreeMap;

/// What a body says about a change; who it is from, the token says.
#[derive(Debug, PartialEq)]
pub(crate) struct ChangeRequest {
    pub(crate) change: Change,
    pub(crate) reason: String,
    /// The generation that it is meant for.
    pub(crate) if_generation: Option<u64>,
    pub(crate) break_glass: bool,
}

/// Why, where a body says nothing else.
///
/// # Errors
///
/// Everything that is wrong with it.
pub(crate) fn reason(body: &[u8]) -> Result<String, ConfigError> {
    let mut problems = Problems::default();
    let reason = match Node::parse(body) {
        Ok(node) => Fields::of(&node, "", &["reason"], &mut problems).and_then(|mut fields| fields.reason("reason")),
        Err(error) => {
            problems.add("body", error, "JSON");
            None
        }
    };
    match reason {
        Some(reason) => problems.into_result(reason),
        None => Err(problems.into_error()),
    }
}

/// The fields of a body that belong to no one change.
const COMMON: [&str; 3] = ["reason", "if_generation", "break_glass"];

impl ChangeRequest {
    /// Reads a body: one object of the change's fields and the common ones. The verb, the switch and the trigger are in
    /// the path.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub(crate) fn read(
        body: &[u8],
        verb: &str,
        switch: Option<&SwitchId>,
        trigger: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let fields = match Node::parse(body) {
            Ok(Node::Object(fields)) => fields,
            Ok(other) => {
                problems.add("body", other.kind(), "an object");
                return Err(problems.into_error());
            }
            Err(error) => {
                problems.add("body", error, "JSON");
                return Err(problems.into_error());
            }
        };
        let (common, mut own): (BTreeMap<_, _>, BTreeMap<_, _>) =
            fields.into_iter().partition(|(field, _)| COMMON.contains(&field.as_str()));
        for field in ["switch", "trigger"] {
            if (switch.is_some() || field == "trigger") && own.remove(field).is_some() {
                problems.add(field, "given", "left out: the path names the switch and the trigger");
            }
        }
        if let Some(switch) = switch {
            own.insert("switch".to_owned(), Node::Text(switch.to_string()));
        }
        if let Some(trigger) = trigger {
            own.insert("trigger".to_owned(), Node::Text(trigger.to_owned()));
        }
        let tagged = Node::Object([(verb.to_owned(), Node::Object(own))].into());
        let mut of_change = Problems::default();
        let change = Change::read(&tagged, "change", &mut of_change);
        let prefix = format!("change.{verb}.");
        if let Err(error) = of_change.into_result(()) {
            for problem in error.problems() {
                let field = problem.field().strip_prefix(&prefix).unwrap_or(problem.field());
                problems.add(field.to_owned(), problem.value(), problem.allowed());
            }
        }
        let common = Node::Object(common);
        let common = Fields::of(&common, "", &COMMON, &mut problems).and_then(|mut fields| {
            let (reason, if_generation) = (fields.reason("reason"), fields.optional("if_generation"));
            let break_glass = fields.optional::<bool>("break_glass");
            Some((reason?, if_generation?, break_glass?.unwrap_or(false)))
        });
        match (change, common) {
            (Some(change), Some((reason, if_generation, break_glass))) => {
                problems.into_result(Self { change, reason, if_generation, break_glass })
            }
            _ => Err(problems.into_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str, verb: &str) -> Vec<String> {
        let switch = SwitchId::new("recs").unwrap();
        let switch = Some(&switch).filter(|_| verb != "revert");
        match ChangeRequest::read(body.as_bytes(), verb, switch, None) {
            Ok(asked) => vec![asked.change.to_string()],
            Err(error) => error.problems().iter().map(|problem| problem.field().to_owned()).collect(),
        }
    }

    #[test]
    fn a_body_is_read_with_everything_that_is_wrong_with_it() {
        for (body, verb, expected) in [
            (r#"{"reason":"why","if_generation":3}"#, "release", vec!["release recs"]),
            (r#"{"reason":"why","scope":{"all":true}}"#, "engage", vec!["engage recs"]),
            (r#"{"reason":"why","generation":2}"#, "revert", vec!["revert 2"]),
            (r#"{"scope":{},"by":"root"}"#, "engage", vec!["by", "scope", "reason"]),
            (r#"{"reason":"why","switch":"other","trigger":"drill"}"#, "release", vec!["switch", "trigger"]),
            (r#"{"reason":"why","reason":"twice"}"#, "release", vec!["body"]),
            (r#"{"reason":"\u0007","if_generation":-1}"#, "release", vec!["reason", "if_generation"]),
            ("[]", "release", vec!["body"]),
            ("", "release", vec!["body"]),
        ] {
            assert_eq!(fields(body, verb), expected, "{body}");
        }
        assert_eq!(fields(&"[".repeat(60_000), "release"), ["body"]);
        assert_eq!(reason(br#"{"reason":"why"}"#).unwrap(), "why");
        for (wrong, says) in [("[]", "object"), ("{}", "reason"), (r#"{"reason":"x","by":"y"}"#, "by"), ("", "JSON")] {
            assert!(reason(wrong.as_bytes()).unwrap_err().to_string().contains(says), "{wrong}");
        }
    }
}
