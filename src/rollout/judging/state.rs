//! The state on disk: ticks since the rollout began, so that a process that was restarted knows what it knew.
//!
//! | file | |
//! |---|---|
//! | `rollout.json` | the rollout's name, when it began, the number of its files, and a decision against it |
//! | `ticks.N.jsonl` | its ticks, as `backstop judge --ticks` reads them; [halved](super::halved) now and then |
//! | `overrides.N.jsonl` | its overrides, each after so many ticks |
//! | `lock` | held by the process that judges |

use crate::fs;
use crate::rollback::fields::shown;
use crate::rollback::{Decision, Tick, TickReader};
use crate::rollout::filing::appending;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Length of the file of ticks at which they are halved: hours of a usual service.
const HALVED_AT: u64 = 16 << 20;
/// Largest file of ticks, if they cannot be halved.
const TICKS_MAX: u64 = 256 << 20;
/// Longest line that is read.
const LINE_MAX: u64 = 16 << 20;
/// Largest file of overrides that is read.
const OVERRIDES_MAX: u64 = 1 << 20;
/// Time to wait for the process before this one to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// State that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the state in {}: {message}", directory.display())]
pub struct StateError {
    directory: PathBuf,
    message: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Rollout {
    /// The service that is judged; empty in a file that does not say it.
    #[serde(default)]
    service: String,
    #[serde(rename = "rollout")]
    name: Option<String>,
    /// Seconds since 1970.
    begun: f64,
    pub(super) files: u64,
    /// Whether our side began it, rather than a name of a controller.
    #[serde(default)]
    is_begun: bool,
    /// The decision, if it is one against the rollout.
    #[serde(default)]
    held: Option<Held>,
}

/// A pause or a rollback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    pub(super) decision: Decision,
    pub(super) sentence: String,
}

/// An override as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptOverride {
    /// Ticks before it.
    pub(super) after: u64,
    pub(super) by: String,
    pub(super) reason: String,
}

impl KeptOverride {
    /// With its line break.
    pub(super) fn line(&self) -> String {
        format!("{}\n", serde_json::to_string(self).unwrap_or_default())
    }
}

/// Input of the judge, in its order.
pub(super) enum Event {
    /// A tick, and its line.
    Tick(Box<Tick>, String),
    Override(KeptOverride),
}

/// The rollout of the process before this one.
pub(super) struct Resumed {
    pub(super) rollout: Option<String>,
    pub(super) begun: f64,
    pub(super) is_begun: bool,
    pub(super) held: Option<Held>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) directory: PathBuf,
    pub(super) rollout: Rollout,
    pub(super) ticks: Option<File>,
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// Length of the file at which its ticks are halved next.
    pub(super) halved_at: u64,
    /// A line may be torn: the next one begins on its own.
    pub(super) is_torn: bool,
    /// The last write that failed.
    pub(super) error: Option<String>,
    _lock: File,
}

impl State {
    /// Opens the state of a directory, which is made if missing; with the rollout that is in it.
    ///
    /// # Errors
    ///
    /// A directory that cannot be made or locked: another process judges with it. One of another service.
    pub(super) fn open(directory: &Path, service: &str) -> Result<(Self, Option<Resumed>), StateError> {
        let failed = |message: String| StateError { directory: directory.to_owned(), message };
        std::fs::create_dir_all(directory).map_err(|error| failed(format!("cannot be made: {error}")))?;
        let lock = fs::lock_at(&directory.join("lock"), PATIENCE)
            .map_err(|error| failed(format!("cannot be locked: {error}")))?;
        let lock = lock.ok_or_else(|| failed("another process judges with it".to_owned()))?;
        fs::remove_temporaries(directory, |target| target == b"rollout.json" || target.ends_with(b".jsonl"));
        let mut state = Self {
            directory: directory.to_owned(),
            rollout: Rollout { service: service.to_owned(), ..Rollout::default() },
            ticks: None,
            bytes: 0,
            lines: 0,
            halved_at: HALVED_AT,
            is_torn: false,
            error: None,
            _lock: lock,
        };
        let read = match std::fs::read_to_string(state.path()) {
            Ok(text) => serde_json::from_str::<Rollout>(&text).map_err(|error| error.to_string()).map(Some),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(Some(Rollout { service: other, .. })) if !other.is_empty() && other != service => {
                let other = shown(&other);
                Err(failed(format!("it is that of the service \"{other}\": give each service its own")))
            }
            Ok(Some(rollout)) if rollout.begun.is_finite() && rollout.begun >= 0.0 => {
                let Rollout { name, begun, is_begun, held, .. } = rollout.clone();
                let resumed = Resumed { rollout: name, begun, is_begun, held };
                // A process that was killed may have left the files before or after these.
                for other in [rollout.files.wrapping_sub(1), rollout.files.wrapping_add(1)] {
                    state.remove(other);
                }
                state.rollout = Rollout { service: service.to_owned(), ..rollout };
                Ok((state, Some(resumed)))
            }
            Ok(None) => Ok((state, None)),
            Ok(Some(_)) | Err(_) => {
                // Judging again from nothing is better than not judging.
                state.error = Some("rollout.json was damaged: judging began anew".to_owned());
                state.rollout.files = newest(directory);
                Ok((state, None))
            }
        }
    }

