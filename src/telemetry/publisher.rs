//! Publication of a mechanism's own counts through the `metrics` facade.

use super::claims::Claim;
use super::source::Source;
use super::{Metric, MetricKind, MetricUnit};
use crate::panic::catch_panic;
use crate::sync::{AtomicU64, Ordering};
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Label, Level, Metadata, Recorder, Unit};
use std::collections::HashSet;
use std::sync::Weak;

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

/// The value of one series. A histogram has none; see [`Samples`](super::Samples) and [`Publisher::publish_samples`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// A counter's total since the mechanism was made.
    Total(u64),
    /// A gauge's value.
    Now(f64),
}

impl Value {
    /// A counter that cannot count with the settings of now: its series is not registered.
    pub(crate) const NO_TOTAL: Self = Self::Total(u64::MAX);
    /// A gauge that has no meaning with the settings of now.
    pub(crate) const NO_GAUGE: Self = Self::Now(f64::NAN);

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
pub(crate) struct Publisher {
    /// Rises with the time at which the mechanism was made.
    age: u64,
    source: Option<Weak<dyn Source>>,
    has_ended: bool,
    /// Most recently used first.
    bindings: Vec<Binding>,
}

impl Default for Publisher {
    fn default() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        Self { age: MADE.fetch_add(1, Ordering::Relaxed), source: None, has_ended: false, bindings: Vec::new() }
    }
}

/// Kinds of values that a publication has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    /// A value that was new to the recorder.
    pub(crate) any: bool,
    /// A gauge.
    pub(crate) gauges: bool,
}

/// The handles of one recorder, and the values that it has received.
struct Binding {
    recorder: usize,
    /// `None` for the recorder that stands in for none.
    claim: Option<Claim>,
    /// Term of the claim in which the gauges were set.
    term: u64,
    /// Totals, by the counter's index; [`UNREGISTERED`] before the series is. A breaker has some thirty counters, most
    /// of which never change.
    published: Box<[u64]>,
    /// Handles of those that have changed, each with that index.
    counters: Vec<(usize, Counter)>,
    gauges: Box<[(Option<Gauge>, f64)]>,
    /// Histograms that are recorded in bulk, each with the number of samples of each value.
    histograms: Vec<(Key, Histogram, Vec<u64>)>,
}

/// Most samples of a value that one publication records; the rest is part of the next one.
const SAMPLES_MAX: u64 = 100_000;

const UNREGISTERED: u64 = u64::MAX;

impl Publisher {
    /// The mechanism, to be asked to publish again after another of its name has ended.
    pub(super) fn set_source(&mut self, source: Weak<dyn Source>) {
        self.source = Some(source);
    }

    /// Publishes `values`: totals in the order of the counters among `series`, the others in that of the gauges.
    ///
    /// The recorder is user code: a panic in it ends this publication and is caught. The values that were not
    /// published are part of the next one.
    pub(crate) fn publish(
        &mut self,
        series: &(impl Iterator<Item = Series> + Clone),
        values: impl Iterator<Item = Value> + Clone,
    ) -> Sent {
        let has_ended = self.has_ended;
        let sent = catch_panic(|| {
            metrics::with_recorder(|recorder| {
                let binding = self.bind(recorder, series);
                let counters = binding.publish_totals(recorder, series, values.clone().filter_map(Value::total));
                let now = values.filter_map(Value::now);
                let gauges = !has_ended && binding.publish_all_gauges(recorder, series, now);
                Sent { any: counters || gauges, gauges }
            })
        });
        sent.unwrap_or(Sent { any: true, gauges: false })
    }

    /// Records the samples of a histogram that are new: values, each with the total of its samples. After
    /// [`publish`](Self::publish), which registers the series; `true` if there were any.
    pub(crate) fn publish_samples(&mut self, series: &Series, samples: impl Iterator<Item = (f64, u64)>) -> bool {
        let recorded = catch_panic(|| {
            metrics::with_recorder(|recorder| {
                let address = std::ptr::from_ref(recorder).addr();
                let binding = self.bindings.iter_mut().find(|known| known.recorder == address);
                binding.is_some_and(|binding| binding.publish_samples(recorder, series, samples))
            })
        });
        recorded.unwrap_or(true)
    }

