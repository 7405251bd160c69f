//! Result of a test for one look, and the errors in place of one.

use statrs::function::erf::erfc;
use std::f64::consts::SQRT_2;

/// The test that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// Pearson's chi-squared, with or without Yates' correction.
    ChiSquared,
    /// Fisher's exact test.
    FisherExact,
    /// Welch's t-test.
    WelchT,
    /// Mann-Whitney U.
    MannWhitney,
}

/// Result of a test.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Comparison {
    /// The test that was made.
    pub method: Method,
    /// Chi-squared, the odds ratio (infinite where one arm has no event or nothing else), t, or U of the canary.
    pub statistic: f64,
    /// Probability of a difference at least this large if there is none, two-sided.
    pub p: f64,
    /// Size of the difference, 0 for none: of the two rates; of the means in standard deviations (Cohen's d); from -1 to
    /// 1, how much more often the canary's value is the larger one (rank-biserial correlation).
    pub effect: f64,
}

/// A test that has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// The test was looked at before.
    #[error(
        "second look at a fixed-horizon test: its p-value holds at one look only, and repeated looks turn chance into \
         findings; use an error or latency trigger to watch a rollout"
    )]
    SecondLook,
    /// An arm has fewer samples than the test was planned for.
    #[error("too early for a fixed-horizon test: the smaller arm has {has} samples of {needs}")]
    TooEarly {
        /// Samples of the smaller arm.
        has: u64,
        /// Samples that the test was planned for.
        needs: u64,
    },
    /// An arm is too small for the test at any time.
    #[error("an arm has {has} values, the test needs at least {needs}")]
    TooFew {
        /// Values of the smaller arm.
        has: u64,
        /// Least number of values.
        needs: u64,
    },
    /// More events than trials.
    #[error("{events} events of {total} are not possible")]
    MoreThanAll {
        /// Number of events.
        events: u64,
        /// Number of trials.
        total: u64,
    },
    /// A value that is NaN or infinite, or a variance that is negative or overflows.
    #[error("a value, mean or variance is not a finite number")]
    NotFinite,
    /// All values of both arms are alike within their arm, so nothing says how much chance varies them.
    #[error("both arms are constant: there is no variance to compare the means with")]
    Constant,
    /// Histograms of different shape.
    #[error("the histograms have {canary} and {baseline} buckets, must have the same")]
    Buckets {
        /// Buckets of the canary.
        canary: usize,
        /// Buckets of the baseline.
        baseline: usize,
    },
    /// Counts above 2^62 in all.
    #[error("the counts are too large, must be at most 2^62 in all")]
    TooLarge,
}

/// Probability that a standard normal value is at least this far from 0.
pub(super) fn two_sided(z: f64) -> f64 {
    erfc(z / SQRT_2).min(1.0)
}