    pub(super) fn failed(&self, message: String) -> StateError {
        StateError { directory: self.directory.clone(), message }
    }

    /// Hands over everything that was judged, and goes on behind it. Lines that are no ticks are left out. Returns whether all
    /// is known that was written: a process that was killed tears its last line, and any other one was damaged.
    pub(super) fn replay(&mut self, mut each: impl FnMut(Event)) -> bool {
        let mut overrides = self.overrides().into_iter().peekable();
        let mut due = |lines: u64, each: &mut dyn FnMut(Event)| {
            while let Some(one) = overrides.next_if(|one| one.after <= lines) {
                each(Event::Override(one));
            }
        };
        let (mut reader, mut bad, mut damaged) = (TickReader::new(), 0, 0);
        let mut whole = 0;
        let read = read(&self.ticks_path(), |line| {
            (damaged, whole) = (bad, self.bytes);
            self.bytes += line.len() as u64;
            self.is_torn = line.last() != Some(&b'\n');
            let text = String::from_utf8_lossy(line);
            match reader.read(&text) {
                Ok(Some(tick)) => {
                    due(self.lines, &mut each);
                    self.lines += 1;
                    each(Event::Tick(Box::new(tick), text.trim_end().to_owned()));
                }
                Ok(None) => {}
                Err(_) => bad += 1,
            }
            Ok(())
        });
        due(u64::MAX, &mut each);
        self.ticks = self.append(&self.ticks_path());
        // A line that has its end was written whole.
        let damaged = if self.is_torn { damaged } else { bad };
        // A torn line in the midst would be a damaged one at the next start.
        if self.is_torn && bad > damaged && self.ticks.as_ref().is_some_and(|file| file.set_len(whole).is_ok()) {
            (self.bytes, self.is_torn) = (whole, false);
        }
        if let Err(error) = &read {
            let path = self.ticks_path();
            self.error = Some(format!("{} cannot be read to its end: {error}", path.display()));
        } else if damaged > 0 {
            let path = self.ticks_path();
            self.error =
                Some(format!("{} is damaged, in {damaged} of its lines: what they said is lost", path.display()));
        }
        read.is_ok() && damaged == 0
    }

    /// Begins a rollout: from here on a process that is started knows nothing of the one before it.
    pub(super) fn begin(&mut self, rollout: Option<&str>, begun: f64) {
        let (old, new) = (self.rollout.files, self.rollout.files.wrapping_add(1));
        let service = std::mem::take(&mut self.rollout.service);
        let name = rollout.map(str::to_owned);
        self.rollout = Rollout { service, name, begun, files: new, ..Rollout::default() };
        (self.bytes, self.lines, self.halved_at, self.is_torn, self.error) = (0, 0, HALVED_AT, false, None);
        // Files that are there are of a process that was killed between these steps.
        self.remove(new);
        self.ticks = self.append(&self.ticks_path());
        if !self.write() {
            // A process that is started goes on with the old ones.
            return;
        }
        self.remove(old);
    }

    /// Removes the files of this number.
    pub(super) fn remove(&self, files: u64) {
        for path in [self.ticks_of(files), self.overrides_of(files)] {
            let _: io::Result<()> = std::fs::remove_file(path);
        }
    }