    /// Sets every gauge to 0, in all recorders, and gives up the name: the mechanism has no user any more.
    pub(super) fn end_gauges(&mut self) {
        self.has_ended = true;
        for binding in &mut self.bindings {
            catch_panic(|| binding.end_gauges());
        }
    }

    /// The binding of this recorder, made if there is none.
    fn bind(&mut self, recorder: &dyn Recorder, series: &(impl Iterator<Item = Series> + Clone)) -> &mut Binding {
        let (address, has_ended) = (std::ptr::from_ref(recorder).addr(), self.has_ended);
        match self.bindings.iter().position(|known| known.recorder == address) {
            Some(0) => {}
            Some(i) => self.bindings[..=i].rotate_right(1),
            None => {
                let claims = size_of_val(recorder) > 0 && !has_ended;
                let first = series.clone().next().filter(|_| claims);
                let claim = first.map(|Series { metric, labels }| {
                    Claim::new((address, metric.name, labels[0]), self.age, self.source.clone())
                });
                let binding = Binding::new(recorder, claim, series.clone());
                self.bindings.truncate(RECORDERS_MAX - 1);
                self.bindings.reserve_exact(1);
                self.bindings.insert(0, binding);
            }
        }
        &mut self.bindings[0]
    }
}

impl Binding {
    /// Describes every metric. A series is registered, at 0 or without a sample, when it first has a value.
    fn new(recorder: &dyn Recorder, claim: Option<Claim>, series: impl Iterator<Item = Series>) -> Self {
        let mut described = HashSet::new();
        let (mut counters, mut gauges) = (0, Vec::new());
        for one in series {
            if described.insert(one.metric.name) {
                describe(recorder, &one.metric);
            }
            match one.metric.kind {
                MetricKind::Counter => counters += 1,
                MetricKind::Gauge => gauges.push((None, f64::NAN)),
                MetricKind::Histogram => drop(recorder.register_histogram(&one.key(), &METADATA)),
            }
        }
        let recorder = std::ptr::from_ref(recorder).addr();
        let published = vec![UNREGISTERED; counters].into();
        let (counters, histograms) = (Vec::new(), Vec::new());
        Self { recorder, claim, term: 0, published, counters, gauges: gauges.into(), histograms }
    }

    fn publish_samples(
        &mut self,
        recorder: &dyn Recorder,
        series: &Series,
        samples: impl Iterator<Item = (f64, u64)>,
    ) -> bool {
        let key = series.key();
        let place = self.histograms.iter().position(|(known, ..)| *known == key).unwrap_or_else(|| {
            let handle = recorder.register_histogram(&key, &METADATA);
            self.histograms.push((key, handle, Vec::new()));
            self.histograms.len() - 1
        });
        let (_, handle, sent) = &mut self.histograms[place];
        let mut was_new = false;
        for (i, (value, total)) in samples.enumerate() {
            if sent.len() <= i {
                sent.push(0);
            }
            let added = total.saturating_sub(sent[i]).min(SAMPLES_MAX);
            if added > 0 {
                sent[i] += added;
                was_new = true;
                handle.record_many(value, usize::try_from(added).unwrap_or(0));
            }
        }
        was_new
    }

