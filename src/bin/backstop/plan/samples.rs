//! Stages that are decided on too few requests, as simulated ones show.

use backstop::rollback::Policy;
use backstop::rollback::plan::{Plan, Stage};
use backstop::rollback::simulation::{Errors, Fault, Traffic, World, over_seeds, run};

/// A release that fails this share of its requests is found in 9 of 10 stages, or the stage is warned about.
const FAILS: f64 = 0.1;
const FOUND: f64 = 0.9;
/// Simulated stages of each number of requests.
const RUNS: u64 = 50;
/// Steps in which more are tried, up to so many times the plan's.
const STEP: f64 = 1.25;
const MOST: f64 = 20.0;
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
    let samples = f64::from(stage.samples);
    if finds(samples, stage, policy) {
        return None;
    }
    let more = std::iter::successors(Some(samples), |samples| Some(rounded_up(samples * STEP)));
    let enough = more.skip(1).take_while(|more| *more <= samples * MOST).find(|more| finds(*more, stage, policy));
    let enough = match enough {
        Some(enough) => format!("about {enough:.0} would be enough"),
        None => format!("{:.0} are too few as well", samples * MOST),
    };
    Some(format!(
        "stage[{place}].samples: {samples:.0} at {} % are too few for the policy to find a release that fails {:.0} % of its \
         requests 9 times of 10: {enough}",
        stage.weight,
        FAILS * 100.0
    ))
}

/// Whether so many requests in the stage's time show a bad release.
fn finds(samples: f64, stage: &Stage, policy: &Policy) -> bool {
    let length = stage.min.as_secs_f64().max(1.0);
    let (rate, weight) = (samples / length, f64::from(stage.weight));
    let world = World {
        canary: Traffic { requests_per_second: rate, instances: 1 },
        baseline: Traffic { requests_per_second: rate * (100.0 - weight) / weight, instances: 3 },
        fault: Fault { errors: Some(Errors::Rate(FAILS)), ..Fault::default() },
        tick: (PER_LOOK / rate).ceil().clamp(1.0, LOOK_MAX),
        length,
        ..World::default()
    };
    let found = over_seeds(0..RUNS, |seed| run(&world, policy, seed).stopped().is_some());
    found.iter().filter(|found| **found).count() as f64 >= FOUND * RUNS as f64
}

/// To two digits.
fn rounded_up(value: f64) -> f64 {
    let unit = 10_f64.powf(value.max(10.0).log10().floor() - 1.0);
    (value / unit).ceil() * unit
}
