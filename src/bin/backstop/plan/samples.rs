//! Stages that are decided on too few requests, as simulated ones show.

use backstop::rollback::Policy;
use backstop::rollback::plan::{Plan, Stage};
use backstop::rollback::simulation::{Errors, Fault, Traffic, World, over_seeds, quantile, run};

/// A release that fails this share of its requests is found in 9 of 10 stages, or the stage is warned about.
const FAILS: f64 = 0.1;
const FOUND: f64 = 0.9;
/// Simulated stages, and how much longer than the plan's they last.
const RUNS: u64 = 50;
const LONGER: f64 = 8.0;
/// Requests of the canary between two looks, and the most seconds between them.
const PER_LOOK: f64 = 10.0;
const LOOK_MAX: f64 = 15.0;

/// A sentence for each stage whose `samples`, spread over its `min`, do not show a bad release to the policy.
pub(super) fn warnings(plan: &Plan, policy: &Policy) -> Vec<String> {
    let (policy, _) = policy.simulated();
    let stages =
        plan.stages.iter().enumerate().filter(|(_, stage)| (1..100).contains(&stage.weight) && stage.samples > 0);
    stages.filter_map(|(place, stage)| warning(place, stage, &policy)).collect()
}

fn warning(place: usize, stage: &Stage, policy: &Policy) -> Option<String> {
    let Stage { weight, samples, min, .. } = *stage;
    let (length, samples) = (min.as_secs_f64().max(1.0), f64::from(samples));
    let rate = samples / length;
    let world = World {
        canary: Traffic { requests_per_second: rate, instances: 1 },
        baseline: Traffic { requests_per_second: rate * f64::from(100 - weight) / f64::from(weight), instances: 3 },
        fault: Fault { errors: Some(Errors::Rate(FAILS)), ..Fault::default() },
        tick: (PER_LOOK / rate).ceil().clamp(1.0, LOOK_MAX),
        length: length * LONGER,
        ..World::default()
    };
    let found = |seed| run(&world, policy, seed).stopped().unwrap_or(f64::INFINITY);
    let seconds = quantile(&over_seeds(0..RUNS, found), FOUND);
    if seconds <= length {
        return None;
    }
    let needed = seconds * rate;
    let enough = if needed.is_finite() {
        format!("about {} would be enough", rounded_up(needed))
    } else {
        format!("{:.0} are too few as well", samples * LONGER)
    };
    Some(format!(
        "stage[{place}].samples: {samples:.0} at {weight} % are too few for the policy to find a release that fails {:.0} % of its \
         requests 9 times of 10: {enough}",
        FAILS * 100.0
    ))
}

/// To two digits.
fn rounded_up(value: f64) -> f64 {
    let unit = 10_f64.powf(value.max(10.0).log10().floor() - 1.0);
    (value / unit).ceil() * unit
}
