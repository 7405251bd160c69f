//! Settings of a circuit breaker as a scenario words them.

use super::schema::{self, Align, Backoff, Decide, MaxWaitTo, OnCancel, PermitMode, Rule, Window};
use backstop::circuit_breaker::{
    AbandonedPolicy, BucketAlignment, EvaluateOn, Event, HalfOpenDecision, OpenTime, ProbeLimit, Reason,
    RetryAfterPolicy, SlidingWindow, Snapshot, State, TimeoutTo,
};
use backstop::clock::Clock;
use backstop::{CircuitBreaker, ConfigError};
use std::time::Duration;

/// Stands in where a scenario has no rule that can be met: no scenario has as many calls.
const NEVER_REACHED: u32 = 1_000_000;

/// The trip rules, so that an event can be read as a list of thresholds.
pub(crate) struct Rules {
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_rate: Option<f64>,
    pub(crate) failures: Option<u32>,
    pub(crate) consecutive_failures: Option<u32>,
}

impl Rules {
    pub(crate) fn of(config: &schema::Breaker) -> Result<Self, String> {
        let all = || config.trip.iter().flatten().map(|(rule, value)| (*rule, *value));
        let rate = |gte: Rule, gt: Rule| {
            all()
                .filter_map(|(rule, rate)| (rule == gte).then_some(rate).or((rule == gt).then_some(rate.next_up())))
                .filter(|rate| *rate <= 1.0) // no share of calls is larger: the rule is never met
                .reduce(f64::min)
        };
        let count = |wanted: Rule| all().filter_map(|(rule, count)| (rule == wanted).then_some(count)).reduce(f64::min);
        let whole = |count: Option<f64>| match count.map(|count| count.to_string().parse::<u32>()) {
            Some(Err(_)) => Err(format!("a count of {count:?} cannot be expressed")),
            whole => Ok(whole.and_then(Result::ok)),
        };
        Ok(Self {
            failure_rate: rate(Rule::FailureRateGte, Rule::FailureRateGt),
            slow_rate: rate(Rule::SlowRateGte, Rule::SlowRateGt),
            failures: whole(count(Rule::FailuresGte))?,
            consecutive_failures: whole(count(Rule::ConsecutiveFailuresGte))?,
        })
    }

    /// The thresholds that an event says were exceeded. Its reason is the first of them; the evidence shows the rest.
    pub(crate) fn met(&self, event: &Event) -> Vec<&'static str> {
        let evidence: &Snapshot = &event.details().snapshot;
        let reason = event.details().reason;
        let reaches = |rate: Option<f64>, threshold: Option<f64>| rate.zip(threshold).is_some_and(|(r, t)| r >= t);
        let failures = matches!(reason, Reason::FailureRate | Reason::FailureCount | Reason::ConsecutiveFailures);
        let slowness = reason == Reason::SlowCallRate;
        let is_rule = failures || slowness;
        let slowness = slowness || is_rule && reaches(evidence.slow_call_rate, self.slow_rate);
        [(failures, "failure_rate_exceeded"), (slowness, "slow_rate_exceeded")]
            .into_iter()
            .filter_map(|(is_met, name)| is_met.then_some(name))
            .collect()
    }
}

