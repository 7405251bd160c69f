//! Tests for one look: proportions, means and ranks at a sample size that is chosen in advance.
//!
//! The p-value of such a test holds at one look. Read every minute of half an hour, a chi-squared test at 5 % rolls 16 % of
//! the good releases back, and 63 % where errors come in bursts. A rollout therefore decides by processes that are valid
//! at every look; these tests are for an analysis afterwards, and for parity with tools that use them.
//! [`FixedHorizon`] rejects a second look.
//!
//! | test | compares | method |
//! |---|---|---|
//! | [`Test::Proportions`] | error rates | chi-squared; Fisher's exact where an expected count is under 5 |
//! | [`Test::Means`] | means | Welch's t |
//! | [`Test::Ranks`] | values, by rank | Mann-Whitney U, asymptotic, corrected for continuity and ties |
//! | [`Test::Histograms`] | values that were counted in buckets | the same; a bucket is a tie |
//!
//! All p-values are two-sided and agree with `SciPy` to 1e-9. The sign of the effect is that of canary minus baseline.

mod comparison;
mod means;
mod proportions;
mod ranks;
#[cfg(test)]
mod tests;

pub use comparison::{Comparison, LookError, Method};
pub use means::Moments;
pub use proportions::Proportion;

/// Both arms of a test.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Test<'a> {
    /// Two proportions; Yates' correction for continuity makes the chi-squared test more cautious.
    Proportions {
        /// The new version.
        canary: Proportion,
        /// The version before it.
        baseline: Proportion,
        /// Whether to correct for continuity.
        yates: bool,
    },
    /// Two means. They are sensitive to outliers: prefer ranks for latencies.
    Means {
        /// The new version.
        canary: Moments,
        /// The version before it.
        baseline: Moments,
    },
    /// Two samples, in any order.
    Ranks {
        /// The new version.
        canary: &'a [f64],
        /// The version before it.
        baseline: &'a [f64],
    },
    /// Counts in the same ascending buckets.
    Histograms {
        /// The new version.
        canary: &'a [u64],
        /// The version before it.
        baseline: &'a [u64],
    },
}

impl Test<'_> {
    /// Number of values in the smaller arm.
    fn samples(&self) -> u64 {
        let total = |counts: &[u64]| counts.iter().fold(0, |sum: u64, count| sum.saturating_add(*count));
        match self {
            Self::Proportions { canary, baseline, .. } => canary.total().min(baseline.total()),
            Self::Means { canary, baseline } => canary.count().min(baseline.count()),
            Self::Ranks { canary, baseline } => canary.len().min(baseline.len()) as u64,
            Self::Histograms { canary, baseline } => total(canary).min(total(baseline)),
        }
    }

    fn compare(&self) -> Result<Comparison, LookError> {
        match *self {
            Self::Proportions { canary, baseline, yates } => Ok(proportions::compare(canary, baseline, yates)),
            Self::Means { canary, baseline } => means::welch(canary, baseline),
            Self::Ranks { canary, baseline } => ranks::of_samples(canary, baseline),
            Self::Histograms { canary, baseline } => ranks::of_histograms(canary, baseline),
        }
    }
}

/// A test that is looked at once, when both arms have a number of samples that was chosen in advance.
///
/// # Examples
///
/// ```
/// use backstop::rollback::stats::{FixedHorizon, LookError, Proportion, Test};
///
/// let mut errors = FixedHorizon::new(100);
/// let test = Test::Proportions {
///     canary: Proportion::new(9, 100)?,
///     baseline: Proportion::new(10, 1_000)?,
///     yates: false,
/// };
/// let seen = errors.look(&test)?;
/// assert!(seen.p < 0.01 && seen.effect > 0.07);
/// assert_eq!(errors.look(&test), Err(LookError::SecondLook));
/// # Ok::<(), LookError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FixedHorizon {
    samples: u64,
    is_used: bool,
}

impl FixedHorizon {
    /// A test that takes place at this number of samples in each arm.
    pub const fn new(samples: u64) -> Self {
        Self { samples, is_used: false }
    }

    /// Compares both arms, once.
    ///
    /// # Errors
    ///
    /// [`LookError::TooEarly`] before the number of samples is reached and [`LookError::SecondLook`] after a result was
    /// returned; the other errors are about the values. Only a result uses the look up.
    pub fn look(&mut self, test: &Test<'_>) -> Result<Comparison, LookError> {
        if self.is_used {
            return Err(LookError::SecondLook);
        }
        let has = test.samples();
        if has < self.samples {
            return Err(LookError::TooEarly { has, needs: self.samples });
        }
        let seen = test.compare()?;
        self.is_used = true;
        Ok(seen)
    }
}
