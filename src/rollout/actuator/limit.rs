//! Limits of a job: its time, and a person who does not want to wait for it.

use super::super::stages::Outcome;
use crate::clock::{Clock, Instant};
use crate::sync::{Arc, AtomicBool, Ordering};
use std::time::Duration;

/// A move that failed or took hold in part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct MoveError {
    why: String,
    is_final: bool,
}

impl MoveError {
    /// A failure that may pass.
    pub fn new(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_final: false }
    }

    /// A refusal: trying again is of no use.
    pub fn refused(why: impl Into<String>) -> Self {
        Self { why: why.into(), is_final: true }
    }

    /// Returns whether trying again is of no use.
    pub const fn is_final(&self) -> bool {
        self.is_final
    }
}

impl From<MoveError> for Outcome {
    fn from(MoveError { why, is_final }: MoveError) -> Self {
        Self::Failed { why, is_final }
    }
}

/// Interrupts a job. Clones are of the same one.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Interrupts the job in progress.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Returns whether it is interrupted.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The end of a job's time.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    clock: Clock,
    until: Instant,
    cancel: Cancel,
}

impl Limit {
    pub(crate) fn new(time: Duration, cancel: &Cancel) -> Self {
        let clock = Clock::system();
        let until = clock.now().saturating_add(time);
        Self { clock, until, cancel: cancel.clone() }
    }

    /// The time that is left; an error if there is none, or the job was interrupted.
    pub(crate) fn left(&self) -> Result<Duration, MoveError> {
        if self.cancel.is_cancelled() {
            return Err(MoveError::new("it was interrupted"));
        }
        let left = self.until.saturating_duration_since(self.clock.now());
        if left.is_zero() { Err(MoveError::new("it did not end within its time limit")) } else { Ok(left) }
    }

    /// Sleeps, at most until the end.
    pub(crate) fn pause(&self, time: Duration) -> Result<(), MoveError> {
        std::thread::sleep(time.min(self.left()?));
        self.left().map(drop)
    }
}
