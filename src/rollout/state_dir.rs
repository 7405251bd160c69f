//! State directory: everything about a service's rollouts, and the lock that lets one controller act.
//!
//! ```text
//!  DIR/checkout/lock                      held by the controller; its content names the holder
//!              /status.json               the controller's last words, replaced about once a second
//!              /requests/*.json           commands for the controller, and in answers/ what it says; on a full disk a
//!                                         rollback is an empty file, *.rollback or *.break-glass
//!              /rollouts/0007/plan.toml   as it was started, with policy.toml and start.json
//!                            /journal.jsonl
//!                            /evidence/   ticks.jsonl, verdicts.jsonl, alerts.jsonl, commands.log, before.json
//! ```

use crate::clock::timestamp;
use crate::fs::{Access, careful, lock_at, lock_within, replace_unsynced, replace_with};
use crate::rollback::plan::{SERVICE, is_service};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest wait for the lock: a look at its holder takes it for a moment.
const PATIENCE: Duration = Duration::from_millis(500);

/// Folder of one service.
#[derive(Clone, Debug)]
pub struct StateDir {
    path: PathBuf,
}

/// Holder of the lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Holder {
    /// Number of the process.
    pub pid: u32,
    /// Its machine; empty if the system does not say it.
    pub host: String,
    /// The person who started it.
    pub by: String,
    /// Its command: `rollout start checkout:1.2.4`.
    pub command: String,
    /// Since when.
    pub since: String,
}

impl Holder {
    /// This process, from now on.
    pub fn new(by: &str, command: &str) -> Self {
        let (pid, since) = (std::process::id(), format!("{:.0}", timestamp()));
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        Self { pid, host, by: by.to_owned(), command: command.to_owned(), since }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { pid, host, by, command, since } = self;
        let place = if host.is_empty() { String::new() } else { format!(" on {host}") };
        write!(f, "process {pid}{place} of {by} ({command}, since {since})")
    }
}

/// The lock of a service: released when it is dropped, or its process is killed.
#[derive(Debug)]
#[must_use = "it is released when dropped"]
pub struct Lock {
    file: fs::File,
    path: PathBuf,
    /// Its content.
    text: Vec<u8>,
}

impl Lock {
    /// Looks whether another process has a lock in the place of this one, which was removed: then two may act.
    pub(crate) fn watch(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let (own, path, text) = (self.file.metadata().ok(), self.path.clone(), self.text.clone());
        let is_other = move |own: &fs::Metadata| {
            // Some file systems number a file anew, which has the same content then.
            let is_moved = fs::metadata(&path).is_ok_and(|there| place(&there) != place(own));
            is_moved && fs::read(&path).is_ok_and(|there| there != text)
        };
        move || own.as_ref().is_some_and(&is_other)
    }
}

