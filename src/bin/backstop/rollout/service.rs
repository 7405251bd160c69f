//! A service's folder, its lock, and a controller without a source.

use crate::output::Failure;
use crate::text::shown;
use crate::time_args::now;
use backstop::rollout::controller::{Controller, Ended, Settings, StartError};
use backstop::rollout::journal::JournalError;
use backstop::rollout::stages::Rollout;
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
        None => {
            Err(nothing(format!("{} has no rollout of {service}; --state names another directory", shown.display())))
        }
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

/// Runs a controller to the end of its work, with a function that is told of each change. The failure is for an end at
/// which a person has to decide: the state directory may know less, if it cannot be written.
pub(super) fn run(dir: &StateDir, controller: Controller, tell: fn(&str)) -> (Ended, Failure) {
    let on_change = move |rollout: &Rollout| tell(&format!("{:.0} {}", now(), words(rollout)));
    let mut controller = controller.on_change(on_change).on_trouble(warn);
    let ended = controller.work();
    let (rollout, folder) = (controller.rollout(), dir.latest().unwrap_or_default());
    let number = StateDir::number(&folder);
    let (service, artifact, is) = (&rollout.plan().service, &rollout.plan().artifact, words(rollout));
    let held = format!(
        "rollout {number} of {service} ({artifact}) is {is}. Go on with it by `backstop rollout start {}` and its source, or see \
         `backstop rollout status {service}`",
        folder.join("plan.toml").display(),
    );
    (ended, Failure::Held(held))
}

/// State and weight of a rollout, and the reason.
fn words(rollout: &Rollout) -> String {
    let (state, weight, why) = (rollout.name().replace('_', " "), rollout.weight(), rollout.why());
    let why = if why.is_empty() { String::new() } else { format!(": {}", shown(&why)) };
    format!("{state} at {weight} %{why}")
}
