//! An access list as JSON.
//!
//! ```json
//! {
//!   "format": 1,
//!   "grants": [
//!     {
//!       "actor": "ada",
//!       "token": "sha256:0b6f...",
//!       "verbs": ["view", "engage"],
//!       "switches": ["recommendations"],
//!       "expires": "2027-01-01T00:00:00Z"
//!     }
//!   ]
//! }
//! ```

use super::grant::{Grant, Switches, Verb};
use super::list::{AccessList, Whose, check};
use crate::clock::Timestamp;
use crate::config::{ConfigError, Problem, Problems};
use crate::kill_switch::model::Sha256;
use crate::kill_switch::model::decode::without_types;
use std::collections::BTreeSet;

/// The format that is read and written.
const FORMAT: u64 = 1;
/// The longest text that is read, in bytes.
const BYTES_MAX: usize = 1 << 20;

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u64,
    grants: Vec<Entry>,
}

/// A grant as it is written: nothing is checked yet.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    actor: String,
    token: String,
    verbs: Vec<String>,
    switches: Ids,
    expires: String,
}

#[derive(serde::Serialize, serde::Deserialize)]
#[serde(untagged)]
enum Ids {
    All(String),
    Only(BTreeSet<String>),
}

impl AccessList {
    /// Reads grants and checks them as [`new`](AccessList::new) does.
    ///
    /// # Errors
    ///
    /// A text above 1 MiB; one that is not JSON of this structure, with the first problem only; then
    /// everything that is wrong with any grant. The value in the place of a token's hash is never repeated.
    pub fn from_json(json: &[u8], now: Timestamp) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        if json.len() > BYTES_MAX {
            problems.add("access", format!("{} bytes", json.len()), format!("{BYTES_MAX} bytes at most"));
            return Err(problems.into_error());
        }
        let file: File = serde_json::from_slice(json).map_err(|error| ConfigError::of(no_list(&error)))?;
        if file.format != FORMAT {
            problems.add("format", file.format, FORMAT.to_string());
        }
        let entries = (1..).zip(file.grants);
        let grants: Vec<_> =
            entries.filter_map(|(number, entry)| Some((number, entry.grant(&mut problems, number)?))).collect();
        let numbered: Vec<_> = grants.iter().map(|(number, grant)| (*number, grant)).collect();
        check(&mut problems, &numbered, now);
        problems.into_result(Self { grants: grants.into_iter().map(|(_, grant)| grant).collect() })
    }

    /// The list as JSON, as [`from_json`](AccessList::from_json) reads it, with a new line at its end.
    pub fn to_json(&self) -> String {
        let entries = self.grants.iter().map(|grant| Entry {
            actor: grant.actor.clone(),
            token: grant.token.to_string(),
            verbs: grant.verbs.iter().map(|verb| verb.as_str().to_owned()).collect(),
            switches: match &grant.switches {
                Switches::All => Ids::All(ALL.to_owned()),
                Switches::Only(ids) => Ids::Only(ids.clone()),
            },
            expires: grant.expires.to_string(),
        });
        let file = File { format: FORMAT, grants: entries.collect() };
        // Strings, numbers and lists of them: nothing here can fail to be JSON.
        let mut json = serde_json::to_string_pretty(&file).unwrap_or_default();
        json.push('\n');
        json
    }
}

const ALL: &str = "all";

impl Entry {
    fn grant(self, problems: &mut Problems, number: usize) -> Option<Grant> {
        let whose = Whose { number, actor: &self.actor };
        // A token pasted here instead of its hash must not come out in a message.
        let token: Option<Sha256> = self.token.parse().ok();
        if token.is_none() {
            problems.add("grants.token", &whose, "\"sha256:\" and 64 lower-case hexadecimal digits");
        }
        let verbs: Option<BTreeSet<_>> = self.verbs.iter().map(|verb| Verb::of(verb)).collect();
        if verbs.is_none() {
            let all = Verb::ALL.map(Verb::as_str).join(", ");
            problems.add("grants.verbs", &whose, format!("some of {all}"));
        }
        let switches = match self.switches {
            Ids::Only(ids) => Some(Switches::Only(ids)),
            Ids::All(all) if all == ALL => Some(Switches::All),
            Ids::All(_) => None,
        };
        if switches.is_none() {
            problems.add("grants.switches", &whose, "\"all\" or a list of ids of switches");
        }
        let expires: Option<Timestamp> = self.expires.parse().ok();
        if expires.is_none() {
            problems.add("grants.expires", &whose, "a time as in 2027-01-01T00:00:00Z");
        }
        Some(Grant::new(self.actor, token?, expires?).verbs(verbs?).switches(switches?))
    }
}

