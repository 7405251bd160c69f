//! A rollback without a controller: the command or the HTTP request that asks for it takes the lock and acts itself.

use super::error::StartError;
use super::recording::Append;
use super::run::Controller;
use super::settings::Settings;
use super::status::plan_of;
use crate::clock::timestamp;
use crate::rollback::plan::Plan;
use crate::rollout::actuator::{Cancel, actuator};
use crate::rollout::journal::{Journal, JournalError, Record, replay};
use crate::rollout::requests::{Answer, Request};
use crate::rollout::stages::{Ask, Event, Reading, Rollout, State};
use crate::rollout::state_dir::{Holder, Lock, StateDir};
use crate::sync::Arc;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Way in which a rollback was asked for.
pub enum Asked {
    /// Of the controller that runs, with its answer; `None` if there was none in time, and the request stays for it.
    Controller(Option<Answer>),
    /// Decided here, as none runs; [`Controller::run`] carries it out, if it is accepted.
    Here(Answer, Box<Controller>),
    /// Not needed, and why: the release has no traffic any more.
    Nothing(String),
}

/// Asks the controller of a service for a rollback, or decides it here if none holds the lock: from the plan alone where the
/// journal cannot be used. Blocks the current thread, for at most `within` and some seconds more.
///
/// # Errors
///
/// A state directory that cannot be used, and a plan that cannot be read or moves no traffic.
pub fn rollback(dir: &StateDir, request: Request, holder: &Holder, within: Duration) -> Result<Asked, StartError> {
    let mut lock = dir.lock(holder)?;
    if let Err(holder) = &lock {
        let end = || format!("It is {holder}: if that cannot be helped, {}", ending(dir, holder));
        request.send(dir).map_err(|error| StartError::NotSent(error, end()))?;
        if let Some(answer) = request.answer(dir, within) {
            return Ok(Asked::Controller(Some(answer)));
        }
        // It may have ended without a look at this request, or have answered meanwhile.
        lock = dir.lock(holder)?;
        if let Some(answer) = request.answer(dir, Duration::ZERO) {
            return Ok(Asked::Controller(Some(answer)));
        }
    }
    let Ok(lock) = lock else { return Ok(Asked::Controller(None)) };
    request.withdraw(dir); // it is done here
    here(dir, lock, request, &holder.by)
}

fn here(dir: &StateDir, lock: Lock, request: Request, by: &str) -> Result<Asked, StartError> {
    let folder = dir.latest().ok_or_else(|| StartError::Plan(dir.path().to_owned()))?;
    let settings = Settings::of(dir, folder.clone(), by);
    let is_cut = matches!(request.ask, Ask::Rollback { cut: true });
    let plan = plan_of(&folder).ok_or_else(|| StartError::Plan(folder.clone()))?;
    let records = match known(&folder) {
        Ok(records) => records,
        Err(lost) => {
            let mut controller = Controller::of_plan_alone(settings, lock, &plan, lost)?;
            let answer = controller.ask(request);
            return Ok(Asked::Here(answer, Box::new(controller)));
        }
    };
    let rollout = replay(&plan, &records).0;
    let reading = returned(&rollout, &settings);
    let artifact = &plan.artifact;
    match &reading {
        Some(Reading::Same) => {
            return Ok(Asked::Nothing(format!("{artifact} is rolled back already and has no traffic: nothing to do")));
        }
        Some(Reading::Unknown { why }) if !is_cut => {
            let text = format!("{artifact} is rolled back already: nothing to do. Its weight cannot be read: {why}");
            return Ok(Asked::Nothing(text));
        }
        _ => {}
    }
    let mut controller = Controller::new(settings, lock)?;
    if let Some(reading @ Reading::Differs { .. }) = reading {
        controller.take(Event::Weight { reading });
    }
    let answer = controller.ask(request);
    Ok(Asked::Here(answer, Box::new(controller)))
}

