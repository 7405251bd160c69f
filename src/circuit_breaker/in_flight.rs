//! Calls in flight, so that one that hangs counts as slow before it ends.

use super::window::counts::Stamp;
use crate::clock::Instant;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Calls in the order they began. Memory: the calls that began within one threshold, and those that hang.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    /// Number of the first in `begun`.
    first: u64,
    /// Start of each call; `None` once it has ended.
    begun: VecDeque<Option<Instant>>,
    /// Hung calls by number, and where the window counted them as slow.
    counted: BTreeMap<u64, Stamp>,
}

impl InFlight {
    /// A call begins. Its number starts at 1.
    pub(crate) fn begin(&mut self, now: Instant) -> u64 {
        self.begun.push_back(Some(now));
        self.first + self.begun.len() as u64
    }

    /// A call ends: where it was counted as slow, if it was.
    pub(crate) fn end(&mut self, number: u64) -> Option<Stamp> {
        let index = number.checked_sub(self.first + 1).and_then(|index| usize::try_from(index).ok());
        if let Some(call) = index.and_then(|index| self.begun.get_mut(index)) {
            *call = None;
        }
        while self.begun.front() == Some(&None) {
            self.begun.pop_front();
            self.first += 1;
        }
        self.counted.remove(&number)
    }

    /// The window has let go of the calls counted so far; they are not counted again.
    pub(crate) fn forget_stamps(&mut self) {
        self.counted.values_mut().for_each(|stamp| *stamp = Stamp::NONE);
    }

    /// Takes the next call that has lasted longer than `threshold`, and counts it with `count`.
    pub(crate) fn count_slow(&mut self, now: Instant, threshold: Duration, mut count: impl FnMut() -> Stamp) -> bool {
        let mut found = false;
        while let Some(begun) = self.begun.front() {
            match begun {
                Some(begun) if now.saturating_duration_since(*begun) <= threshold => break,
                Some(_) => {
                    self.counted.insert(self.first + 1, count());
                    found = true;
                }
                None => {}
            }
            self.begun.pop_front();
            self.first += 1;
        }
        found
    }
}