/// The parser's message, unless it repeats a token.
fn no_list(error: &serde_json::Error) -> Problem {
    let place = format!("line {} column {}", error.line(), error.column());
    let text = without_types(error);
    let value = if text.contains("bks_") { place } else { text };
    Problem::new("access", value, "a list of grants as JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill_switch::access::token::Token;

    const HASH: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn now() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn one(entry: &str) -> Result<AccessList, ConfigError> {
        AccessList::from_json(format!("{{\"format\": 1, \"grants\": [{entry}]}}").as_bytes(), now())
    }

    fn entry() -> String {
        let rest = r#""verbs": ["view"], "switches": "all", "expires": "2027-01-01T00:00:00Z"}"#;
        format!(r#"{{"actor": "ada", "token": "{HASH}", {rest}"#)
    }

    #[test]
    fn a_list_comes_back_from_its_json() {
        let token = Token::from_bytes([1; 32]);
        let expires = "2027-01-01T00:00:00.5Z".parse().unwrap();
        let ada = Grant::new("ada \"the first\"", token.hash(), expires).verbs(Verb::ALL).switches(Switches::All);
        let other = Token::from_bytes([2; 32]).hash();
        let bo = Grant::new("bo", other, now()).verbs([Verb::View]).switches(Switches::only(["a", "b"]));
        let list = AccessList::new([ada, bo], now()).unwrap();
        let json = list.to_json();
        assert!(!json.contains(&token.reveal()));
        assert_eq!(AccessList::from_json(json.as_bytes(), now()), Ok(list));
    }

    #[test]
    fn what_is_not_exactly_a_list_is_refused() {
        assert!(one(&entry()).is_ok());
        for wrong in [
            entry().replace('}', ", \"note\": 1}"),
            entry().replace('}', ", \"actor\": \"bo\"}"),
            entry().replace("\"actor\": \"ada\", ", ""),
            entry().replace("\"ada\"", "null"),
            entry().replace("[\"view\"]", "{}"),
            format!("{}, 5", entry()),
            "[".repeat(100_000),
        ] {
            let error = one(&wrong).unwrap_err();
            assert_eq!(error.problems()[0].field(), "access", "{wrong:.200}");
        }
        let too_long = format!("{}{}", AccessList::default().to_json(), " ".repeat(BYTES_MAX));
        assert_eq!(AccessList::from_json(too_long.as_bytes(), now()).unwrap_err().problems()[0].field(), "access");
        assert!(AccessList::from_json(b"{\"format\": 2, \"grants\": []}", now()).is_err());
        assert!(AccessList::from_json(b"{\"format\": 1, \"grants\": []} x", now()).is_err());
    }

    #[test]
    fn everything_that_is_wrong_with_the_grants_is_told_at_once() {
        let wrong = r#"{"actor": "bo", "token": "x", "verbs": ["fly"], "switches": "some", "expires": "soon"}"#;
        let nameless = entry().replace("ada", "");
        let error = one(&format!("{wrong}, {nameless}")).unwrap_err();
        let fields: Vec<_> = error.problems().iter().map(Problem::field).collect();
        let expected = ["grants.token", "grants.verbs", "grants.switches", "grants.expires", "grants.actor"];
        assert_eq!(fields, expected);
        assert_eq!(error.problems()[4].value(), "that of grant 2 (\"\")");
    }

    #[test]
    fn a_token_in_the_wrong_place_is_not_repeated() {
        let token = Token::from_bytes([9; 32]).reveal();
        let of_hash = entry().replace(HASH, &token);
        let of_verbs = entry().replace("[\"view\"]", &format!("\"{token}\""));
        let of_switches = entry().replace("\"all\"", &format!("\"{token}\""));
        let of_expiry = entry().replace("2027-01-01T00:00:00Z", &token);
        let of_field = entry().replace("actor", &token);
        for wrong in [of_hash, of_verbs, of_switches, of_expiry, of_field] {
            let error = one(&wrong).unwrap_err();
            assert!(!format!("{error} {error:?}").contains(&token[4..]), "{error}");
        }
    }
}
