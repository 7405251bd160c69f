//! Series of a bulkhead and their values: two lists in the same order.

use crate::bulkhead::snapshot::{Snapshot, Totals};
use crate::telemetry::{self, Metric, Publisher, Samples, Sent, Series, Value};
use std::time::Duration;

/// Everything, at one moment.
pub(super) struct Sample {
    pub(super) snapshot: Snapshot,
    pub(super) totals: Totals,
    pub(super) oldest_call: Option<Duration>,
}

pub(super) fn publish(publisher: &mut Publisher, name: &'static str, sample: &Sample) -> Sent {
    publisher.publish(&series(name), values(sample))
}

/// The histogram, whose samples are recorded one by one.
pub(super) fn wait_seconds(name: &'static str) -> Samples {
    Samples::new(&Series { metric: telemetry::BULKHEAD_WAIT_SECONDS, labels: [name, "", "", ""] })
}

fn series(name: &'static str) -> impl Iterator<Item = Series> + Clone {
    let of = move |metric: Metric, kind| Series { metric, labels: [name, kind, "", ""] };
    let calls = ["permitted", "rejected_full", "timed_out", "shed", "left_queue", "bypassed"];
    let calls = calls.into_iter().map(move |kind| of(telemetry::BULKHEAD_CALLS, kind));
    let rest = [
        telemetry::BULKHEAD_ABANDONED,
        telemetry::BULKHEAD_FALLBACKS,
        telemetry::BULKHEAD_PERMITS_REVOKED,
        telemetry::BULKHEAD_MAX_CONCURRENT_CALLS,
        telemetry::BULKHEAD_IN_FLIGHT_CALLS,
        telemetry::BULKHEAD_QUEUE_DEPTH,
        telemetry::BULKHEAD_OLDEST_CALL_SECONDS,
        telemetry::BULKHEAD_WAIT_SECONDS,
    ];
    calls.chain(rest.into_iter().map(move |metric| of(metric, "")))
}

fn values(sample: &Sample) -> impl Iterator<Item = Value> + Clone {
    let Sample { snapshot, totals, oldest_call } = sample;
    let calls = [
        totals.permitted,
        totals.rejected_full,
        totals.timed_out,
        totals.shed,
        totals.left_queue,
        totals.bypassed,
        totals.abandoned,
        totals.fallbacks,
        totals.revoked,
    ];
    let now = [
        f64::from(snapshot.limit),
        f64::from(snapshot.in_flight),
        f64::from(snapshot.queue_depth),
        oldest_call.unwrap_or_default().as_secs_f64(),
    ];
    calls.into_iter().map(Value::Total).chain(now.into_iter().map(Value::Now))
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::telemetry::MetricKind;

    #[test]
    fn every_series_but_the_histogram_has_a_value_of_its_kind() {
        let snapshot = crate::Bulkhead::new("orders").snapshot();
        let sample = Sample { snapshot, totals: Totals::default(), oldest_call: None };
        let with_value: Vec<_> = series("orders").filter(|one| one.metric.kind != MetricKind::Histogram).collect();
        let values: Vec<_> = values(&sample).collect();
        assert_eq!(with_value.len(), values.len());
        for (Series { metric, labels }, value) in with_value.iter().zip(values) {
            let given = labels.iter().take_while(|label| !label.is_empty()).count();
            assert_eq!(given, metric.labels.len(), "{}", metric.name);
            assert_eq!(metric.kind == MetricKind::Counter, matches!(value, Value::Total(_)));
        }
    }
}
