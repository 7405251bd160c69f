//! For whom something is engaged, as arguments.

use super::define::percent;
use super::output::Failure;
use backstop::kill_switch::{Percent, Scope};
use clap::Args;

/// For whom: all of these at once, each of one kind in the alternative.
#[derive(Args)]
#[command(next_help_heading = "For whom")]
pub(super) struct Whom {
    /// Everybody.
    #[arg(long, conflicts_with_all = ["tenant", "route", "region", "audience", "percent"])]
    all: bool,
    /// A tenant. May be given again, as may the next three.
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
    /// A route; one that ends with * stands for all that begin so.
    #[arg(long, value_name = "PATH")]
    route: Vec<String>,
    /// A region.
    #[arg(long, value_name = "NAME")]
    region: Vec<String>,
    /// An audience: beta testers, employees.
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// So many percent of the keys.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    percent: Option<Percent>,
}

impl Whom {
    pub(super) fn scope(self) -> Result<Scope, Failure> {
        if self.all {
            return Ok(Scope::all());
        }
        let scope = self.tenant.into_iter().fold(Scope::new(), Scope::tenant);
        let scope = self.route.into_iter().fold(scope, Scope::route);
        let scope = self.region.into_iter().fold(scope, Scope::region);
        let scope = self.audience.into_iter().fold(scope, Scope::audience);
        let scope = self.percent.map_or(scope.clone(), |percent| scope.percent(percent.get()));
        if scope == Scope::new() {
            let message = "say for whom: add --all for everybody, or narrow it with --tenant, --route, --region, \
                           --audience or --percent";
            return Err(Failure::Usage(message.to_owned()));
        }
        Ok(scope)
    }
}
