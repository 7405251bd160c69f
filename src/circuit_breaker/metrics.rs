//! Series of a breaker and their values: two lists in the same order.

use crate::circuit_breaker::config::{AbandonedPolicy, CircuitBreakerConfig, RetryAfterPolicy, TimeoutTo};
use crate::circuit_breaker::core::Sample;
use crate::circuit_breaker::event::TRANSITIONS;
use crate::circuit_breaker::state::{Reason, State};
use crate::telemetry::{self, Metric, Publisher, Sent, Series, Value};

pub(crate) fn publish(publisher: &mut Publisher, name: &'static str, sample: &Sample) -> Sent {
    publisher.publish(&series(name), values(sample))
}

/// Maximum number of series of a breaker, whatever its settings; settings that change can add those of the new ones.
const SERIES_MAX: usize = 32;

/// Series beside those of changes of state and of rates.
const OTHERS: usize = State::ALL.len() + 10;

fn series(name: &'static str) -> impl Iterator<Item = Series> + Clone {
    let of =
        move |metric: Metric, [one, two, three]: [&'static str; 3]| Series { metric, labels: [name, one, two, three] };
    let of_kind = move |metric| move |kind| of(metric, [kind, "", ""]);
    let states = State::ALL.iter().map(|state| state.as_str()).map(of_kind(telemetry::CIRCUIT_BREAKER_STATE));
    let transitions = TRANSITIONS.iter().map(move |(from, to, reason)| {
        let from = from.map_or("any", State::as_str);
        of(telemetry::CIRCUIT_BREAKER_TRANSITIONS, [from, to.as_str(), reason.as_str()])
    });
    let calls = ["successful", "failed", "ignored", "abandoned", "not_permitted", "stale"];
    let calls = calls.into_iter().map(of_kind(telemetry::CIRCUIT_BREAKER_CALLS));
    let rest = [
        telemetry::CIRCUIT_BREAKER_SLOW_CALLS,
        telemetry::CIRCUIT_BREAKER_WOULD_REJECT,
        telemetry::CIRCUIT_BREAKER_FAILURE_RATE,
        telemetry::CIRCUIT_BREAKER_SLOW_CALL_RATE,
        telemetry::CIRCUIT_BREAKER_OPEN_SECONDS,
        telemetry::CIRCUIT_BREAKER_FALLBACKS,
    ];
    let rest = rest.into_iter().map(move |metric| of(metric, [""; 3]));
    states.chain(transitions).chain(calls).chain(rest)
}

fn values(sample: &Sample) -> impl Iterator<Item = Value> + Clone {
    let (totals, config) = (&sample.totals, &*sample.config);
    let states = State::ALL.map(|state| Value::Now(if state == sample.state { 1.0 } else { 0.0 }));
    let possible = TRANSITIONS.iter().filter(|(_, to, reason)| can_happen(config, *to, *reason)).count();
    let mut transitions = [Value::NO_TOTAL; TRANSITIONS.len()];
    for ((value, (_, to, reason)), count) in transitions.iter_mut().zip(TRANSITIONS).zip(sample.transitions) {
        *value = counted(count, can_happen(config, *to, *reason));
    }
    let calls =
        [totals.successful, totals.failed, totals.ignored, totals.abandoned, totals.not_permitted, totals.stale];
    let shows_rates = OTHERS + possible + 2 <= SERIES_MAX;
    let rate = |rate: Option<f64>| if shows_rates { Value::Now(rate.unwrap_or(0.0)) } else { Value::NO_GAUGE };
    let rest = [
        Value::Total(totals.slow_successful + totals.slow_failed),
        Value::Total(totals.would_reject),
        rate(sample.snapshot.failure_rate),
        rate(sample.snapshot.slow_call_rate),
        Value::Total(sample.open_time.as_secs()),
        Value::Total(totals.fallbacks),
    ];
    states.into_iter().chain(transitions).chain(calls.map(Value::Total)).chain(rest)
}

/// A counter that exists once it can count.
fn counted(total: u64, can_count: bool) -> Value {
    if can_count || total > 0 { Value::Total(total) } else { Value::NO_TOTAL }
}

/// Returns whether a circuit with these settings can change for this reason.
fn can_happen(config: &CircuitBreakerConfig, to: State, reason: Reason) -> bool {
    let rules = &config.rules;
    match reason {
        Reason::FailureRate => rules.failure_rate.is_some(),
        Reason::SlowCallRate => rules.slow_call_rate.is_some(),
        Reason::FailureCount => rules.failure_count.is_some(),
        Reason::ConsecutiveFailures => rules.consecutive_failures.is_some(),
        Reason::NoAnswer => config.on_abandoned == AbandonedPolicy::Judge,
        Reason::RetryAfter => config.retry_after == RetryAfterPolicy::OpensAtOnce,
        Reason::HalfOpenTimeout => (to == State::Closed) == (config.half_open.timeout_to == TimeoutTo::Closed),
        Reason::OpenTimeElapsed | Reason::ProbesSucceeded | Reason::ProbesFailed | Reason::Manual => true,
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::circuit_breaker::handle::CircuitBreaker;

    #[test]
    fn every_series_has_a_value_and_every_label_a_name() {
        let breaker = CircuitBreaker::new("orders");
        let sample = breaker.shared.sample();
        let (series, values): (Vec<_>, Vec<_>) = (series("orders").collect(), values(&sample).collect());
        assert_eq!(series.len(), values.len());
        for (Series { metric, labels }, value) in series.iter().zip(values) {
            let given = labels.iter().take_while(|label| !label.is_empty()).count();
            assert_eq!(given, metric.labels.len(), "{}", metric.name);
            assert_eq!(metric.kind == telemetry::MetricKind::Counter, matches!(value, Value::Total(_)));
        }
    }
}
