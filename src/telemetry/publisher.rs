//! Carries a mechanism's own counts to the `metrics` facade.

use super::{Metric, MetricKind};
use metrics::{Counter, Gauge, Key, KeyName, Level, Metadata, Recorder};
use std::collections::HashSet;

pub(crate) use metrics::Label;

/// The value of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A total since the mechanism was made.
    Total(u64),
    Now(f64),
}

/// Handles of one mechanism's series, and what was last published through them.
///
/// Handles made before a recorder is installed lead nowhere for ever, so they are made again whenever another
/// recorder is found.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    /// The address of the recorder that the handles are of.
    recorder: usize,
    series: Vec<Series>,
}

enum Series {
    Counter(Counter, u64),
    Gauge(Gauge, f64),
}

impl std::fmt::Debug for Series {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Counter(_, published) => write!(f, "Counter({published})"),
            Self::Gauge(_, published) => write!(f, "Gauge({published})"),
        }
    }
}

impl Publisher {
    /// Publishes `values`, in the order of the series that `list` names.
    pub(crate) fn publish(
        &mut self,
        list: impl FnOnce() -> Vec<(Metric, Vec<Label>)>,
        values: impl IntoIterator<Item = Value>,
    ) {
        metrics::with_recorder(|recorder| {
            let address = std::ptr::from_ref(recorder).addr();
            if self.recorder != address || self.series.is_empty() {
                self.series = bind(recorder, list());
                self.recorder = address;
            }
        });
        for (series, value) in self.series.iter_mut().zip(values) {
            series.publish(value);
        }
    }
}

impl Series {
    fn publish(&mut self, value: Value) {
        match (self, value) {
            (Self::Counter(counter, published), Value::Total(total)) => {
                if total > *published {
                    counter.increment(total - *published);
                    *published = total;
                }
            }
            #[expect(clippy::float_cmp, reason = "the same value need not be stored again")]
            (Self::Gauge(gauge, published), Value::Now(now)) => {
                if now != *published {
                    gauge.set(now);
                    *published = now;
                }
            }
            _ => debug_assert!(false, "a counter takes totals, a gauge the value now"),
        }
    }
}

/// Registers every series, at 0.
fn bind(recorder: &dyn Recorder, list: Vec<(Metric, Vec<Label>)>) -> Vec<Series> {
    let mut described = HashSet::new();
    let metadata = Metadata::new(module_path!(), Level::INFO, None);
    list.into_iter()
        .map(|(metric, labels)| {
            let is_new = described.insert(metric.name);
            let name = KeyName::from_const_str(metric.name);
            let key = Key::from_parts(metric.name, labels);
            match metric.kind {
                MetricKind::Counter => {
                    if is_new {
                        recorder.describe_counter(name, None, metric.help.into());
                    }
                    let counter = recorder.register_counter(&key, &metadata);
                    counter.increment(0);
                    Series::Counter(counter, 0)
                }
                MetricKind::Gauge => {
                    if is_new {
                        recorder.describe_gauge(name, None, metric.help.into());
                    }
                    Series::Gauge(recorder.register_gauge(&key, &metadata), f64::NAN)
                }
            }
        })
        .collect()
}
