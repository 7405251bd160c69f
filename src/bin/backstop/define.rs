//! `define` and `retire`: which switches there are.

use super::author_args::Who;
use super::backend::Backend;
use super::output::{Failure, Report};
use super::time_args::{When, minute, now};
use backstop::kill_switch::{Change, Definition, OnUnknown, Percent, Severity, Spread, SwitchId};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

/// Defines a switch, or an existing one anew.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch define recs --owner team-recs --disables \"recommendations\" \
--on-unknown allow --expires 90d --reason \"new feature\"")]
pub(super) struct Define {
    /// Its name: a-z, 0-9, '.', '_' and '-'. It is never used for anything else.
    id: SwitchId,
    /// The owner.
    #[arg(long, value_name = "TEAM")]
    owner: String,
    /// The capability that it disables.
    #[arg(long, value_name = "TEXT")]
    disables: String,
    /// What programs ought to do until they have seen the document. One that is built to do otherwise says so.
    #[arg(long, value_name = "allow|block", value_parser = on_unknown(), hide_possible_values = true)]
    on_unknown: OnUnknown,
    /// Date of review: 2027-01-31T00:00:00Z, or 90d from now.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    expires: When,
    /// Severity of an engagement.
    #[arg(long, default_value = "medium", value_name = "LEVEL", value_parser = severity())]
    severity: Severity,
    /// For how many percent automation may engage it. Default: not at all.
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    max_automatic: Option<Percent>,
    /// How far through the fleet automation may engage it.
    #[arg(long, value_name = "SPREAD", default_value = "instances", requires = "max_automatic", value_parser = spread())]
    max_automatic_spread: Spread,
    #[command(flatten)]
    who: Who,
}

fn on_unknown() -> impl clap::builder::TypedValueParser<Value = OnUnknown> {
    PossibleValuesParser::new(["allow", "block"])
        .map(|word| if word == "allow" { OnUnknown::Allow } else { OnUnknown::Block })
}

fn severity() -> impl clap::builder::TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(["low", "medium", "high", "critical"]).map(|word| match word.as_str() {
        "low" => Severity::Low,
        "high" => Severity::High,
        "critical" => Severity::Critical,
        _ => Severity::Medium,
    })
}

fn spread() -> impl clap::builder::TypedValueParser<Value = Spread> {
    PossibleValuesParser::new(["instances", "regions", "everywhere"]).map(|word| match word.as_str() {
        "everywhere" => Spread::Everywhere,
        "regions" => Spread::Regions,
        _ => Spread::Instances,
    })
}

/// Reads `10` and `10%`.
pub(super) fn percent(text: &str) -> Result<Percent, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end().parse().map_err(|_| "expected a number")?;
    Percent::new(number).map_err(|_| "expected from 0.0001 to 100, in steps of 0.0001".to_owned())
}

impl Define {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let expires = self.expires.from(now());
        let definition = Definition::new(self.owner, self.disables, expires, self.on_unknown).severity(self.severity);
        let definition = match self.max_automatic {
            Some(percent) => definition.max_automatic(percent.get()).max_automatic_spread(self.max_automatic_spread),
            None => definition,
        };
        let change = Change::Define { switch: self.id.clone(), definition };
        backend.change(&change, &self.who, |_| {
            let id = self.id;
            format!(
                "{id} is defined; review it by {}.\n\
                 To engage it: backstop switch engage {id} --all --reason \"..\"",
                minute(expires)
            )
        })
    }
}

/// Takes a switch away for ever; its name is never used again.
#[derive(Args)]
#[command(after_help = "Example:\n  backstop switch retire recs --reason \"the feature is gone\"")]
pub(super) struct Retire {
    /// The switch.
    id: SwitchId,
    #[command(flatten)]
    who: Who,
}

impl Retire {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let change = Change::Retire { switch: self.id.clone() };
        backend.change(&change, &self.who, |_| format!("{} is retired.", self.id))
    }
}