#[cfg(unix)]
fn place(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn place(_: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}

impl StateDir {
    /// The folder of a service below the state directory. Nothing is created yet.
    ///
    /// # Errors
    ///
    /// A service whose name cannot be the name of a folder.
    pub fn new(state: &Path, service: &str) -> Result<Self, StateError> {
        if !is_service(service) {
            return Err(StateError::Service(service.chars().take(128).flat_map(char::escape_debug).collect()));
        }
        Ok(Self { path: state.join(service) })
    }

    /// Every service with a folder in a state directory, in order; none if there is no such directory.
    ///
    /// # Errors
    ///
    /// A directory that may not be read.
    pub fn services(state: &Path) -> Result<Vec<String>, StateError> {
        let mut names = Vec::new();
        for entry in entries(state)? {
            let rollouts = entry.path().join("rollouts");
            let is_service = match rollouts.metadata() {
                Ok(metadata) => metadata.is_dir(),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(StateError::io("reading", &rollouts)(error));
                }
                Err(_) => false,
            };
            names.extend(entry.file_name().into_string().ok().filter(|_| is_service));
        }
        names.sort();
        Ok(names)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Creates the folder where it is missing.
    ///
    /// # Errors
    ///
    /// Errors of the file system.
    pub fn create(&self) -> Result<(), StateError> {
        for folder in ["rollouts", "requests", "answers"] {
            let path = self.path.join(folder);
            fs::create_dir_all(&path).map_err(StateError::io("creating", &path))?;
        }
        Ok(())
    }

    /// Takes the lock; `Err` in the result names its holder. A disk that has no room for the holder's name, or takes no
    /// writes any more, does not keep it back: a rollback needs it.
    ///
    /// # Errors
    ///
    /// Errors of the file system.
    pub fn lock(&self, holder: &Holder) -> Result<Result<Lock, Holder>, StateError> {
        let path = self.path.join("lock");
        let failed = StateError::io("locking", &path);
        let locked = match lock_at(&path, PATIENCE) {
            // The system takes writes away from a disk with errors. The lock needs none.
            Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => lock_unwritten(&path),
            locked => locked,
        };
        let Some(mut file) = locked.map_err(failed)? else {
            return Ok(Err(self.holder().unwrap_or_default()));
        };
        let text = serde_json::to_vec(holder).unwrap_or_default();
        let _: io::Result<()> = file.set_len(0).and_then(|()| file.write_all(&text));
        Ok(Ok(Lock { file, path, text }))
    }

    /// Holder of the lock; `None` if nobody holds it. Whoever may read the file sees it, also from several places at a time.
    pub fn holder(&self) -> Option<Holder> {
        let path = self.path.join("lock");
        let is_free = match reading(&path) {
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        (!is_free).then(|| read(&path).unwrap_or_default())
    }

    /// Checks that the folder's rollouts may be read, if there are any.
    ///
    /// # Errors
    ///
    /// A folder that may not be read.
    pub fn check_readable(&self) -> Result<(), StateError> {
        entries(&self.path.join("rollouts")).map(drop)
    }

    /// Folder of the latest rollout.
    pub fn latest(&self) -> Option<PathBuf> {
        self.numbers().last().map(|number| self.rollout(*number))
    }

    /// Folders of all rollouts, the oldest first.
    pub fn rollouts(&self) -> Vec<PathBuf> {
        self.numbers().into_iter().map(|number| self.rollout(number)).collect()
    }

    /// Creates the folder of the next rollout, with its files: these are its plan, policy and settings for as long as it
    /// lasts.
    ///
    /// # Errors
    ///
    /// Errors of the file system.
    pub fn begin(&self, files: &[(&str, &[u8])]) -> Result<PathBuf, StateError> {
        let number = self.numbers().last().map_or(1, |number| number + 1);
        // Renamed when it is whole: a rollout without its plan could not be resumed.
        let building = self.path.join("rollouts").join(format!(".{number:04}"));
        let _: io::Result<()> = fs::remove_dir_all(&building);
        let evidence = building.join("evidence");
        fs::create_dir_all(&evidence).map_err(StateError::io("creating", &evidence))?;
        for (name, bytes) in files {
            write_durable(&building.join(name), bytes)?;
        }
        let path = self.rollout(number);
        fs::rename(&building, &path).map_err(StateError::io("renaming", &building))?;
        Ok(path)
    }

    /// Number of a rollout: the name of its folder.
    pub fn number(folder: &Path) -> String {
        folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn rollout(&self, number: u32) -> PathBuf {
        self.path.join("rollouts").join(format!("{number:04}"))
    }

    fn numbers(&self) -> Vec<u32> {
        let entries = fs::read_dir(self.path.join("rollouts")).into_iter().flatten().flatten();
        let mut numbers: Vec<u32> =
            entries.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok())).collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Opens a lock that is there, without the right to write it.
fn reading(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    careful(&mut options, 0);
    options.open(path)
}

fn lock_unwritten(path: &Path) -> io::Result<Option<fs::File>> {
    let file = reading(path)?;
    Ok(lock_within(&file, PATIENCE)?.then_some(file))
}

/// Entries of a folder; none if it is missing.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, StateError> {
    match fs::read_dir(folder).and_then(Iterator::collect) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read.map_err(StateError::io("reading", folder)),
    }
}

/// Puts a file in place, whole or not at all, without a wait for the disk: a slow one delays no rollback. A power cut may
/// lose it; what has to outlast that is in the journal.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    replace_unsynced(path, bytes, Access::Directory).map_err(StateError::of)
}

/// As [`write`], and waits until it is on the disk.
pub(crate) fn write_durable(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    replace_with(path, |file| file.write_all(bytes), Access::Directory).map_err(StateError::of)
}

/// The value in a file of JSON; `None` if it has none or is longer than 1 MiB.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let is_short = fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= 1 << 20);
    let bytes = is_short.then(|| fs::read(path).ok()).flatten()?;
    serde_json::from_slice(&bytes).ok()
}

/// Errors of a state directory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The name of the service cannot be the name of a folder.
    #[error("service: \"{0}\" is not allowed, must be {SERVICE}")]
    Service(String),
    /// The file system said no.
    #[error("{doing} {} failed: {source}", path.display())]
    Io {
        /// The step.
        doing: &'static str,
        /// The path.
        path: PathBuf,
        /// Error of the file system.
        source: io::Error,
    },
}

impl StateError {
    fn of(failure: crate::fs::Failure) -> Self {
        Self::Io { doing: failure.doing, path: failure.path, source: failure.source }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_no_holder_in_each_other_and_a_lock_needs_no_right_to_write() {
        let folder = tempfile::tempdir().unwrap();
        let dir = StateDir::new(folder.path(), "checkout").unwrap();
        dir.create().unwrap();
        drop(dir.lock(&Holder::new("mira", "test")).unwrap());
        let path = dir.path().join("lock");
        let other = reading(&path).unwrap();
        other.try_lock_shared().unwrap();
        assert_eq!(dir.holder(), None, "another reader");
        drop(other);
        let lock = lock_unwritten(&path).unwrap();
        assert!(lock.is_some() && lock_unwritten(&path).unwrap().is_none() && dir.holder().is_some());
    }
}
