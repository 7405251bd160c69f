//! What takes two persons, and what waits for the second.

use super::change::Change;
use super::document::ContentHash;
use super::node::Node;
use super::read::{Fields, Read};
use crate::clock::Timestamp;
use crate::config::Problems;

/// A change that one person asked for and another one has to approve.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Proposal {
    pub(super) number: u64,
    pub(super) change: Change,
    pub(super) by: String,
    pub(super) reason: String,
    pub(super) at: Timestamp,
    pub(super) document: ContentHash,
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
    pub const fn document(&self) -> ContentHash {
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
