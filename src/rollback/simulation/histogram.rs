//! Latencies of one arm, in buckets.

use super::draw::{Random, binomial, lognormal, poisson};
use super::world::{Fault, Latencies};
use statrs::function::erf::erfc;

/// How often an instance stops, and for how long, in seconds.
const PAUSES_PER_SECOND: f64 = 1.0 / 40.0;
const PAUSE: f64 = 0.5;
/// Chance of a bucket under which it stays empty.
const NEVER: f64 = 1e-9;

#[derive(Clone, Debug)]
pub(super) struct Histogram {
    minute: f64,
    /// The arm's factor in this minute.
    noise: f64,
    /// What the shares below are of.
    key: Option<(f64, bool)>,
    /// Share of requests at or below each bound: of those that run, and of those that a pause holds up.
    running: Vec<f64>,
    held_up: Vec<f64>,
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { minute: -1.0, noise: 1.0, key: None, running: Vec::new(), held_up: Vec::new() }
    }

    /// Counts of so many requests in a tick; one more than there are bounds. `fault` is that of this moment, if any.
    pub(super) fn count(
        &mut self,
        latencies: &Latencies,
        (at, seconds): (f64, f64),
        requests: f64,
        fault: Option<&Fault>,
        instances: u32,
        random: &mut Random,
    ) -> Vec<f64> {
        let minute = (at / 60.0).floor();
        if self.minute < minute {
            self.minute = minute;
            self.noise = lognormal(random, latencies.noise);
        }
        self.shares(latencies, fault);
        let waiting = if latencies.has_pauses {
            let instances = f64::from(instances);
            let pauses = poisson(random, instances * seconds * PAUSES_PER_SECOND);
            (pauses * PAUSE / instances / seconds).min(1.0)
        } else {
            0.0
        };
        let mut left = requests;
        let mut before = 0.0;
        let mut counts = Vec::with_capacity(latencies.bounds.len() + 1);
        for (running, held_up) in self.running.iter().zip(&self.held_up) {
            let share = running + waiting * (held_up - running);
            let of_the_rest = (share - before) / (1.0 - before).max(NEVER);
            let count = if of_the_rest < NEVER { 0.0 } else { binomial(random, left, of_the_rest) };
            counts.push(count);
            left -= count;
            before = share;
        }
        counts.push(left);
        counts
    }

    fn shares(&mut self, latencies: &Latencies, fault: Option<&Fault>) {
        let factor = self.noise * fault.map_or(1.0, |fault| fault.slower);
        if self.key == Some((factor, fault.is_some())) {
            return;
        }
        self.key = Some((factor, fault.is_some()));
        let below = |latency: f64| {
            let log = (latency / latencies.median / factor).ln();
            if latency <= 0.0 { 0.0 } else { 0.5 * erfc(-log / latencies.sigma / std::f64::consts::SQRT_2) }
        };
        let (slow, added) = fault.map_or((0.0, 0.0), |fault| (fault.slow_share, fault.added));
        let running = |bound: f64| (1.0 - slow) * below(bound) + slow * below(bound - added);
        self.running = latencies.bounds.iter().map(|bound| running(*bound)).collect();
        // A request comes at any moment of a pause.
        let moments = [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95].map(|part| part * PAUSE);
        let held_up = |bound: f64| moments.iter().map(|wait| running(bound - wait)).sum::<f64>() / moments.len() as f64;
        self.held_up = if latencies.has_pauses {
            latencies.bounds.iter().map(|bound| held_up(*bound)).collect()
        } else {
            self.running.clone()
        };
    }
}
