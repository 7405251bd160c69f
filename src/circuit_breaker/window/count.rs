//! The last N calls, truly sliding.
//!
//! Calls are numbered; only the bad ones are kept, by number. A call is in the window while its number is among
//! the last N, so a success costs an addition and a window of good calls takes no memory at all.

use super::counts::{Counts, Stamp};
use std::collections::VecDeque;

const FAILED: u64 = 1;
const SLOW: u64 = 2;

/// A window over the last `size` calls.
#[derive(Clone, Debug)]
pub(crate) struct CountWindow {
    size: u32,
    failed: u32,
    slow: u32,
    /// Calls since the window began; the number of the newest call.
    total: u64,
    /// The newest call that a smaller window has let go of: a larger one does not know it.
    gone: u64,
    /// `number << 2 | slow | failed`, ascending. Boxed, so that a healthy breaker among a million stays small.
    #[expect(clippy::box_collection, reason = "8 bytes instead of 32 in a window of good calls")]
    bad: Option<Box<VecDeque<u64>>>,
}

impl CountWindow {
    pub(crate) fn new(size: u32) -> Self {
        Self { size, failed: 0, slow: 0, total: 0, gone: 0, bad: None }
    }

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    pub(crate) fn add(&mut self, failed: bool, slow: bool) -> Stamp {
        self.total += 1;
        if failed || slow {
            let marks = if failed { FAILED } else { 0 } | if slow { SLOW } else { 0 };
            self.bad.get_or_insert_default().push_back(self.total << 2 | marks);
            self.failed += u32::from(failed);
            self.slow += u32::from(slow);
        }
        self.expire();
        Stamp(self.total)
    }

    pub(crate) fn add_successes(&mut self, calls: u64) {
        self.total += calls;
        self.expire();
    }

    pub(crate) fn mark_failed(&mut self, at: Stamp) {
        let Some(bad) = &mut self.bad else { return };
        if let Ok(i) = bad.binary_search_by_key(&at.0, |call| call >> 2)
            && bad[i] & FAILED == 0
        {
            bad[i] |= FAILED;
            self.failed += 1;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts { calls: self.total - self.newest_out(), failed: u64::from(self.failed), slow: u64::from(self.slow) }
    }

    /// Keeps the newest calls that fit.
    pub(crate) fn resize(&mut self, size: u32) {
        self.gone = self.newest_out();
        self.size = size;
        self.expire();
    }

    /// The number of the newest call that is not in the window any more.
    fn newest_out(&self) -> u64 {
        self.total.saturating_sub(u64::from(self.size)).max(self.gone)
    }

    fn expire(&mut self) {
        let newest_out = self.newest_out();
        let Some(bad) = &mut self.bad else { return };
        while let Some(call) = bad.front().filter(|call| **call >> 2 <= newest_out) {
            self.failed -= u32::from(call & FAILED != 0);
            self.slow -= u32::from(call & SLOW != 0);
            bad.pop_front();
        }
        if bad.is_empty() {
            self.bad = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_call_leaves_when_one_more_comes() {
        let mut window = CountWindow::new(3);
        window.add(true, true);
        window.add(true, false);
        window.add(false, false);
        assert_eq!(window.counts(), Counts { calls: 3, failed: 2, slow: 1 });
        window.add_successes(1);
        assert_eq!(window.counts(), Counts { calls: 3, failed: 1, slow: 0 });
        window.add_successes(1_000_000);
        assert_eq!(window.counts(), Counts { calls: 3, ..Counts::default() });
        assert!(window.bad.is_none(), "a healthy window holds no memory");
    }

    #[test]
    fn a_late_failure_marks_its_own_call_and_none_that_left() {
        let mut window = CountWindow::new(2);
        let slow = window.add(false, true);
        window.mark_failed(slow);
        window.mark_failed(slow);
        assert_eq!(window.counts().failed, 1);
        window.add_successes(2);
        window.mark_failed(slow);
        assert_eq!(window.counts().failed, 0);
    }

    #[test]
    fn a_new_size_keeps_the_newest_calls_and_invents_none() {
        let mut window = CountWindow::new(3);
        window.add_successes(10);
        window.add(true, false);
        window.resize(5);
        assert_eq!(window.counts(), Counts { calls: 3, failed: 1, ..Counts::default() });
        window.add_successes(4);
        assert_eq!(window.counts(), Counts { calls: 5, failed: 1, ..Counts::default() });
        window.resize(2);
        assert_eq!(window.counts(), Counts { calls: 2, ..Counts::default() });
    }

    #[test]
    fn a_new_size_leaves_stamps_as_they_are() {
        let mut window = CountWindow::new(2);
        window.add_successes(9);
        let slow = window.add(false, true);
        window.resize(1);
        window.mark_failed(slow);
        assert_eq!(window.counts(), Counts { calls: 1, failed: 1, slow: 1 });
    }
}
