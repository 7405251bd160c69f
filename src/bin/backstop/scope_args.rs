//! For whom something is engaged, as arguments.

use super::define::percent;
use super::output::Failure;
use backstop::kill_switch::{Percent, Scope};
use clap::Args;

/// Scope: a request must match all kinds given, and one value of each kind.
#[derive(Args)]
#[command(next_help_heading = "For whom")]
pub(super) struct Whom {
    /// Every request.
    #[arg(long, conflicts_with_all = ["tenant", "route", "region", "audience", "percent"])]
    all: bool,
    /// A tenant. Repeatable, as are the next three.
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
    /// A route; one that ends with * matches every route with that prefix.
    #[arg(long, value_name = "PATH")]
    route: Vec<String>,
    /// A region.
    #[arg(long, value_name = "NAME")]
    region: Vec<String>,
    /// An audience: beta testers, employees.
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// Percentage of the keys.
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
            let message = "no scope given: add --all for every request, or narrow it with --tenant, --route, --region, \
                           --audience or --percent";
            return Err(Failure::Usage(message.to_owned()));
        }
        Ok(scope)
    }
}
