//! Carries a mechanism's own counts to the `metrics` facade.

use super::{Metric, MetricKind, MetricUnit};
use metrics::{Counter, Gauge, Key, KeyName, Level, Metadata, Recorder, Unit};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use metrics::Label;

/// The value of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A total since the mechanism was made.
    Total(u64),
    /// A gauge's value.
    Now(f64),
}

impl Value {
    fn total(self) -> Option<u64> {
        if let Self::Total(total) = self { Some(total) } else { None }
    }

    fn now(self) -> Option<f64> {
        if let Self::Now(now) = self { Some(now) } else { None }
    }
}

/// Recorders whose handles are kept: the program's, and those that tests set for one thread each.
const RECORDERS_MAX: usize = 4;

/// Handles of one mechanism's series, and what was last published through them.
///
/// A handle made before a recorder is installed leads nowhere for ever, so each recorder that is met gets
/// handles of its own, and through them the totals from the beginning. Recorders are told apart by their
/// address: one that takes the place of another in memory is taken for it.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    /// The one used last comes first.
    bindings: Vec<Binding>,
}

/// The handles of one recorder.
struct Binding {
    recorder: usize,
    counters: Box<[(Counter, u64)]>,
    gauges: Box<[(Gauge, f64)]>,
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binding").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Publishes `values`; the counters among them, and the gauges, are in the order of `series`.
    ///
    /// The recorder is foreign code: a panic in it ends this publication and goes no further. What was not
    /// published then is part of the next.
    pub(crate) fn publish(
        &mut self,
        series: impl IntoIterator<Item = (Metric, Vec<Label>)>,
        values: impl Iterator<Item = Value> + Clone,
    ) {
        let _ = catch_unwind(AssertUnwindSafe(|| self.bind(series).publish(values)));
    }

    /// The handles of the recorder of this moment.
    fn bind(&mut self, series: impl IntoIterator<Item = (Metric, Vec<Label>)>) -> &mut Binding {
        metrics::with_recorder(|recorder| {
            let address = std::ptr::from_ref(recorder).addr();
            match self.bindings.iter().position(|known| known.recorder == address) {
                Some(0) => {}
                Some(i) => self.bindings[..=i].rotate_right(1),
                None => {
                    let binding = Binding::new(recorder, series);
                    self.bindings.truncate(RECORDERS_MAX - 1);
                    self.bindings.reserve_exact(1);
                    self.bindings.insert(0, binding);
                }
            }
        });
        &mut self.bindings[0]
    }
}

impl Binding {
    /// Registers every series, at 0.
    fn new(recorder: &dyn Recorder, series: impl IntoIterator<Item = (Metric, Vec<Label>)>) -> Self {
        let metadata = Metadata::new(module_path!(), Level::INFO, None);
        let mut described = HashSet::new();
        let (mut counters, mut gauges) = (Vec::new(), Vec::new());
        for (metric, labels) in series {
            if described.insert(metric.name) {
                describe(recorder, &metric);
            }
            let key = Key::from_parts(metric.name, labels);
            match metric.kind {
                MetricKind::Counter => {
                    let counter = recorder.register_counter(&key, &metadata);
                    counter.increment(0);
                    counters.push((counter, 0));
                }
                MetricKind::Gauge => gauges.push((recorder.register_gauge(&key, &metadata), f64::NAN)),
            }
        }
        let recorder = std::ptr::from_ref(recorder).addr();
        Self { recorder, counters: counters.into(), gauges: gauges.into() }
    }

    /// What rises comes first: a scrape in the middle of a change of state sees both states, never none.
    fn publish(&mut self, values: impl Iterator<Item = Value> + Clone) {
        let totals = values.clone().filter_map(Value::total);
        for ((counter, published), total) in self.counters.iter_mut().zip(totals) {
            if total > *published {
                counter.increment(total - *published);
                *published = total;
            }
        }
        for falls in [false, true] {
            let now = values.clone().filter_map(Value::now);
            for ((gauge, published), now) in self.gauges.iter_mut().zip(now) {
                #[expect(clippy::float_cmp, reason = "the same value need not be stored again")]
                if now != *published && (now < *published) == falls {
                    gauge.set(now);
                    *published = now;
                }
            }
        }
    }
}

fn describe(recorder: &dyn Recorder, metric: &Metric) {
    let name = KeyName::from_const_str(metric.name);
    // No unit for the others: an exporter that appends units to names would append it.
    let unit = match metric.unit {
        MetricUnit::Count => Some(Unit::Count),
        MetricUnit::Seconds => Some(Unit::Seconds),
        MetricUnit::Flag | MetricUnit::Ratio => None,
    };
    match metric.kind {
        MetricKind::Counter => recorder.describe_counter(name, unit, metric.help.into()),
        MetricKind::Gauge => recorder.describe_gauge(name, unit, metric.help.into()),
    }
}
