//! The journal in the background: a disk that hangs delays no rollback.
//!
//! A record that cannot be written is tried again, and those behind it wait: the journal has them in their order, or not
//! at all.

use crate::clock::{Clock, Instant};
use crate::rollout::filing::Filing;
use crate::rollout::journal::Record;
use crate::sync::{Arc, Mutex};
use std::thread::{self, Thread};
use std::time::Duration;

/// Longest wait for a record to be on the disk.
pub(super) const WITHIN: Duration = Duration::from_secs(1);
/// Longer than that, the disk hangs.
const HUNG: Duration = Duration::from_secs(4);
/// Pause after a record that could not be written.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    added: u64,
    written: u64,
    /// Why the first of the others is not written.
    failure: Option<String>,
    /// Since when it has taken longer than it should.
    late: Option<Instant>,
    /// The thread that waits for a record.
    waiter: Option<Thread>,
    is_over: bool,
}

/// Writes records in their order.
pub(super) struct Recording {
    state: Arc<Mutex<State>>,
    append: Arc<Mutex<Append>>,
    filing: Filing,
    clock: Clock,
}

/// Appends a record, and may block for as long as it likes.
pub(super) type Append = Box<dyn FnMut(Record) -> Result<(), String> + Send>;

impl Recording {
    pub(super) fn new(append: Append, clock: Clock) -> std::io::Result<Self> {
        Ok(Self { state: Arc::default(), append: Arc::new(Mutex::new(append)), filing: Filing::new()?, clock })
    }

    /// Adds a record, and returns its number. Above a thousand that wait it is lost: its number is one that is never written.
    pub(super) fn add(&self, record: Record) -> u64 {
        let (state, append) = (Arc::clone(&self.state), Arc::clone(&self.append));
        let work = move || {
            while !write(&state, &append, &record) {
                thread::sleep(PAUSE);
            }
        };
        if !self.filing.add(work) {
            return u64::MAX;
        }
        let mut state = self.state.lock();
        state.added += 1;
        state.added
    }

    /// Waits until this record is on the disk, as long as those before it are; returns whether it is.
    pub(super) fn wait(&self, number: u64, within: Duration) -> bool {
        let begun = self.clock.now();
        loop {
            let left = within.saturating_sub(self.clock.now().saturating_duration_since(begun));
            {
                let mut state = self.state.lock();
                if state.written >= number {
                    return true;
                }
                if left.is_zero() {
                    state.late.get_or_insert_with(|| self.clock.now());
                }
                if left.is_zero() || state.failure.is_some() || state.written < number - 1 {
                    return false;
                }
                state.waiter = Some(thread::current());
            }
            thread::park_timeout(left);
        }
    }

    pub(super) fn is_written(&self, number: u64) -> bool {
        self.state.lock().written >= number
    }

    /// Returns whether no record waits.
    pub(super) fn is_done(&self) -> bool {
        let state = self.state.lock();
        state.written == state.added
    }

    /// Why the journal cannot be written. A disk that is slow for a moment is none.
    pub(super) fn failure(&self) -> Option<String> {
        let state = self.state.lock();
        let is_hung = |late: &Instant| self.clock.now().saturating_duration_since(*late) >= HUNG;
        state.failure.clone().or_else(|| state.late.filter(is_hung).map(|_| "the disk does not answer".to_owned()))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.state.lock().is_over = true;
    }
}

/// Returns whether nothing is left to do about a record.
fn write(state: &Mutex<State>, append: &Mutex<Append>, record: &Record) -> bool {
    let written = append.lock()(record.clone());
    let mut state = state.lock();
    state.written += u64::from(written.is_ok());
    (state.failure, state.late) = (written.err(), None);
    state.waiter.take().iter().for_each(Thread::unpark);
    state.failure.is_none() || state.is_over
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::rollback::plan::Plan;
    use crate::rollout::stages::{Event, Rollout};

    fn record() -> Record {
        let plan = Plan::parse(include_str!("../../../tests/rollout/plan.toml")).unwrap();
        Record::new(Timestamp::UNIX_EPOCH, Duration::ZERO, &Event::Clock, &Rollout::new(Arc::new(plan)), &[])
    }

    #[test]
    fn a_record_without_a_place_counts_as_written_at_no_time() {
        let gate = Arc::new(Mutex::new(()));
        let (closed, disk) = (gate.lock(), Arc::clone(&gate));
        let append = move |_| {
            drop(disk.lock());
            Ok(())
        };
        let recording = Recording::new(Box::new(append), Clock::system()).unwrap();
        let lost = std::iter::repeat_with(|| recording.add(record())).position(|number| number == u64::MAX);
        assert!(lost.is_some_and(|place| (1_000..=1_001).contains(&place)), "{lost:?}");
        drop(closed);
        while !recording.is_done() {
            thread::yield_now();
        }
        assert!(!recording.is_written(u64::MAX) && !recording.wait(u64::MAX, Duration::ZERO));
    }

    #[test]
    fn a_record_that_is_late_is_waited_for_again_and_those_behind_it_are_not() {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock();
        let disk = Arc::clone(&gate);
        let append = move |_| {
            drop(disk.lock());
            Ok(())
        };
        let recording = Recording::new(Box::new(append), Clock::system()).unwrap();
        let (first, second) = (recording.add(record()), recording.add(record()));
        let hour = Duration::from_hours(1);
        assert!(!recording.wait(first, Duration::ZERO) && !recording.wait(second, hour));
        assert_eq!(recording.failure(), None, "it is slow for a moment");
        drop(closed);
        assert!(recording.wait(first, hour) && recording.wait(second, hour) && recording.is_done());
    }
}
