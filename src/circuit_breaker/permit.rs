//! One admitted call.

use super::shared::{Shared, Ticket};
use crate::handle::Handle;
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
pub struct Permit {
    shared: Handle<Shared>,
    ticket: Ticket,
    phase: Phase,
    /// Whether the call was slow when the dependency answered.
    was_slow: Option<bool>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// In the hands of the user, whose panic is the call's.
    Bare,
    /// Travels with a future; the thread's panic need not be its own.
    Carried,
    /// Foreign code runs on behalf of the call.
    Inside,
    Settled,
}

impl Permit {
    pub(super) fn bare(shared: Handle<Shared>, ticket: Ticket) -> Self {
        Self { shared, ticket, phase: Phase::Bare, was_slow: None }
    }

    /// A permit that a future carries, about to call foreign code.
    pub(super) fn entered(shared: Handle<Shared>, ticket: Ticket) -> Self {
        Self { shared, ticket, phase: Phase::Inside, was_slow: None }
    }

    pub(super) fn count_fallback(&self) {
        self.shared.count_fallback();
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

impl Settle for Permit {
    fn settle(&mut self, classification: Classification) {
        if self.phase != Phase::Settled {
            self.phase = Phase::Settled;
            self.shared.record(self.ticket, classification, self.was_slow);
        }
    }

    fn answered(&mut self) {
        self.was_slow = Some(self.shared.is_slow(self.ticket));
    }

    fn enter(&mut self) {
        if self.phase != Phase::Settled {
            self.phase = Phase::Inside;
        }
    }

    fn leave(&mut self) {
        if self.phase == Phase::Inside {
            self.phase = Phase::Carried;
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let outcome = match self.phase {
            Phase::Settled => return,
            Phase::Inside => Outcome::Panicked,
            Phase::Bare if std::thread::panicking() => Outcome::Panicked,
            Phase::Bare | Phase::Carried => Outcome::Abandoned,
        };
        self.was_slow = None; // it lasted until now
        self.settle(outcome.into());
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("name", &self.shared.name()).field("phase", &self.phase).finish()
    }
}
