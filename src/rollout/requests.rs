//! Requests: commands of people as files that the controller reads, and its answers.
//!
//! A command is a file that is put in place whole, so the shell and HTTP have one way in, with the permissions of the
//! directory. The controller looks for files ten times a second or more, journals the command and removes the file; the
//! identity in the journal keeps a command from being carried out twice after a crash. On a full disk a rollback is an empty
//! file, whose name says what it is.

use super::stages::Ask;
use super::state_dir::{StateDir, StateError, read, write};
use crate::clock::{Clock, timestamp};
use crate::config::{ConfigError, Problem, Problems};
use crate::fs::careful;
use serde::{Deserialize, Serialize};
use std::fs;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Most requests that are read at one look, and answers that are kept.
const MOST: usize = 100;

/// Endings of rollbacks without a content, for a disk that has no room for one.
const BARE: [(&str, bool); 2] = [("rollback", false), ("break-glass", true)];

/// Longest maintenance window, in seconds: 7 days.
const WINDOW_MAX: u64 = 7 * 86_400;

/// Longest reason and name of a person, in bytes.
const TEXT_MAX: usize = 1_000;

/// A person's command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its identity.
    #[serde(default)]
    pub id: String,
    /// The command.
    pub ask: Ask,
    /// The person.
    pub by: String,
    /// The reason.
    pub reason: String,
    /// Number of the rollout that it is for, set when it is sent.
    #[serde(default)]
    pub rollout: String,
}

/// The controller's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Whether the command was accepted.
    pub is_accepted: bool,
    /// The answer in one sentence.
    pub text: String,
}

impl Request {
    /// A command with a new identity.
    pub fn new(ask: Ask, by: impl Into<String>, reason: impl Into<String>) -> Self {
        // std's keys are random for each: no other source of randomness is needed for a name.
        let random = RandomState::new().hash_one(());
        let id = format!("{:020}-{random:016x}", timestamp().as_nanosecond());
        Self { id, ask, by: by.into(), reason: reason.into(), rollout: String::new() }
    }

    /// Checks who asks, why and for how long: a file may say anything.
    ///
    /// # Errors
    ///
    /// A name or reason that is blank or longer than 1,000 bytes, and a window that is not of 1 second to 7 days.
    pub fn check(&self) -> Result<(), ConfigError> {
        if let Ask::Disable { seconds } = self.ask
            && !(1..=WINDOW_MAX).contains(&seconds)
        {
            return Err(ConfigError::of(Problem::new("seconds", seconds, format!("1 to {WINDOW_MAX}"))));
        }
        check_texts([("by", &*self.by), ("reason", &*self.reason)])
    }

    /// Puts the command where the controller finds it. On a full disk, a rollback is a name alone, without its author and
    /// reason.
    ///
    /// # Errors
    ///
    /// Errors of the file system.
    pub fn send(&self, to: &StateDir) -> Result<(), StateError> {
        // A command that its controller did not read must not be carried out by the next rollout's.
        let rollout = to.latest().as_deref().map(StateDir::number).unwrap_or_default();
        let sent = Self { rollout, ..self.clone() };
        let bytes = serde_json::to_vec(&sent).unwrap_or_default();
        let folder = to.path().join("requests");
        let written = write(&folder.join(format!("{}.json", self.id)), &bytes);
        let ending = BARE.iter().find(|(_, cut)| self.ask == Ask::Rollback { cut: *cut });
        let Some((ending, _)) = ending.filter(|_| written.is_err()) else { return written };
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        careful(&mut options, 0o600);
        options.open(folder.join(format!("{}.{ending}", self.id))).map(drop).or(written)
    }

    /// Takes the command back, if the controller has not read it yet.
    pub fn withdraw(&self, from: &StateDir) {
        remove(from, &self.id);
    }

