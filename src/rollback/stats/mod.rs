//! Statistics behind the triggers, and the tests that may be looked at once.

pub(crate) mod dispersion;
pub(crate) mod errors;
mod fixed;
pub(crate) mod latency;
pub(crate) mod mixture;

pub use fixed::{Comparison, FixedHorizon, LookError, Method, Moments, Proportion, Test};
