//! Publication of one mechanism: when it is due, by which thread, and its end.
//!
//! ```text
//!  a call ──▶ look: a second since the last time? ──▶ publishes, through its thread's recorder
//!     │ enlists
//!     ▼
//!  background thread, every half second ──▶ publishes, through the global recorder, until nothing is new
//! ```
//!
//! A mechanism asks its calls to look as long as that costs little: the first of each second. Beyond, one in 64 looks.

use super::background;
use super::publisher::{Publisher, Sent};
use super::source::{Source, Waiting};
use crate::clock::Instant;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering};
use std::sync::Weak;
use std::time::Duration;

/// Time between two publications by calls.
const INTERVAL: Duration = Duration::from_secs(1);

/// Calls in a row that look after each publication.
const LOOKS_MAX: u64 = 64;

/// Maximum number of publications in a row by one thread on behalf of others. It ends the loop with a recorder that
/// uses the mechanism: each publication then requests another.
const ROUNDS_MAX: u32 = 64;

/// The same, while gauges change: the last of a row of changes of state has to arrive.
const GAUGE_ROUNDS_MAX: u32 = 256;

/// Result of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// A publication is due: this caller makes it.
    Publish,
    /// The next call looks, too.
    Next,
    /// Calls come often: one in 64 looks.
    Seldom,
}

/// Lets one thread publish at a time; others request another round of it and never block.
#[derive(Default)]
pub(crate) struct Publication {
    busy: AtomicBool,
    again: AtomicBool,
    publisher: Mutex<Publisher>,
    /// Time of the last publication by a call, in nanoseconds of the mechanism's clock.
    published_at: AtomicU64,
    /// Looks since the last publication.
    looks: AtomicU64,
    waiting: Waiting,
    has_ended: AtomicBool,
    source: Mutex<Option<Weak<dyn Source>>>,
}

impl Publication {
    /// Makes a mechanism known to the background thread.
    pub(crate) fn begin<S: Source + 'static>(&self, source: &Arc<S>) {
        let source: Arc<dyn Source> = Arc::<S>::clone(source);
        let source = Arc::downgrade(&source);
        self.publisher.lock().set_source(Weak::clone(&source));
        *self.source.lock() = Some(source);
        self.enlist();
    }

    /// The last user's handle is gone: the gauges end. Calls in flight still count.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release); // pairs with the load in `run`
    }

    /// Returns whether a second has passed since a call last published.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        let at = Instant::from_nanos(self.published_at.load(Ordering::Relaxed));
        self.waiting.is_owed() || at.saturating_add(INTERVAL).is_reached(now)
    }

    /// Returns whether calls are asked to look.
    pub(crate) fn asks(&self) -> bool {
        self.waiting.asks()
    }

    /// Returns whether this caller has to publish. It has counted its call before.
    pub(crate) fn look(&self, now: Instant) -> Look {
        self.enlist();
        if self.is_due(now) {
            let before = self.published_at.swap(now.as_nanos(), Ordering::Relaxed);
            let is_owed = self.waiting.take_owed();
            if is_owed || before != now.as_nanos() {
                return Look::Publish; // and no other thread that saw the old time
            }
        }
        if self.looks.fetch_add(1, Ordering::Relaxed) < LOOKS_MAX {
            return Look::Next;
        }
        self.waiting.ask(false);
        Look::Seldom
    }

    /// State of values that are not published yet.
    pub(crate) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    /// Has the background thread publish what is new, until nothing is.
    fn enlist(&self) {
        background::enlist(&self.waiting, || self.source.lock().clone());
    }

    /// Publishes at `now`, because something has changed that cannot wait.
    pub(crate) fn note_time(&self, now: Instant) {
        self.published_at.store(now.as_nanos(), Ordering::Relaxed);
        self.enlist();
    }

    /// Runs `publish`, or has the thread that publishes now run its own once more. Returns whether something was new.
    pub(crate) fn run(&self, publish: impl Fn(&mut Publisher) -> Sent) -> bool {
        let mut was_new = false;
        self.again.store(true, Ordering::Relaxed);
        for round in 1.. {
            // AcqRel: pairs with the swap below. A thread that finds `busy` set has set `again` before, and the
            // publishing thread sees that after it clears `busy`.
            if self.busy.swap(true, Ordering::AcqRel) {
                return true;
            }
            self.again.store(false, Ordering::Relaxed);
            self.looks.store(0, Ordering::Relaxed);
            self.waiting.ask(true);
            let sent = {
                let mut publisher = self.publisher.lock();
                let has_ended = self.has_ended.load(Ordering::Acquire);
                let sent = publish(&mut publisher);
                if has_ended {
                    publisher.end_gauges();
                }
                sent
            };
            self.busy.swap(false, Ordering::AcqRel);
            was_new |= sent.any;
            if !self.again.load(Ordering::Relaxed) {
                break;
            }
            if round >= if sent.gauges { GAUGE_ROUNDS_MAX } else { ROUNDS_MAX } {
                self.waiting.owe();
                self.enlist();
                return true;
            }
        }
        was_new
    }
}

impl std::fmt::Debug for Publication {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Publication").finish_non_exhaustive()
    }
}
