//! Cause of a rollback, as people record it: a rollback is open until there is one.

use super::values::Cause;
use crate::clock::timestamp;
use crate::fs::lock_at;
use crate::rollout::redact::clean;
use crate::rollout::state_dir::{StateError, read, write_durable as write};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Most causes of a rollout.
const CAUSES_MAX: usize = 100;
/// Longest name and longest text, in bytes.
const NAME_MAX: usize = 200;
const TEXT_MAX: usize = 1_000;
/// Longest wait for another who records one.
const LOCK_WITHIN: Duration = Duration::from_secs(5);

impl Cause {
    /// The causes in the folder of a rollout, in the order in which they were recorded.
    pub fn read(folder: &Path) -> Vec<Self> {
        let causes: Vec<Self> = read(&folder.join("cause.json")).unwrap_or_default();
        let clean = |cause: Self| Self { by: clean(&cause.by), text: clean(&cause.text), ..cause };
        causes.into_iter().take(CAUSES_MAX).map(clean).collect()
    }

    /// Adds a cause to the folder of a rollout. Earlier ones stay.
    ///
    /// # Errors
    ///
    /// An author or a text that is empty or too long, more than 100 causes, and errors of the file system.
    pub fn record(folder: &Path, by: &str, text: &str) -> Result<(), StateError> {
        let path = folder.join("cause.json");
        let refused = |why: &str| StateError::Io {
            doing: "recording the cause in",
            path: path.clone(),
            source: io::Error::new(io::ErrorKind::InvalidInput, why),
        };
        let (by, text) = (by.trim(), text.trim());
        if by.is_empty() || by.len() > NAME_MAX {
            return Err(refused("by: must be a name of 1 to 200 bytes"));
        }
        if text.is_empty() || text.len() > TEXT_MAX {
            return Err(refused("cause: must be a text of 1 to 1,000 bytes"));
        }
        // Two who record at once are both heard.
        let lock = folder.join("cause.lock");
        let locked = lock_at(&lock, LOCK_WITHIN).map_err(StateError::io("locking", &lock))?;
        if locked.is_none() {
            return Err(refused("another process is recording a cause"));
        }
        let mut causes: Vec<Self> = match read(&path) {
            Some(causes) => causes,
            None if path.exists() => return Err(refused("the file exists and cannot be read: move it away")),
            None => Vec::new(),
        };
        if causes.len() >= CAUSES_MAX {
            return Err(refused("it has 100 causes already"));
        }
        causes.push(Self { at: timestamp(), by: by.to_owned(), text: text.to_owned() });
        write(&path, &serde_json::to_vec_pretty(&causes).unwrap_or_default())
    }
}
