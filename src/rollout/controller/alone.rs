//! A rollback without a controller: the command or the HTTP request that asks for it takes the lock and acts itself.

use super::error::StartError;
use super::run::Controller;
use super::settings::Settings;
use crate::rollout::requests::{Answer, Request};
use crate::rollout::state_dir::{Holder, StateDir};
use std::time::Duration;

/// Way in which a rollback was asked for.
pub enum Asked {
    /// Of the controller that runs, with its answer; `None` if there was none in time, and the request stays for it.
    Controller(Option<Answer>),
    /// Decided here, as none runs; [`Controller::run`] carries it out, if it is accepted.
    Here(Answer, Box<Controller>),
}

/// Asks the controller of a service for a rollback, or decides it here if none holds the lock. Blocks the current thread, for at
/// most `within` and some seconds more.
///
/// # Errors
///
/// A state directory or a journal that cannot be used, and a plan that moves no traffic.
pub fn rollback(dir: &StateDir, request: Request, holder: &Holder, within: Duration) -> Result<Asked, StartError> {
    let mut lock = dir.lock(holder)?;
    if lock.is_err() {
        request.send(dir)?;
        if let Some(answer) = request.answer(dir, within) {
            return Ok(Asked::Controller(Some(answer)));
        }
        // It may have ended without a look at this request.
        lock = dir.lock(holder)?;
    }
    let Ok(lock) = lock else { return Ok(Asked::Controller(None)) };
    let folder = dir.latest().ok_or_else(|| StartError::Plan(dir.path().to_owned()))?;
    let mut controller = Controller::new(Settings::of(dir, folder, &holder.by), lock)?;
    let answer = controller.ask(request);
    Ok(Asked::Here(answer, Box::new(controller)))
}
