//! The values that leave a circuit breaker: states, reasons, counts, transitions.

use super::window::Counts;
use crate::clock::Instant;
use std::sync::Arc;

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
    /// Calls are rejected until somebody says otherwise.
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

/// Why a circuit changed its state.
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

/// The evidence at one moment: the window while closed, the probes while half-open, and while open the
/// window that tripped the circuit, frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot {
    calls: u64,
    failed: u64,
    slow: u64,
    abandoned: u64,
    failure_rate: Option<f64>,
    slow_call_rate: Option<f64>,
    half_open_attempts: u32,
}

impl Snapshot {
    pub(crate) fn new(counts: Counts, minimum: u64, slow_minimum: u64, half_open_attempts: u32) -> Self {
        let rate = |part: u64, minimum: u64| {
            (counts.calls >= minimum && counts.calls > 0).then(|| part as f64 / counts.calls as f64)
        };
        Self {
            calls: counts.calls,
            failed: counts.failed,
            slow: counts.slow,
            abandoned: counts.abandoned,
            failure_rate: rate(counts.failed, minimum),
            slow_call_rate: rate(counts.slow, slow_minimum),
            half_open_attempts,
        }
    }

    /// Calls with an outcome.
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Calls that failed.
    pub const fn failed(&self) -> u64 {
        self.failed
    }

    /// Calls that took longer than the slow-call threshold, whether they failed or not.
    pub const fn slow(&self) -> u64 {
        self.slow
    }

    /// Calls that succeeded.
    pub const fn successful(&self) -> u64 {
        self.calls - self.failed
    }

    /// Calls that were abandoned before an outcome; not among [`calls`](Self::calls).
    pub const fn abandoned(&self) -> u64 {
        self.abandoned
    }

    /// The share of calls that failed, 0 to 1; `None` below the minimum number of calls.
    pub const fn failure_rate(&self) -> Option<f64> {
        self.failure_rate
    }

    /// The share of slow calls, 0 to 1; `None` below the minimum number of calls.
    pub const fn slow_call_rate(&self) -> Option<f64> {
        self.slow_call_rate
    }

    /// How often the circuit has been half-open since it was last closed.
    pub const fn half_open_attempts(&self) -> u32 {
        self.half_open_attempts
    }
}

/// One change of state.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Transition {
    pub(crate) name: &'static str,
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) reason: Reason,
    pub(crate) note: Option<Arc<str>>,
    pub(crate) at: Instant,
    pub(crate) sequence: u64,
    pub(crate) snapshot: Snapshot,
}

impl Transition {
    /// The circuit breaker's name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The state before.
    pub const fn from(&self) -> State {
        self.from
    }

    /// The state after.
    pub const fn to(&self) -> State {
        self.to
    }

    /// Why.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What the person or program behind a [manual](Reason::Manual) change gave as its reason.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// When, on the breaker's clock.
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// The number of this event among the breaker's events, from 1, without a gap.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The evidence at that moment.
    pub const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}

/// What a circuit breaker tells its listeners.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "event", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Event {
    /// The state changed.
    Transition(Transition),
    /// In [`State::Shadow`] a rule was met that would have opened the circuit: `from` and `to` are both
    /// `shadow`, the reason is the rule. Each rule is told once until the state changes.
    WouldOpen(Transition),
}

impl Event {
    /// The values of the event.
    pub const fn details(&self) -> &Transition {
        match self {
            Self::Transition(transition) | Self::WouldOpen(transition) => transition,
        }
    }

    pub(crate) fn details_mut(&mut self) -> &mut Transition {
        match self {
            Self::Transition(transition) | Self::WouldOpen(transition) => transition,
        }
    }
}

/// Everything a circuit breaker has counted since it was made. Totals only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Totals {
    /// Calls that succeeded.
    pub successful: u64,
    /// Calls that failed, panics among them.
    pub failed: u64,
    /// Calls that say nothing about the dependency.
    pub ignored: u64,
    /// Calls dropped before an outcome.
    pub abandoned: u64,
    /// Calls that were rejected.
    pub not_permitted: u64,
    /// Results from before the last change of state: counted, without effect.
    pub stale: u64,
    /// Calls that a shadow breaker let pass and an armed one would have rejected.
    pub would_reject: u64,
    /// Slow calls that succeeded.
    pub slow_successful: u64,
    /// Slow calls that failed.
    pub slow_failed: u64,
    /// Calls answered by a fallback.
    pub fallbacks: u64,
    /// Events that a listener did not get: it panicked, or was too slow.
    pub events_lost: u64,
}
