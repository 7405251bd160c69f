//! Settings as plain values, which the breaker and the reference each read in their own way.

use backstop::circuit_breaker::{
    AbandonedPolicy, CircuitBreakerBuilder, CircuitBreakerConfig, EvaluateOn, HalfOpenDecision, OpenTime, PanicPolicy,
    ProbeLimit, RetryAfterPolicy, SlidingWindow, State, TimeoutTo,
};
use proptest::option;
use proptest::prelude::*;
use std::time::Duration;

pub(crate) const MILLISECOND: u64 = 1_000_000;

/// All times are in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) window: Window,
    pub(crate) rules: Rules,
    pub(crate) slow_after: Option<u64>,
    /// Hung calls count as slow before they end.
    pub(crate) follows: bool,
    pub(crate) evaluates_on: EvaluateOn,
    pub(crate) abandonment: AbandonedPolicy,
    pub(crate) unanswered_after: u64,
    pub(crate) on_panic: PanicPolicy,
    pub(crate) open_time: Wait,
    pub(crate) retry_after: RetryAfterPolicy,
    pub(crate) retry_after_max: u64,
    pub(crate) is_automatic: bool,
    pub(crate) half_open: HalfOpen,
    pub(crate) initial: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Count { calls: u32 },
    Time { width: u64, buckets: u32 },
    Tumbling { interval: u64 },
}

