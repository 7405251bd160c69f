//! `backstop switch`: its subcommands, and which file does what.

use super::connection::Place;
use super::output::{Failure, Report};
use super::{approval, define, drill, engage, history, list, pin, restore, stages, token_new, verify};
use clap::{Args, Subcommand};

/// The shortest way there and back, and how a command ends.
pub(super) const HELP: &str = "\
From nothing to engaged to reverted:
  export BACKSTOP_SWITCHES=switches.json

  backstop switch define recs --owner team-recs --disables \"recommendations\" --on-unknown allow --expires 90d --reason \"new\"
  backstop switch engage recs --all --reason \"wrong prices shown\"
  backstop switch revert --reason \"it was another service\"

The same in a running program, under the name in your token:
  export BACKSTOP_ADMIN=http://127.0.0.1:9901 BACKSTOP_TOKEN=$(cat my-token)

Exit codes:
  0  done
  1  rejected by a rule; its code is in the message
  2  bad usage, or what the admin address has no route for
  3  the store cannot be read or written; the admin address does not answer, or the token does not allow it
  4  waits for the approval of another person
  5  the audit was altered or cannot be verified
  6  a drill did not pass, or the checks of a stage did not and the engagement stays at that stage";

/// Kill switches in a file or in a running program: define, engage, release, revert, and read the history.
#[derive(Args)]
#[command(after_help = HELP)]
pub(super) struct Switch {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Define(define::Define),
    Retire(define::Retire),
    List(list::List),
    Engage(engage::Engage),
    Advance(stages::Advance),
    Extend(engage::Extend),
    Release(engage::Release),
    Revert(history::Revert),
    History(history::History),
    Restore(restore::Restore),
    Pin(pin::Pin),
    Unpin(pin::Unpin),
    Drill(drill::Drill),
    Stages(stages::SetStages),
    TwoPerson(approval::TwoPerson),
    Pending(approval::Pending),
    Approve(approval::Approve),
    Reject(approval::Reject),
    VerifyAudit(verify::VerifyAudit),
    Token(token_new::Tokens),
}

impl Switch {
    pub(super) fn is_json(&self) -> bool {
        self.place.json
    }

    pub(super) fn run(self) -> Result<Report, Failure> {
        let place = &self.place;
        match self.command {
            Command::Define(define) => define.run(&place.backend()?),
            Command::Retire(retire) => retire.run(&place.backend()?),
            Command::List(list) => list.run(&place.backend()?),
            Command::Engage(engage) => engage.run(place),
            Command::Advance(advance) => advance.run(&place.backend()?),
            Command::Extend(extend) => extend.run(&place.backend()?),
            Command::Release(release) => release.run(&place.backend()?),
            Command::Revert(revert) => revert.run(&place.backend()?),
            Command::History(history) => history.run(&place.backend()?),
            Command::Restore(restore) => restore.run(place),
            Command::Pin(pin) => pin.run(&place.backend()?),
            Command::Unpin(unpin) => unpin.run(&place.backend()?),
            Command::Drill(drill) => drill.run(place),
            Command::Stages(stages) => stages.run(&place.backend()?),
            Command::TwoPerson(two) => two.run(&place.backend()?),
            Command::Pending(pending) => pending.run(&place.backend()?),
            Command::Approve(approve) => approve.run(&place.backend()?),
            Command::Reject(reject) => reject.run(&place.backend()?),
            Command::VerifyAudit(verify) => verify.run(place),
            Command::Token(token) => token.run(),
        }
    }
}
