//! A fixed-horizon test in the place of the process: one look, at a number of requests that the policy names.

use super::finding::{Finding, count, percent};
use crate::rollback::stats::{Comparison, FixedHorizon, Proportion, Test};
use crate::rollback::verdict::TriggerState;

/// Counts since the beginning, and the one result.
#[derive(Clone, Debug)]
pub(super) struct Look {
    test: FixedHorizon,
    needed: f64,
    alpha: f64,
    /// A rate that is worse by less than this is for a person.
    borderline: f64,
    canary: Vec<f64>,
    baseline: Vec<f64>,
    result: Option<Comparison>,
}

impl Look {
    pub(super) fn new(needed: f64, alpha: f64, borderline: f64) -> Self {
        Self {
            test: FixedHorizon::new(whole(&[needed])[0]),
            needed,
            alpha,
            borderline,
            canary: Vec::new(),
            baseline: Vec::new(),
            result: None,
        }
    }

    /// Adds errors and other requests of both arms.
    pub(super) fn rates(&mut self, canary: (f64, f64), baseline: (f64, f64)) {
        add(&mut self.canary, &[canary.0, canary.1 - canary.0]);
        add(&mut self.baseline, &[baseline.0, baseline.1 - baseline.0]);
        let proportion = |counts: &[u64]| Proportion::new(counts[0], counts.iter().sum()).ok();
        self.look(|canary, baseline| {
            let (canary, baseline) = (proportion(canary)?, proportion(baseline)?);
            Some(Test::Proportions { canary, baseline, yates: false })
        });
    }

    /// Adds a histogram of each arm.
    pub(super) fn histograms(&mut self, canary: &[f64], baseline: &[f64]) {
        add(&mut self.canary, canary);
        add(&mut self.baseline, baseline);
        self.look(|canary, baseline| Some(Test::Histograms { canary, baseline }));
    }

    /// The first look that has enough requests is the only one.
    fn look(&mut self, test: impl for<'a> FnOnce(&'a [u64], &'a [u64]) -> Option<Test<'a>>) {
        if self.result.is_none() {
            let (canary, baseline) = (whole(&self.canary), whole(&self.baseline));
            self.result = test(&canary, &baseline).and_then(|test| self.test.look(&test).ok());
        }
    }

    pub(super) fn state(&self) -> TriggerState {
        let Some(Comparison { p, effect, .. }) = self.result else { return TriggerState::Collecting };
        let rate = |counts: &[f64]| counts[0] / counts.iter().sum::<f64>().max(1.0);
        let is_small = self.borderline > 1.0 && rate(&self.canary) < self.borderline * rate(&self.baseline);
        match effect > 0.0 && p <= self.alpha {
            true if is_small => TriggerState::Borderline,
            true => TriggerState::Fired,
            false => TriggerState::Ok,
        }
    }

    pub(super) fn finding(&self) -> Finding {
        let total = |counts: &[f64]| counts.iter().sum::<f64>();
        let (samples, smaller) = (total(&self.canary), total(&self.canary).min(total(&self.baseline)));
        let Some(Comparison { p, .. }) = self.result else {
            let needed = count(self.needed);
            let sentence = format!("{} of {needed} requests of each arm until the only look", count(smaller));
            return Finding { samples, ..Finding::new(TriggerState::Collecting, sentence) };
        };
        let state = self.state();
        let than = if state == TriggerState::Ok { "not surely worse" } else { "worse" };
        let sentence = format!("{than} at the only look: p is {p:.4}, {} is the limit", percent(self.alpha));
        Finding { samples, ..Finding::new(state, sentence) }
    }
}

/// Counts of other buckets begin anew.
fn add(sums: &mut Vec<f64>, counts: &[f64]) {
    if sums.len() != counts.len() {
        *sums = vec![0.0; counts.len()];
    }
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}

/// Counts of sources may be fractions; their sums are rounded.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limited to what a test takes")]
fn whole(counts: &[f64]) -> Vec<u64> {
    counts.iter().map(|count| count.round().min(2e15) as u64).collect()
}
