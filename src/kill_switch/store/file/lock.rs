//! One writer at a time: an advisory lock on a file beside the document.

use super::os;
use crate::clock::Clock;
use crate::kill_switch::store::error::StoreError;
use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// How long a writer waits for another. A write takes milliseconds: after this the other one hangs, and whoever wants
/// to engage a switch has to hear of it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two tries. Not a lock that the kernel waits for: that one could wait for ever.
const PAUSE: Duration = Duration::from_millis(2);

/// Held until it is dropped, or the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn acquire(path: &Path) -> Result<Self, StoreError> {
        Self::within(path, PATIENCE)
    }

    fn within(path: &Path, patience: Duration) -> Result<Self, StoreError> {
        let clock = Clock::system();
        let begun = clock.now();
        loop {
            if let Some(file) = os::try_lock(path).map_err(StoreError::io("locking", path))? {
                return Ok(Self { _file: file });
            }
            let waited = clock.now().saturating_duration_since(begun);
            if waited >= patience {
                return Err(StoreError::Locked { path: path.to_owned(), waited });
            }
            thread::sleep(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_not_given_back_is_told_of() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("switches.json.lock");
        let held = Lock::acquire(&path).unwrap();
        let patience = Duration::from_millis(20);
        let error = Lock::within(&path, patience).unwrap_err();
        assert!(matches!(error, StoreError::Locked { waited, .. } if waited >= patience));
        drop(held);
        Lock::within(&path, patience).unwrap();
    }
}
