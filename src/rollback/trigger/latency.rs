//! The trigger of latencies: are the canary's tails longer than the baseline's, or than the objective?

use super::finding::{Finding, Now, certainty, count, percent};
use super::look::Look;
use super::segments::BySegment;
use crate::rollback::policy::LatencySettings;
use crate::rollback::stats::errors::{Counts, ErrorModel};
use crate::rollback::stats::latency::{LatencyModel, QUANTILES, TailIncrements, above_latency, is_above_all, quantile};
use crate::rollback::stats::mixture::{COMPONENTS, Mixture, Ratios, ratios};
use crate::rollback::tick::{Arm, Buckets};
use crate::rollback::verdict::TriggerState;
use std::collections::BTreeMap;

const NONE: TailIncrements = [[[0.0; COMPONENTS]; QUANTILES.len()]; 2];
const RATIO_MAX: f64 = 180.0;
/// Mass that a new stage adds to the late processes.
const STAGE: f64 = 0.1;
/// Seconds after which a baseline without requests is no longer one.
const LOST: f64 = 30.0;
/// Seconds after which what is shown has lost 63 % of its weight.
const SHOWN: f64 = 20.0;

#[derive(Clone, Debug)]
pub(crate) struct Latency {
    settings: LatencySettings,
    ratios: Ratios,
    segments: BySegment<(LatencyModel, Tails)>,
    total: Tails,
    /// The canary alone against the objective.
    objective: (ErrorModel, Mixture),
    shown: BTreeMap<&'static str, Buckets>,
    samples: f64,
    changed: bool,
    /// Whether it is sure, until the evidence is under half of its threshold.
    held: bool,
    /// Of the last tick.
    evidence: f64,
    look: Option<Look>,
    /// When both arms were last compared.
    compared: Option<f64>,
    other: Other,
}

/// The other side of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// A baseline with traffic.
    Live,
    /// Latencies of the baseline before the stage ended it.
    Recalled,
    None,
}

/// A process of each quantile from the start with a small margin, and one whose starts are spread with a larger one: clean
/// rollouts contain minutes in which one arm is slower by chance.
#[derive(Clone, Debug)]
struct Tails {
    early: [Mixture; QUANTILES.len()],
    late: [Mixture; QUANTILES.len()],
}

impl Tails {
    fn new(late: f64) -> Self {
        Self { early: std::array::from_fn(|_| Mixture::new(1.0)), late: std::array::from_fn(|_| Mixture::new(late)) }
    }

    /// Of a segment that is new: the late processes have begun with the others.
    fn begun(&self) -> Self {
        Self { late: std::array::from_fn(|i| Mixture::new(self.late[i].entered())), ..Self::new(0.0) }
    }

    fn step(&mut self, [early, late]: &TailIncrements, added: f64, seconds: f64) {
        for (process, increments) in self.early.iter_mut().zip(early) {
            process.step(increments, seconds);
        }
        for (process, increments) in self.late.iter_mut().zip(late) {
            process.add(added);
            process.step(increments, seconds);
        }
    }

    fn value(&self) -> f64 {
        let all = self.early.iter().chain(&self.late);
        all.map(Mixture::value).sum::<f64>() / (2 * QUANTILES.len()) as f64
    }
}

impl Latency {
    pub(crate) fn new(settings: LatencySettings) -> Self {
        Self {
            ratios: ratios(RATIO_MAX),
            segments: BySegment::new(),
            total: Tails::new(0.0),
            objective: (ErrorModel::new(), Mixture::new(0.5)),
            shown: BTreeMap::new(),
            samples: 0.0,
            changed: false,
            held: false,
            evidence: 0.0,
            look: settings.look_once.map(|needed| Look::new(needed, settings.alpha, 1.0)),
            compared: None,
            other: Other::None,
            settings,
        }
    }