    /// Waits for the answer; `None` if there is none in this time. A command that was taken and whose answer cannot be written
    /// counts as accepted. Blocks the current thread.
    pub fn answer(&self, from: &StateDir, within: Duration) -> Option<Answer> {
        let clock = Clock::system();
        let path = from.path().join("answers").join(format!("{}.json", self.id));
        let begun = clock.now();
        loop {
            // In this order: an answer is put in place before its command is removed.
            let is_taken = !files(from, &self.id).iter().any(|path| path.try_exists().unwrap_or(true));
            if let Some(answer) = read(&path) {
                let _: io::Result<()> = fs::remove_file(&path);
                return Some(answer);
            }
            if is_taken {
                let text =
                    "the controller has taken the command and cannot write its answer: look at the load balancer";
                return Some(Answer { is_accepted: true, text: text.to_owned() });
            }
            if clock.now().saturating_duration_since(begun) >= within {
                return None;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Checks texts of a person, each with the name of its field.
///
/// # Errors
///
/// A text that is blank or longer than 1,000 bytes.
pub fn check_texts<'a>(texts: impl IntoIterator<Item = (&'static str, &'a str)>) -> Result<(), ConfigError> {
    let mut problems = Problems::default();
    for (field, text) in texts {
        let value = match text.len() {
            _ if text.trim().is_empty() => "a blank text".to_owned(),
            length if length > TEXT_MAX => format!("a text of {length} bytes"),
            _ => continue,
        };
        problems.add(field, value, format!("1 to {TEXT_MAX} bytes, not blank"));
    }
    problems.into_result(())
}

/// Requests that wait, the oldest first. A file that is none is put aside.
pub(crate) fn waiting(dir: &StateDir) -> Vec<Request> {
    let folder = dir.path().join("requests");
    let mut names: Vec<_> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| {
            !name.starts_with('.')
                && (bare(name).is_some() || Path::new(name).extension().is_some_and(|ending| ending == "json"))
        })
        .collect();
    names.sort();
    names.truncate(MOST);
    let request = |name: &String| {
        let path = folder.join(name);
        if let Some(bare) = bare(name) {
            return Some(bare);
        }
        let request: Option<Request> = read(&path);
        // One that cannot be read now, for want of descriptors say, may be read at the next look.
        let may_be_one = || {
            let is_file = fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_file());
            is_file && fs::read(&path).is_err()
        };
        if request.is_none() && !may_be_one() {
            let _: io::Result<()> = fs::rename(&path, path.with_extension("refused"));
        }
        let id = name.trim_end_matches(".json").to_owned();
        request.map(|request| Request { id, ..request })
    };
    names.iter().filter_map(request).collect()
}

/// The rollback that a name alone asks for.
fn bare(name: &str) -> Option<Request> {
    let (id, ending) = name.rsplit_once('.')?;
    let (_, cut) = BARE.iter().find(|(of, _)| *of == ending)?;
    let reason = "the disk has no room for a name and a reason".to_owned();
    let (id, ask, by) = (id.to_owned(), Ask::Rollback { cut: *cut }, "a person".to_owned());
    Some(Request { id, ask, by, reason, rollout: String::new() })
}

/// Removes rollbacks that are a name alone: they were of an earlier rollout.
pub(crate) fn forget_bare(dir: &StateDir) {
    let entries = fs::read_dir(dir.path().join("requests")).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| bare(&entry.file_name().to_string_lossy()).is_some()) {
        let _: io::Result<()> = fs::remove_file(entry.path());
    }
}

/// Files that a request may be.
fn files(dir: &StateDir, id: &str) -> [PathBuf; 4] {
    ["json", "refused", BARE[0].0, BARE[1].0].map(|ending| dir.path().join("requests").join(format!("{id}.{ending}")))
}

/// Answers a request and removes it. One that cannot be answered is removed all the same.
pub(crate) fn answer(dir: &StateDir, id: &str, answer: &Answer) {
    let bytes = serde_json::to_vec(answer).unwrap_or_default();
    let folder = dir.path().join("answers");
    let _ = write(&folder.join(format!("{id}.json")), &bytes);
    remove(dir, id);
    let mut old: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    old.sort();
    for path in old.iter().take(old.len().saturating_sub(MOST)) {
        let _: io::Result<()> = fs::remove_file(path);
    }
}

/// Removes a request that was carried out before.
pub(crate) fn remove(dir: &StateDir, id: &str) {
    for path in files(dir, id) {
        let _: io::Result<()> = fs::remove_file(path);
    }
}
