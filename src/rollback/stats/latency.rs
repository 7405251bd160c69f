//! Evidence that the canary's latency tail is longer than the baseline's.
//!
//! At each of five quantiles of the *past* baseline, the share of the canary's requests above a bucket's edge is compared
//! with the share of the baseline's above the edge over a margin. The margin is what ordinary noise of a whole arm may do;
//! without one, 5 % of noise a minute fires half of the time. It falls inside a bucket, which is interpolated.
//!
//! Buckets may be wider than the distribution. Quantiles that share an edge are then compared at the edges above it, and
//! evidence that rests on where in such a bucket the requests are grows slowly: within a minute, it may be noise.

use super::dispersion::Dispersion;
use super::errors::{Binomial, add_alone, mean_dispersion};
use super::mixture::{COMPONENTS, Increments, Ratios};
use statrs::function::erf::{erfc, erfc_inv};

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
/// Standard deviations between the bounds of a bucket above which its requests may be anywhere in it.
const WIDE: f64 = 2.5;
/// Most that the evidence grows in a second by an assumption about a wide bucket: in a minute, by as much as it may
/// otherwise in a second.
const GROWTH_ASSUMED: f64 = 2.5 / 60.0;

/// Ratio to the baseline's last share of slow requests that is tolerated after the baseline has ended, least share that is,
/// and most that a limit may be: nearly all requests are above a threshold that low.
const REMEMBERED_RATIO: f64 = 2.0;
const REMEMBERED_LEAST: f64 = 0.01;
const REMEMBERED_MOST: f64 = 0.9;

/// Log likelihood ratios at each quantile, once for each margin.
pub(crate) type TailIncrements = [[Increments; QUANTILES.len()]; 2];

/// Model of a segment's latency, from past ticks.
#[derive(Clone, Debug)]
pub(crate) struct LatencyModel {
    margins: [f64; 2],
    /// Upper bounds of the buckets; the last bucket has none.
    bounds: Vec<f64>,
    /// The baseline's requests by bucket, faded.
    past: Vec<f64>,
    tails: [Tail; QUANTILES.len()],
    /// Seconds since the thresholds were chosen.
    age: Option<f64>,
}

/// The requests above a quantile's threshold.
#[derive(Clone, Debug, Default)]
struct Tail {
    /// Number of the bucket that ends at the threshold.
    edge: usize,
    /// The threshold over each margin.
    within: [Within; 2],
    canary: Dispersion,
    baseline: Dispersion,
}

/// A latency inside a bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Within {
    bucket: usize,
    /// Part of the bucket above the latency.
    part: f64,
    /// Whether the part is an assumption alone.
    is_wide: bool,
}

impl Within {
    /// Adds the evidence that `add` finds against so many slow requests of the baseline. What a wide bucket proves counts at
    /// once, if all of its requests were slow; an assumption about it counts slowly.
    fn add(self, baseline: &[f64], seconds: f64, out: &mut Increments, add: impl Fn(f64, &mut Increments)) {
        let beyond = above(baseline, self.bucket);
        if !self.is_wide {
            return add(beyond + self.part * baseline[self.bucket], out);
        }
        let (mut assumed, mut proven) = ([0.0; COMPONENTS], [0.0; COMPONENTS]);
        add(beyond + self.part * baseline[self.bucket], &mut assumed);
        add(beyond + baseline[self.bucket], &mut proven);
        for ((out, assumed), proven) in out.iter_mut().zip(assumed).zip(proven) {
            *out += proven.max(assumed.min(GROWTH_ASSUMED * seconds));
        }
    }
}

impl LatencyModel {
    pub(crate) fn new(margins: [f64; 2]) -> Self {
        Self { margins, bounds: Vec::new(), past: Vec::new(), tails: Default::default(), age: None }
    }

    /// Forgets all if the bounds changed, and returns whether they did.
    pub(crate) fn begin(&mut self, bounds: &[f64]) -> bool {
        if self.bounds == bounds {
            return false;
        }
        let is_first = self.bounds.is_empty();
        *self = Self { bounds: bounds.to_vec(), past: vec![0.0; bounds.len() + 1], ..Self::new(self.margins) };
        !is_first
    }

