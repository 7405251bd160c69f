//! `engage`, `advance`, `extend` and `release`: what takes a capability away and gives it back.

use super::define::percent;
use super::office::Office;
use super::report::{Failure, Report};
use super::show;
use super::when::{When, now, parse_length};
use super::who::Who;
use backstop::kill_switch::{self, Change, Document, Expiry, Percent, Scope, Stage, SwitchId};
use clap::Args;
use clap::builder::PossibleValuesParser;
use std::time::Duration;

/// Takes a capability away: for everybody, or for whom you name.
#[derive(Args)]
#[command(after_help = "\
Examples:
  backstop switch engage recs --all --reason \"wrong prices shown\"
  backstop switch engage recs --tenant acme --percent 10 --for 2h --reason \"error rate up\" --incident INC-1204
  backstop switch engage recs --all --stage instance:web-1 --reason \"try it on one first\"")]
pub(super) struct Engage {
    /// The switch.
    id: SwitchId,
    /// Where it begins: instance:NAME, region:NAME or everywhere. May be given again, of one kind.
    #[arg(long, value_name = "STAGE")]
    stage: Vec<String>,
    /// After how long it ends: 30m, 2h, 1d. Default: never.
    #[arg(long = "for", value_name = "LENGTH", value_parser = parse_length)]
    length: Option<Duration>,
    /// What happens then: release gives it back, keep tells somebody to look.
    #[arg(long, requires = "length", default_value = "release", value_name = "release|keep",
        value_parser = PossibleValuesParser::new(["release", "keep"]), hide_possible_values = true)]
    then: String,
    /// A link to the incident, or its number.
    #[arg(long, value_name = "URL")]
    incident: Option<String>,
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    who: Who,
}

/// For whom: all of these at once, each of one kind in the alternative.
#[derive(Args)]
#[command(next_help_heading = "For whom")]
struct Whom {
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
    fn scope(self) -> Result<Scope, Failure> {
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

/// Reads `instance:web-1` and `instance:web-2`, `region:eu`, `everywhere`.
fn stage(words: &[String]) -> Result<Stage, Failure> {
    let named = |kind: &str| words.iter().map(|word| word.strip_prefix(kind)).collect::<Option<Vec<_>>>();
    if words.iter().all(|word| word == "everywhere") {
        Ok(Stage::Everywhere)
    } else if let Some(names) = named("instance:") {
        Ok(Stage::instances(names))
    } else if let Some(names) = named("region:") {
        Ok(Stage::regions(names))
    } else {
        let message = "--stage is instance:NAME, region:NAME or everywhere, and only one kind of them";
        Err(Failure::Usage(message.to_owned()))
    }
}

impl Engage {
    pub(super) fn run(self, office: &Office) -> Result<Report, Failure> {
        let engage = kill_switch::Engage::new(self.id.clone(), self.whom.scope()?).stage(stage(&self.stage)?);
        let engage = match self.length {
            Some(length) => {
                let at = When::In(length).from(now());
                engage.expires(if self.then == "keep" { Expiry::keep(at) } else { Expiry::release(at) })
            }
            None => engage,
        };
        let engage = match self.incident {
            Some(incident) => engage.incident(incident),
            None => engage,
        };
        office.change(&Change::Engage(engage), &self.who, |document| {
            format!("{}\nTo undo it: backstop switch revert --reason \"..\"", told(document, &self.id))
        })
    }
}

fn told(document: &Document, id: &SwitchId) -> String {
    document.switch(id.as_str()).map_or_else(|| format!("{id} is gone."), show::engagement)
}

/// Takes an engagement to more instances.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch advance recs --stage everywhere --reason \"web-1 is fine\"")]
pub(super) struct Advance {
    /// The switch.
    id: SwitchId,
    /// Where it is in force from now on: all it has come to, and more.
    #[arg(long, value_name = "STAGE", required = true)]
    stage: Vec<String>,
    #[command(flatten)]
    who: Who,
}

impl Advance {
    pub(super) fn run(self, office: &Office) -> Result<Report, Failure> {
        let change = Change::Advance { switch: self.id.clone(), stage: stage(&self.stage)? };
        office.change(&change, &self.who, |document| told(document, &self.id))
    }
}

/// Lets an engagement that ends do so later.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch extend recs --until 4h --reason \"the fix takes longer\"")]
pub(super) struct Extend {
    /// The switch.
    id: SwitchId,
    /// Until when: 2027-01-31T00:00:00Z, or 4h from now.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: When,
    #[command(flatten)]
    who: Who,
}

impl Extend {
    pub(super) fn run(self, office: &Office) -> Result<Report, Failure> {
        let change = Change::Extend { switch: self.id.clone(), until: self.until.from(now()) };
        office.change(&change, &self.who, |document| told(document, &self.id))
    }
}

/// Gives a capability back.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch release recs --reason \"the fix is out\"")]
pub(super) struct Release {
    /// The switch.
    id: SwitchId,
    #[command(flatten)]
    who: Who,
}

impl Release {
    pub(super) fn run(self, office: &Office) -> Result<Report, Failure> {
        let change = Change::Release { switch: self.id.clone() };
        office.change(&change, &self.who, |document| told(document, &self.id))
    }
}
