//! Evidence over segments and over time, for errors and for latency.
//!
//! Half of it comes from the sum over segments, half from the mean of each alone: a shift of traffic between segments is no
//! evidence, and one bad segment among twenty is found where the sum would hide it.

use super::errors::{Counts, ErrorModel};
use super::latency::{LatencyModel, QUANTILES};
use super::mixture::{COMPONENTS, Increments, Mixture, ratios};
use std::collections::BTreeMap;

const NONE: Increments = [0.0; COMPONENTS];

#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    pub start: f64,
    pub warm: f64,
    pub warm_r0: f64,
    pub warm_limit: f64,
    pub after_warm: f64,
    pub horizon: f64,
    pub margin: f64,
    pub late_margin: f64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { start: 0.35, warm: 60.0, warm_r0: 1.25, warm_limit: 0.01, after_warm: 3.0, horizon: 1800.0, margin: 1.18, late_margin: 1.4 }
    }
}

/// Evidence that the canary fails more often than the baseline.
pub(crate) struct ErrorEvidence {
    tuning: Tuning,
    ratios: Increments,
    near: Increments,
    segments: BTreeMap<String, (ErrorModel, Mixture)>,
    total: Mixture,
    warm: Option<(Mixture, Mixture)>,
    mass: f64,
}

impl ErrorEvidence {
    pub(crate) fn new(tuning: Tuning) -> Self {
        Self {
            tuning,
            ratios: ratios(180.0),
            near: ratios(25.0),
            segments: BTreeMap::new(),
            total: Mixture::new(tuning.start),
            warm: Some((Mixture::new(1.0), Mixture::new(1.0))),
            mass: tuning.start,
        }
    }

    pub(crate) fn observe<'a>(&mut self, seconds: f64, elapsed: f64, arms: impl Iterator<Item = (&'a str, Counts, Counts)>) {
        let mut sum = NONE;
        let mut warm = NONE;
        let mut alone = NONE;
        let is_warm = elapsed < self.tuning.warm;
        let added = (1.0 - self.tuning.start) * seconds / self.tuning.horizon;
        self.mass += added;
        for (name, canary, baseline) in arms {
            if !self.segments.contains_key(name) {
                self.segments.insert(name.to_owned(), (ErrorModel::new(), Mixture::new(self.mass)));
            }
            let Some((model, mixture)) = self.segments.get_mut(name) else { continue };
            let tolerated = model.tolerance(&canary, seconds, self.tuning.horizon);
            let mut own = NONE;
            model.compare(&canary, &baseline, tolerated, &self.ratios, &mut own);
            mixture.add(added);
            mixture.step(&own, seconds);
            for (sum, own) in sum.iter_mut().zip(own) {
                *sum += own;
            }
            if is_warm {
                model.compare(&canary, &baseline, tolerated.max(self.tuning.warm_r0), &self.near, &mut warm);
                model.alone(&canary, self.tuning.warm_limit, &self.near, &mut alone);
            }
            model.learn(&canary, Some(&baseline), seconds);
        }
        self.total.add(added);
        self.total.step(&sum, seconds);
        if is_warm {
            if let Some((relative, absolute)) = &mut self.warm {
                relative.step(&warm, seconds);
                absolute.step(&alone, seconds);
            }
        } else if self.warm.take().is_some() {
            self.total.cap(self.tuning.after_warm);
            for (_, mixture) in self.segments.values_mut() {
                mixture.cap(self.tuning.after_warm);
            }
        }
    }

    /// The evidence, and that of the warm-up pair.
    pub(crate) fn value(&self) -> (f64, Option<f64>) {
        let mean = self.segments.values().map(|(_, mixture)| mixture.value()).sum::<f64>() / self.segments.len().max(1) as f64;
        let main = 0.5 * self.total.value() + 0.5 * mean;
        (main, self.warm.as_ref().map(|(relative, absolute)| relative.value().min(absolute.value())))
    }
}

/// Evidence that the canary's tails are longer than the baseline's.
pub(crate) struct LatencyEvidence {
    tuning: Tuning,
    ratios: Increments,
    segments: BTreeMap<String, (LatencyModel, Tails)>,
    total: Tails,
    mass: f64,
}

#[derive(Clone)]
struct Tails {
    early: [Mixture; QUANTILES.len()],
    late: [Mixture; QUANTILES.len()],
}

impl Tails {
    fn new(late: f64) -> Self {
        Self { early: std::array::from_fn(|_| Mixture::new(1.0)), late: std::array::from_fn(|_| Mixture::new(late)) }
    }

    fn step(&mut self, early: &[Increments; 5], late: &[Increments; 5], added: f64, seconds: f64) {
        for i in 0..QUANTILES.len() {
            self.early[i].step(&early[i], seconds);
            self.late[i].add(added);
            self.late[i].step(&late[i], seconds);
        }
    }

    fn value(&self) -> f64 {
        let all = self.early.iter().chain(&self.late);
        all.map(Mixture::value).sum::<f64>() / (2 * QUANTILES.len()) as f64
    }
}

impl LatencyEvidence {
    pub(crate) fn new(tuning: Tuning) -> Self {
        Self { tuning, ratios: ratios(180.0), segments: BTreeMap::new(), total: Tails::new(0.0), mass: 0.0 }
    }

    pub(crate) fn observe<'a>(&mut self, bounds: &[f64], seconds: f64, arms: impl Iterator<Item = (&'a str, &'a [f64], &'a [f64])>) {
        let mut sums = ([NONE; QUANTILES.len()], [NONE; QUANTILES.len()]);
        let added = seconds / self.tuning.horizon;
        self.mass += added;
        for (name, canary, baseline) in arms {
            if !self.segments.contains_key(name) {
                self.segments.insert(name.to_owned(), (LatencyModel::new(), Tails::new(self.mass)));
            }
            let Some((model, tails)) = self.segments.get_mut(name) else { continue };
            let mut own = ([NONE; QUANTILES.len()], [NONE; QUANTILES.len()]);
            model.compare(bounds, canary, baseline, self.tuning.margin, seconds, &self.ratios, &mut own.0);
            model.compare(bounds, canary, baseline, self.tuning.late_margin, seconds, &self.ratios, &mut own.1);
            tails.step(&own.0, &own.1, added, seconds);
            for i in 0..QUANTILES.len() {
                for j in 0..COMPONENTS {
                    sums.0[i][j] += own.0[i][j];
                    sums.1[i][j] += own.1[i][j];
                }
            }
            model.learn(bounds, canary, baseline, seconds);
        }
        self.total.step(&sums.0, &sums.1, added, seconds);
    }

    pub(crate) fn value(&self) -> f64 {
        let mean = self.segments.values().map(|(_, tails)| tails.value()).sum::<f64>() / self.segments.len().max(1) as f64;
        0.5 * self.total.value() + 0.5 * mean
    }
}
