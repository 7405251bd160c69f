//! Trials: a judge and the simple rules on the same ticks.

use crate::regimes::Regime;
use crate::rules::{NAMES, Rules};
use backstop::rollback::simulation::{Generator, over_seeds};
use backstop::rollback::{Decision, Judge, Policy};
use std::ops::Range;

/// When each verdict came, in seconds since the rollout began.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    pub(crate) paused: Option<f64>,
    pub(crate) rolled_back: Option<f64>,
    /// Requests of the canary that failed from the fault until the first verdict.
    pub(crate) failed: f64,
    pub(crate) rules: [Option<f64>; NAMES.len()],
}

impl Trial {
    /// The first verdict that stops the release.
    pub(crate) fn stopped(&self) -> Option<f64> {
        self.paused.into_iter().chain(self.rolled_back).min_by(f64::total_cmp)
    }

    fn is_decided(&self, rules: &Rules) -> bool {
        self.rolled_back.is_some() && rules.fired().iter().all(Option::is_some)
    }
}

/// Trials of a regime, one for each seed, on all cores.
pub(crate) fn trials(regime: &Regime, policy: &Policy, seeds: Range<u64>) -> Vec<Trial> {
    over_seeds(seeds, |seed| {
        let world = &regime.world;
        let mut trial = Trial::default();
        let mut rules = Rules::default();
        let mut judge = Judge::new(policy.clone());
        for observed in Generator::new(world, seed) {
            rules.observe(&observed);
            let at = observed.at;
            if trial.rolled_back.is_none() {
                if trial.stopped().is_none() && at > world.fault.from {
                    let segments = observed.canary.segments.values();
                    trial.failed += segments.filter_map(|segment| segment.server_errors).sum::<f64>();
                }
                match judge.decide(observed.into()) {
                    Decision::Rollback => trial.rolled_back = Some(at),
                    Decision::Pause => _ = trial.paused.get_or_insert(at),
                    Decision::Continue | Decision::Collecting => {}
                }
            }
            if trial.is_decided(&rules) {
                break;
            }
        }
        trial.rules = rules.fired();
        trial
    })
}
