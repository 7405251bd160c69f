//! Forecasts: what a policy will do in a stage of a rollout.

use super::run::{Run, run};
use super::summary::{Share, quantile};
use super::threads::over_seeds;
use super::world::{Errors, Fault, Latencies, Traffic, World};
use crate::rollback::policy::{Kind, Policy};

/// Traffic of a service, and the stage that is asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// Requests a second of both arms together.
    pub requests_per_second: f64,
    /// Share of them that fail on an ordinary day.
    pub error_rate: f64,
    /// Instances of both arms together.
    pub instances: u32,
    /// Share of the traffic in the canary, from 0 to 1.
    pub weight: f64,
    /// Seconds.
    pub length: f64,
}

/// Simulated results of a policy in a stage.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Forecast {
    /// The stage.
    pub stage: Stage,
    /// Seconds between two looks.
    pub tick: f64,
    /// Clean rollouts that are rolled back.
    pub rolled_back: Share,
    /// Clean rollouts that are held by a pause, and not rolled back.
    pub paused: Share,
    /// Faults, each from the beginning of the stage.
    pub faults: Vec<Found>,
    /// Seconds in which 9 of 10 canaries with three times the errors are found, if the stage is shorter. Infinite where
    /// eight stages are too short.
    pub needed: Option<f64>,
}

/// How a fault is found.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The fault, such as "2 % errors".
    pub name: &'static str,
    /// Canaries that are found within the stage.
    pub within: Share,
    /// Seconds to the verdict at the median; infinite if it comes after the stage.
    pub median: f64,
    /// The same for 90 % of canaries.
    pub most: f64,
    /// Requests of the canary that fail until then, or in the whole stage, at the median.
    pub failed: f64,
}

/// Requests of a canary between two looks, and the most seconds between them: more looks find nothing sooner.
const REQUESTS_PER_TICK: f64 = 10.0;
const TICK_MAX: f64 = 15.0;
/// Share of canaries that a stage should find.
const ENOUGH: f64 = 0.9;
/// Stages that are tried at most, and rollouts for that.
const STAGES: f64 = 8.0;
const TRIES: u64 = 50;

fn errors(errors: Errors) -> Fault {
    Fault { errors: Some(errors), ..Fault::default() }
}

fn faults() -> [(&'static str, Fault); 6] {
    let slower = |slower| Fault { slower, ..Fault::default() };
    [
        ("2 times the errors", errors(Errors::Times(2.0))),
        ("3 times the errors", errors(Errors::Times(3.0))),
        ("2 % errors", errors(Errors::Rate(0.02))),
        ("10 % errors", errors(Errors::Rate(0.1))),
        ("p99 x 1.25", slower(1.25)),
        ("p99 x 1.5", slower(1.5)),
    ]
}

impl Stage {
    fn world(&self) -> World {
        let canary = self.weight * self.requests_per_second;
        let instances = (self.weight * f64::from(self.instances)).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32")]
        let instances = (instances as u32).clamp(1, self.instances.saturating_sub(1).max(1));
        World {
            canary: Traffic { requests_per_second: canary, instances },
            baseline: Traffic {
                requests_per_second: self.requests_per_second - canary,
                instances: self.instances.saturating_sub(instances).max(1),
            },
            error_rate: self.error_rate,
            tick: (REQUESTS_PER_TICK / canary).ceil().clamp(1.0, TICK_MAX),
            length: self.length,
            ..World::default()
        }
    }
}

impl Policy {
    /// The part of a policy that a simulation has data for, and the names of the triggers left out: those of readiness,
    /// breakers, gauges and KPIs.
    pub fn simulated(&self) -> (Self, Vec<String>) {
        let is_in = |kind: &Kind| matches!(kind, Kind::Errors { .. } | Kind::Latency(_));
        let (triggers, others): (Vec<_>, Vec<_>) =
            self.triggers.iter().cloned().partition(|trigger| is_in(&trigger.kind));
        let others: Vec<_> = others.into_iter().map(|trigger| trigger.name).collect();
        let require = self.require.iter().filter(|name| !others.contains(name)).cloned().collect();
        (Self { require, triggers, ..self.clone() }, others)
    }
}

/// Simulates a stage with the real judge: so many clean rollouts, and as many with each fault.
pub fn forecast(stage: Stage, policy: &Policy, runs: u64, seed: u64) -> Forecast {
    let (policy, _) = policy.simulated();
    let world = stage.world();
    let simulate = |world: &World, runs: u64| over_seeds(seed..seed + runs, |seed| run(world, &policy, seed));
    let with_latencies = World { latencies: Some(Latencies::default()), ..world.clone() };
    let clean = simulate(&with_latencies, runs);
    let faults: Vec<_> = faults()
        .into_iter()
        .map(|(name, fault)| {
            // Only a fault of latencies needs them: they are most of the work.
            let world = if fault.errors.is_some() { &world } else { &with_latencies };
            Found::of(name, &simulate(&World { fault, ..world.clone() }, runs))
        })
        .collect();
    let is_short = faults[1].within.value() < ENOUGH;
    let needed = is_short.then(|| {
        let longer = World { fault: errors(Errors::Times(3.0)), length: STAGES * stage.length, ..world.clone() };
        quantile(&times(&simulate(&longer, runs.min(TRIES))), ENOUGH)
    });
    Forecast {
        stage,
        tick: world.tick,
        rolled_back: Share::of(clean.iter().map(|run| run.rolled_back.is_some())),
        paused: Share::of(clean.iter().map(|run| run.rolled_back.is_none() && run.paused.is_some())),
        faults,
        needed,
    }
}

impl Found {
    fn of(name: &'static str, runs: &[Run]) -> Self {
        let times = times(runs);
        Self {
            name,
            within: Share::of(runs.iter().map(|run| run.stopped().is_some())),
            median: quantile(&times, 0.5),
            most: quantile(&times, ENOUGH),
            failed: quantile(&runs.iter().map(|run| run.failed).collect::<Vec<_>>(), 0.5),
        }
    }
}

fn times(runs: &[Run]) -> Vec<f64> {
    runs.iter().map(|run| run.stopped().unwrap_or(f64::INFINITY)).collect()
}
