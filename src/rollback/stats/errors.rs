//! Evidence of one tick that the canary fails more often than the baseline.
//!
//! Two units, chosen by how often the baseline's active seconds have an error. Below about 60 %, an *error-second* (an
//! instance-second with at least one error) is nearly as informative as the errors themselves and immune to bursts. Above,
//! error-seconds saturate, and errors count instead, tempered by their dispersion: bursts then come often enough for it to
//! be known. A tick without error-seconds has errors as its only unit.

#[cfg(test)]
mod tests;

use super::dispersion::Dispersion;
use super::mixture::{Increments, Ratios};

/// Counts of one arm in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) errors: f64,
    pub(crate) requests: f64,
    /// Instance-seconds with an error, and with a request; `None` if not measured.
    pub(crate) seconds: Option<Seconds>,
}

/// Instance-seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seconds {
    pub(crate) error: f64,
    pub(crate) active: f64,
}

/// Model of a segment's errors, from past ticks.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorModel {
    by_errors: bool,
    /// Faded sums of the baseline.
    past: Past,
    canary: Dispersion,
    baseline: Dispersion,
    /// Of the baseline's error-seconds, in blocks of time.
    blocks: Dispersion,
    block: Block,
    clumps: Clumps,
}

/// Faded sums of the canary, for the number of errors that come together in a second of an instance.
#[derive(Clone, Copy, Debug, Default)]
struct Clumps {
    errors: f64,
    error_seconds: f64,
    active: f64,
}

impl Clumps {
    fn learn(&mut self, canary: &Counts, seconds: f64) {
        let Some(Seconds { error, active }) = canary.seconds else { return };
        let keep = (-seconds / MEMORY).exp();
        self.errors = self.errors * keep + canary.errors;
        self.error_seconds = self.error_seconds * keep + error;
        self.active = self.active * keep + active;
    }

    /// Errors of a clump, at least 1. Independent clumps that share a second count apart.
    fn size(&self) -> f64 {
        let clumps = -self.active * (-(self.error_seconds / self.active.max(1.0)).min(0.98)).ln_1p();
        ((self.errors + CLUMPS_PRIOR) / (clumps + CLUMPS_PRIOR)).max(1.0)
    }
}

/// A block of time that is being counted.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    seconds: f64,
    errors: f64,
    active: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Past {
    /// Of the baseline.
    errors: f64,
    requests: f64,
    error_seconds: f64,
    /// Error-seconds of both arms; active seconds and requests of each.
    both: f64,
    active: (f64, f64),
    counted: (f64, f64),
}

impl Past {
    /// Probability that a request fails, by the error-seconds of both arms.
    fn rate(&self) -> f64 {
        if self.active.0 < 1.0 || self.active.1 < 1.0 {
            return 1e-4;
        }
        let load = (self.counted.0 / self.active.0, self.counted.1 / self.active.1);
        solve(self.both + 0.1, self.active, load)
    }
}

/// Seconds after which a past tick has lost 63 % of its weight.
const MEMORY: f64 = 60.0;
/// Share of active seconds with an error above which errors are the unit, and below which error-seconds are again.
const SATURATED: f64 = 0.12;
const UNSATURATED: f64 = 0.1;
/// Dispersion before it is known.
const DISPERSION_PRIOR: f64 = 2.0;
/// Most by which the dispersion is multiplied. With bursts, `exp(L / dispersion)` is no supermartingale at 1.0; it is at 1.5
/// for ratios up to 8 (simulated).
const DISPERSION_MARGIN: f64 = 1.5;
/// Most of the busier arm's dispersion that the other one is taken to have: one without errors shows none, and a fault in
/// bursts would temper its own evidence.
const BORROWED_MAX: f64 = 4.0;
/// Fewest requests of a lost baseline: the error of one that had less is as rare as of so many.
const FEW: f64 = 50.0;
/// Seconds in a block. Bursts that last for seconds leave error-seconds in a row, which are no more independent than the
/// errors of one second.
const BLOCK: f64 = 10.0;
/// Clumps of one error that are believed before any was seen.
const CLUMPS_PRIOR: f64 = 2.0;
/// Error-seconds in both arms together above which the exact likelihood costs more than it gains.
const EXACT_MAX: f64 = 200.0;
/// Expected errors of a canary at which a ratio of 1.15 is half tolerated.
const NOTICEABLE: f64 = 500.0;
/// Largest probability of an error: keeps odds finite.
const CERTAIN: f64 = 1.0 - 1e-9;

