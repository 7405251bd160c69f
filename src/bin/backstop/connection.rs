//! Arguments that select the switches: a file, or a running program.

use super::admin::Client;
use super::backend::Backend;
use super::http::Http;
use super::output::Failure;
use super::token;
use backstop::kill_switch::Editor;
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::store::FileStore;
use clap::Args;
use std::env::var_os;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

const ADMIN: &str = "Admin address of a running program, instead of a file: http://127.0.0.1:9901 and the prefix of its routes [env: BACKSTOP_ADMIN]";
const TOKEN_FILE: &str = "File with your token for --admin. Default: the token in BACKSTOP_TOKEN";

/// Where the switches and the audit are, and how to answer.
#[derive(Args)]
pub(super) struct Place {
    #[arg(long, global = true, value_name = "PATH", help = "The document of the switches [env: BACKSTOP_SWITCHES]")]
    file: Option<PathBuf>,
    #[arg(long, global = true, value_name = "URL", help = ADMIN)]
    admin: Option<String>,
    #[arg(long, global = true, value_name = "PATH", help = TOKEN_FILE)]
    token_file: Option<PathBuf>,
    /// File of the audit. Default: the document's path and .audit.jsonl.
    #[arg(long, global = true, value_name = "PATH")]
    audit: Option<PathBuf>,
    /// Writes no audit.
    #[arg(long, global = true, conflicts_with = "audit")]
    no_audit: bool,
    /// Mode of the document's file from this change on, 0644 for example. Default: as it is; a new file is for its owner
    /// alone, or for the group in a directory that the group may write.
    #[arg(long, global = true, value_name = "MODE", value_parser = mode)]
    mode: Option<u32>,
    /// Prints one JSON value.
    #[arg(long, global = true)]
    pub(super) json: bool,
}

enum Where {
    File(PathBuf),
    Admin(String),
}

impl Place {
    /// Arguments of the command, else the environment. Never a mixture: it would be a guess.
    // clap's `conflicts_with` sees neither one before the subcommand and one after it, nor which is the environment's.
    fn whereabouts(&self) -> Result<Where, Failure> {
        let usage = |message: &str| Err(Failure::Usage(message.to_owned()));
        let set = |name: &str| var_os(name).filter(|value| !value.is_empty());
        let (file, admin) = match (&self.file, &self.admin) {
            (None, None) => (set("BACKSTOP_SWITCHES"), set("BACKSTOP_ADMIN")),
            (file, admin) => (file.clone().map(OsString::from), admin.clone().map(OsString::from)),
        };
        match (file, admin) {
            (Some(_), Some(_)) if self.file.is_some() => {
                usage("--file and --admin exclude each other: give one of them")
            }
            (Some(_), Some(_)) => {
                usage("BACKSTOP_SWITCHES and BACKSTOP_ADMIN are both set: choose with --file PATH or --admin URL")
            }
            (Some(file), None) => Ok(Where::File(file.into())),
            (None, Some(_)) if self.audit.is_some() || self.no_audit || self.mode.is_some() => {
                usage("--audit, --no-audit and --mode need --file: a running program writes its own audit and file")
            }
            (None, Some(admin)) => Ok(Where::Admin(admin.to_string_lossy().into_owned())),
            (None, None) => usage(
                "no switches named: add --file PATH, or set BACKSTOP_SWITCHES; for a running program add \
                 --admin URL, or set BACKSTOP_ADMIN",
            ),
        }
    }

    /// The admin address, if one is given.
    pub(super) fn admin(&self) -> Result<Option<Http>, Failure> {
        match self.whereabouts()? {
            Where::Admin(url) => Ok(Some(self.http(&url)?)),
            Where::File(_) => Ok(None),
        }
    }

    fn http(&self, url: &str) -> Result<Http, Failure> {
        Http::new(url, token::read(self.token_file())?)
    }

    pub(super) fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// The audit to check: this one, or that of the document.
    pub(super) fn audit(&self, path: Option<PathBuf>) -> Result<PathBuf, Failure> {
        match path.or_else(|| self.audit.clone()) {
            Some(audit) if self.admin.is_none() => Ok(audit),
            _ => match self.whereabouts()? {
                Where::File(file) => Ok(beside(file)),
                Where::Admin(_) => Err(Failure::no_route("verify-audit")),
            },
        }
    }

    /// The backend of the switches: no later code distinguishes a file from a program.
    pub(super) fn backend(&self) -> Result<Backend, Failure> {
        if self.token_file.is_some() && self.admin()?.is_none() {
            let message = "--token-file needs --admin: a file takes no token";
            return Err(Failure::Usage(message.to_owned()));
        }
        self.backend_and_programs()
    }

    /// As [`backend`](Self::backend), also for requests to programs, which need a token.
    pub(super) fn backend_and_programs(&self) -> Result<Backend, Failure> {
        match self.whereabouts()? {
            Where::Admin(url) => Ok(Backend::Admin(Client::new(self.http(&url)?))),
            Where::File(file) => {
                let store = FileStore::new(&file).map_err(|error| Failure::Store(error.to_string()))?;
                let store = if let Some(mode) = self.mode { store.mode(mode) } else { store };
                let editor = Editor::new(store);
                let audit = || self.audit.clone().unwrap_or_else(|| beside(file.clone()));
                let editor = if self.no_audit { editor } else { editor.audited(AuditLog::new(audit())) };
                Ok(Backend::File(editor, file))
            }
        }
    }
}

/// Reads `0644` and `640`.
fn mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| mode & !0o666 == 0 && mode & 0o600 == 0o600);
    mode.ok_or_else(|| "expected an octal mode with read and write for the owner: 0600, 0640, 0660 or 0644".to_owned())
}

fn beside(file: PathBuf) -> PathBuf {
    let mut audit = file.into_os_string();
    audit.push(".audit.jsonl");
    audit.into()
}
