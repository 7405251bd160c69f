//! `token list` and `token revoke`: who may do what, and the end of a token.

use super::output::{Failure, Report};
use super::text;
use super::time_args::{now, relative};
use backstop::kill_switch::access::{AccessFileError, AccessList, Grant, Switches, Verb};
use clap::Args;
use std::path::{Path, PathBuf};

/// Lists the tokens of an access list: actor, verbs, switches, expiry, and the first characters of the hash.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch token list --access access.json")]
pub(super) struct ListTokens {
    /// The list.
    #[arg(long, value_name = "PATH")]
    access: PathBuf,
}

/// Removes tokens from an access list: all of an actor, or one by the first characters of its hash.
#[derive(Args)]
#[command(after_help = "\
A program that is set up with AdminBuilder::access_file reads the list every second.

Examples:
  backstop switch token revoke mira --access access.json
  backstop switch token revoke mira --hash 0b6f1c --access access.json")]
pub(super) struct RevokeTokens {
    /// The holder's name.
    actor: String,
    /// First characters of the hash, as `token list` prints them. Default: all tokens of the actor.
    #[arg(long, value_name = "HASH")]
    hash: Option<String>,
    /// The list.
    #[arg(long, value_name = "PATH")]
    access: PathBuf,
}

fn hash(grant: &Grant) -> String {
    grant.token_hash().to_string().trim_start_matches("sha256:").to_owned()
}

pub(super) fn failed(error: AccessFileError) -> Failure {
    match error {
        AccessFileError::Invalid { doing: "editing", source, .. } => {
            Failure::Refused { code: "invalid", message: source.to_string() }
        }
        error => Failure::Store(error.to_string()),
    }
}

fn is_there(path: &Path) -> Result<(), Failure> {
    let message = || format!("there is no file {}: check the path", path.display());
    if path.exists() { Ok(()) } else { Err(Failure::Store(message())) }
}

impl ListTokens {
    pub(super) fn run(self) -> Result<Report, Failure> {
        is_there(&self.access)?;
        let (now, shown) = (now(), self.access.display());
        let json = std::fs::read(&self.access).map_err(|error| Failure::Store(format!("reading {shown}: {error}")))?;
        let list =
            AccessList::from_json(&json, now).map_err(|error| Failure::Store(format!("reading {shown}: {error}")))?;
        let rows: Vec<_> = list.grants().iter().map(|grant| row(grant, now)).collect();
        let values = rows.iter().map(|[actor, hash, verbs, switches, until]| {
            serde_json::json!({ "actor": actor, "hash": hash, "verbs": verbs, "switches": switches, "until": until })
        });
        let value: Vec<_> = values.collect();
        let table = text::table(["ACTOR", "HASH", "VERBS", "SWITCHES", "UNTIL"], &rows);
        Ok(Report::of(if rows.is_empty() { format!("{shown} has no tokens.") } else { table }, &value))
    }
}

fn row(grant: &Grant, now: backstop::clock::Timestamp) -> [String; 5] {
    let verbs: Vec<_> = grant.granted().map(Verb::as_str).collect();
    let switches = match grant.covered() {
        Switches::All => "all".to_owned(),
        Switches::Only(ids) => ids.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    };
    let expired = if grant.is_live(now) { "" } else { ", expired" };
    let until = format!("{}{expired}", relative(grant.expiry(), now));
    [grant.actor().to_owned(), hash(grant)[..12].to_owned(), verbs.join(", "), switches, until]
}

impl RevokeTokens {
    pub(super) fn run(self) -> Result<Report, Failure> {
        is_there(&self.access)?;
        let begin = self.hash.as_deref().map(|hash| hash.trim_start_matches("sha256:").to_ascii_lowercase());
        if begin.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::Usage(
                "--hash is empty: give the first characters of a hash, or leave --hash out".to_owned(),
            ));
        }
        let is_meant = |grant: &&Grant| {
            grant.actor() == self.actor && begin.as_ref().is_none_or(|begin| hash(grant).starts_with(begin.as_str()))
        };
        let mut revoked = 0;
        let remove = |list: &AccessList| {
            revoked = list.grants().iter().filter(is_meant).count();
            AccessList::new(list.grants().iter().filter(|grant| !is_meant(grant)).cloned(), now())
        };
        AccessList::edit_file(&self.access, now(), remove).map_err(failed)?;
        let (actor, path) = (&self.actor, self.access.display());
        if revoked == 0 {
            let message = format!("{path} has no such token of {actor}: `backstop switch token list` shows them");
            return Err(Failure::Refused { code: "unknown_token", message });
        }
        let tokens = if revoked == 1 { "1 token".to_owned() } else { format!("{revoked} tokens") };
        let text = format!(
            "{tokens} of {actor} revoked in {path}.\nPrograms that follow the list (AdminBuilder::access_file) refuse it \
             within two seconds; other programs have to be restarted.",
        );
        Ok(Report::of(text, &serde_json::json!({ "actor": actor, "revoked": revoked })))
    }
}