    /// Takes in a tick. Its log likelihood ratios, by thresholds and dispersions of the past, are added to `out`.
    pub(crate) fn step(
        &mut self,
        canary: &[f64],
        baseline: &[f64],
        seconds: f64,
        ratios: &Ratios,
        out: &mut TailIncrements,
    ) {
        let requests = (canary.iter().sum::<f64>(), baseline.iter().sum::<f64>());
        let share = requests.0 / (requests.0 + requests.1);
        let is_compared = requests.0 > 0.0 && requests.1 > 0.0 && self.age.is_some();
        let binomial = is_compared.then(|| Binomial::new(share, 1.0, ratios));
        let tails = self.tails.iter_mut().enumerate().filter(|(_, tail)| tail.edge < self.bounds.len());
        for (i, tail) in tails {
            let Some(binomial) = &binomial else { break };
            let slow = above(canary, tail.edge);
            let temper = mean_dispersion(&tail.canary, &tail.baseline, share, 1.0).max(DISPERSION_MIN);
            for (out, within) in out.iter_mut().zip(tail.within) {
                within.add(baseline, seconds, &mut out[i], |expected, out| {
                    let busy = slow.min(expected) / seconds.max(1e-3) / EVENTS_PER_SECOND_MAX;
                    binomial.add((slow, expected), temper.max(busy), out);
                });
            }
            tail.canary.learn(slow, requests.0);
            tail.baseline.learn(above(baseline, tail.edge), requests.1);
        }
        let keep = (-seconds / MEMORY).exp();
        for (past, now) in self.past.iter_mut().zip(baseline) {
            *past = *past * keep + now;
        }
        self.age = self.age.map(|age| age + seconds);
        if self.age.is_none_or(|age| age >= CHOSEN_FOR) {
            self.choose();
        }
    }

    /// Takes in a tick after the baseline has ended: the canary is compared with what the baseline was, over the larger margin.
    /// Returns whether that is known for buckets with these bounds.
    pub(crate) fn recall(
        &mut self,
        bounds: &[f64],
        canary: &[f64],
        seconds: f64,
        ratios: &Ratios,
        out: &mut TailIncrements,
    ) -> bool {
        if self.bounds != bounds || self.age.is_none() {
            return false;
        }
        let requests: f64 = canary.iter().sum();
        let total: f64 = self.past.iter().sum();
        let tails = self.tails.iter_mut().enumerate().filter(|(_, tail)| tail.edge < self.bounds.len());
        for (i, tail) in tails {
            let slow = above(canary, tail.edge);
            let busy = slow / seconds.max(1e-3) / EVENTS_PER_SECOND_MAX;
            let temper = tail.canary.factor(tail.baseline.factor(1.0)).max(DISPERSION_MIN).max(busy);
            tail.within[1].add(&self.past, seconds, &mut out[1][i], |expected, out| {
                let limit = (REMEMBERED_RATIO * expected / total).max(REMEMBERED_LEAST);
                if limit <= REMEMBERED_MOST {
                    add_alone((slow, requests), limit, temper, ratios, out);
                }
            });
            tail.canary.learn(slow, requests);
        }
        true
    }

    /// The edge nearest to each quantile of the past, or the next one above those of lower quantiles.
    fn choose(&mut self) {
        let Self { margins, bounds, past, tails, age } = self;
        let total: f64 = past.iter().sum();
        if total < REQUESTS_MIN {
            return;
        }
        *age = Some(0.0);
        let mut free = 0;
        for (tail, quantile) in tails.iter_mut().zip(QUANTILES) {
            let wanted = (1.0 - quantile) * total;
            let distance = |edge: &usize| (above(past, *edge).max(1e-9) / wanted).ln().abs();
            // Of edges without a request between them, the one next to the quantile.
            let beyond = (free..bounds.len()).find(|edge| above(past, *edge) <= wanted).unwrap_or(bounds.len());
            let beside = beyond.saturating_sub(1).max(free)..bounds.len().min(beyond + 1);
            let nearest = beside.min_by(|one, other| distance(one).total_cmp(&distance(other)));
            tail.edge = nearest.unwrap_or(bounds.len());
            free = tail.edge + 1;
            let Some(bound) = bounds.get(tail.edge) else { continue };
            tail.within = margins.map(|margin| {
                let bucket = bounds.partition_point(|edge| *edge < bound / margin);
                let Inside { part, width } = inside(bounds, past, bucket, bound / margin);
                Within { bucket, part, is_wide: width > WIDE }
            });
        }
    }
}

/// Requests above the bucket's upper bound.
fn above(counts: &[f64], edge: usize) -> f64 {
    counts.iter().skip(edge + 1).sum()
}

/// Place of a latency in a bucket.
struct Inside {
    /// Part of the bucket above the latency.
    part: f64,
    /// Standard deviations between the bounds of the bucket.
    width: f64,
}

