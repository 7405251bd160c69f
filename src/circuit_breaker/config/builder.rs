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
use crate::config::{ConfigError, ConfigOnly, Named, builder, defaults, setters};
use std::time::Duration;

defaults! {
    /// The settings as given: nothing is checked yet. A configuration file reads into this.
    #[derive(Clone, Debug)]
    #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
    pub(crate) struct Settings {
        pub(super) window: SlidingWindow = SlidingWindow::count(100),
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::circuit_breaker::config::de::number_or_false"))]
        pub(super) failure_rate_threshold: Option<f64> = Some(0.5),
        pub(super) minimum_calls: Option<u32> = None,
        pub(super) slow_call_rate_threshold: Option<f64> = None,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) slow_call_duration_threshold: Option<Duration> = None,
        pub(super) slow_call_minimum_calls: Option<u32> = None,
        pub(super) detect_slow_calls_in_flight: bool = false,
        pub(super) failure_count_threshold: Option<u32> = None,
        pub(super) failure_count_minimum_calls: u32 = 1,
        pub(super) consecutive_failures_threshold: Option<u32> = None,
        pub(super) evaluate_on: EvaluateOn = EvaluateOn::AnyCall,
        pub(super) on_abandoned: AbandonedPolicy = AbandonedPolicy::Judge,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) unanswered_after: Option<Duration> = None,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) stall_after: Duration = Duration::from_secs(60),
        pub(super) on_panic: PanicPolicy = PanicPolicy::Failure,
        #[cfg_attr(feature = "serde", serde(deserialize_with = "crate::circuit_breaker::config::de::open_time"))]
        pub(super) open_time: OpenTime = OpenTime::fixed(Duration::from_secs(60)),
        pub(super) open_time_jitter: f64 = 0.0,
        pub(super) jitter_seed: Option<u64> = None,
        pub(super) retry_after: RetryAfterPolicy = RetryAfterPolicy::SetsOpenTime,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) retry_after_max: Duration = Duration::from_secs(600),
        pub(super) automatic_half_open: bool = false,
        pub(super) half_open_max_calls: u32 = 10,
        pub(super) half_open_limit: ProbeLimit = ProbeLimit::PerRound,
        pub(super) half_open_decision: Option<HalfOpenDecision> = None,
        pub(super) half_open_early_decision: bool = true,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) half_open_timeout: Duration = Duration::from_secs(60),
        pub(super) half_open_timeout_to: TimeoutTo = TimeoutTo::Open,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) ramp: Option<Duration> = None,
        pub(super) throttle: Option<Throttle> = None,
        pub(super) initial_state: State = State::Closed,
    }

    const new
}

builder!(CircuitBreakerBuilder<T>, Settings => CircuitBreakerConfig, CircuitBreaker = "breaker");

