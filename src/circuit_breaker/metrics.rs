//! Which series a breaker has, and their values: two lists in the same order.

use super::shared::Sample;
use super::snapshot::{Reason, State};

/// Every change of state that can happen, and why.
pub(crate) const TRANSITIONS: &[(State, State, Reason)] = &{
    use Reason as R;
    use State::{Closed, Disabled, ForcedOpen, HalfOpen, Open, Shadow};
    [
        (Closed, Open, R::FailureRate),
        (Closed, Open, R::SlowCallRate),
        (Closed, Open, R::FailureCount),
        (Closed, Open, R::ConsecutiveFailures),
        (Closed, Open, R::AbandonedRate),
        (Closed, Open, R::RetryAfter),
        (Open, HalfOpen, R::OpenTimeElapsed),
        (HalfOpen, Closed, R::ProbesSucceeded),
        (HalfOpen, Closed, R::HalfOpenTimeout),
        (HalfOpen, Open, R::ProbesFailed),
        (HalfOpen, Open, R::HalfOpenTimeout),
        (Closed, Open, R::Manual),
        (Closed, HalfOpen, R::Manual),
        (Closed, ForcedOpen, R::Manual),
        (Closed, Disabled, R::Manual),
        (Closed, Shadow, R::Manual),
        (Open, Closed, R::Manual),
        (Open, HalfOpen, R::Manual),
        (Open, ForcedOpen, R::Manual),
        (Open, Disabled, R::Manual),
        (Open, Shadow, R::Manual),
        (HalfOpen, Closed, R::Manual),
        (HalfOpen, Open, R::Manual),
        (HalfOpen, ForcedOpen, R::Manual),
        (HalfOpen, Disabled, R::Manual),
        (HalfOpen, Shadow, R::Manual),
        (ForcedOpen, Closed, R::Manual),
        (ForcedOpen, Open, R::Manual),
        (ForcedOpen, HalfOpen, R::Manual),
        (ForcedOpen, Disabled, R::Manual),
        (ForcedOpen, Shadow, R::Manual),
        (Disabled, Closed, R::Manual),
        (Disabled, Open, R::Manual),
        (Disabled, HalfOpen, R::Manual),
        (Disabled, ForcedOpen, R::Manual),
        (Disabled, Shadow, R::Manual),
        (Shadow, Closed, R::Manual),
        (Shadow, Open, R::Manual),
        (Shadow, HalfOpen, R::Manual),
        (Shadow, ForcedOpen, R::Manual),
        (Shadow, Disabled, R::Manual),
    ]
};

/// The place of a change in [`TRANSITIONS`].
pub(crate) fn transition_index(from: State, to: State, reason: Reason) -> Option<usize> {
    TRANSITIONS.iter().position(|known| *known == (from, to, reason))
}

#[cfg(feature = "metrics")]
pub(crate) use publish::publish;

#[cfg(feature = "metrics")]
mod publish {
    use super::{Sample, State, TRANSITIONS};
    use crate::telemetry::{self, Label, Metric, Publisher, Value};

    pub(crate) fn publish(publisher: &mut Publisher, name: &'static str, sample: &Sample) {
        publisher.publish(|| list(name), values(sample));
    }

    fn list(name: &'static str) -> Vec<(Metric, Vec<Label>)> {
        let label = Label::from_static_parts;
        let name = label("name", name);
        let mut list = Vec::new();
        for state in State::ALL {
            list.push((telemetry::CIRCUIT_BREAKER_STATE, vec![name.clone(), label("state", state.as_str())]));
        }
        for (from, to, reason) in TRANSITIONS {
            let (from, to) = (label("from", from.as_str()), label("to", to.as_str()));
            let labels = vec![name.clone(), from, to, label("reason", reason.as_str())];
            list.push((telemetry::CIRCUIT_BREAKER_TRANSITIONS, labels));
        }
        for kind in ["successful", "failed", "ignored", "abandoned", "not_permitted", "stale", "would_reject"] {
            list.push((telemetry::CIRCUIT_BREAKER_CALLS, vec![name.clone(), label("kind", kind)]));
        }
        for kind in ["successful", "failed"] {
            list.push((telemetry::CIRCUIT_BREAKER_SLOW_CALLS, vec![name.clone(), label("kind", kind)]));
        }
        for metric in [
            telemetry::CIRCUIT_BREAKER_FAILURE_RATE,
            telemetry::CIRCUIT_BREAKER_SLOW_CALL_RATE,
            telemetry::CIRCUIT_BREAKER_OPEN_SECONDS,
            telemetry::CIRCUIT_BREAKER_FALLBACKS,
        ] {
            list.push((metric, vec![name.clone()]));
        }
        list
    }

    fn values(sample: &Sample) -> impl Iterator<Item = Value> {
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
            totals.slow_successful,
            totals.slow_failed,
        ];
        let rest = [
            Value::Now(sample.snapshot.failure_rate().unwrap_or(0.0)),
            Value::Now(sample.snapshot.slow_call_rate().unwrap_or(0.0)),
            Value::Total(sample.open_time.as_secs()),
            Value::Total(totals.fallbacks),
        ];
        states.into_iter().chain(sample.transitions.map(Value::Total)).chain(calls.map(Value::Total)).chain(rest)
    }
}
