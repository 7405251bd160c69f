//! Words of health checks: roles, states, and the reasons of failures.

use crate::named_enum::named;

named! {
    /// Effect of a failing check.
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

impl Role {
    /// Every role, in the order in which an instance meets them.
    pub(super) const ALL: [Self; 3] = [Self::Startup, Self::Readiness, Self::Deep];
}

named! {
    /// State of a check, or of all checks of a role. The value of its gauge is its place.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
    pub enum Status {
        /// There is no result yet. A gauge ends here, too, with its handle: nothing is known of it any more.
        Pending = "pending",
        /// It passes.
        Passing = "passing",
        /// It fails.
        Failing = "failing",
    }

    /// The name in logs and JSON.
    as_str
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
        /// Its last result is older than 3 × `period` + `timeout`: nothing runs the checks.
        Stale = "stale",
    }

    /// The name in logs and JSON.
    as_str
}
