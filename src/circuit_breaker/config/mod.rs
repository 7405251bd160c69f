//! The settings of a circuit breaker, and the words they are made of.

pub(super) mod builder;
pub(super) mod check;
#[cfg(feature = "serde")]
pub(super) mod de;

use super::open_time::OpenTime;
use super::state::State;
use super::throttle::Throttle;
use super::window::kind::SlidingWindow;
use crate::config::Ratio;
use std::time::Duration;

/// Checked settings of a circuit breaker.
///
/// Made by [`CircuitBreakerConfig::builder`] or read from a file (feature `serde`); both go through the same
/// check. The settings are described where they are set, on [`CircuitBreakerBuilder`](super::CircuitBreakerBuilder).
///
/// # Examples
///
/// ```
/// use backstop::circuit_breaker::{CircuitBreakerConfig, SlidingWindow};
/// use std::time::Duration;
///
/// let config = CircuitBreakerConfig::builder()
///     .window(SlidingWindow::time(Duration::from_secs(30), 30))
///     .slow_call_duration_threshold(Duration::from_secs(2))
///     .slow_call_rate_threshold(0.8)
///     .build()?;
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "builder::Settings"))]
pub struct CircuitBreakerConfig {
    pub(crate) window: SlidingWindow,
    pub(crate) rules: Rules,
    pub(crate) evaluate_on: EvaluateOn,
    pub(crate) slow_call_duration_threshold: Option<Duration>,
    pub(crate) detect_slow_calls_in_flight: bool,
    pub(crate) on_abandoned: AbandonedPolicy,
    pub(crate) unanswered_after: Option<Duration>,
    pub(crate) stall_after: Duration,
    pub(crate) on_panic: PanicPolicy,
    pub(crate) open_time: OpenTime,
    pub(crate) open_time_jitter: f64,
    pub(crate) jitter_seed: Option<u64>,
    pub(crate) retry_after: RetryAfterPolicy,
    pub(crate) retry_after_max: Duration,
    pub(crate) automatic_half_open: bool,
    pub(crate) half_open: HalfOpen,
    pub(crate) ramp: Option<Duration>,
    pub(crate) throttle: Option<Throttle>,
    pub(crate) initial_state: State,
}

/// Trip rules: any of these opens the circuit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) failure_rate: Option<Ratio>,
    pub(crate) minimum_calls: u32,
    pub(crate) slow_call_rate: Option<Ratio>,
    pub(crate) slow_call_minimum_calls: u32,
    pub(crate) failure_count: Option<u32>,
    pub(crate) failure_count_minimum_calls: u32,
    pub(crate) consecutive_failures: Option<u32>,
}

/// Settings of the half-open state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) max_calls: u32,
    pub(crate) limit: ProbeLimit,
    pub(crate) decision: HalfOpenDecision,
    pub(crate) is_early: bool,
    pub(crate) timeout: Duration,
    pub(crate) timeout_to: TimeoutTo,
}

impl HalfOpen {
    /// Results without which the rates of a round are not shown.
    pub(crate) fn results_needed(&self) -> u32 {
        match self.decision {
            HalfOpenDecision::Rate { calls } => calls,
            _ => self.max_calls,
        }
    }
}

impl CircuitBreakerConfig {
    /// Whether a closed circuit that has seen successes only needs no memory of its own.
    pub(crate) fn can_fold(&self) -> bool {
        self.throttle.is_none() && !self.detect_slow_calls_in_flight && self.initial_state == State::Closed
    }

    /// The window that calls are judged over.
    pub const fn window(&self) -> SlidingWindow {
        self.window
    }

    /// The failure rate that trips, if one does.
    pub const fn failure_rate_threshold(&self) -> Option<Ratio> {
        self.rules.failure_rate
    }

    /// Calls needed before the failure rate is trusted.
    pub const fn minimum_calls(&self) -> u32 {
        self.rules.minimum_calls
    }

    /// The slow-call rate that trips, if one does.
    pub const fn slow_call_rate_threshold(&self) -> Option<Ratio> {
        self.rules.slow_call_rate
    }

    /// A call that takes longer is slow.
    pub const fn slow_call_duration_threshold(&self) -> Option<Duration> {
        self.slow_call_duration_threshold
    }

    /// Time for which the circuit stays open.
    pub const fn open_time(&self) -> &OpenTime {
        &self.open_time
    }

    /// Probes at most in a half-open circuit.
    pub const fn half_open_max_calls(&self) -> u32 {
        self.half_open.max_calls
    }
}

/// After which calls the trip rules are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum EvaluateOn {
    /// After every call: a success can complete the evidence. The default.
    #[default]
    AnyCall,
    /// After failures only.
    Failure,
}

/// Outcome of an abandoned call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum AbandonedPolicy {
    /// Nothing, as long as answers come in. Calls in a row whose callers left after they had waited
    /// [long enough](super::CircuitBreakerBuilder::unanswered_after), as many as
    /// [`minimum_calls`](super::CircuitBreakerBuilder::minimum_calls), or as
    /// [`consecutive_failures_threshold`](super::CircuitBreakerBuilder::consecutive_failures_threshold) if that is
    /// set, with no answer among them, trip the circuit. Only on the outbound side. The default: one client that goes
    /// away means nothing, a dependency that answers no call does.
    #[default]
    Judge,
    /// Nothing. A dependency that hangs behind callers' timeouts then never trips the circuit.
    Ignore,
    /// A failure.
    Failure,
}

/// Outcome of a call that panicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum PanicPolicy {
    /// A failure. The default.
    #[default]
    Failure,
    /// Nothing.
    Ignore,
}

/// Use of the dependency's `Retry-After`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum RetryAfterPolicy {
    /// Nothing.
    Ignore,
    /// When a failure that carries one trips the circuit, it is the open time. Probes that fail with one lengthen the
    /// configured time, and never shorten it. The default.
    #[default]
    SetsOpenTime,
    /// Every result that carries one opens a closed circuit at once, for that long. Right if the dependency
    /// speaks for all of its callers, wrong if it limits them one by one.
    OpensAtOnce,
}

/// Limit on the number of probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum ProbeLimit {
    /// At most `half_open_max_calls` in one half-open round; a probe without a result gives its place back, and one whose
    /// response flows once. The default.
    #[default]
    PerRound,
    /// At most `half_open_max_calls` that wait for an answer at the same time.
    InFlight,
}

/// Decision of a half-open round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)
)]
#[non_exhaustive]
pub enum HalfOpenDecision {
    /// The trip thresholds, over `calls` results; a round without a threshold for failures that it can reach
    /// takes 0.5.
    Rate {
        /// Number of results. At most `half_open_max_calls` with [`ProbeLimit::PerRound`].
        calls: u32,
    },
    /// This many successes in a row close; one failure opens.
    ConsecutiveSuccesses {
        /// Number of successes in a row.
        calls: u32,
    },
    /// `successes` of the last `of` results close; as soon as that is out of reach, open.
    Successes {
        /// Number of successes.
        successes: u32,
        /// Of how many.
        of: u32,
    },
}

/// State after a half-open round that was not decided in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum TimeoutTo {
    /// Open again. The default.
    #[default]
    Open,
    /// Closed.
    Closed,
}
