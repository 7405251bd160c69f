//! Series of a breaker and their values: two lists in the same order.

use crate::circuit_breaker::core::Sample;
use crate::circuit_breaker::event::TRANSITIONS;
use crate::circuit_breaker::state::State;
use crate::telemetry::{self, Metric, Publisher, Series, Value};

pub(crate) fn publish(publisher: &mut Publisher, name: &'static str, sample: &Sample) {
    publisher.publish(&series(name), values(sample));
}

fn series(name: &'static str) -> impl Iterator<Item = Series> + Clone {
    let of =
        move |metric: Metric, [one, two, three]: [&'static str; 3]| Series { metric, labels: [name, one, two, three] };
    let of_kind = move |metric| move |kind| of(metric, [kind, "", ""]);
    let states = State::ALL.iter().map(|state| state.as_str()).map(of_kind(telemetry::CIRCUIT_BREAKER_STATE));
    let transitions = TRANSITIONS.iter().map(move |(from, to, reason)| {
        of(telemetry::CIRCUIT_BREAKER_TRANSITIONS, [from.as_str(), to.as_str(), reason.as_str()])
    });
    let calls = ["successful", "failed", "ignored", "abandoned", "not_permitted", "stale", "would_reject"];
    let calls = calls.into_iter().map(of_kind(telemetry::CIRCUIT_BREAKER_CALLS));
    let slow = ["successful", "failed"].into_iter().map(of_kind(telemetry::CIRCUIT_BREAKER_SLOW_CALLS));
    let rest = [
        telemetry::CIRCUIT_BREAKER_FAILURE_RATE,
        telemetry::CIRCUIT_BREAKER_SLOW_CALL_RATE,
        telemetry::CIRCUIT_BREAKER_OPEN_SECONDS,
        telemetry::CIRCUIT_BREAKER_FALLBACKS,
    ];
    let rest = rest.into_iter().map(move |metric| of(metric, [""; 3]));
    states.chain(transitions).chain(calls).chain(slow).chain(rest)
}

fn values(sample: &Sample) -> impl Iterator<Item = Value> + Clone {
    let totals = &sample.totals;
    let states = State::ALL.map(|state| Value::Now(if state == sample.state { 1.0 } else { 0.0 }));
    let calls = [
        totals.successful,
        totals.failed,
        totals.ignored,
        totals.abandoned,
        totals.not_permitted,
        totals.stale,
        totals.would_reject,
    ];
    let slow = [totals.slow_successful, totals.slow_failed];
    let rest = [
        Value::Now(sample.snapshot.failure_rate.unwrap_or(0.0)),
        Value::Now(sample.snapshot.slow_call_rate.unwrap_or(0.0)),
        Value::Total(sample.open_time.as_secs()),
        Value::Total(totals.fallbacks),
    ];
    let counted = sample.transitions.into_iter().chain(calls).chain(slow).map(Value::Total);
    states.into_iter().chain(counted).chain(rest)
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
