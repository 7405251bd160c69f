//! A change that waits for the approval of a second person.

use super::{decode, text};
use crate::clock::Timestamp;
use crate::config::Problems;
use crate::kill_switch::model::change::Change;
use crate::kill_switch::model::hash::Sha256;
/// A change that one person asked for and another one has to approve.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    pub(in crate::kill_switch) number: u64,
    pub(in crate::kill_switch) change: Change,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) reason: String,
    #[serde(deserialize_with = "decode::time")]
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) document: Sha256,
}

impl Proposal {
    pub(in crate::kill_switch) fn check_at(&self, at: &str, problems: &mut Problems) {
        self.change.check_at(&format!("{at}.change.{}", self.change.verb()), problems);
        text::name(&format!("{at}.by"), &self.by, problems);
        text::reason(&format!("{at}.reason"), &self.reason, problems);
    }

    /// Its number: the generation in which it was proposed.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// What it would do.
    pub const fn change(&self) -> &Change {
        &self.change
    }

    /// Who asked for it.
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

    /// The hash of the document that it was asked for on.
    pub const fn document(&self) -> Sha256 {
        self.document
    }
}
