//! A change that waits for the approval of a second person.

use crate::clock::Timestamp;
use crate::config::Problems;
use crate::kill_switch::model::change::Change;
use crate::kill_switch::model::hash::Sha256;
use crate::kill_switch::model::json::Node;
use crate::kill_switch::model::read::Fields;
use crate::kill_switch::model::read::Read;
/// A change that one person asked for and another one has to approve.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Proposal {
    pub(in crate::kill_switch) number: u64,
    pub(in crate::kill_switch) change: Change,
    pub(in crate::kill_switch) by: String,
    pub(in crate::kill_switch) reason: String,
    pub(in crate::kill_switch) at: Timestamp,
    pub(in crate::kill_switch) document: Sha256,
}

impl Proposal {
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

impl Read for Proposal {
    fn read(node: &Node, at: &str, problems: &mut Problems) -> Option<Self> {
        let known = ["number", "change", "by", "reason", "at", "document"];
        let mut fields = Fields::of(node, at, &known, problems)?;
        let (number, change) = (fields.required("number"), fields.required("change"));
        let (by, reason) = (fields.name("by"), fields.reason("reason"));
        let (time, document) = (fields.required("at"), fields.required("document"));
        Some(Self { number: number?, change: change?, by: by?, reason: reason?, at: time?, document: document? })
    }
}
