//! A service's folder, its lock, and a controller without a source.

use crate::output::Failure;
use crate::text::shown;
use backstop::rollout::controller::{Controller, Settings, StartError, Status};
use backstop::rollout::journal::JournalError;
use backstop::rollout::state_dir::{Lock, StateDir, StateError};
use std::io::Write as _;
use std::path::Path;

pub(super) const BY: &str = "Your name, kept in the journal and not verified. Default: your user name, as USER or the system says it \
                  [env: BACKSTOP_ACTOR]";

pub(super) fn nothing(message: String) -> Failure {
    Failure::Answered { exit_code: 4, code: "no_rollout".to_owned(), message }
}

/// The folder of a service that has had a rollout.
pub(super) fn existing(state: &Path, service: &str) -> Result<StateDir, Failure> {
    let dir = StateDir::new(state, service)?;
    dir.check_readable()?;
    let shown = std::path::absolute(state).unwrap_or_else(|_| state.to_owned());
    match dir.latest() {
        Some(_) => Ok(dir),
        None => Err(nothing(format!("{} has no rollout of {service}", shown.display()))),
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        let message = error.to_string();
        if matches!(error, StateError::Service(_)) { Self::Usage(message) } else { Self::Store(message) }
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Store(error.to_string())
    }
}

/// A controller without a source, in the latest rollout of a service.
pub(super) fn controller(dir: &StateDir, lock: Lock, by: &str) -> Result<Controller, Failure> {
    let folder = dir.latest().ok_or_else(|| nothing("there is no rollout".to_owned()))?;
    Controller::new(Settings::of(dir, folder, by), lock).map_err(|error| failed(&error))
}

pub(super) fn failed(error: &StartError) -> Failure {
    match error {
        StartError::NoTraffic => Failure::Input(error.to_string()),
        _ => Failure::Store(error.to_string()),
    }
}

/// A line on standard error. Whoever started the command may have closed it.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub(super) fn warn(trouble: &str) {
    say(&format!("warning: {}", shown(trouble)));
}

/// A person has to decide.
pub(super) fn held(dir: &StateDir) -> Failure {
    let status = Status::read(dir).ok().flatten();
    let Some(status) = status else { return Failure::Held("a person has to decide".to_owned()) };
    let folder = dir.path().join("rollouts").join(&status.rollout);
    let state = status.state.replace('_', " ");
    Failure::Held(format!(
        "rollout {} of {} ({}) is {state} at {} %: {}. Go on with it by `backstop rollout start {}` and its source, or see \
         `backstop rollout status {}`",
        status.rollout,
        status.service,
        status.artifact,
        status.weight,
        shown(&status.why),
        folder.join("plan.toml").display(),
        status.service
    ))
}
