//! Results and failures of a command.

use backstop::kill_switch::{ChangeError, EditError};
use serde::Serialize;
use std::fmt;

/// Result of a command.
#[derive(Default)]
pub(super) struct Report {
    /// For people.
    pub(super) text: String,
    /// For programs: one value.
    pub(super) json: String,
    /// A warning: something failed, but not the change.
    pub(super) warning: Option<String>,
    /// 0 if all is done; 4 if another person has to approve it first; 6 if a drill did not pass.
    pub(super) exit_code: u8,
}

impl Report {
    pub(super) fn of(text: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Self {
        Self { text: text.into(), json: json(value), ..Self::default() }
    }
}

/// A value of a document as JSON for people and programs.
pub(super) fn json(value: &(impl Serialize + ?Sized)) -> String {
    // Values of documents and of this command: no map has keys that are not texts.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Error of a command. Nothing was changed, except for [`Held`](Self::Held): the engagement stays at its stage.
#[derive(Debug)]
pub(super) enum Failure {
    /// A rule rejected the change.
    Refused { code: &'static str, message: String },
    /// An argument is missing or wrong.
    Usage(String),
    /// A file that was given is not readable or not valid.
    Input(String),
    /// The store cannot be read or written.
    Store(String),
    /// The audit does not verify.
    Audit(String),
    /// The checks of a stage failed: the engagement stays at that stage.
    Held(String),
    /// A program's admin page rejected the request, or did not answer.
    Answered { exit_code: u8, code: String, message: String },
}

impl Failure {
    /// Error of a command that works on a file only.
    pub(super) fn no_route(command: &str) -> Self {
        let place = "run it with --file on the machine that has the program's file";
        Self::Usage(format!("{command} cannot be used with --admin, as admin pages have no route for it: {place}"))
    }

    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Refused { .. } => 1,
            Self::Usage(_) | Self::Input(_) => 2,
            Self::Store(_) => 3,
            Self::Audit(_) => 5,
            Self::Held(_) => 6,
            Self::Answered { exit_code, .. } => *exit_code,
        }
    }

    /// Stable, for programs.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Usage(_) => "usage",
            Self::Input(_) => "input",
            Self::Store(_) => "store",
            Self::Audit(_) => "audit",
            Self::Held(_) => "held",
            Self::Answered { code, .. } => code,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { message, .. }
            | Self::Usage(message)
            | Self::Input(message)
            | Self::Store(message)
            | Self::Audit(message)
            | Self::Held(message)
            | Self::Answered { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        let message = error.to_string();
        match error {
            EditError::Change(error) => error.into(),
            EditError::Empty => Self::Refused { code: "empty", message },
            EditError::NoSuchRevision(_) => Self::Refused { code: "unknown_revision", message },
            EditError::Moved { .. } => Self::Refused { code: "moved", message },
            EditError::Gone | EditError::WentBack { .. } => {
                let code = if matches!(error, EditError::Gone) { "gone" } else { "went_back" };
                let hint = "backstop switch restore --reason \"..\"";
                Self::Refused { code, message: format!("{message}: {hint}") }
            }
            EditError::Sound(_) => Self::Refused { code: "sound", message },
            EditError::Unreadable(_) => {
                let hint = "to put the last good one back: backstop switch restore --reason \"..\", with the --admin URL of a \
                            program where one runs, which knows what is in force";
                Self::Store(format!("{message}; {hint}"))
            }
            _ => Self::Store(message),
        }
    }
}

impl From<ChangeError> for Failure {
    fn from(error: ChangeError) -> Self {
        Self::Refused { code: error.code(), message: error.to_string() }
    }
}
