//! Two proportions: chi-squared, or Fisher's exact test where a count is expected to be small.

use super::comparison::{Comparison, LookError, Method, two_sided};

/// Relative difference under which two probabilities count as equal: rounding separates those of symmetric tables.
const TIE: f64 = 1e-12;

/// A number of events in a number of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proportion {
    events: u64,
    total: u64,
}

impl Proportion {
    /// So many events in so many trials.
    ///
    /// # Errors
    ///
    /// More events than trials, no trial, and more than 2^61 trials are rejected.
    pub const fn new(events: u64, total: u64) -> Result<Self, LookError> {
        if events > total {
            Err(LookError::MoreThanAll { events, total })
        } else if total == 0 {
            Err(LookError::TooFew { has: 0, needs: 1 })
        } else if total > 1 << 61 {
            Err(LookError::TooLarge)
        } else {
            Ok(Self { events, total })
        }
    }

    /// Number of trials.
    pub const fn total(self) -> u64 {
        self.total
    }

    fn rate(self) -> f64 {
        self.events as f64 / self.total as f64
    }

    const fn others(self) -> u64 {
        self.total - self.events
    }
}

pub(super) fn compare(canary: Proportion, baseline: Proportion, yates: bool) -> Comparison {
    let events = canary.events + baseline.events;
    let all = canary.total + baseline.total;
    // In integers: two nearly equal products of large counts would lose their difference.
    let one = u128::from(canary.events) * u128::from(baseline.others());
    let other = u128::from(canary.others()) * u128::from(baseline.events);
    let effect = canary.rate() - baseline.rate();
    let least = canary.total.min(baseline.total) as f64 * events.min(all - events) as f64 / all as f64;
    if least < 5.0 {
        let is_undefined = events == 0 || events == all; // 0/0: the rates are equal, so are the odds
        let odds = if is_undefined { 1.0 } else { one as f64 / other as f64 };
        return Comparison { method: Method::FisherExact, statistic: odds, p: fisher(canary, baseline), effect };
    }
    let correction = if yates { all as f64 / 2.0 } else { 0.0 };
    let difference = (one.abs_diff(other) as f64 - correction).max(0.0);
    let margins = canary.total as f64 * baseline.total as f64 * events as f64 * (all - events) as f64;
    let statistic = all as f64 * difference * difference / margins;
    Comparison { method: Method::ChiSquared, statistic, p: two_sided(statistic.sqrt()), effect }
}

/// Sum of the probabilities of all tables with the same margins that are no more likely than this one.
///
/// The count of the smaller row in the smaller column decides about a table. Its weights are relative to the most likely
/// value and follow outward from there by the ratio of neighbours; differences of `ln_gamma` would lose all digits at
/// large counts. The mean of that count is under 5, so the weights underflow after a few hundred steps at most.
fn fisher(canary: Proportion, baseline: Proportion) -> f64 {
    let (row, rest) = if canary.total <= baseline.total { (canary, baseline) } else { (baseline, canary) };
    let (events, others) = (row.events + rest.events, row.others() + rest.others());
    let (column, seen) = if events <= others { (events, row.events) } else { (others, row.others()) };
    let all = row.total + rest.total;
    let ratio = |count: u64| {
        let up = (row.total - count) as f64 * (column - count) as f64;
        up / ((count + 1) as f64 * (all - row.total - column + count + 1) as f64)
    };
    let mode = u128::from(row.total + 1) * u128::from(column + 1) / u128::from(all + 2);
    let mode = u64::try_from(mode).unwrap_or(u64::MAX).min(row.total.min(column));

    let mut weights = vec![(mode, 1.0)];
    let (mut count, mut weight) = (mode, 1.0);
    while count > 0 && weight > 0.0 {
        count -= 1;
        weight /= ratio(count);
        weights.push((count, weight));
    }
    (count, weight) = (mode, 1.0);
    while count < row.total.min(column) && weight > 0.0 {
        weight *= ratio(count);
        count += 1;
        weights.push((count, weight));
    }
    let of_seen = weights.iter().find(|(count, _)| *count == seen).map_or(0.0, |(_, weight)| *weight);
    let all: f64 = weights.iter().map(|(_, weight)| weight).sum();
    let unlikely = weights.iter().map(|(_, weight)| weight).filter(|weight| **weight <= of_seen * (1.0 + TIE));
    (unlikely.sum::<f64>() / all).min(1.0)
}
