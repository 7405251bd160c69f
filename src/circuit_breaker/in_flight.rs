//! Calls in flight, so that one that hangs counts as slow before it ends.

use super::window::counts::Stamp;
use crate::clock::Instant;
use std::collections::BTreeMap;
use std::time::Duration;

/// Calls by number, so in the order they began. Memory: the calls in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    /// Number of the newest.
    newest: u64,
    /// Start of each call that is not counted yet.
    begun: BTreeMap<u64, Instant>,
    /// Where the window counted the others as slow.
    counted: BTreeMap<u64, Stamp>,
}

impl InFlight {
    /// A call begins. Its number starts at 1.
    pub(crate) fn begin(&mut self, now: Instant) -> u64 {
        self.newest += 1;
        self.begun.insert(self.newest, now);
        self.newest
    }

    /// A call is answered: it is not slow any more. Returns whether it was counted as slow before.
    pub(crate) fn answer(&mut self, number: u64) -> bool {
        self.begun.remove(&number);
        self.counted.contains_key(&number)
    }

    /// A call ends: where it was counted as slow, if it was.
    pub(crate) fn end(&mut self, number: u64) -> Option<Stamp> {
        self.begun.remove(&number);
        self.counted.remove(&number)
    }

    /// The window has let go of the calls counted so far; they are not counted again.
    pub(crate) fn forget_stamps(&mut self) {
        self.counted.values_mut().for_each(|stamp| *stamp = Stamp::NONE);
    }

    /// Counts every call that has lasted longer than `threshold` with `count`. Returns whether there was one.
    pub(crate) fn count_slow(&mut self, now: Instant, threshold: Duration, mut count: impl FnMut() -> Stamp) -> bool {
        let mut found = false;
        while let Some(oldest) = self.begun.first_entry() {
            if now.saturating_duration_since(*oldest.get()) <= threshold {
                break;
            }
            self.counted.insert(*oldest.key(), count());
            oldest.remove();
            found = true;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_that_hangs_keeps_none_that_came_later() {
        let mut calls = InFlight::default();
        let hung = calls.begin(Instant::default());
        for _ in 0..100_000 {
            let number = calls.begin(Instant::default());
            calls.end(number);
        }
        assert_eq!((calls.begun.len(), calls.counted.len()), (1, 0));
        let hour = Duration::from_secs(3_600);
        assert!(calls.count_slow(Instant::default().saturating_add(2 * hour), hour, || Stamp::NONE));
        assert_eq!((calls.begun.len(), calls.end(hung)), (0, Some(Stamp::NONE)));
    }
}
