//! Outcomes of calls, and the trait of guards that report them: shared by every mechanism.

use crate::clock::{Instant, nanos};
use crate::sync::thread_local;
use std::cell::Cell;
use std::time::Duration;

/// Side of a call that a layer is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// In front of a server's own handlers.
    Inbound,
    /// In front of a client of a dependency.
    Outbound,
}

/// Outcome of one call. Every admitted call ends in exactly one outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Outcome {
    /// The dependency served the call.
    Success,
    /// The dependency failed.
    Failure,
    /// No evidence about the dependency: a caller's mistake, or a rejection by an inner layer.
    Ignored,
    /// The future or permit was dropped before an outcome was known: a timeout, or a caller that disconnected.
    Abandoned,
    /// The call panicked.
    Panicked,
}

/// A classifier's verdict on a finished call: the outcome, and a requested wait.
///
/// Two machine words, so that it is passed in registers. Equal are those of the same outcome and the same wait.
#[derive(Clone, Copy)]
pub struct Classification {
    outcome: Outcome,
    /// The wait, or a [`Cause`].
    retry_after: RetryAfter,
}

/// Side that brought an outcome about, where that is known. A requested wait takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The caller: a request that cannot be served as it is.
    Caller,
    /// A mechanism of this crate that rejected the call, by its number.
    Rejection(u8),
}

/// An optional wait in one machine word: nanoseconds, or a number near the maximum for none. Saturates at 584 years.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryAfter(u64);

impl RetryAfter {
    pub(crate) const NONE: Self = Self(u64::MAX);
    /// No wait, and the caller's fault.
    const CALLER: u64 = u64::MAX - 1;
    /// The longest wait. Between this and [`CALLER`](Self::CALLER) are the mechanisms that rejected a call.
    const LONGEST: u64 = u64::MAX - 258;

    /// The time from `now` until `then`.
    #[inline]
    pub(crate) fn between(now: Instant, then: Instant) -> Self {
        Self(then.as_nanos().saturating_sub(now.as_nanos()).min(Self::LONGEST))
    }

    pub(crate) const fn get(self) -> Option<Duration> {
        match self.0 {
            nanos if nanos > Self::LONGEST => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }
}

impl From<Option<Duration>> for RetryAfter {
    fn from(after: Option<Duration>) -> Self {
        after.map_or(Self::NONE, |after| Self(nanos(after).min(Self::LONGEST)))
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

    /// Adds the wait that the dependency asked for (`Retry-After`, gRPC pushback). Saturates at 584 years.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after).into();
        self
    }

    /// The same outcome, brought about by the caller: a 4xx, or a gRPC code such as `NOT_FOUND`. It takes the place of a
    /// requested wait. [`signals`](crate::signals) count it as a client error; other mechanisms look at the outcome alone.
    #[must_use]
    pub const fn by_caller(mut self) -> Self {
        self.retry_after = RetryAfter(RetryAfter::CALLER);
        self
    }

    /// A call that a mechanism of this crate rejected.
    pub(crate) const fn rejected(by: u8) -> Self {
        Self { outcome: Outcome::Ignored, retry_after: RetryAfter(RetryAfter::CALLER - 1 - by as u64) }
    }

    /// Cause of the outcome, if it is known.
    pub(crate) fn cause(self) -> Option<Cause> {
        match self.retry_after.0 {
            u64::MAX => None,
            RetryAfter::CALLER => Some(Cause::Caller),
            word => u8::try_from(RetryAfter::CALLER - 1 - word).ok().map(Cause::Rejection),
        }
    }

    /// Returns whether it is a success without a requested wait.
    #[inline]
    pub(crate) const fn is_plain_success(self) -> bool {
        matches!(self.outcome, Outcome::Success) && self.retry_after.0 > RetryAfter::LONGEST
    }

    /// The outcome.
    #[inline]
    pub const fn outcome(self) -> Outcome {
        self.outcome
    }

    /// The wait that the dependency asked for.
    pub const fn retry_after(self) -> Option<Duration> {
        self.retry_after.get()
    }
}

impl std::fmt::Debug for Classification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Classification");
        shown.field("outcome", &self.outcome).field("retry_after", &self.retry_after()).finish()
    }
}

impl PartialEq for Classification {
    fn eq(&self, other: &Self) -> bool {
        (self.outcome, self.retry_after()) == (other.outcome, other.retry_after())
    }
}

