//! What can be done to a document.

use super::engage::Engage;
use super::hash::Sha256;
use super::id::SwitchId;
use super::json::Node;
use super::read::{Fields, Read, deserialize_by_reading, tagged};
use super::records::PinState;
use super::stage::Stage;
use super::stages::Stages;
use super::switch::Definition;
use crate::clock::Timestamp;
use crate::config::Problems;
use std::fmt;

/// One thing to do to a document. As JSON: `{"release": {"switch": "recommendations"}}`.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// Defines a switch, or an existing one anew. Engagement, pin and drill stay.
    Define {
        /// The switch.
        switch: SwitchId,
        /// What it is.
        definition: Definition,
    },
    /// Takes a switch away for ever; its id is never used again.
    Retire {
        /// The switch.
        switch: SwitchId,
    },
    /// Takes a capability away.
    Engage(Engage),
    /// Takes an engagement to more instances.
    Advance {
        /// The switch.
        switch: SwitchId,
        /// Where it is in force from now on.
        stage: Stage,
    },
    /// Gives a capability back.
    Release {
        /// The switch.
        switch: SwitchId,
    },
    /// Lets an engagement that expires do so later.
    Extend {
        /// The switch.
        switch: SwitchId,
        /// Until when.
        until: Timestamp,
    },
    /// Keeps a switch as it is.
    Pin {
        /// The switch.
        switch: SwitchId,
        /// What it is, and stays.
        state: PinState,
    },
    /// Takes a pin away; the switch stays as it is.
    Unpin {
        /// The switch.
        switch: SwitchId,
    },
    /// Goes back to what the switches and settings were in an earlier generation.
    Revert {
        /// The earlier generation.
        generation: u64,
    },
    /// Records a rehearsal.
    Drilled {
        /// The switch.
        switch: SwitchId,
        /// How many instances took part.
        instances: u64,
        /// Until the slowest instance had the capability off, in milliseconds.
        time_to_disable_ms: u64,
        /// Until that was seen from outside, in milliseconds.
        time_to_verify_ms: u64,
    },
    /// Says whether it takes two persons to release, retire, extend and override.
    TwoPerson {
        /// Whether it does.
        required: bool,
    },
    /// Says where engagements go before they are everywhere.
    Stages {
        /// From now on; an engagement that is in force stays where it is.
        stages: Stages,
    },
    /// Does what another person proposed.
    Approve {
        /// The proposal's number.
        number: u64,
        /// The hash of the document that the approver has seen.
        document: Sha256,
    },
    /// Takes a proposal off the list.
    Reject {
        /// The proposal's number.
        number: u64,
    },
}

impl Change {
    /// The switch that it is about, where it is about one.
    pub const fn switch(&self) -> Option<&SwitchId> {
        match self {
            Self::Define { switch, .. }
            | Self::Retire { switch }
            | Self::Engage(Engage { switch, .. })
            | Self::Advance { switch, .. }
            | Self::Release { switch }
            | Self::Extend { switch, .. }
            | Self::Pin { switch, .. }
            | Self::Unpin { switch }
            | Self::Drilled { switch, .. } => Some(switch),
            Self::Revert { .. }
            | Self::TwoPerson { .. }
            | Self::Stages { .. }
            | Self::Approve { .. }
            | Self::Reject { .. } => None,
        }
    }

    /// Its name, stable, for logs and metrics.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Define { .. } => "define",
            Self::Retire { .. } => "retire",
            Self::Engage(_) => "engage",
            Self::Advance { .. } => "advance",
            Self::Release { .. } => "release",
            Self::Extend { .. } => "extend",
            Self::Pin { .. } => "pin",
            Self::Unpin { .. } => "unpin",
            Self::Revert { .. } => "revert",
            Self::Drilled { .. } => "drilled",
            Self::TwoPerson { .. } => "two_person",
            Self::Stages { .. } => "stages",
            Self::Approve { .. } => "approve",
            Self::Reject { .. } => "reject",
        }
    }
}

/// A verb and what it is about: `engage recommendations`, `engage recommendations now`, `revert 12`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.verb())?;
        match self {
            Self::Revert { generation: number } | Self::Approve { number, .. } | Self::Reject { number } => {
                write!(f, " {number}")
            }
            Self::TwoPerson { required } => write!(f, " {required}"),
            Self::Advance { switch, stage: Stage::Everywhere } => write!(f, " {switch} everywhere"),
            Self::Engage(Engage { switch, now: true, .. }) => write!(f, " {switch} now"),
            _ => self.switch().map_or(Ok(()), |switch| write!(f, " {switch}")),
        }
    }
}

