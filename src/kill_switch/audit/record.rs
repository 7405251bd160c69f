//! Body of an audit entry: author, switch, change and reason.

use crate::clock::Timestamp;
use serde_json::Value;

/// Body of an audit entry.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct AuditRecord {
    /// Time of the change.
    pub at: Timestamp,
    /// Name of the actor.
    pub by: String,
    /// The change in one word: `engage`, `release`; `propose` if it waits for a second person, and nothing is
    /// done yet.
    pub what: String,
    /// The change as JSON: for a proposal or an approval the change that it is about.
    pub change: Option<Value>,
    /// The switch that it was done to, unless it concerns no one switch.
    pub switch: Option<String>,
    /// Reason, as the actor gave it.
    pub reason: Option<String>,
    /// Link to the incident.
    pub incident: Option<String>,
    /// Scope before the change; for changes of several switches, by switch.
    pub scope_before: Option<Value>,
    /// Scope after the change, in the same form.
    pub scope_after: Option<Value>,
    /// Trigger: a person, a KPI, an expiry, a drill.
    pub trigger: Option<Value>,
    /// The proposer, if `by` is the approver.
    pub proposed_by: Option<String>,
    /// The approvers.
    pub approvers: Vec<String>,
    /// Whether it was done without an approval that it should have had.
    pub break_glass: bool,
    /// Error code of a change that was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Generation of the document after the change; after a rejected one, of the unchanged document.
    pub generation: u64,
}

impl AuditRecord {
    /// The facts that every entry has; the other fields are empty, or say no.
    pub fn new(at: Timestamp, by: impl Into<String>, what: impl Into<String>, generation: u64) -> Self {
        Self { at, by: by.into(), what: what.into(), generation, ..Self::default() }
    }
}