impl ErrorModel {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// The baseline's error rate of the last minute.
    pub(crate) fn rate(&self) -> f64 {
        (self.past.errors + 0.5) / (self.past.requests + 1000.0)
    }

    /// The same at most, by a standard error: what a baseline of little traffic was last is not known exactly.
    pub(crate) fn rate_at_most(&self) -> f64 {
        let Past { errors, requests, .. } = self.past;
        let deviation = (errors * self.baseline.factor(DISPERSION_PRIOR)).sqrt();
        (errors + deviation) / requests.max(FEW)
    }

    /// Ratio that is tolerated beyond the policy's: up to 1.15 where there are enough errors for 15 % to be noticed.
    pub(crate) fn tolerance(&self, canary: &Counts, seconds: f64, horizon: f64) -> f64 {
        let expected = self.rate() * canary.requests * horizon / seconds.max(1e-3);
        1.0 + 0.15 * expected / (expected + NOTICEABLE)
    }

    /// Log likelihood ratios of this tick for each of `ratios` times `tolerated` against `tolerated`. Added to `out`.
    pub(crate) fn compare(
        &self,
        canary: &Counts,
        baseline: &Counts,
        tolerated: f64,
        ratios: &Ratios,
        out: &mut Increments,
    ) {
        if canary.requests <= 0.0 || baseline.requests <= 0.0 || canary.errors + baseline.errors <= 0.0 {
            return;
        }
        match (canary.seconds, baseline.seconds) {
            (Some(own), Some(other))
                if !self.by_errors
                    && own.active >= 1.0
                    && other.active >= 1.0
                    && own.error + other.error <= SATURATED * (own.active + other.active) =>
            {
                self.by_seconds(canary, &own, baseline, &other, tolerated, ratios, out);
            }
            _ => self.by_counts(canary, baseline, tolerated, ratios, out),
        }
    }

    fn by_counts(&self, canary: &Counts, baseline: &Counts, tolerated: f64, ratios: &Ratios, out: &mut Increments) {
        let share = canary.requests / (canary.requests + baseline.requests);
        let dispersion = mean_dispersion(&self.canary, &self.baseline, share, DISPERSION_PRIOR);
        let temper = dispersion * dispersion.min(DISPERSION_MARGIN);
        Binomial::new(share, tolerated, ratios).add((canary.errors, baseline.errors), temper, out);
    }

    /// Given the error-seconds of both arms, those of the canary follow Fisher's noncentral hypergeometric distribution;
    /// its odds come from the requests in an active second, which may differ between the arms.
    #[expect(clippy::too_many_arguments, reason = "one formula of both arms")]
    fn by_seconds(
        &self,
        canary: &Counts,
        own: &Seconds,
        baseline: &Counts,
        other: &Seconds,
        tolerated: f64,
        ratios: &Ratios,
        out: &mut Increments,
    ) {
        let active = (own.active.round(), other.active.round());
        let errors = (own.error.round().min(active.0), other.error.round().min(active.1));
        let total = errors.0 + errors.1;
        if total <= 0.0 || total >= active.0 + active.1 {
            return;
        }
        let load = (canary.requests / active.0, baseline.requests / active.1);
        let rate = self.rate_by_seconds(total, active, load);
        let temper = self.blocks.sure_factor();
        let of_baseline = odds(rate, load.1);
        let odds = |ratio: f64| odds(rate * ratio, load.0) / of_baseline;
        let exact = (total <= EXACT_MAX).then(|| Hypergeometric::new(active, errors)).filter(Hypergeometric::is_finite);
        let Some(hypergeometric) = exact else {
            let share = active.0 / (active.0 + active.1);
            let none = odds(tolerated) * share + 1.0 - share;
            for (out, ratio) in out.iter_mut().zip(&ratios.all) {
                let relative = odds(ratio * tolerated) / odds(tolerated);
                let some = odds(ratio * tolerated) * share + 1.0 - share;
                *out += (errors.0 * relative.ln() - total * (some / none).ln()) / temper;
            }
            return;
        };
        let none = hypergeometric.weight(odds(tolerated)).ln();
        for (out, ratio) in out.iter_mut().zip(&ratios.all) {
            *out += (none - hypergeometric.weight(odds(ratio * tolerated)).ln()) / temper;
        }
    }