impl Read for Change {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let verbs = [
            "define",
            "retire",
            "engage",
            "advance",
            "release",
            "extend",
            "pin",
            "unpin",
            "revert",
            "drilled",
            "two_person",
            "stages",
            "approve",
            "reject",
        ];
        let (verb, inner) = tagged(node, at, &verbs, problems)?;
        let at = &format!("{at}.{verb}");
        let known: &[&str] = match verb {
            "engage" => return Engage::read(inner, at, problems).map(Self::Engage),
            "define" => &["switch", "definition"],
            "advance" => &["switch", "stage"],
            "extend" => &["switch", "until"],
            "pin" => &["switch", "state"],
            "revert" => &["generation"],
            "two_person" => &["required"],
            "stages" => &["stages"],
            "approve" => &["number", "document"],
            "reject" => &["number"],
            "drilled" => &["switch", "instances", "time_to_disable_ms", "time_to_verify_ms"],
            _ => &["switch"],
        };
        let mut fields = Fields::of(inner, at, known, problems)?;
        match verb {
            "revert" => return Some(Self::Revert { generation: fields.required("generation")? }),
            "two_person" => return Some(Self::TwoPerson { required: fields.required("required")? }),
            "stages" => return Some(Self::Stages { stages: fields.required("stages")? }),
            "reject" => return Some(Self::Reject { number: fields.required("number")? }),
            "approve" => {
                let (number, document) = (fields.required("number"), fields.required("document"));
                return Some(Self::Approve { number: number?, document: document? });
            }
            _ => {}
        }
        let switch = fields.required("switch");
        Some(match verb {
            "define" => {
                let definition = fields.required("definition");
                Self::Define { switch: switch?, definition: definition? }
            }
            "advance" => {
                let stage = fields.required("stage");
                Self::Advance { switch: switch?, stage: stage? }
            }
            "extend" => {
                let until = fields.required("until");
                Self::Extend { switch: switch?, until: until? }
            }
            "pin" => {
                let state = fields.required("state");
                Self::Pin { switch: switch?, state: state? }
            }
            "drilled" => {
                let instances = fields.required("instances");
                let (disable, verify) = (fields.required("time_to_disable_ms"), fields.required("time_to_verify_ms"));
                let (time_to_disable_ms, time_to_verify_ms) = (disable?, verify?);
                Self::Drilled { switch: switch?, instances: instances?, time_to_disable_ms, time_to_verify_ms }
            }
            "retire" => Self::Retire { switch: switch? },
            "release" => Self::Release { switch: switch? },
            _ => Self::Unpin { switch: switch? },
        })
    }
}

deserialize_by_reading!("change": Change);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kill_switch::model::scope::Scope;

    #[test]
    fn every_change_is_written_and_read_as_the_same() {
        let switch = r#""switch":"recs""#;
        let hash = "0".repeat(64);
        for written in [
            format!(
                r#"{{"define":{{{switch},"definition":{{"owner":"team","disables":"a thing","severity":"low","on_unknown":"block","expires":"2027-01-31T00:00:00Z"}}}}}}"#
            ),
            format!(
                r#"{{"engage":{{{switch},"scope":{{"all":true}},"stage":{{"regions":["eu"]}},"incident":"INC-7","expires":{{"at":"2027-01-31T00:00:00Z","then":"keep"}},"trigger":"drill"}}}}"#
            ),
            format!(r#"{{"advance":{{{switch},"stage":"everywhere"}}}}"#),
            format!(r#"{{"extend":{{{switch},"until":"2027-01-31T00:00:00Z"}}}}"#),
            format!(r#"{{"pin":{{{switch},"state":"released"}}}}"#),
            format!(
                r#"{{"drilled":{{{switch},"instances":3,"time_to_disable_ms":40,"time_to_verify_ms":18446744073709551615}}}}"#
            ),
            format!(r#"{{"retire":{{{switch}}}}}"#),
            format!(r#"{{"release":{{{switch}}}}}"#),
            format!(r#"{{"unpin":{{{switch}}}}}"#),
            format!(r#"{{"approve":{{"number":7,"document":"sha256:{hash}"}}}}"#),
            r#"{"revert":{"generation":12}}"#.into(),
            r#"{"two_person":{"required":true}}"#.into(),
            r#"{"stages":{"stages":[{"instances":["web-1"]},{"regions":["eu"]}]}}"#.into(),
            format!(r#"{{"engage":{{{switch},"scope":{{"all":true}},"now":true,"trigger":"human"}}}}"#),
            r#"{"reject":{"number":7}}"#.into(),
        ] {
            let change: Change = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&change).unwrap(), written);
            assert!(written.starts_with(&format!("{{\"{}\"", change.verb())));
        }
    }

    #[test]
    fn what_a_change_leaves_out_is_a_default_and_what_it_adds_is_refused() {
        let short = r#"{"engage":{"switch":"recs","scope":{"percent":1}}}"#;
        let engage = Engage::new(SwitchId::new("recs").unwrap(), Scope::new().percent(1.0));
        assert_eq!(serde_json::from_str::<Change>(short).unwrap(), Change::Engage(engage));
        for (wrong, field) in [
            (r#"{"release":{"switch":"recs","force":true}}"#, "change.release.force"),
            (r#"{"release":{"switch":"Recs"}}"#, "change.release.switch"),
            (r#"{"engage":{"switch":"recs"}}"#, "change.engage.scope"),
            (r#"{"engage":{"switch":"recs","scope":{}}}"#, "change.engage.scope"),
            (r#"{"release":{"switch":"a"},"retire":{"switch":"a"}}"#, "change"),
            (r#""release""#, "change.release"),
        ] {
            let error = serde_json::from_str::<Change>(wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("invalid configuration: {field}:")), "{error}");
        }
    }
}
