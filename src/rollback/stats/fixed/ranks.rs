//! Two samples by rank: Mann-Whitney U in its asymptotic form, with corrections for continuity and ties.

use super::comparison::{Comparison, LookError, Method, two_sided};

pub(super) fn of_samples(canary: &[f64], baseline: &[f64]) -> Result<Comparison, LookError> {
    // Plus 0: a negative zero ties with a positive one.
    let of = |sample: &[f64], is_canary| sample.iter().map(move |value| (*value + 0.0, is_canary)).collect::<Vec<_>>();
    let mut values = [of(canary, true), of(baseline, false)].concat();
    if values.iter().any(|(value, _)| !value.is_finite()) {
        return Err(LookError::NotFinite);
    }
    values.sort_by(|one, other| one.0.total_cmp(&other.0));
    let ties = values.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()).map(|tie| {
        let canary = tie.iter().filter(|(_, is_canary)| *is_canary).count() as u64;
        (canary, tie.len() as u64 - canary)
    });
    compare(ties, canary.len() as u64, baseline.len() as u64)
}

pub(super) fn of_histograms(canary: &[u64], baseline: &[u64]) -> Result<Comparison, LookError> {
    if canary.len() != baseline.len() {
        return Err(LookError::Buckets { canary: canary.len(), baseline: baseline.len() });
    }
    let sum = |counts: &[u64]| {
        let sum = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        sum.filter(|sum| *sum <= 1 << 61).ok_or(LookError::TooLarge)
    };
    let ties = canary.iter().copied().zip(baseline.iter().copied());
    compare(ties, sum(canary)?, sum(baseline)?)
}

/// Compares two arms by their counts of each distinct value, in ascending order.
fn compare(ties: impl Iterator<Item = (u64, u64)>, canary: u64, baseline: u64) -> Result<Comparison, LookError> {
    if canary == 0 || baseline == 0 {
        return Err(LookError::TooFew { has: 0, needs: 1 });
    }
    let all = canary + baseline;
    // Pairs in which the canary's value is the larger one, less those in which it is the smaller one; in integers, as the
    // difference of two ranks sums of large counts would lose its digits.
    let mut won: i128 = 0;
    let mut below: u64 = 0;
    let mut spread = 0.0;
    for (mine, theirs) in ties {
        let above = baseline - below - theirs;
        won += i128::from(mine) * (i128::from(below) - i128::from(above));
        below += theirs;
        // The sum of n^3 - t^3 in a form without cancellation: the ties of one bucket may be all values but one.
        let alike = mine + theirs;
        spread += alike as f64 * (all - alike) as f64 * (all as f64 + alike as f64);
    }
    let pairs = i128::from(canary) * i128::from(baseline);
    let variance = pairs as f64 / 12.0 * (spread / all as f64 / (all - 1) as f64);
    let distance = won.unsigned_abs() as f64 / 2.0 - 0.5;
    // All values alike: nothing speaks for a difference.
    let p = if variance > 0.0 { two_sided(distance / variance.sqrt()) } else { 1.0 };
    let statistic = (pairs + won) as f64 / 2.0;
    Ok(Comparison { method: Method::MannWhitney, statistic, p, effect: won as f64 / pairs as f64 })
}
