//! Changes of a document.

use super::{Definition, Engage, PinState, Sha256, Stage, Stages, SwitchId, decode};
use crate::clock::Timestamp;
use crate::config::Problems;
use std::collections::BTreeSet;
use std::fmt;

/// One thing to do to a document. As JSON: `{"release": {"switch": "recommendations"}}`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Change {
    /// Defines a switch, or an existing one anew. Engagement, pin and drill stay.
    Define {
        /// The switch.
        switch: SwitchId,
        /// The definition.
        definition: Definition,
    },
    /// Retires a switch; its id is never used again.
    Retire {
        /// The switch.
        switch: SwitchId,
    },
    /// Takes a capability away.
    Engage(Engage),
    /// Advances an engagement to its next stage.
    Advance {
        /// The switch.
        switch: SwitchId,
        /// The stage from now on.
        stage: Stage,
    },
    /// Releases a switch: turns its capability on again.
    Release {
        /// The switch.
        switch: SwitchId,
    },
    /// Lets an engagement that expires do so later.
    Extend {
        /// The switch.
        switch: SwitchId,
        /// End.
        #[serde(deserialize_with = "decode::time")]
        until: Timestamp,
    },
    /// Keeps a switch as it is.
    Pin {
        /// The switch.
        switch: SwitchId,
        /// The state to keep.
        state: PinState,
    },
    /// Removes a pin; the switch stays as it is.
    Unpin {
        /// The switch.
        switch: SwitchId,
    },
    /// Goes back to what the switches and settings were in an earlier generation, if that undoes the author's own
    /// changes of one switch, or of the settings, and nothing else.
    Revert {
        /// The earlier generation.
        generation: u64,
    },
    /// Goes back to what these switches were in an earlier generation; the others stay as they are.
    RevertSwitches {
        /// The earlier generation.
        generation: u64,
        /// The switches.
        switches: BTreeSet<SwitchId>,
        /// Whether the settings go back, too: stages and the rule of two persons.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        settings: bool,
        /// Other authors whose changes it undoes.
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        over: BTreeSet<String>,
    },
    /// Records a drill.
    Drilled {
        /// The switch.
        switch: SwitchId,
        /// Number of instances that took part.
        instances: u64,
        /// Until the slowest instance had the capability off, in milliseconds.
        time_to_disable_ms: u64,
        /// Until that was seen from outside, in milliseconds.
        time_to_verify_ms: u64,
    },
    /// Sets whether releasing, retiring, extending and overriding take two persons.
    TwoPerson {
        /// Two persons, or one.
        required: bool,
    },
    /// Sets the stages of engagements before they are everywhere.
    Stages {
        /// From now on; an engagement that is in force stays at its stage.
        stages: Stages,
    },
    /// Approves the proposal of another person, and makes its change.
    Approve {
        /// The proposal's number.
        number: u64,
        /// The hash of the document that the approver has seen.
        document: Sha256,
    },
    /// Rejects a pending proposal.
    Reject {
        /// The proposal's number.
        number: u64,
    },
}

impl Change {
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        match self {
            Self::Define { definition, .. } => definition.check_at(&format!("{at}.definition"), problems),
            Self::Engage(engage) => engage.check_at(at, problems),
            Self::Advance { stage, .. } => stage.check_at(&format!("{at}.stage"), problems),
            _ => {}
        }
    }

    /// The switch that it is about, if it is about one.
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
            | Self::RevertSwitches { .. }
            | Self::TwoPerson { .. }
            | Self::Stages { .. }
            | Self::Approve { .. }
            | Self::Reject { .. } => None,
        }
    }

    /// Its name, stable, for logs and metrics.
    pub fn verb(&self) -> &'static str {
        self.into()
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
            Self::RevertSwitches { generation, switches, .. } => match switches.first() {
                Some(switch) if switches.len() == 1 => write!(f, " {generation} {switch}"),
                _ => write!(f, " {generation}, {} switches", switches.len()),
            },
            Self::TwoPerson { required } => write!(f, " {required}"),
            Self::Advance { switch, stage: Stage::Everywhere } => write!(f, " {switch} everywhere"),
            Self::Engage(Engage { switch, now: true, .. }) => write!(f, " {switch} now"),
            _ => self.switch().map_or(Ok(()), |switch| write!(f, " {switch}")),
        }
    }
}

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
            r#"{"revert_switches":{"generation":12,"switches":["ads","recs"],"settings":true,"over":["bo"]}}"#.into(),
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
    fn missing_fields_are_defaults_and_unknown_ones_are_rejected() {
        let short = r#"{"engage":{"switch":"recs","scope":{"percent":1}}}"#;
        let engage = Engage::new(SwitchId::new("recs").unwrap(), Scope::new().percent(1.0));
        assert_eq!(serde_json::from_str::<Change>(short).unwrap(), Change::Engage(engage));
        for (wrong, says) in [
            (r#"{"release":{"switch":"recs","force":true}}"#, "release.force: unknown field `force`"),
            (r#"{"release":{"switch":"Recs"}}"#, "release.switch: id: \"Recs\" is not allowed"),
            (r#"{"engage":{"switch":"recs"}}"#, "engage: missing field `scope`"),
            (r#"{"engage":{"switch":"recs","now":"yes"}}"#, "engage.now: invalid type"),
        ] {
            let Err(decode::DecodeError::Structure(error)) = decode::decode::<Change>(wrong.as_bytes()) else {
                panic!("{wrong}")
            };
            assert!(error.problems()[0].to_string().starts_with(says), "{error}");
        }
        for wrong in [r#"{"release":{"switch":"a"},"retire":{"switch":"a"}}"#, r#""release""#] {
            assert!(serde_json::from_str::<Change>(wrong).is_err(), "{wrong}");
        }
        let empty: Change = serde_json::from_str(r#"{"engage":{"switch":"recs","scope":{}}}"#).unwrap();
        let mut problems = Problems::default();
        empty.check_at("engage", &mut problems);
        assert_eq!(problems.into_error().problems()[0].field(), "engage.scope");
    }
}
