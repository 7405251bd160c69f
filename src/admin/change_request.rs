//! Body of a request for a change: the fields of the change, and those that every change has.

use crate::config::{ConfigError, Problem, Problems};
use crate::kill_switch::model::change::Change;
use crate::kill_switch::model::decode::{DecodeError, decode};
use crate::kill_switch::model::id::SwitchId;
use crate::kill_switch::model::text;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde::ser::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;
use std::fmt;

/// A requested change. The token says whose it is.
#[derive(Debug, PartialEq)]
pub(crate) struct ChangeRequest {
    pub(crate) change: Change,
    pub(crate) reason: String,
    /// The generation that it is meant for.
    pub(crate) if_generation: Option<u64>,
    pub(crate) break_glass: bool,
}

/// The fields of a body that belong to every change.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    reason: String,
    if_generation: Option<u64>,
    break_glass: Option<bool>,
}

const COMMON: [&str; 3] = ["reason", "if_generation", "break_glass"];

/// An object whose keys are each there once.
#[derive(serde::Serialize)]
#[serde(transparent)]
struct Fields(BTreeMap<String, Box<RawValue>>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Unique;

        impl<'de> Visitor<'de> for Unique {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((field, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if fields.insert(field.clone(), value).is_some() {
                        return Err(A::Error::custom(format_args!("the field {} is given twice", text::shown(&field))));
                    }
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Unique)
    }
}

/// Reads a part of a body, without `prefix` in the paths of its problems.
fn part<T: DeserializeOwned>(part: &impl Serialize, prefix: &str) -> Result<T, ConfigError> {
    // Keys and values that were JSON before: writing them to memory does not fail.
    decode(&serde_json::to_vec(part).unwrap_or_default()).map_err(|error| in_body(error, prefix))
}

/// The reason of a request that has no other field.
///
/// # Errors
///
/// The first problem of the structure, or a reason that is out of its range.
pub(crate) fn reason(body: &[u8]) -> Result<String, ConfigError> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Reason {
        reason: String,
    }

    let mut problems = Problems::default();
    let fields: Fields = decode(body).map_err(|error| in_body(error, ""))?;
    let Reason { reason } = part(&fields, "")?;
    text::reason("reason", &reason, &mut problems);
    problems.into_result(reason)
}

impl ChangeRequest {
    /// Reads a body: one object of the change's fields and the common ones. The verb, the switch and the trigger are in
    /// the path.
    ///
    /// # Errors
    ///
    /// The first problem of the structure, or every value that is out of its range.
    pub(crate) fn read(
        body: &[u8],
        verb: &str,
        switch: Option<&SwitchId>,
        trigger: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let Fields(fields) = decode(body).map_err(|error| in_body(error, ""))?;
        let (common, mut own): (BTreeMap<_, _>, BTreeMap<_, _>) =
            fields.into_iter().partition(|(field, _)| COMMON.contains(&field.as_str()));
        let mut problems = Problems::default();
        for (field, value) in [("switch", switch.map(SwitchId::as_str)), ("trigger", trigger)] {
            if (value.is_some() || field == "trigger") && own.contains_key(field) {
                problems.add(field, "given", "left out, as the path names the switch and the trigger");
            }
            if let Some(value) = value.and_then(|value| to_raw_value(value).ok()) {
                own.insert(field.to_owned(), value);
            }
        }
        problems.into_result(())?;
        let prefix = format!("{verb}.");
        let change: Change = part(&BTreeMap::from([(verb, Fields(own))]), &prefix)?;
        let Common { reason, if_generation, break_glass } = part(&Fields(common), "")?;
        let mut problems = Problems::default();
        change.check_at(verb, &mut problems);
        text::reason("reason", &reason, &mut problems);
        let asked = Self { change, reason, if_generation, break_glass: break_glass.unwrap_or(false) };
        problems.into_result(asked).map_err(|error| in_body(DecodeError::Structure(error), &prefix))
    }
}

/// The problem of a body, without the verb in the path of its field.
fn in_body(error: DecodeError, prefix: &str) -> ConfigError {
    match error {
        DecodeError::Syntax(message) => ConfigError::of(Problem::new("body", message, "JSON")),
        DecodeError::Structure(error) => {
            let whole = |problem: &Problem| problem.field() == "document";
            match error.problems() {
                [problem] if whole(problem) => ConfigError::of(Problem::new("body", problem.value(), "")),
                _ => error.without_prefix(prefix),
            }
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
            (r#"{"scope":{},"by":"root"}"#, "engage", vec!["by"]),
            (r#"{"reason":"why","switch":"other","trigger":"drill"}"#, "release", vec!["switch", "trigger"]),
            (r#"{"reason":"why","reason":"twice"}"#, "release", vec!["body"]),
            (r#"{"reason":"\u0007","scope":{}}"#, "engage", vec!["scope", "reason"]),
            (r#"{"reason":"why","if_generation":-1}"#, "release", vec!["if_generation"]),
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
