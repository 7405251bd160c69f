//! The setters: plain values, checked together at the end.

use super::{
    AbandonedPolicy, CircuitBreakerConfig, EvaluateOn, HalfOpenDecision, PanicPolicy, ProbeLimit, RetryAfterPolicy,
    TimeoutTo,
};
use crate::circuit_breaker::handle::CircuitBreaker;
use crate::circuit_breaker::open_time::OpenTime;
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::throttle::Throttle;
use crate::circuit_breaker::window::kind::SlidingWindow;
use crate::clock::Clock;
use crate::config::{ConfigError, ConfigOnly, Named};
use std::time::Duration;

/// The settings as given: nothing is checked yet. A configuration file reads into this.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub(crate) struct Settings {
    pub(super) window: SlidingWindow,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::circuit_breaker::config::de::number_or_false"))]
    pub(super) failure_rate_threshold: Option<f64>,
    pub(super) minimum_calls: Option<u32>,
    pub(super) slow_call_rate_threshold: Option<f64>,
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub(super) slow_call_duration_threshold: Option<Duration>,
    pub(super) slow_call_minimum_calls: Option<u32>,
    pub(super) detect_slow_calls_in_flight: bool,
    pub(super) failure_count_threshold: Option<u32>,
    pub(super) failure_count_minimum_calls: u32,
    pub(super) consecutive_failures_threshold: Option<u32>,
    pub(super) evaluate_on: EvaluateOn,
    pub(super) on_abandoned: AbandonedPolicy,
    pub(super) abandoned_rate_threshold: f64,
    pub(super) on_panic: PanicPolicy,
    #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::circuit_breaker::config::de::open_time"))]
    pub(super) open_time: OpenTime,
    pub(super) open_time_jitter: f64,
    pub(super) jitter_seed: Option<u64>,
    pub(super) retry_after: RetryAfterPolicy,
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub(super) retry_after_max: Duration,
    pub(super) automatic_half_open: bool,
    pub(super) half_open_max_calls: u32,
    pub(super) half_open_limit: ProbeLimit,
    pub(super) half_open_decision: Option<HalfOpenDecision>,
    pub(super) half_open_early_decision: bool,
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub(super) half_open_timeout: Duration,
    pub(super) half_open_timeout_to: TimeoutTo,
    #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
    pub(super) ramp: Option<Duration>,
    pub(super) throttle: Option<Throttle>,
    pub(super) initial_state: State,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: SlidingWindow::count(100),
            failure_rate_threshold: Some(0.5),
            minimum_calls: None,
            slow_call_rate_threshold: None,
            slow_call_duration_threshold: None,
            slow_call_minimum_calls: None,
            detect_slow_calls_in_flight: false,
            failure_count_threshold: None,
            failure_count_minimum_calls: 1,
            consecutive_failures_threshold: None,
            evaluate_on: EvaluateOn::AnyCall,
            on_abandoned: AbandonedPolicy::Judge,
            abandoned_rate_threshold: 0.5,
            on_panic: PanicPolicy::Failure,
            open_time: OpenTime::default(),
            open_time_jitter: 0.0,
            jitter_seed: None,
            retry_after: RetryAfterPolicy::SetsOpenTime,
            retry_after_max: Duration::from_secs(600),
            automatic_half_open: false,
            half_open_max_calls: 10,
            half_open_limit: ProbeLimit::PerRound,
            half_open_decision: None,
            half_open_early_decision: true,
            half_open_timeout: Duration::from_secs(60),
            half_open_timeout_to: TimeoutTo::Open,
            ramp: None,
            throttle: None,
            initial_state: State::Closed,
        }
    }
}

/// Builds a [`CircuitBreaker`] or, without a name, a [`CircuitBreakerConfig`].
///
/// Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
pub struct CircuitBreakerBuilder<T> {
    settings: Settings,
    target: T,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Settings::default().check().expect("the defaults are in their own ranges: a test builds them")
    }
}

impl CircuitBreakerConfig {
    /// Starts from the defaults.
    pub fn builder() -> CircuitBreakerBuilder<ConfigOnly> {
        CircuitBreakerBuilder { settings: Settings::default(), target: ConfigOnly(()) }
    }
}

impl CircuitBreakerBuilder<ConfigOnly> {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<CircuitBreakerConfig, ConfigError> {
        self.settings.check()
    }
}

impl CircuitBreakerBuilder<Named> {
    pub(crate) fn named(name: String) -> Self {
        Self { settings: Settings::default(), target: Named::new(name) }
    }

