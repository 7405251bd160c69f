//! Background thread that publishes the rest to the global recorder after traffic ends.
//!
//! One for the process, started when something first waits to be published, and parked while nothing does. It keeps
//! weak references only.

use super::source::{Source, Waiting};
use crate::panic::catch_panic;
use crate::sync::Mutex;
use std::sync::Weak;
use std::thread::{self, Thread};
use std::time::Duration;

/// Time between two rounds while something waits.
const TICK: Duration = Duration::from_millis(500);

struct State {
    waiting: Vec<Weak<dyn Source>>,
    thread: Option<Thread>,
    is_idle: bool,
    is_off: bool,
}

static STATE: Mutex<State> = Mutex::new(State { waiting: Vec::new(), thread: None, is_idle: false, is_off: false });

/// Switches the background thread off, or on again. Default: on. It may be called at any time.
///
/// While it is on, one thread, `backstop-metrics`, publishes to the global recorder within about a second what calls have not
/// published: after traffic ends there is no next call to do so. It is started when something first waits to be
/// published, is parked while nothing does, and calls the recorder and nothing else that is user code.
///
/// Switch it off in programs that must not start threads; then call [`Registry::publish`](crate::Registry::publish)
/// in the scrape handler or spawn [`Registry::publish_every`](crate::Registry::publish_every). There is none on
/// WebAssembly.
pub fn background_publishing(is_on: bool) {
    STATE.lock().is_off = !is_on;
}

/// Adds a mechanism that has something to publish to the list of the background thread. A no-op if it is listed.
pub(super) fn enlist(waiting: &Waiting, source: impl FnOnce() -> Option<Weak<dyn Source>>) {
    if waiting.list() && !source().is_some_and(add) {
        waiting.delist();
    }
}

/// Adds to the list. `false` if there is no such thread.
fn add(source: Weak<dyn Source>) -> bool {
    let mut state = STATE.lock();
    if state.is_off || cfg!(target_family = "wasm") {
        return false;
    }
    state.waiting.push(source);
    if state.thread.is_none() {
        let started = thread::Builder::new().name("backstop-metrics".to_owned()).spawn(run);
        state.thread = started.ok().map(|started| started.thread().clone());
    } else if std::mem::take(&mut state.is_idle)
        && let Some(thread) = &state.thread
    {
        thread.unpark();
    }
    true
}

fn run() {
    let mut listed = Vec::new();
    loop {
        let (is_idle, is_off) = {
            let mut state = STATE.lock();
            listed.append(&mut state.waiting);
            state.is_idle = listed.is_empty();
            (state.is_idle, state.is_off)
        };
        if is_idle {
            thread::park();
            continue;
        }
        if is_off {
            for source in listed.drain(..).filter_map(|source: Weak<dyn Source>| source.upgrade()) {
                source.waiting().delist();
            }
        } else if has_recorder() {
            listed.retain(tell);
        } else {
            listed.retain(|source| source.strong_count() > 0); // until there is one
        }
        thread::park_timeout(TICK);
    }
}

/// Publishes one mechanism; `false` if nothing of it waits any more.
fn tell(source: &Weak<dyn Source>) -> bool {
    // The last reference may go here, and with it listeners of the user.
    let waits = catch_panic(|| {
        let Some(source) = source.upgrade() else { return false };
        if source.publish() {
            return true;
        }
        // Nothing in this round. A call that counts after this either finds it delisted, or is seen by the last look.
        source.waiting().delist();
        source.publish() && source.waiting().list()
    });
    waits.unwrap_or(true)
}

/// Returns whether a global recorder is installed: the default one is zero-sized.
fn has_recorder() -> bool {
    metrics::with_recorder(|recorder| size_of_val(recorder) > 0)
}
