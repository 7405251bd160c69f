//! Threads that keep the switches up to date: one reads the store, the other reports.
//!
//! ```text
//!  reader: read ──▶ words are set ──▶ wakes ──▶ teller: listeners, log, metrics, snapshot
//!    ▲ the store's watch, and every poll          ▲ every poll, so that a reader that hangs shows
//! ```
//!
//! The reporter runs foreign code and writes to a disk, which may hang; engagements still come
//! into force.

use super::shared::Shared;
use crate::clock::Clock;
use crate::kill_switch::store::Store;
use crate::panic::catch_panic;
use crate::sync::{Arc, Ordering};
use std::sync::Weak;
use std::thread::{self, Thread};
use std::time::Duration;

/// Starts the threads, and waits until the store was read for the first time, or for so long. They end with the board.
///
/// If the system gives no thread, the document that was read stays in force, and its age shows.
pub(crate) fn start(shared: &Arc<Shared>, poll: Duration, within: Duration) {
    let weak = Arc::downgrade(shared);
    let teller = spawn("backstop-reports", {
        let weak = Weak::clone(&weak);
        move || {
            thread::park_timeout(poll); // the first read is by the builder
            each(&weak, poll, Shared::tell);
        }
    });
    let (store, starter, wakes) = (shared.store.clone(), thread::current(), teller.clone());
    let reader = spawn("backstop-switches", move || {
        // Before the watch, which is foreign code, too, and may hang.
        if let Some(shared) = weak.upgrade() {
            catch_panic(|| shared.read());
            // Release: pairs with the load in `wait`, after which the words are seen.
            shared.has_begun.store(true, Ordering::Release);
            starter.unpark();
        }
        let _watch = store.as_deref().and_then(watch);
        drop(store);
        each(&weak, poll, |shared| {
            shared.read();
            if let Some(teller) = &wakes {
                teller.unpark();
            }
        });
    });
    match &reader {
        Some(_) => wait(shared, within),
        None => shared.read(),
    }
    shared.threads.lock().extend(teller.into_iter().chain(reader));
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Option<Thread> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    started.ok().map(|started| started.thread().clone())
}

/// Wakes this thread whenever there may be something new. Without a watch there is still the poll.
fn watch(store: &dyn Store) -> Option<crate::kill_switch::store::Watch> {
    let reader = thread::current();
    catch_panic(|| store.watch(Arc::new(move || reader.unpark())))
}

/// Does something again and again, as long as the switches exist: at once, when it is woken, and every so often.
fn each(shared: &Weak<Shared>, every: Duration, act: impl Fn(&Shared)) {
    while let Some(shared) = shared.upgrade() {
        catch_panic(|| act(&shared)); // stores, listeners and recorders are foreign code
        drop(shared);
        thread::park_timeout(every);
    }
}

fn wait(shared: &Shared, within: Duration) {
    let clock = Clock::system();
    let begun = clock.now();
    // Acquire: pairs with the store of the reader.
    while !shared.has_begun.load(Ordering::Acquire) {
        let left = within.saturating_sub(clock.now().saturating_duration_since(begun));
        if left.is_zero() {
            return;
        }
        thread::park_timeout(left);
    }
}
