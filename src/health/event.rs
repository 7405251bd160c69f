//! Events: changes of a check's status, and their lines in the log.

use super::machine::Change;
use super::state::{Reason, Role, Status};
use crate::clock::Instant;
use crate::sync::Arc;

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

impl Event {
    pub(super) fn new(check: &'static str, role: Role, change: Change, at: Instant) -> Self {
        let Change { from, to, failure } = change;
        let reason = failure.as_ref().map(|failure| failure.reason);
        Self { check, role, from, to, reason, error: failure.and_then(|failure| failure.error), at }
    }
}

#[cfg(not(feature = "tracing"))]
pub(super) fn log(_: &Event) {}

/// Logs an event through `tracing`, under the target `backstop::health`: a check that fails is a warning.
#[cfg(feature = "tracing")]
pub(super) fn log(event: &Event) {
    const TARGET: &str = "backstop::health";
    let Event { check, role, from, to, reason, error, .. } = event;
    let (reason, error) = (reason.map(Reason::as_str), error.as_deref());
    if *to == Status::Failing {
        tracing::warn!(target: TARGET, check, %role, %from, reason, error, "health check fails");
    } else {
        tracing::info!(target: TARGET, check, %role, %from, "health check passes");
    }
}
