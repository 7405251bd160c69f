//! The thread that writes the journal: a disk that hangs delays no rollback.
//!
//! A record that cannot be written is tried again, and those behind it wait: the journal has them in their order, or not
//! at all.

use crate::clock::Clock;
use crate::rollout::journal::Record;
use crate::sync::{Arc, Mutex};
use std::collections::VecDeque;
use std::thread::{self, Thread};
use std::time::Duration;

/// Longest wait for a record to be on the disk.
pub(super) const WITHIN: Duration = Duration::from_secs(1);
/// Records that wait; further ones are lost.
const WAITING_MAX: usize = 1_000;
/// Pause after a record that could not be written.
const PAUSE: Duration = Duration::from_millis(250);
/// Between two looks at an empty queue: a new record wakes the thread before.
const IDLE: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Record>,
    added: u64,
    written: u64,
    /// Why the first of them is not written.
    failure: Option<String>,
    /// The thread that waits for a record.
    waiter: Option<Thread>,
    is_over: bool,
}

/// Writes records in their order.
pub(super) struct Recording {
    queue: Arc<Mutex<Queue>>,
    thread: Thread,
    clock: Clock,
}

impl Recording {
    /// With the function that appends a record, which may block for as long as it likes.
    pub(super) fn new(
        append: impl FnMut(Record) -> Result<(), String> + Send + 'static,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let queue: Arc<Mutex<Queue>> = Arc::default();
        let own = Arc::clone(&queue);
        let started = thread::Builder::new().name("backstop-recording".to_owned()).spawn(move || run(&own, append))?;
        Ok(Self { queue, thread: started.thread().clone(), clock })
    }

    /// Adds a record, and returns its number.
    pub(super) fn add(&self, record: Record) -> u64 {
        let mut queue = self.queue.lock();
        if queue.waiting.len() < WAITING_MAX {
            queue.waiting.push_back(record);
            queue.added += 1;
        }
        let number = queue.added;
        drop(queue);
        self.thread.unpark();
        number
    }

    /// Waits until this record is on the disk, as long as those before it are; returns whether it is.
    pub(super) fn wait(&self, number: u64, within: Duration) -> bool {
        let begun = self.clock.now();
        loop {
            let is_next = {
                let mut queue = self.queue.lock();
                if queue.written >= number {
                    return true;
                }
                queue.waiter = Some(thread::current());
                queue.failure.is_none() && queue.written + 1 == number
            };
            let left = within.saturating_sub(self.clock.now().saturating_duration_since(begun));
            if !is_next {
                return false;
            }
            if left.is_zero() {
                self.queue.lock().failure.get_or_insert_with(|| "the disk does not answer".to_owned());
                return false;
            }
            thread::park_timeout(left);
        }
    }

    pub(super) fn is_written(&self, number: u64) -> bool {
        self.queue.lock().written >= number
    }

    /// Returns whether no record waits.
    pub(super) fn is_done(&self) -> bool {
        self.queue.lock().waiting.is_empty()
    }

    /// Why the journal cannot be written.
    pub(super) fn failure(&self) -> Option<String> {
        self.queue.lock().failure.clone()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.thread.unpark();
    }
}

fn run(queue: &Mutex<Queue>, mut append: impl FnMut(Record) -> Result<(), String>) {
    loop {
        let (next, is_over) = {
            let queue = queue.lock();
            (queue.waiting.front().cloned(), queue.is_over)
        };
        let Some(record) = next else {
            if is_over {
                return;
            }
            thread::park_timeout(IDLE);
            continue;
        };
        let written = append(record);
        let has_failed = written.is_err();
        let waiter = {
            let mut queue = queue.lock();
            queue.failure = written.err();
            if !has_failed {
                queue.waiting.pop_front();
                queue.written += 1;
            }
            queue.waiter.take()
        };
        waiter.iter().for_each(Thread::unpark);
        if has_failed {
            if is_over {
                return;
            }
            thread::park_timeout(PAUSE);
        }
    }
}
