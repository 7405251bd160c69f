//! One admitted call.

use super::handle::CircuitBreaker;
use super::owner::PermitOwner;
use super::ticket::Ticket;
use crate::outcome::{Classification, Outcome, Settle};
use std::fmt;

/// The right to make one call, and the duty to say how it ended.
///
/// Dropped without an outcome it reports [`Outcome::Abandoned`], or [`Outcome::Panicked`] when the thread is
/// panicking. A half-open probe's place is free again as soon as its permit is gone. A permit that is leaked
/// (`std::mem::forget`) keeps its place until the half-open time is over.
///
/// # Examples
///
/// ```
/// use backstop::CircuitBreaker;
///
/// let breaker = CircuitBreaker::new("payments");
/// let permit = breaker.try_acquire()?;
/// match std::fs::read("/etc/hostname") {
///     Ok(_) => permit.success(),
///     Err(_) => permit.failure(),
/// }
/// # Ok::<(), backstop::Rejected>(())
/// ```
#[must_use = "a permit that is dropped at once is an abandoned call"]
pub struct Permit<H: PermitOwner = CircuitBreaker> {
    holder: H,
    ticket: Ticket,
    phase: Phase,
    /// Whether the call was slow when the dependency answered.
    was_slow: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Held by the user, whose panic is the call's.
    Bare,
    /// Travels with a future; the thread's panic need not be its own.
    Carried,
    /// Foreign code that ran on behalf of the call has panicked.
    Panicked,
    Settled,
}

impl<H: PermitOwner> Permit<H> {
    pub(super) fn bare(holder: H, ticket: Ticket) -> Self {
        Self { holder, ticket, phase: Phase::Bare, was_slow: None }
    }

    /// One that a future carries.
    pub(super) fn carried(holder: H, ticket: Ticket) -> Self {
        Self { holder, ticket, phase: Phase::Carried, was_slow: None }
    }

    /// From now on a future carries it.
    pub(super) fn into_carried(mut self) -> Self {
        self.phase = Phase::Carried;
        self
    }

    /// The dependency did what was asked.
    pub fn success(self) {
        self.end(Outcome::Success);
    }

    /// The dependency failed.
    pub fn failure(self) {
        self.end(Outcome::Failure);
    }

    /// The call says nothing about the dependency.
    pub fn ignore(self) {
        self.end(Outcome::Ignored);
    }

    /// Ends the call with an outcome or a [`Classification`].
    pub fn end(mut self, classification: impl Into<Classification>) {
        self.settle(classification.into());
    }
}

impl<H: PermitOwner> Permit<H> {
    #[inline]
    fn is_slow(&self) -> bool {
        self.holder.stopwatch().is_slow(self.ticket.started)
    }

    #[cold]
    #[inline(never)]
    fn end_unsettled(&mut self) {
        let has_panicked = match self.phase {
            Phase::Panicked => true,
            Phase::Bare => std::thread::panicking(),
            Phase::Carried | Phase::Settled => false,
        };
        self.was_slow = None; // it lasted until now, or stalled since its last progress
        self.settle(if has_panicked { Outcome::Panicked } else { Outcome::Abandoned }.into());
    }
}

impl<H: PermitOwner> Settle for Permit<H> {
    #[expect(clippy::inline_always, reason = "10 of 170 instructions a call")]
    #[inline(always)]
    fn settle(&mut self, classification: Classification) {
        if self.phase != Phase::Settled {
            self.phase = Phase::Settled;
            let is_slow = self.ticket.is_timed() && self.was_slow.unwrap_or_else(|| self.is_slow());
            self.holder.record(&self.ticket, classification, is_slow);
        }
    }

    #[inline]
    fn answered(&mut self) {
        if self.ticket.is_timed() {
            self.was_slow = Some(self.is_slow());
        }
    }

    fn progressed(&mut self) {
        self.was_slow.get_or_insert(false); // it was answered while nobody timed it
        self.ticket.started = self.holder.stopwatch().clock.coarse();
    }

    fn is_stalled(&self) -> bool {
        self.holder.stopwatch().is_stalled(self.ticket.started)
    }

    fn fallback_used(&mut self) {
        self.holder.count_fallback();
    }

    fn panicked(&mut self) {
        if self.phase != Phase::Settled {
            self.phase = Phase::Panicked;
        }
    }
}

impl<H: PermitOwner> Drop for Permit<H> {
    #[inline]
    fn drop(&mut self) {
        if self.phase != Phase::Settled {
            self.end_unsettled();
        }
    }
}

impl<H: PermitOwner> fmt::Debug for Permit<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("name", &self.holder.name()).field("phase", &self.phase).finish_non_exhaustive()
    }
}
