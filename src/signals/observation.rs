//! One request in progress.

use super::counts::bucket_of;
use super::outcome_class::OutcomeClass;
use super::shared::Shared;
use crate::clock::Instant;
use crate::outcome::{Classification, Outcome, Settle};
use crate::shared_ref::SharedRef;

/// A request in progress; it is counted when its outcome is known.
///
/// Dropped without an outcome it says nothing, or counts as a server error if the handler panicked.
#[derive(Debug)]
pub struct Observation {
    shared: SharedRef<Shared>,
    begun: Instant,
    /// When the response's head arrived.
    answered: Option<Instant>,
    segment: u8,
    /// Whether the body decides the outcome.
    is_flowing: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Begun,
    Panicked,
    Settled,
}

impl Observation {
    #[inline]
    pub(super) fn new(shared: SharedRef<Shared>) -> Self {
        let begun = shared.clock.now();
        shared.counts.begin();
        let segment = shared.segments.last();
        Self { shared, begun, answered: None, segment, is_flowing: false, phase: Phase::Begun }
    }

    #[inline]
    pub(super) fn in_segment(&mut self, name: &str) {
        self.segment = self.shared.segments.find(self.shared.name, name);
    }

    #[inline]
    fn end(&mut self, class: OutcomeClass) {
        self.phase = Phase::Settled;
        let bucket = self.answered.map(|at| bucket_of(at.saturating_duration_since(self.begun)));
        let now = self.answered.filter(|_| !self.is_flowing).unwrap_or_else(|| self.shared.clock.coarse());
        self.shared.count(self.segment, class, bucket, now);
    }
}

impl Settle for Observation {
    #[inline]
    fn settle(&mut self, classification: Classification) {
        if self.phase != Phase::Settled {
            self.end(OutcomeClass::of(classification));
        }
    }

    #[inline]
    fn answered(&mut self) {
        self.answered = Some(self.shared.clock.now());
    }

    fn streams(&mut self) {
        self.is_flowing = true;
    }

    #[inline]
    fn is_inbound(&self) -> bool {
        true
    }

    fn panicked(&mut self) {
        if self.phase != Phase::Settled {
            self.phase = Phase::Panicked;
        }
    }
}

impl Drop for Observation {
    #[inline]
    fn drop(&mut self) {
        match self.phase {
            Phase::Settled => {}
            Phase::Begun => self.settle(Outcome::Abandoned.into()),
            Phase::Panicked => self.settle(Outcome::Panicked.into()),
        }
    }
}
