//! Outcomes of calls, and their reporting: the words that every mechanism shares.

use crate::clock::{Instant, nanos};
use std::time::Duration;

/// Outcome of one call. Every admitted call ends in exactly one outcome.
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

/// A classifier's view of a finished call.
///
/// Two machine words, so that it travels in registers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Classification {
    outcome: Outcome,
    retry_after: RetryAfter,
}

/// A time to be left alone, if any, in one machine word: nanoseconds, or the maximum. Cut at 584 years.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryAfter(u64);

impl RetryAfter {
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// From now until then.
    #[inline]
    pub(crate) fn between(now: Instant, then: Instant) -> Self {
        Self(then.as_nanos().saturating_sub(now.as_nanos()).min(u64::MAX - 1))
    }

    pub(crate) const fn get(self) -> Option<Duration> {
        match self.0 {
            u64::MAX => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

impl From<Option<Duration>> for RetryAfter {
    fn from(after: Option<Duration>) -> Self {
        after.map_or(Self::NONE, |after| Self(nanos(after).min(u64::MAX - 1)))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for RetryAfter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

impl Classification {
    /// A call that ended in `outcome`.
    #[inline]
    pub const fn new(outcome: Outcome) -> Self {
        Self { outcome, retry_after: RetryAfter::NONE }
    }

    /// Adds the time for which the dependency asked to be left alone (`Retry-After`, gRPC pushback). Cut at 584 years.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after).into();
        self
    }

    /// A success that says nothing else.
    #[inline]
    pub(crate) const fn is_plain_success(self) -> bool {
        matches!(self, Self { outcome: Outcome::Success, retry_after: RetryAfter::NONE })
    }

    /// The outcome.
    #[inline]
    pub const fn outcome(self) -> Outcome {
        self.outcome
    }

    /// The time for which the dependency asked to be left alone.
    pub const fn requested_wait(self) -> Option<Duration> {
        self.retry_after.get()
    }
}

impl std::fmt::Debug for Classification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Classification");
        shown.field("outcome", &self.outcome).field("retry_after", &self.requested_wait()).finish()
    }
}

impl From<Outcome> for Classification {
    fn from(outcome: Outcome) -> Self {
        Self::new(outcome)
    }
}

/// A call in progress that must be settled.
///
/// A permit implements this; classifiers and response bodies hold one until the end is known. Dropping it
/// instead reports [`Outcome::Abandoned`], or [`Outcome::Panicked`] after [`panicked`](Settle::panicked). `()` watches
/// nothing.
pub trait Settle {
    /// Reports the outcome. It is reported once, however often this is called.
    fn settle(&mut self, classification: Classification);

    /// The dependency has answered; the rest is the answer's body. A call's duration ends here, so that a
    /// large download is not a slow call.
    fn answered(&mut self) {}

    /// A part of the answer's body came: a stall begins now at the earliest.
    fn progressed(&mut self) {}

    /// Returns whether the body has given nothing for longer than the slow-call threshold, or 1 s without one.
    fn is_stalled(&self) -> bool {
        false
    }

    /// A fallback answered instead of the call's own result.
    fn fallback_used(&mut self) {}

    /// Foreign code that ran on behalf of the call has panicked.
    fn panicked(&mut self) {}
}

/// Runs foreign code on behalf of a call, which hears of its panic.
///
/// Only while the stack unwinds is there anything to do. Notifying the guard before and after each poll was 80 of the
/// 437
/// instructions of a call through three mechanisms.
#[inline]
pub(crate) fn on_behalf_of<G: Settle, T>(guard: &mut G, foreign: impl FnOnce() -> T) -> T {
    struct Unwinding<'a, G: Settle>(&'a mut G);

    impl<G: Settle> Drop for Unwinding<'_, G> {
        #[cold]
        fn drop(&mut self) {
            self.0.panicked();
        }
    }

    let unwinding = Unwinding(guard);
    let result = foreign();
    std::mem::forget(unwinding);
    result
}

impl Settle for () {
    fn settle(&mut self, _: Classification) {}
}

impl<G: Settle> Settle for Option<G> {
    #[inline]
    fn settle(&mut self, classification: Classification) {
        if let Some(guard) = self {
            guard.settle(classification);
        }
    }

    #[inline]
    fn answered(&mut self) {
        if let Some(guard) = self {
            guard.answered();
        }
    }

    fn progressed(&mut self) {
        if let Some(guard) = self {
            guard.progressed();
        }
    }

    fn is_stalled(&self) -> bool {
        self.as_ref().is_some_and(G::is_stalled)
    }

    #[inline]
    fn fallback_used(&mut self) {
        if let Some(guard) = self {
            guard.fallback_used();
        }
    }

    fn panicked(&mut self) {
        if let Some(guard) = self {
            guard.panicked();
        }
    }
}
