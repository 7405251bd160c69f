//! Journal: every event that changed a rollout, on the disk before what follows from it is begun.
//!
//! A line is a [`Record`] as JSON with a sequence number, the hash of the line before it and its own, as the
//! [audit](crate::kill_switch::audit) of switches has them. The state of a rollout is the fold of its records, so a
//! controller that was killed at any instant goes on where it was. A last line that is incomplete is what a killed
//! writer left: it is put aside. Any other line that does not fit was tampered with, and nothing is built on it.

use super::stages::{Action, Event, Rollout};
use crate::clock::Timestamp;
use crate::kill_switch::audit::chain::each;
use crate::kill_switch::audit::chained::ChainedLog;
use crate::kill_switch::audit::{AuditError, Entry};
use crate::rollback::plan::Plan;
use crate::sync::Arc;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest journal that is read: some weeks of a rollout that changes every second.
const LENGTH_MAX: u64 = 1 << 30;

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// Time of day.
    pub at: Timestamp,
    /// Milliseconds since the rollout began.
    pub elapsed_ms: u64,
    /// The event.
    pub event: Event,
    /// Name of the state after it.
    pub state: String,
    /// The last weight that was set and read back.
    pub weight: u32,
    /// The reason for the state.
    pub why: String,
    /// Actions that follow from it; jobs are begun after the line is on the disk.
    pub actions: Vec<Action>,
}

impl Record {
    /// Of an event that led to this state.
    pub(crate) fn new(at: Timestamp, elapsed: Duration, event: &Event, after: &Rollout, actions: &[Action]) -> Self {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let (state, weight, why) = (after.name().to_owned(), after.weight(), after.why());
        Self { at, elapsed_ms, event: event.clone(), state, weight, why, actions: actions.to_vec() }
    }

    /// Time since the rollout began.
    pub const fn elapsed(&self) -> Duration {
        Duration::from_millis(self.elapsed_ms)
    }
}

/// A journal on disk.
#[derive(Debug)]
pub struct Journal {
    log: ChainedLog<Record>,
}

impl Journal {
    /// A journal at this path. Nothing is opened before the first record.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { log: ChainedLog::new(path.into()) }
    }

    /// Appends a record and waits until it is on the disk.
    ///
    /// # Errors
    ///
    /// Why it is not known to be on the disk.
    pub fn append(&self, record: Record) -> Result<(), String> {
        let shorten = |record| Record { why: String::new(), actions: Vec::new(), ..record };
        let failed = |error: crate::kill_switch::audit::AuditLogError| {
            let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{error}{source}")
        };
        self.log.append(record, shorten).map(drop).map_err(failed)
    }

    /// Every record of a journal, in order; none if there is no such file.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, and one that was tampered with.
    pub fn read(path: &Path) -> Result<Vec<Record>, JournalError> {
        let unreadable = |source| JournalError::Unreadable { path: path.to_owned(), source };
        if std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > LENGTH_MAX) {
            return Err(unreadable(io::Error::other(format!("it has more than {} MiB", LENGTH_MAX >> 20))));
        }
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unreadable(error)),
        };
        let mut records = Vec::new();
        match each(&bytes, |entry: &Entry<Record>| records.push(entry.facts.clone())) {
            Ok(()) | Err(AuditError::TornLastLine { .. }) => Ok(records),
            Err(tampered) => Err(JournalError::Tampered { path: path.to_owned(), tampered }),
        }
    }
}

/// The rollout that these records lead to, and the time of the last one.
pub fn replay(plan: &Arc<Plan>, records: &[Record]) -> (Rollout, Duration) {
    let events = records.iter().map(|record| (&record.event, record.elapsed()));
    let last = records.last().map_or(Duration::ZERO, Record::elapsed);
    (Rollout::replay(Arc::clone(plan), events), last)
}

/// A journal that nothing can be built on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read.
    #[error("the journal {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// Error of the file system.
        source: io::Error,
    },
    /// The plan beside it cannot be read, without which its records have no meaning.
    #[error("the state of the rollout is not known, as its plan {} cannot be read", path.display())]
    Plan {
        /// The path.
        path: PathBuf,
    },
    /// A line does not fit the one before it.
    #[error("the journal {} was changed: {tampered}; `rollback` acts from the plan and keeps it, or move the folder away to begin anew", path.display())]
    Tampered {
        /// The path.
        path: PathBuf,
        /// The line.
        tampered: AuditError,
    },
}
