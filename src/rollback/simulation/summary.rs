//! Figures of many runs.

use statrs::distribution::{Beta, ContinuousCDF as _};

/// A share of runs, with its exact interval (Clopper & Pearson 1934) at 95 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    hits: u64,
    of: u64,
}

impl Share {
    /// The share of those that are true.
    pub fn of(runs: impl IntoIterator<Item = bool>) -> Self {
        let mut share = Self::default();
        for is_hit in runs {
            share.hits += u64::from(is_hit);
            share.of += 1;
        }
        share
    }

    /// The share itself; 0 of nothing.
    pub fn value(&self) -> f64 {
        self.hits as f64 / self.of.max(1) as f64
    }

    /// The lower bound.
    pub fn lower(&self) -> f64 {
        let (hits, misses) = (self.hits as f64, (self.of - self.hits) as f64);
        Beta::new(hits, misses + 1.0).map_or(0.0, |beta| beta.inverse_cdf(0.025))
    }

    /// The upper bound.
    pub fn upper(&self) -> f64 {
        let (hits, misses) = (self.hits as f64, (self.of - self.hits) as f64);
        Beta::new(hits + 1.0, misses).map_or(1.0, |beta| beta.inverse_cdf(0.975))
    }
}

/// The least value that is not under this share of them; infinite without values, and where runs without an end are.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let at = ((share * sorted.len() as f64).ceil() as usize).saturating_sub(1);
    sorted.get(at).copied().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_clopper_and_pearson() {
        let share = |hits, of| Share { hits, of };
        // R: binom.test(6, 2000), binom.test(0, 3000), binom.test(10, 10).
        for (share, lower, upper) in
            [(share(6, 2000), 0.001_102, 0.006_518), (share(0, 3000), 0.0, 0.001_229), (share(10, 10), 0.691_503, 1.0)]
        {
            assert!((share.lower() - lower).abs() < 2e-6, "{share:?} {}", share.lower());
            assert!((share.upper() - upper).abs() < 2e-6, "{share:?} {}", share.upper());
        }
    }

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert!((quantile(&[3.0, 1.0, 2.0], 0.5) - 2.0).abs() < 1e-9);
        assert!((quantile(&[3.0, 1.0, 2.0], 0.9) - 3.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).is_infinite());
    }
}