/// Why a journal cannot be gone by, and whether a new one can be written in its place.
struct Lost {
    why: String,
    is_recorded: Result<(), String>,
}

impl Controller {
    /// With the plan alone, as the journal cannot be used.
    fn of_plan_alone(settings: Settings, lock: Lock, plan: &Arc<Plan>, lost: Lost) -> Result<Self, StartError> {
        let Lost { why, is_recorded } = lost;
        let journal = is_recorded.map(|()| Journal::new(settings.folder.join("journal.jsonl")));
        let append: Append = Box::new(move |record| journal.as_ref().map_err(Clone::clone)?.append(record));
        let mut controller = Self::build(settings, lock, plan, &[], Event::Lost { why: why.clone() }, append)?;
        controller.troubles.push(why);
        Ok(controller)
    }
}

/// The records of a rollout. A journal that was changed is put aside and not built on; one that this user cannot read may be
/// whole, and stays.
fn known(folder: &Path) -> Result<Vec<Record>, Lost> {
    let path = folder.join("journal.jsonl");
    match Journal::read(&path) {
        Ok(records) if records.is_empty() && has_one_aside(folder) => {
            let why = "the journal was damaged, and was put aside by a rollback before this one".to_owned();
            Err(Lost { why, is_recorded: Ok(()) })
        }
        Ok(records) => Ok(records),
        Err(damage) if is_damaged(&damage) => Err(match put_aside(&path) {
            Ok(aside) => Lost { why: format!("{damage}; it is kept as {}", aside.display()), is_recorded: Ok(()) },
            Err(error) => {
                let why = format!("{damage}; it cannot be put aside, so nothing is recorded: {error}");
                Lost { why, is_recorded: Err(format!("the old one cannot be put aside: {error}")) }
            }
        }),
        Err(damage) => {
            let why = format!("{damage}; nothing is recorded: run this as a user who can read it");
            Err(Lost { why, is_recorded: Err(damage.to_string()) })
        }
    }
}

/// Whether no user can read it at any time.
fn is_damaged(error: &JournalError) -> bool {
    match error {
        JournalError::Tampered { .. } => true,
        JournalError::Unreadable { source, .. } => source.kind() == io::ErrorKind::IsADirectory,
        JournalError::Plan { .. } => false,
    }
}

const ASIDE: &str = "journal-damaged-";

/// Renames a journal that cannot be used, and returns its new path.
fn put_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = path.with_file_name(format!("{ASIDE}{}.jsonl", timestamp().as_second()));
    std::fs::rename(path, &aside).map(|()| aside)
}

fn has_one_aside(folder: &Path) -> bool {
    let mut names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with(ASIDE))
}

/// The weight in force, compared with 0; `None` unless the rollout has returned all of the traffic.
fn returned(rollout: &Rollout, settings: &Settings) -> Option<Reading> {
    let has_returned = matches!(rollout.state(), State::Recovering { .. }) && rollout.expected() == Some(0);
    let log = settings.folder.join("evidence").join("commands.log");
    let mut actuator = actuator(rollout.plan(), &settings.commands_in, &log).filter(|_| has_returned)?;
    Some(actuator.read(0, &Cancel::default()))
}

/// The text for a person whose command was not answered in this time.
pub fn silence(dir: &StateDir, within: Duration) -> String {
    let Some(holder) = dir.holder() else {
        return "the controller ended before it answered: run this again".to_owned();
    };
    let how = ending(dir, &holder);
    format!("the controller did not answer within {within:?}: {holder}. The command stays for it; if it hangs, {how}")
}

/// How a person ends a controller that is of no use.
fn ending(dir: &StateDir, Holder { pid, host, .. }: &Holder) -> String {
    let place = if host.is_empty() { String::new() } else { format!(" on {host}") };
    match pid {
        0 => format!("find the process that holds {}", dir.path().join("lock").display()),
        pid => format!("end it with `kill -9 {pid}`{place}, then run this again"),
    }
}
