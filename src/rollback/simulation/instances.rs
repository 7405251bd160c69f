//! Instances of one arm: their requests, their errors, and their seconds with either.

use super::draw::{Points, Random, is_drawn, lognormal, poisson, uniform};
use super::world::{Bursts, Traffic, World};

/// Requests of an instance in a second from which it surely has one.
const BUSY: f64 = 20.0;
/// Share of requests that fail in a burst that lasts.
const LASTING_RATE: f64 = 0.3;
/// Seconds until other instances are away.
const CHANGED_AFTER: f64 = 60.0;

/// Counts of an arm's segment in a tick.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    pub(super) successes: f64,
    pub(super) errors: f64,
    pub(super) active_seconds: f64,
    pub(super) error_seconds: f64,
}

#[derive(Clone, Debug)]
pub(super) struct Instances {
    requests_per_second: f64,
    /// Each instance's part of the traffic, when all are there and now.
    all: Vec<f64>,
    parts: Vec<f64>,
    /// When they change next, if they do.
    changes: Option<f64>,
    /// Seconds that a burst still lasts, by instance.
    lasting: Vec<u32>,
    /// Of each segment.
    seconds: Vec<Second>,
}

/// Which instances had a request and an error in this second.
#[derive(Clone, Debug, Default)]
struct Second {
    at: f64,
    active: Vec<bool>,
    failed: Vec<bool>,
}

impl Instances {
    pub(super) fn new(world: &World, traffic: Traffic, random: &mut Random) -> Self {
        let count = traffic.instances.max(1) as usize;
        let mut all = vec![1.0; count];
        if world.is_uneven {
            all.fill_with(|| lognormal(random, 1.0));
        }
        normalize(&mut all);
        let parts = all.clone();
        let changes = world.is_changing.then_some(CHANGED_AFTER);
        let lasting = vec![0; count];
        Self { requests_per_second: traffic.requests_per_second, all, parts, changes, lasting, seconds: Vec::new() }
    }

    /// Counts of a segment that begin at `from`. `rate` is the error rate at a time.
    pub(super) fn count(
        &mut self,
        segment: usize,
        share: f64,
        (from, seconds): (f64, f64),
        bursts: Bursts,
        rate: impl Fn(f64) -> f64,
        random: &mut Random,
    ) -> Counted {
        if self.changes.is_some_and(|changes| from >= changes) {
            self.change(random);
        }
        if self.seconds.len() <= segment {
            self.seconds.resize_with(segment + 1, Second::default);
        }
        let mut counted = Counted::default();
        let steps = seconds.ceil().max(1.0);
        let step = seconds / steps;
        let mut at = from;
        while at < from + seconds - 0.5 * step {
            self.seconds[segment].begin(at.floor(), self.parts.len());
            self.step(segment, share * self.requests_per_second * step, bursts, rate(at), &mut counted, random);
            at += step;
        }
        counted
    }

    /// At most a second.
    fn step(
        &mut self,
        segment: usize,
        requests: f64,
        bursts: Bursts,
        rate: f64,
        counted: &mut Counted,
        random: &mut Random,
    ) {
        let second = &mut self.seconds[segment];
        let mut points = Points::new(random);
        let mut together = 0.0;
        for (i, part) in self.parts.iter().enumerate() {
            let mean = requests * part;
            if mean <= 0.0 {
                continue;
            }
            let mut failing = rate;
            let errors = match bursts {
                Bursts::None => points.draw(random, mean * rate),
                Bursts::Geometric(size) => {
                    let bursts = points.draw(random, mean * rate / size);
                    (0..whole(bursts)).map(|_| geometric(random, size)).sum()
                }
                Bursts::HeavyTailed => {
                    let bursts = points.draw(random, mean * rate / 3.0);
                    (0..whole(bursts)).map(|_| uniform(random).powf(-1.0 / 1.5).min(mean.max(1.0)).floor()).sum()
                }
                Bursts::Lasting(seconds) => {
                    let left = &mut self.lasting[i];
                    if *left == 0 && is_drawn(random, rate / LASTING_RATE / f64::from(seconds)) {
                        *left = seconds;
                    }
                    failing = if *left > 0 { LASTING_RATE } else { 0.0 };
                    *left = left.saturating_sub(1);
                    poisson(random, mean * failing)
                }
            };
            let successful = mean * (1.0 - failing);
            let mut is_active = errors > 0.0;
            if successful >= BUSY {
                together += successful;
                is_active = true;
            } else {
                let successes = poisson(random, successful);
                counted.successes += successes;
                is_active |= successes > 0.0;
            }
            counted.errors += errors;
            if is_active && !second.active[i] {
                second.active[i] = true;
                counted.active_seconds += 1.0;
            }
            if errors > 0.0 && !second.failed[i] {
                second.failed[i] = true;
                counted.error_seconds += 1.0;
            }
        }
        if together > 0.0 {
            counted.successes += poisson(random, together);
        }
    }

    fn change(&mut self, random: &mut Random) {
        self.changes = self.changes.map(|changes| changes + CHANGED_AFTER);
        let away = 0.5 * uniform(random);
        self.parts.clone_from(&self.all);
        // The first one stays: an arm without an instance has no traffic.
        for part in self.parts.iter_mut().skip(1) {
            if is_drawn(random, away) {
                *part = 0.0;
            }
        }
        normalize(&mut self.parts);
    }
}

impl Second {
    fn begin(&mut self, at: f64, instances: usize) {
        if self.active.len() != instances || self.at < at {
            self.at = at;
            for seen in [&mut self.active, &mut self.failed] {
                seen.clear();
                seen.resize(instances, false);
            }
        }
    }
}

fn geometric(random: &mut Random, mean: f64) -> f64 {
    if mean <= 1.0 {
        return 1.0;
    }
    1.0 + (uniform(random).ln() / (1.0 - 1.0 / mean).ln()).floor()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(count: f64) -> u64 {
    count as u64
}

fn normalize(parts: &mut [f64]) {
    let total: f64 = parts.iter().sum();
    for part in parts {
        *part /= total;
    }
}