#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) failure_rate: Option<f64>,
    pub(crate) minimum: u32,
    pub(crate) slow_rate: Option<f64>,
    pub(crate) slow_minimum: u32,
    pub(crate) failures: Option<u32>,
    pub(crate) failures_minimum: u32,
    pub(crate) in_a_row: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) enum Wait {
    Fixed(u64),
    /// Doubles up to a maximum.
    Doubling(u64, u64),
    /// A function of the user's: so much for each trip in a row.
    Asked(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct HalfOpen {
    pub(crate) places: u32,
    pub(crate) limit: ProbeLimit,
    pub(crate) decision: HalfOpenDecision,
    pub(crate) is_early: bool,
    /// `u64::MAX` is no limit.
    pub(crate) timeout: u64,
    pub(crate) timeout_to: TimeoutTo,
}

impl Settings {
    pub(crate) fn config(&self) -> CircuitBreakerConfig {
        self.fill(CircuitBreakerConfig::builder()).build().expect("the strategy makes valid settings only")
    }

    pub(crate) fn fill<T>(&self, builder: CircuitBreakerBuilder<T>) -> CircuitBreakerBuilder<T> {
        let (rules, half_open) = (&self.rules, &self.half_open);
        let window = match self.window {
            Window::Count { calls } => SlidingWindow::count(calls),
            Window::Time { width, buckets } => SlidingWindow::time(nanos(width) * buckets, buckets),
            Window::Tumbling { interval } => SlidingWindow::Tumbling { duration: nanos(interval) },
        };
        let open_time = match self.open_time {
            Wait::Fixed(wait) => OpenTime::fixed(nanos(wait)),
            Wait::Doubling(initial, max) => OpenTime::exponential(nanos(initial), 2.0, nanos(max)),
            Wait::Asked(each) => OpenTime::from_fn(move |trips, _| nanos(each) * trips),
        };
        builder
            .window(window)
            .failure_rate_threshold(rules.failure_rate)
            .minimum_calls(rules.minimum)
            .slow_call_rate_threshold(rules.slow_rate)
            .slow_call_minimum_calls(rules.slow_minimum)
            .failure_count_threshold(rules.failures)
            .failure_count_minimum_calls(rules.failures_minimum)
            .consecutive_failures_threshold(rules.in_a_row)
            .slow_call_duration_threshold(self.slow_after.map(nanos))
            .detect_slow_calls_in_flight(self.follows)
            .evaluate_on(self.evaluates_on)
            .on_abandoned(self.abandonment)
            .unanswered_after(nanos(self.unanswered_after))
            .on_panic(self.on_panic)
            .open_time(open_time)
            .retry_after(self.retry_after)
            .retry_after_max(nanos(self.retry_after_max))
            .automatic_half_open(self.is_automatic)
            .half_open_max_calls(half_open.places)
            .half_open_limit(half_open.limit)
            .half_open_decision(half_open.decision)
            .half_open_early_decision(half_open.is_early)
            .half_open_timeout(if half_open.timeout == u64::MAX { Duration::MAX } else { nanos(half_open.timeout) })
            .half_open_timeout_to(half_open.timeout_to)
            .initial_state(self.initial)
    }
}

pub(crate) fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

pub(crate) fn in_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("no time in a history is longer than 584 years")
}

/// Any settings. Windows and minimums are small more often than not: then few calls reach the rules, and the
/// path that counts without a lock is in force most of the time.
pub(crate) fn any_settings() -> impl Strategy<Value = Settings> {
    let policies = (
        prop_oneof![4 => Just(EvaluateOn::AnyCall), 1 => Just(EvaluateOn::Failure)],
        prop_oneof![4 => Just(AbandonedPolicy::Judge), 1 => Just(AbandonedPolicy::Ignore), 1 => Just(AbandonedPolicy::Failure)],
        prop_oneof![4 => Just(PanicPolicy::Failure), 1 => Just(PanicPolicy::Ignore)],
        prop_oneof![Just(1), (1..50u64).prop_map(millis)],
    );
    let opening = (any_wait(), any_retry_after(), (1..200u64).prop_map(millis), any::<bool>());
    let initial = prop_oneof![8 => Just(State::Closed), 1 => prop::sample::select(State::ALL.to_vec())];
    let slow_after = (option::of((1..40u64).prop_map(millis)), prop::bool::weighted(0.2));
    (any_window().prop_flat_map(any_rules), slow_after, policies, opening, any_half_open(), initial).prop_map(
        |((window, mut rules), (slow_after, follows), policies, opening, half_open, initial)| {
            let slow_after = slow_after.or(rules.slow_rate.map(|_| 10 * MILLISECOND));
            if (rules.failure_rate, rules.slow_rate, rules.failures, rules.in_a_row) == (None, None, None, None) {
                rules.failure_rate = Some(0.5); // a breaker that could never trip is refused
            }
            let (evaluates_on, abandonment, on_panic, unanswered_after) = policies;
            let (open_time, retry_after, retry_after_max, is_automatic) = opening;
            Settings {
                window,
                rules,
                slow_after,
                follows: follows && slow_after.is_some(),
                evaluates_on,
                abandonment,
                unanswered_after,
                on_panic,
                open_time,
                retry_after,
                retry_after_max,
                is_automatic,
                half_open,
                initial,
            }
        },
    )
}

fn any_window() -> impl Strategy<Value = Window> {
    let width = prop_oneof![Just(1), Just(5), Just(10)].prop_map(millis);
    prop_oneof![
        4 => (1..10u32).prop_map(|calls| Window::Count { calls }),
        1 => (10..200u32).prop_map(|calls| Window::Count { calls }),
        4 => (width, 1..6u32).prop_map(|(width, buckets)| Window::Time { width, buckets }),
        1 => (1..50u64).prop_map(|interval| Window::Tumbling { interval: millis(interval) }),
    ]
}

fn any_rules(window: Window) -> impl Strategy<Value = (Window, Rules)> {
    let most = match window {
        Window::Count { calls } => calls,
        Window::Time { .. } | Window::Tumbling { .. } => 20,
    };
    let rate = prop::sample::select(vec![0.01, 0.2, 1.0 / 3.0, 0.5, 0.6, 0.9, 1.0]);
    let calls = prop_oneof![3 => 1..=most.min(4), 1 => 1..=most];
    let rates = (option::weighted(0.8, rate.clone()), calls.clone(), option::weighted(0.3, rate), calls.clone());
    let counts = (option::weighted(0.3, 1..=most), calls, option::weighted(0.3, 1..6u32));
    (rates, counts).prop_map(move |(rates, counts)| {
        let (failure_rate, minimum, slow_rate, slow_minimum) = rates;
        let (failures, failures_minimum, in_a_row) = counts;
        let rules = Rules { failure_rate, minimum, slow_rate, slow_minimum, failures, failures_minimum, in_a_row };
        (window, rules)
    })
}

fn any_wait() -> impl Strategy<Value = Wait> {
    let wait = (1..50u64).prop_map(millis);
    prop_oneof![
        3 => wait.clone().prop_map(Wait::Fixed),
        1 => (wait.clone(), 1..20u64).prop_map(|(wait, times)| Wait::Doubling(wait, wait * times)),
        1 => wait.prop_map(Wait::Asked),
    ]
}

pub(crate) fn any_retry_after() -> impl Strategy<Value = RetryAfterPolicy> {
    prop_oneof![
        Just(RetryAfterPolicy::SetsOpenTime),
        Just(RetryAfterPolicy::OpensAtOnce),
        Just(RetryAfterPolicy::Ignore)
    ]
}

fn any_half_open() -> impl Strategy<Value = HalfOpen> {
    let limit = prop_oneof![Just(ProbeLimit::PerRound), Just(ProbeLimit::InFlight)];
    let timeout = prop_oneof![4 => (1..60u64).prop_map(millis), 1 => Just(u64::MAX)];
    let timeout_to = prop_oneof![3 => Just(TimeoutTo::Open), 1 => Just(TimeoutTo::Closed)];
    let probes =
        (1..5u32, limit).prop_flat_map(|(places, limit)| (Just(places), Just(limit), any_decision(places, limit)));
    (probes, any::<bool>(), timeout, timeout_to).prop_map(
        |((places, limit, decision), is_early, timeout, timeout_to)| HalfOpen {
            places,
            limit,
            decision,
            is_early,
            timeout,
            timeout_to,
        },
    )
}

/// More results than places need a limit that lets places be used again.
fn any_decision(places: u32, limit: ProbeLimit) -> impl Strategy<Value = HalfOpenDecision> {
    let most = if limit == ProbeLimit::PerRound { places } else { 2 * places };
    prop_oneof![
        (1..=most).prop_map(|calls| HalfOpenDecision::Rate { calls }),
        (1..=most).prop_map(|calls| HalfOpenDecision::ConsecutiveSuccesses { calls }),
        (1..=most)
            .prop_flat_map(|of| (1..=of, Just(of)))
            .prop_map(|(successes, of)| HalfOpenDecision::Successes { successes, of }),
    ]
}

fn millis(millis: u64) -> u64 {
    millis * MILLISECOND
}
