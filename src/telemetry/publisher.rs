//! Publication of a mechanism's own counts through the `metrics` facade.

use super::{Metric, MetricKind, MetricUnit};
use crate::panic::catch_panic;
use crate::sync::{AtomicBool, Mutex, Ordering};
use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use std::collections::HashSet;

/// A metric with the values of its labels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series {
    pub(crate) metric: Metric,
    /// In the order of the metric's labels; empty strings after them.
    pub(crate) labels: [&'static str; 4],
}

impl Series {
    pub(super) fn key(&self) -> Key {
        let labels = self.metric.labels.iter().zip(self.labels);
        let labels: Vec<_> = labels.map(|(key, value)| Label::from_static_parts(key, value)).collect();
        Key::from_parts(self.metric.name, labels)
    }
}

/// The value of one series. A histogram has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A counter's total since the mechanism was made.
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

/// Maximum number of recorders whose handles are kept: the program's, and those that tests install per thread.
const RECORDERS_MAX: usize = 4;

/// Handles of one mechanism's series, and the values last published through them.
///
/// A handle made before a recorder is installed stays a no-op, so each recorder gets handles of its own, and through
/// them the full totals. Recorders are distinguished by address: one that is allocated where another was is mistaken
/// for it.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    /// Most recently used first.
    bindings: Vec<Binding>,
}

/// The handles of one recorder, and the values that it has received.
struct Binding {
    recorder: usize,
    /// Totals, by the counter's index. A breaker has some fifty counters, most of which never change.
    published: Box<[u64]>,
    /// Handles of those that have changed, each with that index.
    counters: Vec<(usize, Counter)>,
    gauges: Box<[(Gauge, f64)]>,
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Binding").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

/// Maximum number of publications in a row by one thread on behalf of others. It ends the loop with a recorder that
/// uses the mechanism: each publication then requests another.
const ROUNDS_MAX: u32 = 16;

/// Lets one thread publish at a time. Others request another round of it and never block.
#[derive(Debug, Default)]
pub(crate) struct PublishLock {
    busy: AtomicBool,
    again: AtomicBool,
    publisher: Mutex<Publisher>,
}

impl PublishLock {
    /// Runs `publish`, or has the thread that publishes now run its own once more.
    pub(crate) fn run(&self, publish: impl Fn(&mut Publisher)) {
        self.again.store(true, Ordering::Relaxed);
        for _ in 0..ROUNDS_MAX {
            // AcqRel: pairs with the swap below. A thread that finds `busy` set has set `again` before, and the
            // publishing thread sees that after it clears `busy`.
            if self.busy.swap(true, Ordering::AcqRel) {
                return;
            }
            self.again.store(false, Ordering::Relaxed);
            publish(&mut self.publisher.lock());
            self.busy.swap(false, Ordering::AcqRel);
            if !self.again.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

impl Publisher {
    /// Publishes `values`: totals in the order of the counters among `series`, the others in that of the gauges.
    ///
    /// The recorder is user code: a panic in it ends this publication and is caught. The values that were not
    /// published are part of the next one.
    pub(crate) fn publish(
        &mut self,
        series: &(impl Iterator<Item = Series> + Clone),
        values: impl Iterator<Item = Value> + Clone,
    ) {
        catch_panic(|| {
            metrics::with_recorder(|recorder| {
                let binding = self.bind(recorder, series.clone());
                binding.publish_totals(recorder, series, values.clone().filter_map(Value::total));
                // Rising values first: a scrape during a change of state sees both states, never none.
                binding.publish_gauges(values.clone().filter_map(Value::now), |from, to| to > from || from.is_nan());
                binding.publish_gauges(values.filter_map(Value::now), |from, to| to < from);
            });
        });
    }

    /// The binding of this recorder, made if there is none.
    fn bind(&mut self, recorder: &dyn Recorder, series: impl Iterator<Item = Series>) -> &mut Binding {
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
        &mut self.bindings[0]
    }
}

impl Binding {
    /// Registers every series: at 0, or without a sample.
    fn new(recorder: &dyn Recorder, series: impl Iterator<Item = Series>) -> Self {
        let mut described = HashSet::new();
        let (mut counters, mut gauges) = (0, Vec::new());
        for one in series {
            if described.insert(one.metric.name) {
                describe(recorder, &one.metric);
            }
            match one.metric.kind {
                MetricKind::Counter => {
                    recorder.register_counter(&one.key(), &METADATA).increment(0);
                    counters += 1;
                }
                MetricKind::Gauge => gauges.push((recorder.register_gauge(&one.key(), &METADATA), f64::NAN)),
                MetricKind::Histogram => drop(recorder.register_histogram(&one.key(), &METADATA)),
            }
        }
        let recorder = std::ptr::from_ref(recorder).addr();
        Self { recorder, published: vec![0; counters].into(), counters: Vec::new(), gauges: gauges.into() }
    }

    fn publish_totals(
        &mut self,
        recorder: &dyn Recorder,
        series: &(impl Iterator<Item = Series> + Clone),
        totals: impl Iterator<Item = u64>,
    ) {
        for (place, (published, total)) in self.published.iter_mut().zip(totals).enumerate() {
            if total <= *published {
                continue;
            }
            let known = self.counters.iter().position(|(known, _)| *known == place).or_else(|| {
                let is_counter = |one: &Series| one.metric.kind == MetricKind::Counter;
                let one = series.clone().filter(is_counter).nth(place)?;
                self.counters.push((place, recorder.register_counter(&one.key(), &METADATA)));
                Some(self.counters.len() - 1)
            });
            if let Some(known) = known {
                self.counters[known].1.increment(total - *published);
                *published = total;
            }
        }
    }

    fn publish_gauges(&mut self, values: impl Iterator<Item = f64>, is_due: impl Fn(f64, f64) -> bool) {
        for ((gauge, published), value) in self.gauges.iter_mut().zip(values) {
            if is_due(*published, value) {
                gauge.set(value);
                *published = value;
            }
        }
    }
}

pub(super) static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

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
        MetricKind::Histogram => recorder.describe_histogram(name, unit, metric.help.into()),
    }
}
