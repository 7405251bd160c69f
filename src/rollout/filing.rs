//! Files that nothing waits for: evidence, status and answers, written by a thread of their own in their order.
//!
//! A disk that hangs or is full costs what these files say, and delays no decision.

use crate::fs::careful;
use crate::rollout::state_dir::write;
use crate::sync::{Arc, Mutex};
use serde_json::Value;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::thread::{self, Thread};
use std::time::Duration;

/// Most writes that wait; a further one is lost.
const WAITING_MAX: usize = 1_000;
/// A file of evidence is not added to above this length.
const EVIDENCE_MAX: u64 = 256 << 20;
/// Between two looks at an empty queue: a new write wakes the thread before.
const IDLE: Duration = Duration::from_secs(1);

type Work = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Work>,
    is_busy: bool,
    is_over: bool,
}

/// Writes files in the background. Clones share the thread, which ends with the last of them.
#[derive(Clone)]
pub(crate) struct Filing(Arc<Handle>);

struct Handle {
    queue: Arc<Mutex<Queue>>,
    thread: Thread,
}

impl Filing {
    pub(crate) fn new() -> io::Result<Self> {
        let queue: Arc<Mutex<Queue>> = Arc::default();
        let own = Arc::clone(&queue);
        let started = thread::Builder::new().name("backstop-filing".to_owned()).spawn(move || run(&own))?;
        Ok(Self(Arc::new(Handle { queue, thread: started.thread().clone() })))
    }

    /// Does this after everything before it; returns whether there is room for it.
    pub(crate) fn add(&self, work: impl FnOnce() + Send + 'static) -> bool {
        let mut queue = self.0.queue.lock();
        let has_room = queue.waiting.len() < WAITING_MAX;
        if has_room {
            queue.waiting.push_back(Box::new(work));
        }
        drop(queue);
        self.0.thread.unpark();
        has_room
    }

    /// Does this instead of everything that has not begun.
    pub(crate) fn instead(&self, work: impl FnOnce() + Send + 'static) {
        self.0.queue.lock().waiting = VecDeque::from([Box::new(work) as Work]);
        self.0.thread.unpark();
    }

    /// Puts a file in place.
    pub(crate) fn replace(&self, path: PathBuf, bytes: Vec<u8>) {
        self.add(move || _ = write(&path, &bytes));
    }

    /// Adds a line to a file of evidence.
    pub(crate) fn append(&self, path: PathBuf, line: &Value) {
        let line = format!("{line}\n");
        self.add(move || _ = append(&path, &line));
    }

    /// Number of writes that have not begun.
    pub(crate) fn waiting(&self) -> usize {
        self.0.queue.lock().waiting.len()
    }

    /// Returns whether everything is written.
    pub(crate) fn is_done(&self) -> bool {
        let queue = self.0.queue.lock();
        queue.waiting.is_empty() && !queue.is_busy
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.queue.lock().is_over = true;
        self.thread.unpark();
    }
}

fn run(queue: &Mutex<Queue>) {
    loop {
        let next = {
            let mut queue = queue.lock();
            let next = queue.waiting.pop_front();
            queue.is_busy = next.is_some();
            if next.is_none() && queue.is_over {
                return;
            }
            next
        };
        match next {
            Some(work) => work(),
            None => thread::park_timeout(IDLE),
        }
    }
}

/// Opens a file to add to, which is made for its owner alone: it may have anything in it.
pub(crate) fn appending(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    careful(&mut options, 0o600);
    options.open(path)
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = appending(path)?;
    if file.metadata()?.len() < EVIDENCE_MAX { file.write_all(line.as_bytes()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_hangs_delays_no_caller_and_what_is_too_much_is_lost() {
        let filing = Filing::new().unwrap();
        let (gate, done) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(0)));
        let closed = gate.lock();
        for _ in 0..2 * WAITING_MAX {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            filing.add(move || {
                drop(gate.lock());
                *done.lock() += 1;
            });
        }
        assert!(!filing.is_done());
        drop(closed);
        while !filing.is_done() {
            thread::yield_now();
        }
        let done = *done.lock();
        assert!((WAITING_MAX..=WAITING_MAX + 1).contains(&done), "{done}");
    }
}
