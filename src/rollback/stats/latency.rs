//! Evidence that the canary's latency tail is longer than the baseline's.
//!
//! At each of five quantiles of the *past* baseline, the share of the canary's requests above a bucket's edge is compared
//! with the share of the baseline's above the edge over a margin. The margin is what ordinary noise of a whole arm may do;
//! without one, 5 % of noise a minute fires half of the time. It falls inside a bucket, which is interpolated.

use super::dispersion::Dispersion;
use super::errors::{binomial, mean_dispersion};
use super::mixture::{COMPONENTS, Increments};

/// Quantiles whose tails are compared.
pub(crate) const QUANTILES: [f64; 5] = [0.5, 0.9, 0.98, 0.995, 0.999];

/// Seconds after which thresholds are chosen again.
const CHOSEN_FOR: f64 = 60.0;
/// Seconds after which a past tick has lost 63 % of its weight.
const MEMORY: f64 = 300.0;
/// Least dispersion of tail events, and most effective events in a second.
const DISPERSION_MIN: f64 = 1.2;
const EVENTS_PER_SECOND_MAX: f64 = 50.0;
/// Baseline requests from which thresholds are chosen.
const REQUESTS_MIN: f64 = 100.0;

/// What is known of a segment's latency from past ticks.
#[derive(Clone, Debug)]
pub(crate) struct LatencyModel {
    /// The baseline's requests by bucket, faded.
    past: Vec<f64>,
    chosen: Option<Chosen>,
    canary: [Dispersion; QUANTILES.len()],
    baseline: [Dispersion; QUANTILES.len()],
}

#[derive(Clone, Debug)]
struct Chosen {
    age: f64,
    /// Number of buckets at or below each quantile's threshold.
    edges: [usize; QUANTILES.len()],
}

impl LatencyModel {
    pub(crate) fn new() -> Self {
        let new = || std::array::from_fn(|_| Dispersion::default());
        Self { past: Vec::new(), chosen: None, canary: new(), baseline: new() }
    }

    /// Log likelihood ratios of this tick at each quantile; added to `out`. `bounds` are the buckets' upper bounds, the
    /// last bucket has none.
    pub(crate) fn compare(
        &self,
        bounds: &[f64],
        canary: &[f64],
        baseline: &[f64],
        margin: f64,
        seconds: f64,
        ratios: &Increments,
        out: &mut [Increments; QUANTILES.len()],
    ) {
        let Some(chosen) = &self.chosen else { return };
        let requests = (canary.iter().sum::<f64>(), baseline.iter().sum::<f64>());
        if requests.0 <= 0.0 || requests.1 <= 0.0 || self.past.len() != canary.len() {
            return;
        }
        let share = requests.0 / (requests.0 + requests.1);
        for (i, (edge, out)) in chosen.edges.iter().zip(out).enumerate() {
            if *edge >= bounds.len() {
                continue;
            }
            let slow = above(canary, *edge);
            let expected = self.above_within(bounds, baseline, bounds[*edge] / margin);
            let busy = slow.min(expected) / seconds.max(1e-3) / EVENTS_PER_SECOND_MAX;
            let temper = mean_dispersion(&self.canary[i], &self.baseline[i], share, 1.0).max(DISPERSION_MIN).max(busy);
            binomial((slow, expected), share, 1.0, temper, ratios, out);
        }
    }

    /// Requests above a latency inside a bucket, whose part is that of the past.
    fn above_within(&self, bounds: &[f64], counts: &[f64], latency: f64) -> f64 {
        let bucket = bounds.partition_point(|bound| *bound < latency);
        let upper = above(counts, bucket);
        let Some(part) = counts.get(bucket) else { return upper };
        upper + part * share_above(bounds, &self.past, bucket, latency)
    }

    /// Takes in a tick, after its evidence was computed.
    pub(crate) fn learn(&mut self, bounds: &[f64], canary: &[f64], baseline: &[f64], seconds: f64) {
        if let Some(chosen) = &mut self.chosen {
            let requests = (canary.iter().sum(), baseline.iter().sum());
            for (i, edge) in chosen.edges.iter().enumerate() {
                self.canary[i].learn(above(canary, *edge), requests.0);
                self.baseline[i].learn(above(baseline, *edge), requests.1);
            }
            chosen.age += seconds;
        }
        if self.past.len() != baseline.len() {
            self.past = vec![0.0; baseline.len()];
            self.chosen = None;
        }
        let keep = (-seconds / MEMORY).exp();
        for (past, now) in self.past.iter_mut().zip(baseline) {
            *past = *past * keep + now;
        }
        if self.chosen.as_ref().is_none_or(|chosen| chosen.age >= CHOSEN_FOR) {
            self.choose(bounds);
        }
    }

    /// The edge nearest to each quantile of the past.
    fn choose(&mut self, bounds: &[f64]) {
        let total: f64 = self.past.iter().sum();
        if total < REQUESTS_MIN {
            return;
        }
        let edges = QUANTILES.map(|quantile| {
            let wanted = ((1.0 - quantile) * total).ln();
            let distance = |edge: &usize| (above(&self.past, *edge).max(1e-9).ln() - wanted).abs();
            (0..bounds.len()).min_by(|one, other| distance(one).total_cmp(&distance(other))).unwrap_or(bounds.len())
        });
        self.chosen = Some(Chosen { age: 0.0, edges });
    }
}

/// Requests above the bucket's upper bound.
fn above(counts: &[f64], edge: usize) -> f64 {
    counts.iter().skip(edge + 1).sum()
}

/// Part of a bucket above a latency inside it: the logarithm of the survival is linear in that of the latency.
fn share_above(bounds: &[f64], past: &[f64], bucket: usize, latency: f64) -> f64 {
    let Some(upper) = bounds.get(bucket).copied() else { return 0.0 };
    let lower = if bucket == 0 { upper / 2.0 } else { bounds[bucket - 1] };
    let far = above(past, bucket).max(0.5);
    let near = (far + past[bucket]).max(far);
    if past[bucket] <= 0.0 || lower <= 0.0 || latency <= lower {
        return if latency <= lower { 1.0 } else { 0.5 };
    }
    let position = (latency / lower).ln() / (upper / lower).ln();
    let at = (near.ln() + position * (far.ln() - near.ln())).exp();
    ((at - far) / (near - far)).clamp(0.0, 1.0)
}

const _: () = assert!(COMPONENTS > 1);
