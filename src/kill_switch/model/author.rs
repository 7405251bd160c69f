//! Author of a change.

use super::{decode, text};
use crate::clock::Timestamp;
use crate::config::Problems;

/// Author of a change, with the time and the reason.
///
/// Valid: a name of 1 to 128 bytes, a time since 1970, a reason of 1 to 512 characters; none has control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use = "pass it along with a change"]
pub struct Author {
    /// The name.
    pub name: String,
    /// Person or program.
    pub kind: ActorKind,
    /// The time.
    pub at: Timestamp,
    /// The reason.
    pub reason: String,
    /// Whether the two-person rule is bypassed.
    pub break_glass: bool,
}

impl Author {
    /// A person of this name, as the token says and not as the request does.
    pub fn person(name: impl Into<String>, at: Timestamp) -> Self {
        Self { name: name.into(), kind: ActorKind::Person, at, reason: String::new(), break_glass: false }
    }

    /// A program of this name.
    pub fn automation(name: impl Into<String>, at: Timestamp) -> Self {
        Self { kind: ActorKind::Automation, ..Self::person(name, at) }
    }

    /// The reason. Required.
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Bypasses the two-person rule; the document records it for a review.
    pub fn break_glass(mut self) -> Self {
        self.break_glass = true;
        self
    }

    pub(crate) fn check(&self, problems: &mut Problems) {
        text::name("by", &self.name, problems);
        text::reason("reason", &self.reason, problems);
        decode::check_time("at", self.at, problems);
        if self.break_glass && self.kind == ActorKind::Automation {
            problems.add("break_glass", "automation", "a person");
        }
    }
}

/// Whether a person or a program does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ActorKind {
    /// A person.
    Person,
    /// A program: it may engage what its definition allows, and never release.
    Automation,
}
