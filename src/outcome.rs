//! The words that every mechanism shares: how a call ended, and who has to be told.

use std::time::Duration;

/// How one call ended. Every admitted call ends in exactly one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Outcome {
    /// The dependency did what was asked.
    Success,
    /// The dependency failed.
    Failure,
    /// Says nothing about the dependency: a caller's mistake, or a rejection by an inner layer.
    Ignored,
    /// The future or permit was dropped before an outcome was known: a timeout or a caller that went away.
    Abandoned,
    /// The call panicked.
    Panicked,
}

/// What a classifier makes of a finished call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Classification {
    outcome: Outcome,
    retry_after: Option<Duration>,
}

impl Classification {
    /// A call that ended in `outcome`.
    pub const fn new(outcome: Outcome) -> Self {
        Self { outcome, retry_after: None }
    }

    /// Adds the time for which the dependency asked to be left alone (`Retry-After`, gRPC pushback).
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The outcome.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The time for which the dependency asked to be left alone.
    pub const fn requested_wait(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl From<Outcome> for Classification {
    fn from(outcome: Outcome) -> Self {
        Self::new(outcome)
    }
}

/// A call in progress that must be told how it ended.
///
/// A permit implements this; classifiers and response bodies hold one until the end is known. Dropping it
/// instead reports [`Outcome::Abandoned`], or [`Outcome::Panicked`] between [`enter`](Settle::enter) and
/// [`leave`](Settle::leave). `()` watches nothing.
pub trait Settle {
    /// Reports the outcome. It is reported once, however often this is called.
    fn settle(&mut self, classification: Classification);

    /// The dependency has answered; the rest is the answer's body. A call's duration ends here, so that a
    /// large download is not a slow call.
    fn answered(&mut self) {}

    /// A fallback answered instead of the call's own result.
    fn fallback_used(&mut self) {}

    /// Foreign code is about to run on behalf of the call.
    fn enter(&mut self) {}

    /// The foreign code returned.
    fn leave(&mut self) {}
}

impl Settle for () {
    fn settle(&mut self, _: Classification) {}
}

impl<G: Settle> Settle for Option<G> {
    fn settle(&mut self, classification: Classification) {
        if let Some(guard) = self {
            guard.settle(classification);
        }
    }

    fn answered(&mut self) {
        if let Some(guard) = self {
            guard.answered();
        }
    }

    fn fallback_used(&mut self) {
        if let Some(guard) = self {
            guard.fallback_used();
        }
    }

    fn enter(&mut self) {
        if let Some(guard) = self {
            guard.enter();
        }
    }

    fn leave(&mut self) {
        if let Some(guard) = self {
            guard.leave();
        }
    }
}
