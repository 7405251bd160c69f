//! Arguments of the commands that judge a live source.

use super::policy::policy;
use crate::output::Failure;
use crate::source_args::SourceArgs;
use backstop::rollout::judging::Judging;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Judged {
    /// The service, as its signals are named.
    #[arg(long, value_name = "NAME")]
    service: String,
    #[command(flatten)]
    pub(crate) source: SourceArgs,
    /// The policy, TOML or JSON. Default: the built-in one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

impl Judged {
    /// The process that judges, which has not looked yet.
    pub(crate) fn open(&self) -> Result<Judging, Failure> {
        let policy = policy(self.policy.as_deref())?;
        for warning in policy.warnings() {
            eprintln!("warning: {warning}");
        }
        let source = self.source.open(&self.service, &policy, false)?;
        Ok(Judging::new(&self.service, policy, source))
    }
}
