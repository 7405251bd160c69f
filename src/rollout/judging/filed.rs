//! The state on disk, written in the background: a verdict waits for no disk.

use super::state::{State, StateError};
use crate::clock::Clock;
use crate::rollout::filing::Filing;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Writes that may wait for a disk that is only slow.
const SLOW: usize = 20;
/// Longest wait for the last writes, when judging is dropped.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Filed {
    state: Arc<Mutex<State>>,
    /// The state's own warning, after its last write.
    warning: Arc<Mutex<Option<String>>>,
    /// Whether a write of this rollout had no room.
    is_lacking: AtomicBool,
    path: PathBuf,
    filing: Filing,
}

impl Filed {
    pub(super) fn new(state: State) -> Result<Self, StateError> {
        let filing = Filing::new().map_err(|error| state.failed(format!("no thread could be started: {error}")))?;
        let (warning, path) = (Arc::new(Mutex::new(state.warning())), state.directory.clone());
        Ok(Self { state: Arc::new(Mutex::new(state)), warning, is_lacking: AtomicBool::new(false), path, filing })
    }

    /// Does this after everything before it.
    pub(super) fn add(&self, work: impl FnOnce(&mut State) + Send + 'static) {
        if !self.filing.add(self.warned(work)) {
            self.is_lacking.store(true, Ordering::Relaxed);
        }
    }

    /// Begins a rollout by this. What still waits is of the one before it.
    pub(super) fn begin(&self, work: impl FnOnce(&mut State) + Send + 'static) {
        self.filing.instead(self.warned(work));
        self.is_lacking.store(false, Ordering::Relaxed);
    }

    fn warned(&self, work: impl FnOnce(&mut State) + Send + 'static) -> impl FnOnce() + Send + 'static {
        let (state, warning) = (Arc::clone(&self.state), Arc::clone(&self.warning));
        move || {
            let mut state = state.lock();
            work(&mut state);
            *warning.lock() = state.warning();
        }
    }

    /// Warnings for an operator: something that a restart would not know.
    pub(super) fn warnings(&self) -> Vec<String> {
        let path = self.path.display();
        let hangs = format!("the disk of {path} does not answer: a restart would not know what came since");
        let lacks = format!("{path} lacks what came while its disk did not answer: a restart would not know it");
        let hangs = (self.filing.waiting() > SLOW).then_some(hangs);
        let lacks = self.is_lacking.load(Ordering::Relaxed).then_some(lacks);
        hangs.into_iter().chain(lacks).chain(self.warning.lock().clone()).collect()
    }
}

impl Drop for Filed {
    fn drop(&mut self) {
        let clock = Clock::system();
        let begun = clock.now();
        while !self.filing.is_done() && clock.now().saturating_duration_since(begun) < PATIENCE {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_hangs_delays_no_verdict_and_is_a_warning() {
        let folder = tempfile::tempdir().unwrap();
        let filed = Filed::new(State::open(folder.path(), "checkout").unwrap().0).unwrap();
        let gate = Arc::new(Mutex::new(()));
        let (closed, disk) = (gate.lock(), Arc::clone(&gate));
        filed.add(move |_| drop(disk.lock()));
        assert!(filed.warnings().is_empty());
        (0..30).for_each(|number| filed.add(move |state| state.push(&number.to_string())));
        assert!(filed.warnings()[0].contains("does not answer"), "{:?}", filed.warnings());
        *filed.warning.lock() = Some("of the state".to_owned());
        assert_eq!(filed.warnings()[1..], ["of the state"]);
        drop(closed);
        drop(filed);
        assert!(State::open(folder.path(), "checkout").is_ok(), "written, and free");
    }

    #[test]
    fn what_has_no_room_is_a_warning_until_a_rollout_begins_which_always_has_some() {
        let folder = tempfile::tempdir().unwrap();
        let filed = Filed::new(State::open(folder.path(), "checkout").unwrap().0).unwrap();
        let gate = Arc::new(Mutex::new(()));
        let (closed, disk) = (gate.lock(), Arc::clone(&gate));
        filed.add(move |_| drop(disk.lock()));
        (0..1_100).for_each(|_| filed.add(|state| state.push("of the old one")));
        assert!(filed.warnings()[1].contains("lacks what came"), "{:?}", filed.warnings());
        filed.begin(|state| state.begin(Some("next"), 1.0));
        filed.add(|state| state.push("of the new one"));
        assert!(filed.warnings().is_empty(), "{:?}", filed.warnings());
        drop(closed);
        drop(filed);
        let (state, resumed) = State::open(folder.path(), "checkout").unwrap();
        assert_eq!(resumed.unwrap().rollout.as_deref(), Some("next"));
        let ticks = std::fs::read_to_string(state.ticks_of(state.rollout.files)).unwrap();
        assert_eq!(ticks, "of the new one\n");
    }
}
