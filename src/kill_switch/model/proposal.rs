//! A change that waits for the approval of a second person.

use super::{Change, Sha256, decode, text};
use crate::clock::Timestamp;
use crate::config::Problems;
/// A change that one person asked for and another one has to approve.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Proposal {
    /// Its number: the generation in which it was proposed.
    pub number: u64,
    /// The proposed change.
    pub change: Change,
    /// Name of the proposer.
    pub by: String,
    /// The reason.
    pub reason: String,
    /// The time.
    #[serde(deserialize_with = "decode::time")]
    pub at: Timestamp,
    /// Hash of the document that the change was proposed on.
    pub document: Sha256,
}

impl Proposal {
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        self.change.check_at(&format!("{at}.change.{}", self.change.verb()), problems);
        text::name(&format!("{at}.by"), &self.by, problems);
        text::reason(&format!("{at}.reason"), &self.reason, problems);
    }
}
