//! States and the reasons of their changes.

/// The state of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum State {
    /// Calls pass and are judged.
    Closed,
    /// Calls are rejected until the open time is over.
    Open,
    /// A few probes pass; their results decide.
    HalfOpen,
    /// Calls are rejected until a command says otherwise.
    ForcedOpen,
    /// Calls pass and are not judged.
    Disabled,
    /// Calls pass and are judged, and what would have been rejected is counted.
    Shadow,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled, Self::Shadow];

    /// The name in metrics, logs and configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::Shadow => "shadow",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reason of a change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Reason {
    /// The failure rate reached its threshold.
    FailureRate,
    /// The slow-call rate reached its threshold.
    SlowCallRate,
    /// Enough failures in the window.
    FailureCount,
    /// Enough failures in a row.
    ConsecutiveFailures,
    /// Too large a share of the calls was abandoned.
    AbandonedRate,
    /// The dependency asked to be left alone.
    RetryAfter,
    /// The open time is over.
    OpenTimeElapsed,
    /// The probes succeeded.
    ProbesSucceeded,
    /// The probes failed.
    ProbesFailed,
    /// The probes did not decide in time.
    HalfOpenTimeout,
    /// Somebody said so.
    Manual,
}

impl Reason {
    /// The name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FailureRate => "failure_rate",
            Self::SlowCallRate => "slow_call_rate",
            Self::FailureCount => "failure_count",
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::AbandonedRate => "abandoned_rate",
            Self::RetryAfter => "retry_after",
            Self::OpenTimeElapsed => "open_time_elapsed",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::ProbesFailed => "probes_failed",
            Self::HalfOpenTimeout => "half_open_timeout",
            Self::Manual => "manual",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