    /// Notes a decision, or that there is none against the rollout.
    pub(super) fn decided(&mut self, decision: Decision, sentence: &str) {
        let against = Some(decision).filter(|decision| matches!(decision, Decision::Pause | Decision::Rollback));
        // Its sentence may change at each look, and a write waits for the disk.
        if self.rollout.held.as_ref().map(|held| held.decision) != against {
            self.rollout.held = against.map(|decision| Held { decision, sentence: sentence.to_owned() });
            self.write();
        }
    }

    /// Notes that our side began the rollout.
    pub(super) fn begun_by_us(&mut self) {
        self.rollout.is_begun = true;
        self.write();
    }

    /// Names the rollout that goes on.
    pub(super) fn name(&mut self, rollout: Option<&str>) {
        self.rollout.name = rollout.map(str::to_owned);
        self.write();
    }

    /// Appends a tick.
    pub(super) fn push(&mut self, line: &str) {
        if self.is_full() {
            return;
        }
        let Some(mut file) = self.ticks.as_ref() else { return };
        let text = format!("{}{line}\n", if self.is_torn { "\n" } else { "" });
        match file.write_all(text.as_bytes()) {
            Ok(()) => {
                self.bytes += text.len() as u64;
                self.lines += 1;
                self.is_torn = false;
                if self.bytes >= self.halved_at {
                    self.halve();
                }
            }
            Err(error) => {
                self.is_torn = true;
                self.error = Some(format!("{} cannot be written: {error}", self.ticks_path().display()));
            }
        }
    }

    /// Appends an override.
    pub(super) fn push_override(&mut self, by: &str, reason: &str) {
        let kept = KeptOverride { after: self.lines, by: by.to_owned(), reason: reason.to_owned() };
        let path = self.overrides_path();
        let Some(mut file) = self.append(&path) else { return };
        let written = file.write_all(kept.line().as_bytes()).and_then(|()| file.sync_all());
        if let Err(error) = written {
            self.error = Some(format!("{} cannot be written: {error}", path.display()));
        }
    }

    /// Warning for an operator: something that a restart would not know.
    pub(super) fn warning(&self) -> Option<String> {
        let full = "the state has 256 MiB of ticks and takes no more: a restart would know no later ones";
        self.error.clone().or_else(|| self.is_full().then(|| full.to_owned()))
    }

    /// Shows a warning until the next rollout.
    pub(super) fn warn(&mut self, warning: String) {
        self.error = Some(warning);
    }

    fn is_full(&self) -> bool {
        self.bytes >= TICKS_MAX
    }

    pub(super) fn write(&mut self) -> bool {
        let text = serde_json::to_string(&self.rollout).unwrap_or_default();
        match fs::replace(&self.path(), text.as_bytes(), None) {
            Ok(()) | Err(fs::Failure { is_in_place: true, .. }) => true,
            Err(failure) => {
                self.error = Some(failure.to_string());
                false
            }
        }
    }

    pub(super) fn append(&mut self, path: &Path) -> Option<File> {
        let failed = |error| self.error = Some(format!("{} cannot be opened: {error}", path.display()));
        appending(path).map_err(failed).ok()
    }

    pub(super) fn overrides(&self) -> Vec<KeptOverride> {
        let Ok(file) = File::open(self.overrides_path()) else { return Vec::new() };
        let mut text = Vec::new();
        let _: io::Result<usize> = file.take(OVERRIDES_MAX).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn path(&self) -> PathBuf {
        self.directory.join("rollout.json")
    }

    fn ticks_path(&self) -> PathBuf {
        self.ticks_of(self.rollout.files)
    }

    fn overrides_path(&self) -> PathBuf {
        self.overrides_of(self.rollout.files)
    }

    pub(super) fn ticks_of(&self, files: u64) -> PathBuf {
        self.directory.join(format!("ticks.{files}.jsonl"))
    }

    pub(super) fn overrides_of(&self, files: u64) -> PathBuf {
        self.directory.join(format!("overrides.{files}.jsonl"))
    }
}

/// Hands over the lines of a file, each with its line break.
pub(super) fn read(path: &Path, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let (mut file, mut line) = (BufReader::new(File::open(path)?), Vec::new());
    while file.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? > 0 {
        each(&line)?;
        line.clear();
    }
    Ok(())
}

/// The largest number of a file of ticks.
fn newest(directory: &Path) -> u64 {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let numbers = names.filter_map(|name| {
        let number = name.to_str()?.strip_prefix("ticks.")?.strip_suffix(".jsonl")?;
        number.parse().ok()
    });
    numbers.max().unwrap_or(0)
}
