//! Two means: Welch's t-test, which does not ask for equal variances.

use super::comparison::{Comparison, LookError, Method, two_sided};
use statrs::function::beta::beta_reg;
use std::f64::consts::PI;

/// Degrees of freedom from which Fisher's expansion is exact to 1e-11, while the continued fraction of the beta function
/// needs more steps than statrs takes.
const EXPANDED_FROM: f64 = 3_000.0;

/// Count, mean and sample variance of an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    count: u64,
    mean: f64,
    variance: f64,
}

impl Moments {
    /// Moments that were computed elsewhere; the variance is that of the sample (divided by `count - 1`).
    ///
    /// # Errors
    ///
    /// Fewer than two values, a number that is not finite and a negative variance are rejected.
    pub fn new(count: u64, mean: f64, variance: f64) -> Result<Self, LookError> {
        if count < 2 {
            return Err(LookError::TooFew { has: count, needs: 2 });
        }
        let is_usable = mean.is_finite() && variance.is_finite() && variance >= 0.0;
        if is_usable { Ok(Self { count, mean, variance }) } else { Err(LookError::NotFinite) }
    }

    /// Moments of a sample.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); values whose sum or squares overflow are rejected as well.
    pub fn of(sample: &[f64]) -> Result<Self, LookError> {
        let count = sample.len() as f64;
        let mean = sample.iter().sum::<f64>() / count;
        let squares: f64 = sample.iter().map(|value| (value - mean) * (value - mean)).sum();
        // The order of the checks: an empty sample has no mean either.
        Self::new(sample.len() as u64, if sample.len() < 2 { 0.0 } else { mean }, squares / (count - 1.0).max(1.0))
    }

    /// Number of values.
    pub const fn count(self) -> u64 {
        self.count
    }
}

pub(super) fn welch(canary: Moments, baseline: Moments) -> Result<Comparison, LookError> {
    let errors = [canary, baseline].map(|arm| arm.variance / arm.count as f64);
    let error = errors[0] + errors[1];
    if error == 0.0 {
        return Err(LookError::Constant);
    }
    // Welch-Satterthwaite by shares of the error: its square alone may underflow.
    let share = errors[0] / error;
    let terms = [(share, canary), (1.0 - share, baseline)].map(|(share, arm)| share * share / (arm.count - 1) as f64);
    let freedom = 1.0 / (terms[0] + terms[1]);
    let difference = canary.mean - baseline.mean;
    let statistic = difference / error.sqrt();
    let effect = difference / canary.variance.midpoint(baseline.variance).sqrt();
    if !statistic.is_finite() || !effect.is_finite() {
        return Err(LookError::NotFinite);
    }
    Ok(Comparison { method: Method::WelchT, statistic, p: two_sided_t(statistic.abs(), freedom), effect })
}

/// Probability that a t-distributed value is at least this far from 0.
fn two_sided_t(t: f64, freedom: f64) -> f64 {
    let square = t * t;
    if freedom < EXPANDED_FROM {
        return beta_reg(freedom / 2.0, 0.5, freedom / (freedom + square)).clamp(0.0, 1.0);
    }
    // Fisher, "Expansion of Student's integral in powers of 1/n" (1925).
    let density = (-square / 2.0).exp() / (2.0 * PI).sqrt();
    let first = t * (square + 1.0) / (4.0 * freedom);
    let second = t * (((3.0 * square - 7.0) * square - 5.0) * square - 3.0) / (96.0 * freedom * freedom);
    let correction = if density > 0.0 { 2.0 * density * (first + second) } else { 0.0 };
    (two_sided(t) + correction).clamp(0.0, 1.0)
}