    fn publish_totals(
        &mut self,
        recorder: &dyn Recorder,
        series: &(impl Iterator<Item = Series> + Clone),
        totals: impl Iterator<Item = u64>,
    ) -> bool {
        let mut was_new = false;
        let one = |place| nth(series, MetricKind::Counter, place);
        for (place, (published, total)) in self.published.iter_mut().zip(totals).enumerate() {
            if Value::Total(total) == Value::NO_TOTAL {
                continue;
            }
            if *published == UNREGISTERED
                && let Some(one) = one(place)
            {
                recorder.register_counter(&one.key(), &METADATA).increment(0);
                (*published, was_new) = (0, true);
            }
            if total <= *published {
                continue;
            }
            let known = self.counters.iter().position(|(known, _)| *known == place).or_else(|| {
                self.counters.push((place, recorder.register_counter(&one(place)?.key(), &METADATA)));
                Some(self.counters.len() - 1)
            });
            if let Some(known) = known {
                self.counters[known].1.increment(total - *published);
                (*published, was_new) = (total, true);
            }
        }
        was_new
    }

    /// Sets the gauges that have changed, if they are this mechanism's.
    fn publish_all_gauges(
        &mut self,
        recorder: &dyn Recorder,
        series: &(impl Iterator<Item = Series> + Clone),
        values: impl Iterator<Item = f64> + Clone,
    ) -> bool {
        let is_newest = |claim: &Option<Claim>| claim.as_ref().is_none_or(Claim::is_newest);
        let term = self.claim.as_ref().map_or(0, Claim::term);
        if term != self.term {
            self.term = term;
            self.gauges.iter_mut().for_each(|(_, published)| *published = f64::NAN);
        }
        if !is_newest(&self.claim) {
            return false;
        }
        // Rising values first: a scrape during a change of state sees both states, never none.
        let rising = self.publish_gauges(recorder, series, values.clone(), |from, to| to > from || from.is_nan());
        let falling = self.publish_gauges(recorder, series, values, |from, to| to < from);
        if let Some(claim) = self.claim.as_ref().filter(|claim| (rising || falling) && !claim.is_newest()) {
            claim.make_up_for_late_gauges();
        }
        rising || falling
    }

    fn publish_gauges(
        &mut self,
        recorder: &dyn Recorder,
        series: &(impl Iterator<Item = Series> + Clone),
        values: impl Iterator<Item = f64>,
        is_due: impl Fn(f64, f64) -> bool,
    ) -> bool {
        let mut was_new = false;
        for (place, ((gauge, published), value)) in self.gauges.iter_mut().zip(values).enumerate() {
            if !value.is_nan() && is_due(*published, value) {
                if gauge.is_none() {
                    let one = nth(series, MetricKind::Gauge, place);
                    *gauge = one.map(|one| recorder.register_gauge(&one.key(), &METADATA));
                }
                if let Some(gauge) = gauge {
                    gauge.set(value);
                }
                (*published, was_new) = (value, true);
            }
        }
        was_new
    }

    fn end_gauges(&mut self) {
        if self.claim.take().is_some_and(Claim::resign) {
            for (gauge, published) in &mut self.gauges {
                if let Some(gauge) = gauge.as_ref().filter(|_| *published != 0.0) {
                    gauge.set(0.0);
                    *published = 0.0;
                }
            }
        }
    }
}

/// The series of one kind at a place among those of its kind.
fn nth(series: &(impl Iterator<Item = Series> + Clone), kind: MetricKind, place: usize) -> Option<Series> {
    series.clone().filter(|one| one.metric.kind == kind).nth(place)
}

pub(super) static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

fn describe(recorder: &dyn Recorder, metric: &Metric) {
    let name = KeyName::from_const_str(metric.name);
    // No unit for the others: an exporter that appends units to names would append it.
    let unit = match metric.unit {
        MetricUnit::Count => Some(Unit::Count),
        MetricUnit::Seconds => Some(Unit::Seconds),
        MetricUnit::Code | MetricUnit::Flag | MetricUnit::Ratio => None,
    };
    match metric.kind {
        MetricKind::Counter => recorder.describe_counter(name, unit, metric.help.into()),
        MetricKind::Gauge => recorder.describe_gauge(name, unit, metric.help.into()),
        MetricKind::Histogram => recorder.describe_histogram(name, unit, metric.help.into()),
    }
}