impl Eq for Classification {}

impl From<Outcome> for Classification {
    fn from(outcome: Outcome) -> Self {
        Self::new(outcome)
    }
}

/// The guard of a call in progress: it reports the outcome.
///
/// Permits implement it; futures and response bodies hold one until the outcome is known. Dropping it before reports
/// [`Outcome::Abandoned`], or [`Outcome::Panicked`] after [`panicked`](Settle::panicked). `()` reports nothing.
pub trait Settle {
    /// Reports the outcome. Only the first call counts.
    fn settle(&mut self, classification: Classification);

    /// Records that the call is under way: from now on it may be abandoned.
    fn pending(&mut self) {}

    /// Records that the response's head has arrived. The call's duration ends here, so that a large download is not a
    /// slow call.
    fn answered(&mut self) {}

    /// Records that the head says nothing bad and that the body decides the outcome. No stall is timed until
    /// [`awaits_frame`](Settle::awaits_frame).
    fn streams(&mut self) {}

    /// Records that a frame of the response's body is awaited, which starts the stall timer anew.
    fn awaits_frame(&mut self) {}

    /// Returns whether the body has stalled: a frame has been awaited for as long as
    /// [`stall_after`](crate::circuit_breaker::CircuitBreakerBuilder::stall_after) says.
    fn is_stalled(&self) -> bool {
        false
    }

    /// Returns whether a client is served under it, rather than a dependency called.
    fn is_inbound(&self) -> bool {
        false
    }

    /// Records that a fallback replaced the call's result.
    fn fallback_used(&mut self) {}

    /// Records that user code panicked while it ran for the call.
    fn panicked(&mut self) {}
}

thread_local! {
    /// The mechanism that rejected a call since an admitted one was last polled on this thread.
    static REJECTED_BY: Cell<Option<u8>> = const { Cell::new(None) };
}

/// Remembers that a mechanism rejects a call, for the calls around it.
#[inline]
pub(crate) fn note_rejection(by: u8) {
    let _ = REJECTED_BY.try_with(|last| last.set(Some(by)));
}

/// Forgets a rejection: what follows is another call's.
#[inline]
pub(crate) fn forget_rejection() {
    let _ = REJECTED_BY.try_with(|last| last.set(None));
}

/// Classification of an error of a type that cannot be looked into: if a mechanism has rejected a call in the poll that
/// returned it, it is taken for that rejection, otherwise for a failure.
pub(crate) fn of_opaque_error() -> Classification {
    let by = REJECTED_BY.try_with(Cell::get).ok().flatten();
    by.map_or(Outcome::Failure.into(), Classification::rejected)
}

/// Runs user code for a call, and reports a panic in it to the call's guard.
///
/// Work is needed only while the stack unwinds. Setting a flag in the guard before and after each poll took 80 of the
/// 437 instructions of a call through three mechanisms.
#[inline]
pub(crate) fn on_behalf_of<G: Settle, T>(guard: &mut G, foreign: impl FnOnce() -> T) -> T {
    let running = OnBehalf::begin(guard);
    let result = foreign();
    running.end();
    result
}

/// [`on_behalf_of`] without a closure, into which a request would be copied.
#[must_use = "dropped without `end` it reports a panic"]
pub(crate) struct OnBehalf<'a, G: Settle>(&'a mut G);

impl<'a, G: Settle> OnBehalf<'a, G> {
    #[inline]
    pub(crate) fn begin(guard: &'a mut G) -> Self {
        forget_rejection();
        Self(guard)
    }

    /// User code has returned.
    #[inline]
    pub(crate) fn end(self) {
        std::mem::forget(self);
    }
}

impl<G: Settle> Drop for OnBehalf<'_, G> {
    #[cold]
    fn drop(&mut self) {
        self.0.panicked();
    }
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

    fn pending(&mut self) {
        if let Some(guard) = self {
            guard.pending();
        }
    }

    #[inline]
    fn answered(&mut self) {
        if let Some(guard) = self {
            guard.answered();
        }
    }

    #[inline]
    fn streams(&mut self) {
        if let Some(guard) = self {
            guard.streams();
        }
    }

    #[inline]
    fn is_inbound(&self) -> bool {
        self.as_ref().is_some_and(G::is_inbound)
    }

    fn awaits_frame(&mut self) {
        if let Some(guard) = self {
            guard.awaits_frame();
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