setters! { CircuitBreakerBuilder<T>.settings:
    /// The window that calls are judged over. Default: the last 100 calls.
    ///
    /// Smaller reacts sooner on less evidence. A time window suits traffic that comes and goes: old failures
    /// leave it although there are no calls.
    pub fn window(window: SlidingWindow);

    /// The share of failed calls that trips; reached means tripped (`>=`). Default: 0.5. Valid: above 0, at
    /// most 1; `None` turns the rule off.
    ///
    /// Smaller trips on milder trouble; larger lets a half-broken dependency go on hurting.
    pub fn failure_rate_threshold(rate: impl Into<Option<f64>>) = rate.into();

    /// Calls needed in the window before the failure rate is trusted. Default: 100, or the window's size if
    /// that is smaller. Valid: 1 to the window's size.
    ///
    /// Smaller trips sooner on little evidence; larger lets a short outage pass.
    pub fn minimum_calls(calls: u32) = Some(calls);

    /// The share of slow calls that trips (`>=`). Default: off. Valid: above 0, at most 1; needs
    /// [`slow_call_duration_threshold`](Self::slow_call_duration_threshold).
    pub fn slow_call_rate_threshold(rate: impl Into<Option<f64>>) = rate.into();

    /// A call that takes strictly longer is slow. Default: off. Valid: longer than 0.
    ///
    /// Costs a reading of the clock per call. By itself it only counts; with
    /// [`slow_call_rate_threshold`](Self::slow_call_rate_threshold) it trips.
    pub fn slow_call_duration_threshold(threshold: impl Into<Option<Duration>>) = threshold.into();

    /// Calls needed in the window before the slow-call rate is trusted. Default: as
    /// [`minimum_calls`](Self::minimum_calls). Valid: 1 to the window's size.
    pub fn slow_call_minimum_calls(calls: u32) = Some(calls);

    /// Counts a call as slow as soon as it has lasted longer than the threshold, without waiting for its end.
    /// Default: off. Needs [`slow_call_duration_threshold`](Self::slow_call_duration_threshold).
    ///
    /// With it, hung calls trip the circuit as further calls come in. Each call then takes a short lock.
    pub fn detect_slow_calls_in_flight(on: bool);

    /// Failures in the window that trip. Default: off. Valid: 1 to the window's size.
    pub fn failure_count_threshold(failures: impl Into<Option<u32>>) = failures.into();

    /// Calls needed in the window before the number of failures is trusted. Default: 1. Valid: 1 to the
    /// window's size.
    pub fn failure_count_minimum_calls(calls: u32);

    /// Failures in a row that trip, whatever the window holds. Default: off. Valid: 1 to 1,000,000.
    pub fn consecutive_failures_threshold(failures: impl Into<Option<u32>>) = failures.into();

    /// After which calls the rules are looked at. Default: every call.
    pub fn evaluate_on(on: EvaluateOn);

    /// Outcome of an abandoned call. Default: [`AbandonedPolicy::Judge`].
    pub fn on_abandoned(abandonment: AbandonedPolicy);

    /// How long a caller has to wait for an answer before its leaving says something about the dependency, with
    /// [`AbandonedPolicy::Judge`] and on the outbound side. Default: four times the usual time of successful calls, at
    /// least 50 ms. Valid: above 0.
    ///
    /// Set it if your callers' deadlines are shorter than that: longer misses a dependency that hangs behind them,
    /// shorter counts hedges and impatient callers.
    pub fn unanswered_after(wait: impl Into<Option<Duration>>) = wait.into();

    /// How long the next part of a response's body may be awaited before a caller that leaves counts as one without an
    /// answer. A pause of the reader does not count. Default: 60 s. Valid: above 0.
    ///
    /// Longer than the keep-alives of your event streams, which are 15 to 30 s as a rule.
    pub fn stall_after(silence: Duration);

    /// Outcome of a call that panicked. Default: a failure.
    pub fn on_panic(policy: PanicPolicy);

    /// Time for which the circuit stays open. Default: 60 s. Takes a `Duration` or an [`OpenTime`].
    ///
    /// Shorter recovers sooner and probes a sick dependency more often.
    pub fn open_time(time: impl Into<OpenTime>) = time.into();

    /// Lengthens each open time by a random share of up to this much. Default: 0. Valid: 0 to 1.
    ///
    /// 0.1 keeps the replicas of a service from probing in step. A `Retry-After` is not lengthened.
    pub fn open_time_jitter(share: f64);

    /// Makes jitter and throttling repeatable. Default: drawn at random when the breaker is made.
    pub fn jitter_seed(seed: u64) = Some(seed);

    /// Use of the dependency's `Retry-After`. Default: it sets the open time of the trip it comes with.
    pub fn retry_after(policy: RetryAfterPolicy);

    /// The longest `Retry-After` that is believed; longer ones are cut. Default: 10 min. Valid: longer than 0.
    pub fn retry_after_max(max: Duration);

    /// Shows `half_open` as soon as the open time is over, instead of at the next call. Default: off.
    ///
    /// Nothing runs in the background: the next call or read of the state makes the change.
    pub fn automatic_half_open(on: bool);

    /// Probes that a half-open circuit lets through. Default: 10. Valid: 1 to 10,000.
    pub fn half_open_max_calls(calls: u32);

    /// Whether `half_open_max_calls` bounds the round or the calls in flight. Default: the round.
    pub fn half_open_limit(limit: ProbeLimit);

    /// Decision of a half-open round. Default: the trip thresholds over `half_open_max_calls` results.
    pub fn half_open_decision(decision: HalfOpenDecision) = Some(decision);

    /// Decides a [rate](HalfOpenDecision::Rate) as soon as the remaining probes cannot change it. Default: on.
    pub fn half_open_early_decision(on: bool);

    /// The longest time in half-open. Default: 60 s. Valid: longer than 0; `Duration::MAX` is no limit.
    ///
    /// It frees a circuit whose probes hang or were forgotten.
    pub fn half_open_timeout(timeout: Duration);

    /// State after that time is over. Default: open.
    pub fn half_open_timeout_to(to: TimeoutTo);

    /// After closing, admits a share of the calls that grows from nothing to all over this time. Default: off.
    /// Valid: longer than 0.
    ///
    /// A dependency with cold caches then meets its load step by step.
    pub fn ramp(over: impl Into<Option<Duration>>) = over.into();

    /// Rejects a share of the calls instead of tripping. Default: off.
    pub fn throttle(throttle: impl Into<Option<Throttle>>) = throttle.into();

    /// The state to begin in. Default: closed. `Shadow` is the careful way to adopt a breaker.
    pub fn initial_state(state: State);
}
