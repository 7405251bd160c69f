//! Arguments that name the author of a change and the reason.

use super::output::Failure;
use super::{time_args, users};
use backstop::kill_switch::Author;
use clap::Args;
use std::env::var;

pub(super) const BY: &str = "Who you are. It is not verified: write access to the file is enough. Not with --admin, where \
                  your token says it. Default: your user name, as USER or the system says it, or uid:1234 where it has none [env: BACKSTOP_ACTOR]";

/// Author of a change, and the reason.
#[derive(Args)]
#[command(next_help_heading = "Who and why")]
pub(super) struct Who {
    /// Reason, shown in the document, the history and the audit.
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: String,
    #[arg(long, value_name = "NAME", help = BY)]
    pub(super) by: Option<String>,
    /// Makes a change that takes two persons without the second one. The audit marks it for review.
    #[arg(long)]
    pub(super) break_glass: bool,
}

impl Who {
    /// The author by the name given, unverified.
    pub(super) fn by(&self) -> Result<Author, Failure> {
        name(self.by.as_deref()).map(|name| self.named(name))
    }

    /// A person of this name.
    pub(super) fn named(&self, name: String) -> Author {
        let by = Author::person(name, time_args::now()).because(&self.reason);
        if self.break_glass { by.break_glass() } else { by }
    }
}

/// The name given, or that of the user, unverified.
pub(super) fn name(given: Option<&str>) -> Result<String, Failure> {
    let given = given.filter(|name| !name.is_empty()).map(str::to_owned);
    let of_environment = || {
        let names = ["BACKSTOP_ACTOR", "USER", "LOGNAME", "USERNAME"].iter();
        names.filter_map(|name| var(name).ok()).find(|name| !name.is_empty())
    };
    let name = given.or_else(of_environment).or_else(users::own);
    name.ok_or_else(|| Failure::Usage("no author named: add --by NAME, or set BACKSTOP_ACTOR".into()))
}
