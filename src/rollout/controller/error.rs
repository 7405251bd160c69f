//! Errors of a start.

use crate::rollout::journal::JournalError;
use crate::rollout::state_dir::StateError;
use std::path::PathBuf;

/// Error of a start: nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The plan of the rollout cannot be read.
    #[error("{}/plan.toml cannot be read", .0.display())]
    Plan(PathBuf),
    /// The plan has no `[traffic]`.
    #[error("traffic: required, as this controller moves it")]
    NoTraffic,
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The command cannot be handed to the controller that runs: what to do about it.
    #[error("the command does not reach the controller: {0}. {1}")]
    NotSent(StateError, String),
    /// The journal cannot be written, so nothing is begun.
    #[error("nothing was begun: {0}")]
    NotWritten(String),
    /// The system gives no thread.
    #[error("no thread could be started: {0}")]
    Thread(std::io::Error),
}
