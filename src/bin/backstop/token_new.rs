//! `token`: makes a token for an admin page, and keeps its hash in a list of who may do what.

use super::output::{Failure, Report};
use super::time_args::{When, minute, now};
use super::token_list::{ListTokens, RevokeTokens, failed};
use backstop::kill_switch::SwitchId;
use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Creates a token for an admin page: prints it once, and adds its hash to an access list.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
An actor has at most two valid tokens, so that one can be replaced while it works. A program that is set
up with AdminBuilder::access_file reads the list every second. The list keeps its owner and mode; a new one is for its
owner alone.

Examples:
  backstop switch token mira --verb view --verb engage --switch recs --expires 90d --access access.json
  backstop switch token list --access access.json
  backstop switch token revoke mira --access access.json"
)]
pub(super) struct Tokens {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    new: Option<NewToken>,
}

#[derive(Subcommand)]
enum Command {
    List(ListTokens),
    Revoke(RevokeTokens),
}

impl Tokens {
    pub(super) fn run(self) -> Result<Report, Failure> {
        match (self.command, self.new) {
            (Some(Command::List(list)), _) => list.run(),
            (Some(Command::Revoke(revoke)), _) => revoke.run(),
            (None, Some(new)) => new.run(),
            (None, None) => {
                Err(Failure::Usage("no actor named: backstop switch token ACTOR, list or revoke".to_owned()))
            }
        }
    }
}

/// The token to be made.
#[derive(Args)]
struct NewToken {
    /// The holder's name, for history and audit.
    actor: String,
    /// A verb: view, drill, engage, release, define, approve, rollout or rollback. Repeatable.
    #[arg(long, value_name = "VERB", required = true, value_parser = verb(), hide_possible_values = true)]
    verb: Vec<Verb>,
    /// A switch it is valid for. Repeatable. Default: all switches.
    #[arg(long, value_name = "SWITCH")]
    switch: Vec<SwitchId>,
    /// Expiry of the token: 2027-01-31T00:00:00Z, or 90d from now.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    expires: When,
    /// The access list it is added to; created if missing.
    #[arg(long, value_name = "PATH")]
    access: PathBuf,
}

fn verb() -> impl clap::builder::TypedValueParser<Value = Verb> {
    let known = PossibleValuesParser::new(Verb::ALL.map(Verb::as_str));
    known.map(|word| Verb::ALL.into_iter().find(|verb| verb.as_str() == word).unwrap_or(Verb::View))
}

impl NewToken {
    fn run(self) -> Result<Report, Failure> {
        let path = self.access.display();
        let expires = self.expires.from(now());
        if expires <= now() {
            return Err(Failure::Usage(format!("--expires is {}, must be in the future", minute(expires))));
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::Store(format!("cannot add a token to {path}: {error}")))?;
        let token = Token::from_bytes(random);
        let ids = self.switch.iter().map(ToString::to_string);
        let switches = if self.switch.is_empty() { Switches::All } else { Switches::only(ids) };
        let grant = Grant::new(&self.actor, token.hash(), expires).verbs(self.verb.iter().copied()).switches(switches);
        let is_there = self.access.exists();
        let add = |list: &AccessList| AccessList::new(list.grants().iter().cloned().chain([grant]), now());
        AccessList::edit_file(&self.access, now(), add).map_err(failed)?;
        let (actor, until) = (&self.actor, minute(expires));
        let made = if is_there { "has" } else { "is new and has" };
        let text = format!(
            "{}\nThis is shown once; {path} {made} its hash. It is {actor}'s until {until}, in programs that read the list \
             from now on.",
            token.reveal()
        );
        let response = serde_json::json!({ "token": token.reveal(), "actor": actor, "expires": expires.to_string() });
        Ok(Report::of(text, &response))
    }
}
