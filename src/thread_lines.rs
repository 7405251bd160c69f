//! Lines of counters that each thread keeps for itself, so that counting costs a store and shares no cache line.
//!
//! A line belongs to one thread at a time, which is the only one to write it: plain stores suffice. Threads beyond the
//! owned lines share some, each behind a lock. A reader sums all lines.

use crate::sync::Mutex;
use crate::thread_id::{lines_of_threads, thread_id, thread_id_if_known};

/// Lines behind a lock, for the threads that have none of their own.
const SHARED: usize = if cfg!(backstop_loom) { 1 } else { 4 };

/// The lines of one mechanism.
#[derive(Debug)]
pub(crate) struct ThreadLines<L> {
    owned: Box<[L]>,
    shared: Box<[L]>,
    /// Held while writing a shared line.
    writers: [Mutex<()>; SHARED],
}

impl<L> ThreadLines<L> {
    pub(crate) fn new(line: impl Fn() -> L) -> Self {
        let lines = |count| (0..count).map(|_| line()).collect();
        Self {
            owned: lines(lines_of_threads()),
            shared: lines(SHARED),
            writers: std::array::from_fn(|_| Mutex::new(())),
        }
    }

    /// This thread's own line, if it has one.
    #[inline]
    pub(crate) fn own(&self) -> Option<&L> {
        self.owned.get(thread_id_if_known())
    }

    /// Runs `write` as the only writer of a line.
    #[inline]
    pub(crate) fn with<T>(&self, write: impl FnOnce(&L) -> T) -> T {
        let id = thread_id();
        match self.owned.get(id) {
            Some(line) => write(line),
            None => self.with_shared(id, write),
        }
    }

    #[cold]
    #[inline(never)]
    fn with_shared<T>(&self, id: usize, write: impl FnOnce(&L) -> T) -> T {
        let _writer = self.writers[id % SHARED].lock();
        write(&self.shared[id % SHARED])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &L> {
        self.owned.iter().chain(&self.shared)
    }
}