    pub(crate) fn observe(&mut self, now: &Now, canary: &Arm, baseline: Option<&Arm>) -> bool {
        let seconds = now.seconds;
        let added = seconds / self.settings.horizon + if now.is_new_stage { STAGE } else { 0.0 };
        let mut sums = NONE;
        let (mut requests, mut slow) = (0.0, 0.0);
        let (mut changed, mut is_recalled) = (false, false);
        // The baseline that has ended is shown as it was.
        for (_, buckets) in self.shown.iter_mut().filter(|(arm, _)| !now.is_full || **arm == "canary") {
            buckets.counts.iter_mut().for_each(|count| *count *= (-seconds / SHOWN).exp());
        }
        for (name, segment) in &canary.segments {
            // Without a bound, nothing is measured.
            let Some(own) = segment.latency.success.as_ref().filter(|own| !own.le.is_empty()) else { continue };
            let of_segment = own.counts.iter().sum::<f64>();
            requests += of_segment;
            if let Some((_, edge)) = self.objective() {
                slow += above_latency(&own.le, &own.counts, edge);
            }
            self.show("canary", own);
            let other = baseline.and_then(|arm| arm.segments.get(name)?.latency.success.as_ref());
            let has_ended = now.has_ended(of_segment, other.map_or(0.0, |other| other.counts.iter().sum()));
            let other = other.filter(|other| other.le == own.le && !has_ended);
            if other.is_none() && !(has_ended && self.objective().is_none()) {
                continue;
            }
            if let Some(other) = other {
                self.show("baseline", other);
                if let Some(look) = &mut self.look {
                    look.histograms(&own.counts, &other.counts);
                }
                if other.counts.iter().any(|count| *count > 0.0) {
                    self.compared = Some(now.elapsed);
                }
            }
            let margins = [self.settings.margin, self.settings.late_margin];
            let new = || (LatencyModel::new(margins), self.total.begun());
            let (model, tails) = self.segments.seen(name, now.elapsed, new);
            let mut increments = NONE;
            if let Some(other) = other {
                changed |= model.begin(&own.le);
                model.step(&own.counts, &other.counts, seconds, &self.ratios, &mut increments);
            } else if model.recall(&own.le, &own.counts, seconds, &self.ratios, &mut increments) {
                is_recalled = true;
            } else {
                continue;
            }
            tails.step(&increments, added, seconds);
            for (sum, of) in sums.as_flattened_mut().iter_mut().zip(increments.as_flattened()) {
                sum.iter_mut().zip(of).for_each(|(sum, of)| *sum += of);
            }
        }
        let is_compared = self.compared == Some(now.elapsed);
        if is_compared || is_recalled {
            self.total.step(&sums, added, seconds);
        }
        self.step_objective(slow, requests, added, seconds);
        self.samples += requests;
        self.changed = changed;
        self.evidence = self.find_evidence();
        let (evidence, threshold) = (self.evidence, 1.0 / self.settings.alpha);
        let enough = self.samples >= self.settings.minimum_requests;
        // A baseline that is missing ends no pause: a recorded one is another question.
        let is_asked = is_compared || is_recalled || self.settings.objective.is_some() || self.compared.is_none();
        let is_over = evidence < 0.5 * threshold && requests > 0.0 && is_asked;
        self.held = evidence >= threshold && enough || self.held && !is_over;
        let is_recent = |at: f64| now.elapsed - at <= LOST.max(3.0 * seconds);
        self.other = match self.compared {
            Some(at) if is_compared || !now.is_full && is_recent(at) => Other::Live,
            _ if is_recalled => Other::Recalled,
            _ => Other::None,
        };
        requests > 0.0 && !changed && (is_compared || is_recalled || self.objective().is_some())
    }

    /// Forgets the evidence, and not what was learned of the traffic.
    pub(crate) fn restart(&mut self) {
        let Self { settings, segments, .. } = self;
        for (_, tails) in segments.values_mut() {
            *tails = Tails::new(0.0);
        }
        self.total = Tails::new(0.0);
        self.objective.1 = Mixture::new(0.5);
        (self.held, self.evidence) = (false, 0.0);
        self.look = settings.look_once.map(|needed| Look::new(needed, settings.alpha, 1.0));
    }

