//! Calls in flight, so that one that hangs counts as slow before it ends.

use super::window::counts::Stamp;
use crate::clock::{Instant, nanos};
use crate::upload::Upload;
use std::collections::BTreeMap;
use std::time::Duration;

/// Calls by number, so in the order they began. Memory: the calls in flight.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    /// Number of the newest.
    newest: u64,
    /// Start of each call that is not counted yet, other than these:
    begun: BTreeMap<u64, Instant>,
    /// Calls whose handlers may wait for their callers' bodies, by the time from which they have lasted, as last known.
    /// Those that are over go once their turn comes.
    uploads: BTreeMap<(Instant, u64), (Instant, Upload)>,
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

    /// The handler of a call may wait for its caller's body, which is not its slowness.
    pub(crate) fn follow_upload(&mut self, number: u64, upload: Upload) {
        if let Some(started) = self.begun.remove(&number) {
            self.uploads.insert((started, number), (started, upload));
        }
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
        let is_slow = |since: Instant| now.saturating_duration_since(since) > threshold;
        while let Some(oldest) = self.begun.first_entry().filter(|oldest| is_slow(*oldest.get())) {
            self.counted.insert(*oldest.key(), count());
            oldest.remove();
            found = true;
        }
        // Not again before half of the threshold is over: a call looks at few of them.
        let again = Instant::from_nanos(now.as_nanos().saturating_sub(nanos(threshold / 2)));
        while let Some(oldest) = self.uploads.first_entry().filter(|oldest| is_slow(oldest.key().0)) {
            let ((_, number), (started, upload)) = oldest.remove_entry();
            let since = started.saturating_add(upload.waited_until(now));
            if upload.is_over() {
                continue;
            }
            if is_slow(since) {
                self.counted.insert(number, count());
                found = true;
            } else {
                self.uploads.insert((since.max(again), number), (started, upload));
            }
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
