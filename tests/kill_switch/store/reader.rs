//! A reader that is woken, as a switchboard is.

use super::common::whole;
use backstop::kill_switch::store::{FileStore, Store, StoreError, Watch};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a busy machine may take. No test says how fast it is: times are printed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Reads when it is woken, as a switchboard does.
pub(crate) struct Reader {
    pub(crate) state: Arc<State>,
    _watch: Option<Watch>,
    stop: Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
pub(crate) struct State {
    latest: Mutex<Option<(u64, Instant)>>,
    changed: Condvar,
    pub(crate) wakes: AtomicU64,
    pub(crate) torn: AtomicU64,
    pub(crate) errors: Mutex<Vec<StoreError>>,
}

impl Reader {
    /// Woken by the watch, by a poll, or by both.
    pub(crate) fn new(store: FileStore, is_watching: bool, poll: Option<Duration>) -> Self {
        let (stop, wakes) = channel();
        let wake = Mutex::new(stop.clone());
        let watch =
            is_watching.then(|| store.watch(Arc::new(move || wake.lock().unwrap().send(false).unwrap_or_default())));
        let state = Arc::new(State::default());
        let of_thread = Arc::clone(&state);
        let thread = std::thread::spawn(move || of_thread.read(&store, &wakes, poll));
        Self { state, _watch: watch, stop, thread: Some(thread) }
    }

    /// When it has read this generation, or a later one.
    pub(crate) fn reached(&self, generation: u64) -> Instant {
        let latest = self.state.latest.lock().unwrap();
        let is_behind = |latest: &mut Option<(u64, Instant)>| latest.is_none_or(|(read, _)| read < generation);
        let (latest, _) = self.state.changed.wait_timeout_while(latest, PATIENCE, is_behind).unwrap();
        let (read, at) = latest.unwrap_or_else(|| panic!("nothing read, {:?}", self.state.errors.lock().unwrap()));
        assert!(read >= generation, "{read} read, and not {generation}");
        at
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.send(true).ok();
        let result = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(result, Some(Ok(()))));
    }
}

impl State {
    fn read(&self, store: &FileStore, wakes: &Receiver<bool>, poll: Option<Duration>) {
        loop {
            match store.read() {
                Ok(Some(bytes)) => match whole(&bytes) {
                    Some(generation) => {
                        *self.latest.lock().unwrap() = Some((generation, Instant::now()));
                        self.changed.notify_all();
                    }
                    None => _ = self.torn.fetch_add(1, Ordering::Relaxed),
                },
                Ok(None) => {}
                Err(error) => self.errors.lock().unwrap().push(error),
            }
            match wakes.recv_timeout(poll.unwrap_or(Duration::from_secs(60))) {
                Ok(true) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(false) => _ = self.wakes.fetch_add(1, Ordering::Relaxed),
                Err(RecvTimeoutError::Timeout) => assert!(poll.is_some(), "nobody woke it for a minute"),
            }
            // However often it was woken meanwhile, one look is enough.
            for is_over in wakes.try_iter() {
                if is_over {
                    return;
                }
            }
        }
    }
}

pub(crate) fn print_times(what: &str, mut times: Vec<Duration>, reader: &Reader) {
    times.sort();
    let at = |share: usize| times[times.len() * share / 100];
    let State { wakes, torn, .. } = &*reader.state;
    println!(
        "{what}: p50 {:?} p99 {:?} max {:?}, {wakes:?} wakes, {torn:?} torn",
        at(50),
        at(99),
        times[times.len() - 1]
    );
}
