//! Event: a change of a check's status.

use super::state::{Reason, Role, Status};
use crate::clock::Instant;
use std::sync::Arc;

/// A change of a check's status.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Event {
    /// The name of the check.
    pub check: &'static str,
    /// Its role: what the change does.
    pub role: Role,
    /// The status before.
    pub from: Status,
    /// The status after.
    pub to: Status,
    /// Reason of the last failure, unless it passes now.
    pub reason: Option<Reason>,
    /// Text of the check's error, cut after 512 characters. It may contain what your error types do.
    pub error: Option<Arc<str>>,
    /// Time on the clock of the checks.
    pub at: Instant,
}