    fn step_objective(&mut self, slow: f64, requests: f64, added: f64, seconds: f64) {
        let Some((share, _)) = self.objective() else { return };
        let counts = Counts { errors: slow, requests, seconds: None };
        let (model, evidence) = &mut self.objective;
        let mut increments = [0.0; COMPONENTS];
        model.alone(&counts, share, &self.ratios, &mut increments);
        evidence.add(0.5 * added);
        evidence.step(&increments, seconds);
        model.learn(&counts, None, seconds);
    }

    /// The limit of the canary alone: the policy's, or that of a recorded baseline while there is no live one.
    fn objective(&self) -> Option<(f64, f64)> {
        self.settings.objective.or_else(|| self.settings.recorded.filter(|_| self.other != Other::Live))
    }

    /// Adds to the faded counts that people read.
    fn show(&mut self, arm: &'static str, buckets: &Buckets) {
        match self.shown.get_mut(arm) {
            Some(shown) if shown.le == buckets.le => {
                for (shown, count) in shown.counts.iter_mut().zip(&buckets.counts) {
                    *shown += count;
                }
            }
            _ => {
                self.shown.insert(arm, buckets.clone());
            }
        }
    }

    fn find_evidence(&self) -> f64 {
        if let Some((share, edge)) = self.objective() {
            // A baseline that misses the objective as well is an outage of both.
            let missed = self.other == Other::Live
                && self.shown.get("baseline").is_some_and(|shown| {
                    above_latency(&shown.le, &shown.counts, edge) > share * shown.counts.iter().sum::<f64>()
                });
            return if missed { 0.0 } else { self.objective.1.value() };
        }
        let sum: f64 = self.segments.values().map(|(_, tails)| tails.value()).sum();
        0.5 * self.total.value() + 0.5 * sum / self.segments.len().max(1) as f64
    }

    pub(crate) fn samples(&self) -> f64 {
        self.samples
    }

    pub(crate) fn state(&self) -> TriggerState {
        match &self.look {
            Some(look) => look.state(),
            None if self.held => TriggerState::Fired,
            None if self.changed => TriggerState::NoData,
            None if self.samples < self.settings.minimum_requests => TriggerState::Collecting,
            None if self.objective().is_none() && self.compared.is_none() => TriggerState::NotMeasured,
            None => TriggerState::Ok,
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let threshold = 1.0 / self.settings.alpha;
        let evidence = self.evidence;
        let p99 = |arm| self.shown.get(arm).and_then(|shown: &Buckets| quantile(&shown.le, &shown.counts, 0.99));
        let (canary, baseline) = (p99("canary"), p99("baseline"));
        if let Some(look) = &self.look {
            return Finding { canary, baseline, ..look.finding() };
        }
        let state = self.state();
        let milliseconds = |seconds: f64| format!("{:.0} ms", seconds * 1e3);
        let said = |arm: &str, seconds: Option<f64>| {
            let Some(seconds) = seconds else { return "-".to_owned() };
            let is_above = self.shown.get(arm).is_some_and(|shown| is_above_all(&shown.counts, 0.99));
            format!("{}{}", if is_above { "above " } else { "" }, milliseconds(seconds))
        };
        let than = match self.objective() {
            Some((share, edge)) => {
                format!(", at most {} may take longer than {}", percent(share), milliseconds(edge))
            }
            None if self.other == Other::Recalled => {
                let baseline = said("baseline", baseline);
                format!(", that of the baseline, which has no traffic any more, was {baseline}")
            }
            None => format!(", the baseline's {}", said("baseline", baseline)),
        };
        let more = match state {
            TriggerState::NoData => "; the bounds of the buckets changed, so the comparison begins anew".to_owned(),
            TriggerState::NotMeasured => "; nothing to compare with".to_owned(),
            TriggerState::Collecting => {
                format!("; {} of {} requests needed", count(self.samples), count(self.settings.minimum_requests))
            }
            TriggerState::Fired => format!("; evidence {} of {} needed", certainty(evidence), count(threshold)),
            _ => String::new(),
        };
        Finding {
            samples: self.samples,
            log_e: Some(evidence.max(1e-12).ln()),
            log_threshold: Some(threshold.ln()),
            ..Finding::of_values(
                state,
                canary,
                baseline,
                format!("p99 of the canary is {}{than}{more}", said("canary", canary)),
            )
        }
    }
}
