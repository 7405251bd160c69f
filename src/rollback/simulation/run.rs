//! A judge in a simulated rollout.

use super::generator::{Generator, Observed};
use super::world::World;
use crate::rollback::judge::Judge;
use crate::rollback::policy::Policy;
use crate::rollback::verdict::Decision;

/// A judged rollout. Times are seconds since it began.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Run {
    /// The first pause.
    pub paused: Option<f64>,
    /// The rollback, with which the run ends.
    pub rolled_back: Option<f64>,
    /// Requests of the canary that failed between the beginning of its fault and the first verdict.
    pub failed: f64,
}

impl Run {
    /// The first verdict that stops the release: a pause or a rollback.
    pub fn stopped(&self) -> Option<f64> {
        let rolled_back = self.rolled_back.unwrap_or(f64::INFINITY);
        self.paused.filter(|paused| *paused < rolled_back).or(self.rolled_back)
    }
}

/// Judges a simulated rollout until it is rolled back or ends.
pub fn run(world: &World, policy: &Policy, seed: u64) -> Run {
    let mut judge = Judge::new(policy.clone());
    let mut run = Run::default();
    for observed in Generator::new(world, seed) {
        let at = observed.at;
        if at > world.fault.from && run.stopped().is_none() {
            run.failed += errors(&observed);
        }
        match judge.decide(observed.into()) {
            Decision::Pause => _ = run.paused.get_or_insert(at),
            Decision::Rollback => {
                run.rolled_back = Some(at);
                break;
            }
            Decision::Continue | Decision::Collecting => {}
        }
    }
    run
}

fn errors(observed: &Observed) -> f64 {
    observed.canary.segments.values().filter_map(|segment| segment.server_errors).sum()
}