    /// Probability that a request fails, from both arms: that of the past minute, or of this tick where it is far from it.
    /// Given the sum, which the test is conditional on, it may be used.
    fn rate_by_seconds(&self, total: f64, active: (f64, f64), load: (f64, f64)) -> f64 {
        let past = self.past.rate();
        let expected = expected_seconds(past, active, load);
        if (total - expected).abs() > 3.0 * expected.sqrt() + 3.0 { solve(total, active, load) } else { past }
    }

    /// Log likelihood ratios of the canary alone: its rate is `ratio * limit` rather than `limit`. Added to `out`.
    pub(crate) fn alone(&self, canary: &Counts, limit: f64, ratios: &Ratios, out: &mut Increments) {
        if canary.requests <= 0.0 {
            return;
        }
        if let Some(seconds) = canary.seconds.filter(|seconds| seconds.active >= 1.0) {
            // A limit of errors is one of clumps: requests that fail together leave fewer error-seconds.
            let load = canary.requests / seconds.active / self.clumps.size();
            let probability = |rate: f64| (-(-rate * load).exp_m1()).clamp(1e-12, CERTAIN);
            let none = probability(limit);
            if none < 0.6 {
                let errors = seconds.error.min(seconds.active);
                for (out, ratio) in out.iter_mut().zip(&ratios.all) {
                    let some = probability(limit * ratio);
                    *out +=
                        errors * (some / none).ln() + (seconds.active - errors) * ((1.0 - some) / (1.0 - none)).ln();
                }
                return;
            }
        }
        let dispersion = self.canary.factor(self.baseline.factor(DISPERSION_PRIOR));
        add_alone((canary.errors, canary.requests), limit, dispersion, ratios, out);
    }

    /// Takes in a tick, after its evidence was computed: estimates use the past alone.
    pub(crate) fn learn(&mut self, canary: &Counts, baseline: Option<&Counts>, seconds: f64) {
        self.canary.learn(canary.errors, canary.requests);
        self.clumps.learn(canary, seconds);
        let Some(baseline) = baseline else { return };
        self.baseline.learn(baseline.errors, baseline.requests);
        let keep = (-seconds / MEMORY).exp();
        let past = &mut self.past;
        past.errors = past.errors * keep + baseline.errors;
        past.requests = past.requests * keep + baseline.requests;
        if let Some(counted) = baseline.seconds {
            let own = canary.seconds.unwrap_or(Seconds { error: 0.0, active: 0.0 });
            past.error_seconds = past.error_seconds * keep + counted.error;
            past.both = past.both * keep + counted.error + own.error;
            past.active = (past.active.0 * keep + own.active, past.active.1 * keep + counted.active);
            past.counted = (past.counted.0 * keep + canary.requests, past.counted.1 * keep + baseline.requests);
            let block = &mut self.block;
            *block = Block {
                seconds: block.seconds + seconds,
                errors: block.errors + counted.error,
                active: block.active + counted.active,
            };
            if block.seconds >= BLOCK {
                self.blocks.learn(block.errors, block.active);
                *block = Block::default();
            }
            let saturation = past.error_seconds / past.active.1.max(1.0);
            self.by_errors = saturation > if self.by_errors { UNSATURATED } else { SATURATED };
        }
    }
}

/// Dispersion of the canary's part of a sum: each arm's, weighted by the other one's share. That of the arm with less traffic
/// is drawn towards that of the other one, and not above what bursts in both arms usually have.
pub(super) fn mean_dispersion(canary: &Dispersion, baseline: &Dispersion, share: f64, prior: f64) -> f64 {
    let (own, other) = if share <= 0.5 {
        let other = baseline.factor(prior);
        (canary.factor(other), other)
    } else {
        let own = canary.factor(prior);
        (own, baseline.factor(own.clamp(prior, BORROWED_MAX)))
    };
    own * (1.0 - share) + other * share
}

