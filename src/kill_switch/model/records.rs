//! Records in a document: the last change, pins, tombstones and drills.

use super::{ActorKind, Author, SwitchId, decode, text};
use crate::clock::Timestamp;
use crate::config::Problems;

/// The change that made a document.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ChangeRecord {
    /// The time.
    #[serde(deserialize_with = "decode::time")]
    pub at: Timestamp,
    /// Name of the author; of an approved proposal, of the proposer.
    pub by: String,
    /// Whether that is a person.
    pub kind: ActorKind,
    /// The change: `engage recommendations`.
    pub what: String,
    /// The reason.
    pub reason: String,
    /// Name of the approver of a two-person change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The number of the proposal that it made, if the change itself needs the approval of another person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed: Option<u64>,
    /// Whether the two-person rule was bypassed, which needs a review.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub break_glass: bool,
}

impl ChangeRecord {
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.by"), &self.by, problems);
        text::reason(&format!("{at}.what"), &self.what, problems);
        text::reason(&format!("{at}.reason"), &self.reason, problems);
        if let Some(name) = &self.approved_by {
            text::name(&format!("{at}.approved_by"), name, problems);
        }
    }
}

/// Keeps a switch in its state: automation cannot engage a switch pinned released, and no change releases one pinned
/// engaged before it is unpinned.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Pin {
    /// State that the pin keeps.
    pub state: PinState,
    /// Name of the author of the pin.
    pub by: String,
    /// The reason.
    pub reason: String,
    /// Time of the pin.
    #[serde(deserialize_with = "decode::time")]
    pub at: Timestamp,
}

impl Pin {
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.by"), &self.by, problems);
        text::reason(&format!("{at}.reason"), &self.reason, problems);
    }
}

/// State that a pin keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, strum::Display, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[strum(serialize_all = "snake_case")]
pub enum PinState {
    /// The capability stays on.
    Released,
    /// The capability stays off.
    Engaged,
}

/// An id that was retired and is never used again.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Tombstone {
    /// The id.
    pub id: SwitchId,
    /// Time of the retirement.
    #[serde(deserialize_with = "decode::time")]
    pub at: Timestamp,
    /// Name of the author.
    pub by: String,
}

impl Tombstone {
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.by"), &self.by, problems);
    }
}

/// The last drill of a switch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DrillRecord {
    /// End of the drill.
    #[serde(deserialize_with = "decode::time")]
    pub at: Timestamp,
    /// Name of the author.
    pub by: String,
    /// Number of instances that took part.
    pub instances: u64,
    /// Time until the slowest instance had the capability off, in milliseconds.
    pub time_to_disable_ms: u64,
    /// Time until that was seen from outside, in milliseconds.
    pub time_to_verify_ms: u64,
}

impl Author {
    pub(crate) fn changed(&self, what: String) -> ChangeRecord {
        let (by, reason) = (self.name.clone(), self.reason.clone());
        let Self { kind, at, break_glass, .. } = *self;
        ChangeRecord { at, by, kind, what, reason, approved_by: None, proposed: None, break_glass }
    }
}
