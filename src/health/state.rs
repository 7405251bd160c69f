//! Words of health checks: roles, states, and the reasons of failures.

use crate::named_enum::named;
use std::sync::Arc;

named! {
    /// What a failing check does.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
    pub enum Role {
        /// The instance has not started: no traffic, and no other check runs yet. It ends with the first pass.
        Startup = "startup",
        /// The instance gets no traffic.
        Readiness = "readiness",
        /// It alerts. Traffic stays.
        Deep = "deep",
    }

    /// The name in metrics, logs and JSON.
    as_str
}

named! {
    /// State of a check, or of all checks of a role.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
    pub enum Status {
        /// It passes.
        Passing = "passing",
        /// There is no result yet.
        #[default]
        Pending = "pending",
        /// It fails.
        Failing = "failing",
    }

    /// The name in logs and JSON.
    as_str
}

impl Status {
    /// The value of the gauge. 0 is also where a gauge ends with its handle: nothing is known of it any more.
    #[cfg(feature = "metrics")]
    pub(super) const fn code(self) -> f64 {
        match self {
            Self::Pending => 0.0,
            Self::Passing => 1.0,
            Self::Failing => 2.0,
        }
    }
}

named! {
    /// Reason of a failure.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
    #[non_exhaustive]
    pub enum Reason {
        /// The check returned an error.
        Failed = "failed",
        /// It took longer than its timeout.
        TimedOut = "timed_out",
        /// A run that timed out still holds its thread, so that the next one cannot begin.
        StillRunning = "still_running",
        /// It panicked.
        Panicked = "panicked",
        /// Its last result is older than its `max_age`: nothing runs the checks.
        Stale = "stale",
        /// Checks are run by a future that is polled outside of a tokio runtime.
        NoRuntime = "no_runtime",
        /// The circuit is open, or forced open.
        CircuitOpen = "circuit_open",
        /// Every permit of the bulkhead is taken.
        BulkheadFull = "bulkhead_full",
        /// Too many calls wait in the bulkhead's queue.
        QueueTooLong = "queue_too_long",
        /// The switch is engaged for all requests on this instance.
        SwitchEngaged = "switch_engaged",
        /// The kill switches have warnings.
        Warnings = "warnings",
        /// The registry has no mechanism of this name any more.
        NotRegistered = "not_registered",
    }

    /// The name in logs and JSON.
    as_str
}

/// A failed run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    /// Its error as text, for the log and listeners.
    pub(super) error: Option<Arc<str>>,
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { reason, error: None }
    }
}
