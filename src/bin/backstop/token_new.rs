//! `token`: makes a token for an admin page, and keeps its hash in a list of who may do what.

use super::output::{Failure, Report};
use super::time_args::{When, minute, now};
use backstop::kill_switch::SwitchId;
use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Makes a token for an admin page: it is shown once, and its hash goes into a list of who may do what.
#[derive(Args)]
#[command(
    name = "token",
    after_help = "\
An actor has two tokens at most that are still good, so that one can be replaced while it works. The program reads the
list with AccessList::from_json when it starts. The list keeps its owner and mode; a new one is for its owner alone.

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
        let failed = |doing: &str, why: &dyn std::fmt::Display| Failure::Store(format!("{doing} {path}: {why}"));
        let expires = self.expires.from(now());
        if expires <= now() {
            return Err(Failure::Usage(format!("--expires is {}, and has to be in the future", minute(expires))));
        }
        // Two at once would lose one of two tokens that are both shown.
        let lock = lock(&self.access).map_err(|error| failed("locking", &error))?;
        let before = match fs::symlink_metadata(&self.access) {
            Ok(metadata) if metadata.is_file() => Some(metadata),
            Ok(_) => return Err(failed("reading", &"it has to be a regular file, and no link")),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(failed("reading", &error)),
        };
        let list = match &before {
            Some(_) => {
                let json = fs::read(&self.access).map_err(|error| failed("reading", &error))?;
                AccessList::from_json(&json, now()).map_err(|error| failed("reading", &error))?
            }
            None => AccessList::default(),
        };
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| failed("making a token for", &error))?;
        let token = Token::from_bytes(random);
        let ids = self.switch.iter().map(ToString::to_string);
        let switches = if self.switch.is_empty() { Switches::All } else { Switches::only(ids) };
        let grant = Grant::new(&self.actor, token.hash(), expires).verbs(self.verb.iter().copied()).switches(switches);
        let list = AccessList::new(list.grants().iter().cloned().chain([grant]), now());
        let list = list.map_err(|error| Failure::Refused { code: "invalid", message: error.to_string() })?;
        write(&self.access, &list.to_json(), before.as_ref()).map_err(|error| failed("writing", &error))?;
        drop(lock);
        let (actor, until) = (&self.actor, minute(expires));
        let made = if before.is_some() { "has" } else { "is new and has" };
        let text = format!(
            "{}\nThis is shown once; {path} {made} its hash. It is {actor}'s until {until}, in programs that read the list \
             from now on.",
            token.reveal()
        );
        let told = serde_json::json!({ "token": token.reveal(), "actor": actor, "expires": expires.to_string() });
        Ok(Report::of(text, &told))
    }
}

/// The path with something added to its name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// One writer at a time; it is held until it is dropped.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(beside(path, ".lock"))?;
    #[cfg(unix)]
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Puts a whole new file in the place of the old one, with its owner and mode.
fn write(path: &Path, text: &str, before: Option<&Metadata>) -> io::Result<()> {
    let new = beside(path, ".new"); // whoever has the lock is the only one with it
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&new).and_then(|mut file| {
        if let Some(before) = before {
            like(&file, before)?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()
    });
    let moved = written.and_then(|()| fs::rename(&new, path));
    if moved.is_err() {
        let _ = fs::remove_file(&new);
    }
    moved?;
    // It is there; a folder that cannot be synced leaves it to the system when it comes to the disk.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Whoever could read the list can read it still. Only the superuser may give a file away.
#[cfg(unix)]
fn like(file: &File, before: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    if fchown(file, Some(before.uid()), Some(before.gid())).is_err() {
        let _ = fchown(file, None, Some(before.gid()));
    }
    file.set_permissions(before.permissions())
}

#[cfg(not(unix))]
fn like(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}
