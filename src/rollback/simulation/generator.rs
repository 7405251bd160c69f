//! The generator of ticks.

use super::draw::{Random, is_drawn};
use super::histogram::Histogram;
use super::instances::{Counted, Instances};
use super::world::{Traffic, World};
use crate::rollback::tick::{Arm, Buckets, Segment, Tick};
use rand::SeedableRng as _;

/// Makes the ticks of a world, in order: the same ones for the same seed.
#[derive(Clone, Debug)]
pub struct Generator {
    world: World,
    random: Random,
    at: f64,
    arms: [Side; 2],
}

/// State of an arm from tick to tick.
#[derive(Clone, Debug)]
struct Side {
    traffic: Traffic,
    instances: Instances,
    histogram: Histogram,
}

/// Both arms in a tick, as [`Tick::new`] takes them.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Observed {
    /// Seconds since the rollout began, at the end of the tick.
    pub at: f64,
    /// The canary.
    pub canary: Arm,
    /// The baseline.
    pub baseline: Arm,
}

impl From<Observed> for Tick {
    fn from(Observed { at, canary, baseline }: Observed) -> Self {
        Self { at, stage: None, canary, baseline: Some(baseline) }
    }
}

impl Generator {
    /// A generator at the beginning of the rollout.
    pub fn new(world: &World, seed: u64) -> Self {
        let mut random = Random::seed_from_u64(seed);
        let arms = [world.canary, world.baseline].map(|traffic| Side {
            traffic,
            instances: Instances::new(world, traffic, &mut random),
            histogram: Histogram::new(),
        });
        Self { world: world.clone(), random, at: 0.0, arms }
    }

    fn observe(&mut self, from: f64, seconds: f64) -> [Arm; 2] {
        let Self { world, random, arms, .. } = self;
        let mut observed = [Arm::default(), Arm::default()];
        for (segment, (own, other, factor)) in world.mix(from).into_iter().enumerate() {
            for (i, (side, share)) in arms.iter_mut().zip([own, other]).enumerate() {
                let rate = |at: f64| {
                    let (canary, baseline) = world.rates(segment, factor, at);
                    if i == 0 { canary } else { baseline }
                };
                let counted = side.instances.count(segment, share, (from, seconds), world.bursts, rate, random);
                let mut shown = shown(counted, world.has_seconds);
                if let Some(latencies) = &world.latencies {
                    let fault = Some(&world.fault).filter(|_| i == 0 && world.is_faulty(from));
                    let instances = side.traffic.instances;
                    let time = (from, seconds);
                    let counts = side.histogram.count(latencies, time, counted.successes, fault, instances, random);
                    shown.latency.success = Some(Buckets { le: latencies.bounds.clone(), counts });
                }
                observed[i].segments.insert(format!("s{segment}"), shown);
            }
        }
        for arm in &mut observed {
            if is_drawn(random, world.lost) {
                arm.segments.clear();
            }
        }
        observed
    }
}

impl Iterator for Generator {
    type Item = Observed;

    fn next(&mut self) -> Option<Observed> {
        if self.at >= self.world.length - 1e-6 {
            return None;
        }
        let from = self.at;
        self.at += self.world.tick;
        while self.at < self.world.length && is_drawn(&mut self.random, self.world.missed) {
            self.at += self.world.tick;
        }
        let [canary, baseline] = self.observe(from, self.at - from);
        Some(Observed { at: self.at, canary, baseline })
    }
}

fn shown(counted: Counted, has_seconds: bool) -> Segment {
    Segment {
        requests: Some(counted.successes + counted.errors),
        server_errors: Some(counted.errors),
        active_seconds: has_seconds.then_some(counted.active_seconds),
        error_seconds: has_seconds.then_some(counted.error_seconds),
        ..Segment::default()
    }
}