/// Part of a bucket above a latency inside it, as if latencies were lognormal between its bounds: the survival's normal
/// quantile is linear in the logarithm of the latency. A survival whose logarithm is linear (a Pareto tail) would be too
/// small inside wide buckets, and with it the margin.
fn inside(bounds: &[f64], past: &[f64], bucket: usize, latency: f64) -> Inside {
    let all = |part| Inside { part, width: 0.0 };
    let Some(upper) = bounds.get(bucket).copied() else { return all(0.0) };
    let lower = if bucket == 0 { upper / 2.0 } else { bounds[bucket - 1] };
    if past[bucket] <= 0.0 || lower <= 0.0 || latency <= lower {
        return all(if latency <= lower { 1.0 } else { 0.5 });
    }
    let total: f64 = past.iter().sum();
    let far = above(past, bucket);
    let near = far + past[bucket];
    // A tail that was never seen is half a request.
    let survival = |count: f64| count.clamp(0.5_f64.min(0.4 * total), total - 0.5_f64.min(0.4 * total)) / total;
    let normal = |survival: f64| std::f64::consts::SQRT_2 * erfc_inv(2.0 * survival);
    let (first, last) = (normal(survival(near)), normal(survival(far)));
    let position = (latency / lower).ln() / (upper / lower).ln();
    let at = 0.5 * erfc((first + position * (last - first)) / std::f64::consts::SQRT_2) * total;
    Inside { part: ((at - far) / (near - far)).clamp(0.0, 1.0), width: last - first }
}

/// Requests above a latency; inside a bucket, by the bucket's own slope.
pub(crate) fn above_latency(bounds: &[f64], counts: &[f64], latency: f64) -> f64 {
    let bucket = bounds.partition_point(|bound| *bound < latency);
    let Some(part) = counts.get(bucket) else { return 0.0 };
    if bounds.get(bucket).is_some_and(|bound| *bound <= latency) {
        return above(counts, bucket);
    }
    above(counts, bucket) + part * inside(bounds, counts, bucket, latency).part
}

/// The latency below which this share of the requests is; the last bound if it is above all, nothing without requests.
pub(crate) fn quantile(bounds: &[f64], counts: &[f64], share: f64) -> Option<f64> {
    let total: f64 = counts.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let mut below = 0.0;
    for (i, count) in counts.iter().enumerate() {
        if below + count >= share * total {
            let Some(upper) = bounds.get(i) else { break };
            let lower = if i == 0 { 0.0 } else { bounds[i - 1] };
            return Some(lower + (upper - lower) * (share * total - below) / count.max(f64::MIN_POSITIVE));
        }
        below += count;
    }
    bounds.last().copied()
}

/// Whether the latency of this share of the requests is above every bound: its value is not known then.
pub(crate) fn is_above_all(counts: &[f64], share: f64) -> bool {
    let total: f64 = counts.iter().sum();
    counts.last().is_some_and(|last| *last > (1.0 - share) * total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::stats::mixture::ratios;

    const BOUNDS: [f64; 4] = [0.1, 0.2, 0.4, 0.8];

    #[test]
    fn requests_above_a_latency_are_interpolated_in_its_bucket() {
        let counts = [50.0, 25.0, 15.0, 8.0, 2.0];
        let at = |latency| above_latency(&BOUNDS, &counts, latency);
        assert_eq!((at(0.1), at(0.2), at(0.8)), (50.0, 25.0, 2.0));
        assert!(at(0.15) < 50.0 && at(0.15) > 25.0, "{}", at(0.15));
        // Between both ends of a bucket of which half is left.
        let halves = [50.0, 25.0, 12.5, 6.25, 6.25];
        let middle = above_latency(&BOUNDS, &halves, 0.2 * 2.0_f64.sqrt());
        assert!((17.0..19.0).contains(&middle), "{middle}");
    }

    #[test]
    fn a_quantile_is_interpolated_and_unknown_without_requests() {
        let counts = [50.0, 25.0, 15.0, 8.0, 2.0];
        assert_eq!(quantile(&BOUNDS, &counts, 0.5), Some(0.1));
        assert_eq!(quantile(&BOUNDS, &counts, 0.999), Some(0.8));
        assert_eq!(quantile(&BOUNDS, &[0.0; 5], 0.5), None);
        assert!(is_above_all(&counts, 0.99) && !is_above_all(&counts, 0.95) && !is_above_all(&[0.0; 5], 0.5));
    }

    #[test]
    fn a_canary_like_the_baseline_is_no_evidence_and_a_slower_one_is() {
        let mut model = LatencyModel::new([1.18, 1.4]);
        assert!(!model.begin(&BOUNDS));
        let usual = [500.0, 300.0, 150.0, 40.0, 10.0];
        let slow = [100.0, 200.0, 400.0, 200.0, 100.0];
        let mut compare = |canary: &[f64; 5]| {
            let mut out = [[[0.0; COMPONENTS]; QUANTILES.len()]; 2];
            model.step(canary, &usual, 1.0, &ratios(180.0), &mut out);
            out.map(|of| of.iter().flatten().fold(0.0_f64, |most, value| most.max(*value)))
        };
        assert!(compare(&usual).iter().all(|most| *most < f64::MIN_POSITIVE), "nothing is known yet");
        assert!(compare(&usual)[0] < 0.1);
        let [early, late] = compare(&slow);
        assert!(early > 2.0 && late > 1.0 && late < early, "{early} {late}");
        assert!(model.begin(&[0.1, 0.3]), "other bounds begin anew");
    }
}
