//! Records in a document: the last change, pins, tombstones and drills.

use super::author::{ActorKind, Author};
use super::decode;
use super::id::SwitchId;
use super::text;
use crate::clock::Timestamp;
use crate::config::Problems;
use std::fmt;
use std::time::Duration;

/// The change that made a document.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeRecord {
    #[serde(deserialize_with = "decode::time")]
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) kind: ActorKind,
    pub(in crate::kill_switch) what: String,
    pub(in crate::kill_switch) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::kill_switch) approved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::kill_switch) proposed: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::kill_switch) break_glass: bool,
}

impl ChangeRecord {
    pub(in crate::kill_switch) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.by"), &self.by, problems);
        text::reason(&format!("{at}.what"), &self.what, problems);
        text::reason(&format!("{at}.reason"), &self.reason, problems);
        if let Some(name) = &self.approved_by {
            text::name(&format!("{at}.approved_by"), name, problems);
        }
    }

    /// When.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Who did it; of an approved proposal, who proposed it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Whether that is a person.
    pub const fn kind(&self) -> ActorKind {
        self.kind
    }

    /// What was done: `engage recommendations`.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Who approved it, where it took two.
    pub fn approved_by(&self) -> Option<&str> {
        self.approved_by.as_deref()
    }

    /// The number of the proposal that it made, where nothing else was done: another person has to approve it.
    pub const fn proposed(&self) -> Option<u64> {
        self.proposed
    }

    /// Whether the rule of two persons was broken, so that somebody has to look at it.
    pub const fn is_break_glass(&self) -> bool {
        self.break_glass
    }
}

/// Keeps a switch as it is: automation cannot engage what is pinned released, and nobody releases what is pinned
/// engaged before it is unpinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    pub(in crate::kill_switch) state: PinState,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) reason: String,
    #[serde(deserialize_with = "decode::time")]
    pub(in crate::kill_switch) at: Timestamp,
}

impl Pin {
    pub(in crate::kill_switch) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.by"), &self.by, problems);
        text::reason(&format!("{at}.reason"), &self.reason, problems);
    }

    /// What it keeps the switch at.
    pub const fn state(&self) -> PinState {
        self.state
    }

    /// Who pinned it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// Why.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// When.
    pub const fn at(&self) -> Timestamp {
        self.at
    }
}

/// What a pin keeps a switch at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PinState {
    /// The capability stays on.
    Released,
    /// The capability stays off.
    Engaged,
}

impl fmt::Display for PinState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Released => "released",
            Self::Engaged => "engaged",
        })
    }
}

/// An id that was retired and is never used again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    pub(in crate::kill_switch) id: SwitchId,
    #[serde(deserialize_with = "decode::time")]
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) by: String,
}

impl Tombstone {
    pub(in crate::kill_switch) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.by"), &self.by, problems);
    }

    /// The id.
    pub const fn id(&self) -> &SwitchId {
        &self.id
    }

    /// When it was retired.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Who retired it.
    pub fn by(&self) -> &str {
        &self.by
    }
}

/// The last rehearsal of a switch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRecord {
    #[serde(deserialize_with = "decode::time")]
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) instances: u64,
    pub(in crate::kill_switch) time_to_disable_ms: u64,
    pub(in crate::kill_switch) time_to_verify_ms: u64,
}

impl DrillRecord {
    pub(in crate::kill_switch) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.by"), &self.by, problems);
    }

    /// When it ended.
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// Who ran it.
    pub fn by(&self) -> &str {
        &self.by
    }

    /// How many instances took part.
    pub const fn instances(&self) -> u64 {
        self.instances
    }

    /// How long it took until the slowest instance had the capability off, in milliseconds.
    pub const fn time_to_disable(&self) -> Duration {
        Duration::from_millis(self.time_to_disable_ms)
    }

    /// How long it took until that was seen from outside, in milliseconds.
    pub const fn time_to_verify(&self) -> Duration {
        Duration::from_millis(self.time_to_verify_ms)
    }
}

impl Author {
    pub(in crate::kill_switch) fn changed(&self, what: String) -> ChangeRecord {
        let (by, reason) = (self.name.clone(), self.reason.clone());
        let Self { kind, at, break_glass, .. } = *self;
        ChangeRecord { at, by, kind, what, reason, approved_by: None, proposed: None, break_glass }
    }
}
