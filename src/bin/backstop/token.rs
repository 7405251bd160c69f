//! Tokens: the one that a command presents, from a file or the environment and never from an argument, which others can
//! see; and `token`, which makes one.

use super::report::{Failure, Report};
use super::when::{When, minute, now};
use backstop::kill_switch::SwitchId;
use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// More than any token has, with what an editor may have put around it.
const BYTES_MAX: u64 = 1024;

/// The token; `None` where none is given, which is enough for programs that let everybody read.
///
/// # Errors
///
/// A file that cannot be read, and what is no token. It is never told what it was instead: it may be another secret.
pub(super) fn read(path: Option<&Path>) -> Result<Option<Token>, Failure> {
    let (text, of) = if let Some(path) = path {
        (of_file(path)?, path.display().to_string())
    } else {
        match std::env::var_os("BACKSTOP_TOKEN").filter(|token| !token.is_empty()) {
            Some(token) => (token.to_string_lossy().into_owned(), "BACKSTOP_TOKEN".to_owned()),
            None => return Ok(None),
        }
    };
    let wrong = |_| Failure::Usage(format!("what is in {of} is no token: one begins with bks_ and has 47 characters"));
    Token::parse(text.trim()).map(Some).map_err(wrong)
}

fn of_file(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
    let failed = |error| Failure::Usage(format!("the token in {} cannot be read: {error}", path.display()));
    read.map(|_| text).map_err(failed)
}

/// Makes a token for an admin page: it is shown once, and its hash goes into a list of who may do what.
#[derive(Args)]
#[command(
    name = "token",
    after_help = "\
An actor has two tokens at most that are still good, so that one can be replaced while it works. The program reads the
list with AccessList::from_json.

Example:
  backstop switch token mira --verb view --verb engage --switch recs --expires 90d --access access.json"
)]
pub(super) struct NewToken {
    /// Whose it is: the name that the history and the audit tell.
    actor: String,
    /// What it lets them do: view, drill, engage, release, define or approve. May be given again.
    #[arg(long, value_name = "VERB", required = true, value_parser = verb(), hide_possible_values = true)]
    verb: Vec<Verb>,
    /// A switch that it is for. May be given again. Default: all switches.
    #[arg(long, value_name = "SWITCH")]
    switch: Vec<SwitchId>,
    /// Until when it is good: 2027-01-31T00:00:00Z, or 90d from now.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    expires: When,
    /// The list that it is added to; made where there is none.
    #[arg(long, value_name = "PATH")]
    access: PathBuf,
}

fn verb() -> impl clap::builder::TypedValueParser<Value = Verb> {
    let known = PossibleValuesParser::new(Verb::ALL.map(Verb::as_str));
    known.map(|word| Verb::ALL.into_iter().find(|verb| verb.as_str() == word).unwrap_or(Verb::View))
}

impl NewToken {
    pub(super) fn run(self) -> Result<Report, Failure> {
        let path = self.access.display();
        let list = match std::fs::read(&self.access) {
            Ok(json) => AccessList::from_json(&json, now()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(AccessList::default()),
            Err(error) => return Err(Failure::Store(format!("{path} cannot be read: {error}"))),
        };
        let list = list.map_err(|error| Failure::Store(format!("{path} is no access list: {error}")))?;
        let mut random = [0; 32];
        let failed = |error| Failure::Store(format!("the system has no randomness: {error}"));
        getrandom::fill(&mut random).map_err(failed)?;
        let (token, expires) = (Token::from_bytes(random), self.expires.from(now()));
        let switches = if self.switch.is_empty() {
            Switches::All
        } else {
            Switches::only(self.switch.iter().map(ToString::to_string))
        };
        let grant = Grant::new(&self.actor, token.hash(), expires).verbs(self.verb.iter().copied()).switches(switches);
        let grants = list.grants().iter().cloned().chain([grant]);
        let list = AccessList::new(grants, now())
            .map_err(|error| Failure::Refused { code: "invalid", message: error.to_string() })?;
        write(&self.access, &list.to_json())
            .map_err(|error| Failure::Store(format!("{path} cannot be written: {error}")))?;
        let (actor, until) = (&self.actor, minute(expires));
        let text =
            format!("{}\nThis is shown once; {path} has its hash. It is {actor}'s until {until}.", token.reveal());
        let told = serde_json::json!({ "token": token.reveal(), "actor": actor, "expires": expires.to_string() });
        Ok(Report::of(text, &told))
    }
}

/// Puts a whole new file in the place of the old one.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.new", std::process::id()));
    let beside = PathBuf::from(beside);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| std::fs::rename(&beside, path));
    if moved.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    moved
}
