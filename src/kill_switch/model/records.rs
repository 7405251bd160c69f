//! What a document remembers of what was done: the last change, pins, tombstones and drills.

use super::author::ActorKind;
use super::id::SwitchId;
use super::json::Node;
use super::read::{Fields, Read, deserialize_by_reading, word};
use crate::clock::Timestamp;
use crate::config::Problems;
use crate::kill_switch::model::author::Author;
use std::fmt;
use std::time::Duration;

/// The change that made a document.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ChangeRecord {
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) kind: ActorKind,
    pub(in crate::kill_switch) what: String,
    pub(in crate::kill_switch) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::kill_switch) approved_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::kill_switch) proposed: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::kill_switch) break_glass: bool,
}

impl ChangeRecord {
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

impl Read for ChangeRecord {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let known = ["at", "by", "kind", "what", "reason", "approved_by", "proposed", "break_glass"];
        let mut fields = Fields::of(node, at, &known, problems)?;
        let (at, by, kind) = (fields.required("at"), fields.name("by"), fields.required("kind"));
        let (what, reason) = (fields.reason("what"), fields.reason("reason"));
        let approved_by = fields.optional_name("approved_by");
        let (proposed, break_glass) = (fields.optional("proposed"), fields.or_default("break_glass"));
        Some(Self {
            at: at?,
            by: by?,
            kind: kind?,
            what: what?,
            reason: reason?,
            approved_by: approved_by?,
            proposed: proposed?,
            break_glass: break_glass?,
        })
    }
}

/// Keeps a switch as it is: automation cannot engage what is pinned released, and nobody releases what is pinned
/// engaged before it is unpinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Pin {
    pub(in crate::kill_switch) state: PinState,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) reason: String,
    pub(in crate::kill_switch) at: Timestamp,
}

impl Pin {
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

impl Read for Pin {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, at, &["state", "by", "reason", "at"], problems)?;
        let (state, by) = (fields.required("state"), fields.name("by"));
        let (reason, at) = (fields.reason("reason"), fields.required("at"));
        Some(Self { state: state?, by: by?, reason: reason?, at: at? })
    }
}

/// What a pin keeps a switch at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
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

impl Read for PinState {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        word(node, at, &[("released", Self::Released), ("engaged", Self::Engaged)], problems)
    }
}

/// An id that was retired and is never used again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Tombstone {
    pub(in crate::kill_switch) id: SwitchId,
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) by: String,
}

impl Tombstone {
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

impl Read for Tombstone {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::of(node, at, &["id", "at", "by"], problems)?;
        let (id, at, by) = (fields.required("id"), fields.required("at"), fields.name("by"));
        Some(Self { id: id?, at: at?, by: by? })
    }
}

/// The last rehearsal of a switch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DrillRecord {
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) instances: u64,
    pub(in crate::kill_switch) time_to_disable_ms: u64,
    pub(in crate::kill_switch) time_to_verify_ms: u64,
}

impl DrillRecord {
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

impl Read for DrillRecord {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let known = ["at", "by", "instances", "time_to_disable_ms", "time_to_verify_ms"];
        let mut fields = Fields::of(node, at, &known, problems)?;
        let (at, by, instances) = (fields.required("at"), fields.name("by"), fields.required("instances"));
        let (disable, verify) = (fields.required("time_to_disable_ms"), fields.required("time_to_verify_ms"));
        Some(Self { at: at?, by: by?, instances: instances?, time_to_disable_ms: disable?, time_to_verify_ms: verify? })
    }
}

deserialize_by_reading!("state": PinState);

impl Author {
    pub(in crate::kill_switch) fn changed(&self, what: String) -> ChangeRecord {
        let (by, reason) = (self.name.clone(), self.reason.clone());
        let Self { kind, at, break_glass, .. } = *self;
        ChangeRecord { at, by, kind, what, reason, approved_by: None, proposed: None, break_glass }
    }
}
