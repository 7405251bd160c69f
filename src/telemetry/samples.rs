//! Samples of histograms, passed to the `metrics` facade one by one.

use super::publisher::{METADATA, Series};
use crate::panic::catch_panic;
use metrics::Key;

/// One series of a histogram; its key is made once.
///
/// It keeps neither samples nor a handle: the recorder installed at the time gets the sample.
#[derive(Debug)]
pub(crate) struct Samples {
    key: Key,
}

impl Samples {
    pub(crate) fn new(series: &Series) -> Self {
        Self { key: series.key() }
    }

    /// Records one sample, from any thread. The recorder is user code: a panic in it is caught and loses the sample,
    /// and no lock of ours is held.
    pub(crate) fn record(&self, value: f64) {
        catch_panic(|| {
            metrics::with_recorder(|recorder| recorder.register_histogram(&self.key, &METADATA).record(value));
        });
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;
    use crate::telemetry::{BULKHEAD_FALLBACKS, BULKHEAD_WAIT_SECONDS, Publisher, Value};
    use metrics::{Counter, Gauge, Histogram, KeyName, Metadata, Recorder, SharedString, Unit};
    use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    const WAIT: Series = Series { metric: BULKHEAD_WAIT_SECONDS, labels: ["orders", "", "", ""] };
    const FALLBACKS: Series = Series { metric: BULKHEAD_FALLBACKS, labels: ["orders", "", "", ""] };

    /// A mechanism with a histogram before its one counter.
    fn publish() {
        Publisher::default().publish(&[WAIT, FALLBACKS].into_iter(), [Value::Total(3)].into_iter());
    }

    fn prometheus() -> PrometheusRecorder {
        PrometheusBuilder::new().set_buckets(&[0.01, 1.0]).unwrap().build_recorder()
    }

    #[test]
    fn a_histogram_exists_before_its_first_sample_and_takes_no_value() {
        let recorder = prometheus();
        metrics::with_local_recorder(&recorder, publish);
        let text = recorder.handle().render();
        for line in [
            "# TYPE backstop_bulkhead_wait_seconds histogram",
            "backstop_bulkhead_wait_seconds_bucket{name=\"orders\",le=\"0.01\"} 0",
            "backstop_bulkhead_wait_seconds_bucket{name=\"orders\",le=\"+Inf\"} 0",
            "backstop_bulkhead_wait_seconds_sum{name=\"orders\"} 0",
            "backstop_bulkhead_wait_seconds_count{name=\"orders\"} 0",
            "backstop_bulkhead_fallbacks_total{name=\"orders\"} 3",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains(&format!("# HELP backstop_bulkhead_wait_seconds {}\n", BULKHEAD_WAIT_SECONDS.help)));
    }

    #[test]
    fn samples_of_all_threads_reach_the_installed_recorder() {
        let recorder = prometheus();
        let wait = Samples::new(&WAIT);
        wait.record(9.0); // before there was one
        metrics::with_local_recorder(&recorder, || {
            publish();
            wait.record(0.002);
        });
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| metrics::with_local_recorder(&recorder, || wait.record(0.5)));
            }
        });
        let text = recorder.handle().render();
        for line in [
            "backstop_bulkhead_wait_seconds_bucket{name=\"orders\",le=\"0.01\"} 1",
            "backstop_bulkhead_wait_seconds_bucket{name=\"orders\",le=\"1\"} 5",
            "backstop_bulkhead_wait_seconds_sum{name=\"orders\"} 2.002",
            "backstop_bulkhead_wait_seconds_count{name=\"orders\"} 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_sample_is_passed_on_unchanged_in_seconds() {
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || {
            publish();
            Samples::new(&WAIT).record(0.125);
        });
        let all = recorder.snapshotter().snapshot().into_vec();
        let of_wait = all.iter().find(|(key, ..)| key.key().name() == BULKHEAD_WAIT_SECONDS.name);
        let (key, unit, help, value) = of_wait.expect("the histogram");
        assert_eq!(
            key.key().labels().map(|label| (label.key(), label.value())).collect::<Vec<_>>(),
            [("name", "orders")]
        );
        assert_eq!((*unit, help.as_deref()), (Some(Unit::Seconds), Some(BULKHEAD_WAIT_SECONDS.help)));
        assert_eq!(*value, DebugValue::Histogram(vec![0.125.into()]));
    }

    /// Panics at every sample.
    struct Broken;

    impl Recorder for Broken {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            panic!("the recorder is broken")
        }
    }

    #[test]
    fn a_panic_in_the_recorder_is_caught() {
        metrics::with_local_recorder(&Broken, || Samples::new(&WAIT).record(0.5));
    }
}
