//! Series of signals and their values: two lists in the same order.

use crate::signals::counts::{BUCKETS, Sums};
use crate::signals::outcome_class::OutcomeClass;
use crate::signals::shared::Shared;
use crate::telemetry::{self, Metric, Publisher, REQUEST_BUCKETS, Sent, Series, Value};

/// Publishes the counts and, if asked to, the samples of latencies that are new.
pub(super) fn publish(publisher: &mut Publisher, shared: &Shared, with_samples: bool) -> Sent {
    let names = &shared.segments.names;
    let sums: Vec<_> = (0..names.len()).map(|segment| shared.counts.sums(segment)).collect();
    let in_flight = shared.counts.in_flight(&sums);
    let mut sent = publisher.publish(&series(shared.name, names), values(&sums, in_flight));
    if with_samples {
        let [successes, failures] = histograms(shared.name);
        sent.any |= publisher.publish_samples(&successes, samples(&sums, |sums| &sums.successes));
        sent.any |= publisher.publish_samples(&failures, samples(&sums, |sums| &sums.failures));
    }
    sent
}

fn histograms(service: &'static str) -> [Series; 2] {
    ["success", "failure"]
        .map(|outcome| Series { metric: telemetry::REQUEST_DURATION_SECONDS, labels: [service, outcome, "", ""] })
}

fn series<'a>(service: &'static str, segments: &'a [&'static str]) -> impl Iterator<Item = Series> + Clone + 'a {
    let of = move |metric: Metric, segment, outcome| Series { metric, labels: [service, segment, outcome, ""] };
    let of_segment = move |segment: &&'static str| {
        let segment = *segment;
        let classes = OutcomeClass::ALL.map(|class| of(telemetry::REQUESTS, segment, class.as_str()));
        let seconds = [telemetry::ACTIVE_SECONDS, telemetry::ERROR_SECONDS].map(|metric| of(metric, segment, ""));
        classes.into_iter().chain(seconds)
    };
    let in_flight = of(telemetry::IN_FLIGHT_REQUESTS, "", "");
    segments.iter().flat_map(of_segment).chain([in_flight]).chain(histograms(service))
}

fn values(sums: &[Sums], in_flight: u64) -> impl Iterator<Item = Value> + Clone {
    let totals = sums.iter().flat_map(|sums| sums.classes.into_iter().chain([sums.active_seconds, sums.error_seconds]));
    totals.map(Value::Total).chain([Value::Now(in_flight as f64)])
}

/// The totals of all segments by bucket, each as samples of a value inside the bucket.
fn samples(sums: &[Sums], of: impl Fn(&Sums) -> &[u64; BUCKETS]) -> impl Iterator<Item = (f64, u64)> {
    (0..BUCKETS).map(move |bucket| {
        let upper = REQUEST_BUCKETS.get(bucket).copied();
        let value = match (bucket.checked_sub(1).map(|lower| REQUEST_BUCKETS[lower]), upper) {
            (Some(lower), Some(upper)) => (lower * upper).sqrt(),
            (Some(lower), None) => lower * 1.2,
            (None, _) => REQUEST_BUCKETS[0] / 2.0,
        };
        (value, sums.iter().map(|sums| of(sums)[bucket]).sum())
    })
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::telemetry::MetricKind;

    #[test]
    fn every_series_but_the_histograms_has_a_value_of_its_kind() {
        let sums = [crate::signals::counts::Counts::new(1).sums(0)];
        let with_value: Vec<_> =
            series("shop", &["default"]).filter(|one| one.metric.kind != MetricKind::Histogram).collect();
        let values: Vec<_> = values(&sums, 0).collect();
        assert_eq!(with_value.len(), values.len());
        for (Series { metric, labels }, value) in with_value.iter().zip(values) {
            let given = labels.iter().take_while(|label| !label.is_empty()).count();
            assert_eq!(given, metric.labels.len(), "{}", metric.name);
            assert_eq!(metric.kind == MetricKind::Counter, matches!(value, Value::Total(_)));
        }
    }

    #[test]
    fn a_sample_is_in_the_bucket_that_it_is_of() {
        let sums = [crate::signals::counts::Counts::new(1).sums(0)];
        for (bucket, (value, _)) in samples(&sums, |sums| &sums.successes).enumerate() {
            assert_eq!(REQUEST_BUCKETS.partition_point(|bound| *bound < value), bucket, "{value}");
        }
    }
}
