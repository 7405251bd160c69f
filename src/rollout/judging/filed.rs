//! The state on disk, written in the background: a verdict waits for no disk.

use super::state::{State, StateError};
use crate::clock::Clock;
use crate::rollout::filing::Filing;
use crate::sync::{Arc, Mutex};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Writes that may wait for a disk that is only slow.
const SLOW: usize = 20;
/// Longest wait for the last writes, at an orderly end.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Filed {
    state: Arc<Mutex<State>>,
    /// The state's own warning, after its last write.
    warning: Arc<Mutex<Option<String>>>,
    path: PathBuf,
    filing: Filing,
}

impl Filed {
    pub(super) fn new(state: State) -> Result<Self, StateError> {
        let filing = Filing::new().map_err(|error| state.failed(format!("no thread could be started: {error}")))?;
        let (warning, path) = (Arc::new(Mutex::new(state.warning())), state.directory.clone());
        Ok(Self { state: Arc::new(Mutex::new(state)), warning, path, filing })
    }

    /// Does this after everything before it.
    pub(super) fn add(&self, work: impl FnOnce(&mut State) + Send + 'static) {
        let (state, warning) = (Arc::clone(&self.state), Arc::clone(&self.warning));
        self.filing.add(move || {
            let mut state = state.lock();
            work(&mut state);
            *warning.lock() = state.warning();
        });
    }

    /// Warning for an operator: something that a restart would not know.
    pub(super) fn warning(&self) -> Option<String> {
        let hangs =
            || format!("the disk of {} does not answer: a restart would not know what came since", self.path.display());
        if self.filing.waiting() > SLOW { Some(hangs()) } else { self.warning.lock().clone() }
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
        assert_eq!(filed.warning(), None);
        (0..30).for_each(|number| filed.add(move |state| state.push(&number.to_string())));
        assert!(filed.warning().unwrap().contains("does not answer"), "{:?}", filed.warning());
        drop(closed);
        drop(filed);
        assert!(State::open(folder.path(), "checkout").is_ok(), "written, and free");
    }
}