pub(crate) fn build(
    config: &schema::Breaker,
    rules: &Rules,
    probes_after: Duration,
    clock: Clock,
) -> Result<CircuitBreaker, ConfigError> {
    let (window, calls) = window(&config.window);
    let minimum_calls = config.min_calls.clamp(1, calls.max(1));
    let mut builder = CircuitBreaker::builder("conformance")
        .clock(clock)
        .window(window)
        .failure_rate_threshold(rules.failure_rate)
        .slow_call_rate_threshold(rules.slow_rate)
        .failure_count_threshold(rules.failures.filter(|failures| *failures <= calls))
        .consecutive_failures_threshold(rules.consecutive_failures);
    if rules.failure_rate.or(rules.slow_rate).is_none() && rules.failures.or(rules.consecutive_failures).is_none() {
        builder = builder.consecutive_failures_threshold(NEVER_REACHED);
    }
    if config.min_calls > calls {
        // Ours says so; the scenarios' breaker waits for a full window.
        let refusal = builder.clone().minimum_calls(config.min_calls).build().expect_err("more than the window holds");
        assert!(refusal.problems().iter().any(|problem| problem.field() == "minimum_calls"), "{refusal}");
    }
    let slow_after = config.slow_ms.map_or(Duration::MAX, Duration::from_millis).max(Duration::from_nanos(1));
    builder = builder
        .minimum_calls(minimum_calls)
        .failure_count_minimum_calls(minimum_calls)
        .slow_call_duration_threshold(slow_after)
        .evaluate_on(match config.evaluate_on {
            schema::EvaluateOn::Any => EvaluateOn::AnyCall,
            schema::EvaluateOn::Failure => EvaluateOn::Failure,
        })
        .on_abandoned(match config.on_cancel {
            OnCancel::Ignore => AbandonedPolicy::Ignore,
            OnCancel::Failure => AbandonedPolicy::Failure,
        })
        .open_time(open_time(&config.open, probes_after))
        .retry_after(RetryAfterPolicy::OpensAtOnce)
        .retry_after_max(Duration::MAX)
        .automatic_half_open(config.open.auto)
        .half_open_early_decision(false)
        .half_open_timeout(Duration::MAX)
        .initial_state(state(config.initial_state));
    if let Some(half_open) = &config.half_open {
        builder = builder
            .half_open_max_calls(half_open.permits)
            .half_open_limit(match half_open.permit_mode {
                PermitMode::Total => ProbeLimit::PerRound,
                PermitMode::Concurrent => ProbeLimit::InFlight,
            })
            .half_open_decision(match half_open.decide {
                Decide::Rate { min } => {
                    let calls = min.unwrap_or(half_open.permits).clamp(1, half_open.permits.max(1));
                    HalfOpenDecision::Rate { calls }
                }
                Decide::Consecutive { n } => HalfOpenDecision::ConsecutiveSuccesses { calls: n },
                Decide::Ratio { successes, of } => HalfOpenDecision::Successes { successes, of },
            })
            .half_open_timeout(match half_open.max_wait_ms {
                None | Some(0) => Duration::MAX,
                Some(ms) => Duration::from_millis(ms),
            })
            .half_open_timeout_to(match half_open.max_wait_to {
                MaxWaitTo::Open => TimeoutTo::Open,
                MaxWaitTo::Closed => TimeoutTo::Closed,
            });
    }
    builder.build()
}

/// The window, and how many calls it can hold.
fn window(window: &Window) -> (SlidingWindow, u32) {
    match window {
        Window::Count { size } => (SlidingWindow::count(*size), *size),
        Window::Time { buckets, bucket_ms, align } => {
            let duration = Duration::from_millis(*bucket_ms) * *buckets;
            let alignment = match align {
                Align::Epoch => BucketAlignment::Clock,
                Align::FirstEvent => BucketAlignment::FirstCall,
            };
            (SlidingWindow::Time { duration, buckets: *buckets, alignment }, NEVER_REACHED)
        }
        Window::Tumbling { ms } => (SlidingWindow::Tumbling { duration: Duration::from_millis(*ms) }, NEVER_REACHED),
    }
}

fn open_time(open: &schema::Open, probes_after: Duration) -> OpenTime {
    let whole = move |ms: f64, max: Option<u64>| {
        let wait = Duration::try_from_secs_f64((ms.floor() / 1e3).max(0.0)).unwrap_or(Duration::MAX);
        let max = max.map_or(Duration::MAX, Duration::from_millis);
        wait.min(max).saturating_add(probes_after)
    };
    match open.backoff {
        None => {
            let wait = Duration::from_millis(open.wait_ms) + probes_after;
            if wait.is_zero() { OpenTime::from_fn(|_, _| Duration::ZERO) } else { OpenTime::fixed(wait) }
        }
        Some(Backoff::Exponential { initial_ms, multiplier, max_ms })
            if probes_after.is_zero()
                && multiplier.fract() == 0.0
                && (1.0..=100.0).contains(&multiplier)
                && max_ms.is_none_or(|max| max as f64 >= initial_ms) =>
        {
            OpenTime::exponential(whole(initial_ms, None), multiplier, whole(f64::INFINITY, max_ms))
        }
        Some(Backoff::Exponential { initial_ms, multiplier, max_ms }) => OpenTime::from_fn(move |trips, _| {
            let grown = initial_ms * multiplier.powf(f64::from(trips) - 1.0);
            whole(grown, max_ms)
        }),
        Some(Backoff::Linear { step_ms, max_ms }) => {
            OpenTime::from_fn(move |_, evidence| whole(step_ms * f64::from(1 + evidence.half_open_attempts), max_ms))
        }
    }
}

pub(crate) fn state(state: schema::State) -> State {
    match state {
        schema::State::Closed => State::Closed,
        schema::State::Open => State::Open,
        schema::State::HalfOpen => State::HalfOpen,
        schema::State::ForcedOpen => State::ForcedOpen,
        schema::State::Disabled => State::Disabled,
        schema::State::MetricsOnly => State::Shadow,
    }
}
