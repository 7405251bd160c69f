//! Changes that were made or proposed, and their purpose.

use backstop::kill_switch::Document;
use serde_json::Value;

/// A change that was made, or that waits.
pub(super) struct Committed {
    pub(super) generation: u64,
    /// The document after it; `None` if its author may not read it.
    pub(super) document: Option<Document>,
    /// The number under which it waits for another person.
    pub(super) proposed: Option<u64>,
    /// A warning: something failed, but not the change.
    pub(super) warning: Option<String>,
    /// The program's response.
    pub(super) response: Value,
}

/// Kind of a change: a token with `drill` only may engage for a drill.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Purpose {
    Need,
    Drill,
}