    /// The clock. Default: the system's monotonic clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.target.clock = clock;
        self
    }

    /// Checks the settings and makes the breaker.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range, and a name that is empty, longer than 128 bytes or has control
    /// characters.
    pub fn build(self) -> Result<CircuitBreaker, ConfigError> {
        let (name, config) = self.target.with(self.settings.check())?;
        Ok(CircuitBreaker::make(name, config, self.target.clock))
    }
}

impl<T> CircuitBreakerBuilder<T> {
    /// The window that calls are judged over. Default: the last 100 calls.
    ///
    /// Smaller reacts sooner on less evidence. A time window suits traffic that comes and goes: old failures
    /// leave it although there are no calls.
    #[must_use]
    pub fn window(mut self, window: SlidingWindow) -> Self {
        self.settings.window = window;
        self
    }

    /// The share of failed calls that trips; reached means tripped (`>=`). Default: 0.5. Valid: above 0, at
    /// most 1; `None` turns the rule off.
    ///
    /// Smaller trips on milder trouble; larger lets a half-broken dependency go on hurting.
    #[must_use]
    pub fn failure_rate_threshold(mut self, rate: impl Into<Option<f64>>) -> Self {
        self.settings.failure_rate_threshold = rate.into();
        self
    }

    /// Calls needed in the window before the failure rate is trusted. Default: 100, or the window's size where
    /// that is smaller. Valid: 1 to the window's size.
    ///
    /// Smaller trips sooner on little evidence; larger lets a short outage pass.
    #[must_use]
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.settings.minimum_calls = Some(calls);
        self
    }

    /// The share of slow calls that trips (`>=`). Default: off. Valid: above 0, at most 1; needs
    /// [`slow_call_duration_threshold`](Self::slow_call_duration_threshold).
    #[must_use]
    pub fn slow_call_rate_threshold(mut self, rate: impl Into<Option<f64>>) -> Self {
        self.settings.slow_call_rate_threshold = rate.into();
        self
    }

    /// A call that takes strictly longer is slow. Default: off. Valid: longer than 0.
    ///
    /// Costs a reading of the clock per call. By itself it only counts; with
    /// [`slow_call_rate_threshold`](Self::slow_call_rate_threshold) it trips.
    #[must_use]
    pub fn slow_call_duration_threshold(mut self, threshold: impl Into<Option<Duration>>) -> Self {
        self.settings.slow_call_duration_threshold = threshold.into();
        self
    }

    /// Calls needed in the window before the slow-call rate is trusted. Default: as
    /// [`minimum_calls`](Self::minimum_calls). Valid: 1 to the window's size.
    #[must_use]
    pub fn slow_call_minimum_calls(mut self, calls: u32) -> Self {
        self.settings.slow_call_minimum_calls = Some(calls);
        self
    }

    /// Counts a call as slow as soon as it has lasted longer than the threshold, without waiting for its end.
    /// Default: off. Needs [`slow_call_duration_threshold`](Self::slow_call_duration_threshold).
    ///
    /// With it, hung calls trip the circuit as further calls come in. Each call then takes a short lock.
    #[must_use]
    pub fn detect_slow_calls_in_flight(mut self, on: bool) -> Self {
        self.settings.detect_slow_calls_in_flight = on;
        self
    }

    /// Failures in the window that trip. Default: off. Valid: 1 to the window's size.
    #[must_use]
    pub fn failure_count_threshold(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.settings.failure_count_threshold = failures.into();
        self
    }

    /// Calls needed in the window before the number of failures is trusted. Default: 1. Valid: 1 to the
    /// window's size.
    #[must_use]
    pub fn failure_count_minimum_calls(mut self, calls: u32) -> Self {
        self.settings.failure_count_minimum_calls = calls;
        self
    }

    /// Failures in a row that trip, whatever the window holds. Default: off. Valid: 1 to 1,000,000.
    #[must_use]
    pub fn consecutive_failures_threshold(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.settings.consecutive_failures_threshold = failures.into();
        self
    }

    /// After which calls the rules are looked at. Default: every call.
    #[must_use]
    pub fn evaluate_on(mut self, on: EvaluateOn) -> Self {
        self.settings.evaluate_on = on;
        self
    }

    /// Outcome of an abandoned call. Default: [`AbandonedPolicy::Judge`].
    #[must_use]
    pub fn on_abandoned(mut self, abandonment: AbandonedPolicy) -> Self {
        self.settings.on_abandoned = abandonment;
        self
    }

    /// The share of abandoned calls among all that trips, with [`AbandonedPolicy::Judge`] and after
    /// [`minimum_calls`](Self::minimum_calls), those abandoned counted in. Default: 0.5. Valid: above 0, at
    /// most 1.
    #[must_use]
    pub fn abandoned_rate_threshold(mut self, rate: f64) -> Self {
        self.settings.abandoned_rate_threshold = rate;
        self
    }

    /// Outcome of a call that panicked. Default: a failure.
    #[must_use]
    pub fn on_panic(mut self, policy: PanicPolicy) -> Self {
        self.settings.on_panic = policy;
        self
    }

    /// Time for which the circuit stays open. Default: 60 s. Takes a `Duration` or an [`OpenTime`].
    ///
    /// Shorter recovers sooner and probes a sick dependency more often.
    #[must_use]
    pub fn open_time(mut self, time: impl Into<OpenTime>) -> Self {
        self.settings.open_time = time.into();
        self
    }

    /// Lengthens each open time by a random share of up to this much. Default: 0. Valid: 0 to 1.
    ///
    /// 0.1 keeps the replicas of a service from probing in step. A `Retry-After` is not lengthened.
    #[must_use]
    pub fn open_time_jitter(mut self, share: f64) -> Self {
        self.settings.open_time_jitter = share;
        self
    }

    /// Makes jitter and throttling repeatable. Default: drawn at random when the breaker is made.
    #[must_use]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.settings.jitter_seed = Some(seed);
        self
    }

    /// Use of the dependency's `Retry-After`. Default: it sets the open time of the trip it comes with.
    #[must_use]
    pub fn retry_after(mut self, policy: RetryAfterPolicy) -> Self {
        self.settings.retry_after = policy;
        self
    }

    /// The longest `Retry-After` that is believed; longer ones are cut. Default: 10 min. Valid: longer than 0.
    #[must_use]
    pub fn retry_after_max(mut self, max: Duration) -> Self {
        self.settings.retry_after_max = max;
        self
    }

    /// Shows `half_open` as soon as the open time is over, instead of at the next call. Default: off.
    ///
    /// Nothing runs in the background: the next call or read of the state makes the change.
    #[must_use]
    pub fn automatic_half_open(mut self, on: bool) -> Self {
        self.settings.automatic_half_open = on;
        self
    }

    /// Probes that a half-open circuit lets through. Default: 10. Valid: 1 to 10,000.
    #[must_use]
    pub fn half_open_max_calls(mut self, calls: u32) -> Self {
        self.settings.half_open_max_calls = calls;
        self
    }

    /// Whether `half_open_max_calls` bounds the round or the calls in flight. Default: the round.
    #[must_use]
    pub fn half_open_limit(mut self, limit: ProbeLimit) -> Self {
        self.settings.half_open_limit = limit;
        self
    }

    /// Decision of a half-open round. Default: the trip thresholds over `half_open_max_calls` results.
    #[must_use]
    pub fn half_open_decision(mut self, decision: HalfOpenDecision) -> Self {
        self.settings.half_open_decision = Some(decision);
        self
    }

    /// Decides a [rate](HalfOpenDecision::Rate) as soon as the remaining probes cannot change it. Default: on.
    #[must_use]
    pub fn half_open_early_decision(mut self, on: bool) -> Self {
        self.settings.half_open_early_decision = on;
        self
    }

    /// The longest time in half-open. Default: 60 s. Valid: longer than 0; `Duration::MAX` is no limit.
    ///
    /// It frees a circuit whose probes hang or were forgotten.
    #[must_use]
    pub fn half_open_timeout(mut self, timeout: Duration) -> Self {
        self.settings.half_open_timeout = timeout;
        self
    }

    /// State after that time is over. Default: open.
    #[must_use]
    pub fn half_open_timeout_to(mut self, to: TimeoutTo) -> Self {
        self.settings.half_open_timeout_to = to;
        self
    }

    /// After closing, admits a share of the calls that grows from nothing to all over this time. Default: off.
    /// Valid: longer than 0.
    ///
    /// A dependency with cold caches then meets its load step by step.
    #[must_use]
    pub fn ramp(mut self, over: impl Into<Option<Duration>>) -> Self {
        self.settings.ramp = over.into();
        self
    }

    /// Rejects a share of the calls instead of tripping. Default: off.
    #[must_use]
    pub fn throttle(mut self, throttle: impl Into<Option<Throttle>>) -> Self {
        self.settings.throttle = throttle.into();
        self
    }

    /// The state to begin in. Default: closed. `Shadow` is the careful way to adopt a breaker.
    #[must_use]
    pub fn initial_state(mut self, state: State) -> Self {
        self.settings.initial_state = state;
        self
    }
}

impl CircuitBreaker {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> CircuitBreakerBuilder<Named> {
        CircuitBreakerBuilder::named(name.into())
    }
}
