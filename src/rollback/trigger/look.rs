//! A fixed-horizon test in the place of the process: one look, at a number of requests that the policy names.

use super::finding::{Finding, count, percent};
use crate::rollback::stats::{Comparison, FixedHorizon, Proportion, Test};
use crate::rollback::verdict::TriggerState;

/// Counts since the beginning, and the one result.
#[derive(Clone, Debug)]
pub(super) struct Look {
    test: FixedHorizon,
    needed: u64,
    alpha: f64,
    /// A rate that is worse by less than this is for a person.
    borderline: f64,
    canary: Vec<u64>,
    baseline: Vec<u64>,
    result: Option<Comparison>,
}

impl Look {
    pub(super) fn new(needed: f64, alpha: f64, borderline: f64) -> Self {
        let needed = whole(needed);
        Self {
            test: FixedHorizon::new(needed),
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
        let proportion = |counts: &[u64]| Proportion::new(counts[0], counts.iter().sum());
        if let (Ok(canary), Ok(baseline)) = (proportion(&self.canary), proportion(&self.baseline)) {
            self.look(|_, _| Test::Proportions { canary, baseline, yates: false });
        }
    }

    /// Adds a histogram of each arm.
    pub(super) fn histograms(&mut self, canary: &[f64], baseline: &[f64]) {
        add(&mut self.canary, canary);
        add(&mut self.baseline, baseline);
        self.look(|canary, baseline| Test::Histograms { canary, baseline });
    }

    /// The first look that has enough requests is the only one.
    fn look<'a>(&'a mut self, test: impl FnOnce(&'a [u64], &'a [u64]) -> Test<'a>) {
        if self.result.is_none() {
            self.result = self.test.look(&test(&self.canary, &self.baseline)).ok();
        }
    }

    pub(super) fn state(&self) -> TriggerState {
        let Some(Comparison { p, effect, .. }) = self.result else { return TriggerState::Collecting };
        let rate = |counts: &[u64]| counts[0] as f64 / counts.iter().sum::<u64>().max(1) as f64;
        let is_small = self.borderline > 1.0 && rate(&self.canary) < self.borderline * rate(&self.baseline);
        match effect > 0.0 && p <= self.alpha {
            true if is_small => TriggerState::Borderline,
            true => TriggerState::Fired,
            false => TriggerState::Ok,
        }
    }

    pub(super) fn finding(&self) -> Finding {
        let total = |counts: &[u64]| counts.iter().sum::<u64>() as f64;
        let (samples, smaller) = (total(&self.canary), total(&self.canary).min(total(&self.baseline)));
        let Some(Comparison { p, .. }) = self.result else {
            let needed = count(self.needed as f64);
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
fn add(sums: &mut Vec<u64>, counts: &[f64]) {
    if sums.len() != counts.len() {
        *sums = vec![0; counts.len()];
    }
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum = sum.saturating_add(whole(*count)).min(1 << 50);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of ticks are checked; a cast saturates"
)]
fn whole(count: f64) -> u64 {
    count as u64
}
