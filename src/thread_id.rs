//! Small numbers for threads, by which each finds a cache line of its own in what threads share.
//!
//! Numbers are process-wide and given to a new thread when their thread ends, so a few lines are enough for any number of
//! short-lived threads.

use crate::sync::{Mutex, thread_local};
use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Number of lines for counters by thread: as many as there are threads to run on, and a few for those that block; at
/// most 1 kB.
pub(crate) fn lines_of_threads() -> usize {
    if cfg!(backstop_loom) {
        return 2;
    }
    std::thread::available_parallelism().map_or(4, std::num::NonZero::get).saturating_add(2).clamp(4, 16)
}

/// The number, if this thread has asked for one; otherwise one that is no line's.
#[inline]
pub(crate) fn thread_id_if_known() -> usize {
    ID.with(Cell::get)
}

/// A small number that is this thread's own while it lives; the smallest that is free.
#[inline]
pub(crate) fn thread_id() -> usize {
    match thread_id_if_known() {
        UNKNOWN => take_thread_id(),
        id => id,
    }
}

#[cold]
#[inline(never)]
fn take_thread_id() -> usize {
    // Fails while the thread is torn down: then it shares a line.
    THREAD.try_with(|thread| ID.with(|id| id.set(thread.0))).map_or(GONE, |()| ID.with(Cell::get))
}

const UNKNOWN: usize = usize::MAX;
const GONE: usize = usize::MAX - 1;

thread_local! {
    /// The number, if reading it costs one load.
    static ID: Cell<usize> = const { Cell::new(UNKNOWN) };
}
thread_local! {
    /// The number, and the duty to give it back.
    static THREAD: ThreadId = ThreadId::take();
}

struct ThreadId(usize, process_wide::FreeIds);

/// Numbers given back by threads that ended, and the next new one. Handing a number on through this lock lets
/// the new owner see the old owner's stores.
type Free = Mutex<(BinaryHeap<Reverse<usize>>, usize)>;

#[cfg(not(backstop_loom))]
mod process_wide {
    use crate::thread_id::{BinaryHeap, Free};

    pub(super) type FreeIds = &'static Free;

    pub(super) fn free_ids() -> FreeIds {
        static FREE: Free = Free::new((BinaryHeap::new(), 0));
        &FREE
    }
}

/// In a model, as wide as one of its runs.
#[cfg(backstop_loom)]
mod process_wide {
    use crate::sync::Arc;
    use crate::thread_id::Free;

    pub(super) type FreeIds = Arc<Free>;

    pub(super) fn free_ids() -> FreeIds {
        loom::lazy_static! { static ref FREE: Arc<Free> = Arc::default(); }
        Arc::clone(&FREE)
    }
}

impl ThreadId {
    fn take() -> Self {
        let all = process_wide::free_ids();
        let mut free = all.lock();
        let id = if let Some(Reverse(id)) = free.0.pop() {
            id
        } else {
            free.1 += 1;
            free.1 - 1
        };
        drop(free);
        Self(id, all)
    }
}

impl Drop for ThreadId {
    fn drop(&mut self) {
        let _ = ID.try_with(|id| id.set(GONE));
        self.1.lock().0.push(Reverse(self.0));
    }
}