/// Given the events of both arms, those of the canary are at most binomial (Hoeffding 1963).
pub(super) struct Binomial {
    /// Logarithm of the likelihood ratio for an event of the canary, and for one of either arm, at each ratio.
    own: Increments,
    any: Increments,
}

impl Binomial {
    /// `share` is the canary's share of the requests.
    pub(super) fn new(share: f64, tolerated: f64, ratios: &Ratios) -> Self {
        let none = tolerated * share + 1.0 - share;
        Self { own: ratios.logs, any: ratios.all.map(|ratio| ((ratio * tolerated * share + 1.0 - share) / none).ln()) }
    }

    /// Adds the logarithms for these events of the canary and of the baseline.
    pub(super) fn add(&self, (events, others): (f64, f64), temper: f64, out: &mut Increments) {
        for ((out, own), any) in out.iter_mut().zip(self.own).zip(self.any) {
            *out += (events * own - (events + others) * any) / temper;
        }
    }
}

/// Adds the logarithms for these events among an arm's requests: their rate is `ratio * limit` rather than `limit`.
pub(super) fn add_alone(
    (events, requests): (f64, f64),
    limit: f64,
    temper: f64,
    ratios: &Ratios,
    out: &mut Increments,
) {
    let events = events.min(requests);
    for (out, ratio) in out.iter_mut().zip(&ratios.all) {
        let some = (limit * ratio).min(CERTAIN);
        *out += (events * (some / limit).ln() + (requests - events) * ((1.0 - some) / (1.0 - limit)).ln()) / temper;
    }
}

/// Error-seconds of both arms at this rate.
fn expected_seconds(rate: f64, active: (f64, f64), load: (f64, f64)) -> f64 {
    -active.0 * (-rate * load.0).exp_m1() - active.1 * (-rate * load.1).exp_m1()
}

/// The rate at which both arms have this many error-seconds. Newton's method from below, where the sum is concave.
fn solve(total: f64, active: (f64, f64), load: (f64, f64)) -> f64 {
    let total = total.min(0.98 * (active.0 + active.1));
    let mut rate = total / (active.0 * load.0 + active.1 * load.1).max(1e-9);
    for _ in 0..6 {
        let slope = active.0 * load.0 * (-rate * load.0).exp() + active.1 * load.1 * (-rate * load.1).exp();
        rate += (total - expected_seconds(rate, active, load)) / slope.max(1e-9);
    }
    rate.clamp(1e-9, 1.0)
}

/// Odds that a second with `load` requests has an error.
fn odds(rate: f64, load: f64) -> f64 {
    (rate * load).min(20.0).exp_m1().max(1e-12)
}

/// Fisher's noncentral hypergeometric distribution, relative to what was observed.
struct Hypergeometric {
    /// Weight of each number of the canary's error-seconds from the observed one on, upwards and downwards.
    up: Vec<f64>,
    down: Vec<f64>,
}

impl Hypergeometric {
    fn new((own, other): (f64, f64), (errors, others): (f64, f64)) -> Self {
        let total = errors + others;
        let mut up = vec![1.0];
        let mut at = errors;
        while at < own && at < total {
            // C(own, at + 1) C(other, total - at - 1) over the same at `at`.
            let factor = (own - at) * (total - at) / ((at + 1.0) * (other - total + at + 1.0));
            up.push(up[up.len() - 1] * factor);
            at += 1.0;
        }
        let mut down = vec![1.0];
        let mut at = errors;
        while at > 0.0 && total - at < other {
            let factor = at * (other - total + at) / ((own - at + 1.0) * (total - at + 1.0));
            down.push(down[down.len() - 1] * factor);
            at -= 1.0;
        }
        Self { up, down }
    }

    /// Whether no weight is beyond numbers: what was observed may be too improbable.
    fn is_finite(&self) -> bool {
        self.up.iter().chain(&self.down).all(|weight| weight.is_finite() && *weight < 1e150)
    }

    /// One over the probability of what was observed, but for a constant.
    fn weight(&self, odds: f64) -> f64 {
        let polynomial = |terms: &[f64], at: f64| terms.iter().rev().fold(0.0, |sum, term| sum * at + term);
        polynomial(&self.up, odds) + polynomial(&self.down, 1.0 / odds) - 1.0
    }
}
