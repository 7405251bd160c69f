//! States and the reasons of their changes.

use crate::named_enum::named;

named! {
    /// The state of a circuit.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
    pub enum State {
        /// Calls pass and are judged.
        Closed = "closed",
        /// Calls are rejected until the open time is over.
        Open = "open",
        /// A few probes pass; their results decide.
        HalfOpen = "half_open",
        /// Calls are rejected until a command says otherwise.
        ForcedOpen = "forced_open",
        /// Calls pass and are not judged.
        Disabled = "disabled",
        /// Calls pass and are judged, and what would have been rejected is counted.
        Shadow = "shadow",
    }

    /// The name in metrics, logs and configuration.
    as_str
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled, Self::Shadow];
}

named! {
    /// Reason of a change of state.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
    #[non_exhaustive]
    pub enum Reason {
        /// The failure rate reached its threshold.
        FailureRate = "failure_rate",
        /// The slow-call rate reached its threshold.
        SlowCallRate = "slow_call_rate",
        /// Enough failures in the window.
        FailureCount = "failure_count",
        /// Enough failures in a row.
        ConsecutiveFailures = "consecutive_failures",
        /// Too many calls in a row were abandoned without any answer.
        NoAnswer = "no_answer",
        /// The dependency asked to be left alone.
        RetryAfter = "retry_after",
        /// The open time is over.
        OpenTimeElapsed = "open_time_elapsed",
        /// The probes succeeded.
        ProbesSucceeded = "probes_succeeded",
        /// The probes failed.
        ProbesFailed = "probes_failed",
        /// The probes did not decide in time.
        HalfOpenTimeout = "half_open_timeout",
        /// By hand.
        Manual = "manual",
    }

    /// The name in metrics and logs.
    as_str
}
