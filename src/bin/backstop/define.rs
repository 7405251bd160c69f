//! `define` and `retire`: which switches there are.

use super::author_args::Who;
use super::backend::Backend;
use super::output::{Failure, Report};
use super::time_args::{When, minute, now};
use backstop::kill_switch::{Change, Definition, Document, OnUnknown, Percent, Severity, Spread, SwitchId};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};

/// Defines a switch, or changes the definition of an existing one: options left out keep their values.
#[derive(Args)]
#[command(
    after_help = "A new switch needs --owner, --disables, --on-unknown and --expires.\n\nExample:\n  backstop switch define recs --owner team-recs --disables \"recommendations\" \
--on-unknown allow --expires 90d --reason \"new feature\""
)]
pub(super) struct Define {
    /// Name of the switch: a-z, 0-9, '.', '_' and '-'. A name is never used for another switch.
    id: SwitchId,
    /// The owner.
    #[arg(long, value_name = "TEAM")]
    owner: Option<String>,
    /// The capability that it disables.
    #[arg(long, value_name = "TEXT")]
    disables: Option<String>,
    /// State of the switch in programs that have not read the document yet. A program built with another one warns.
    #[arg(long, value_name = "allow|block", value_parser = on_unknown(), hide_possible_values = true)]
    on_unknown: Option<OnUnknown>,
    /// Date of review: 2027-01-31T00:00:00Z, or 90d from now.
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    expires: Option<When>,
    /// Severity of an engagement. Default of a new switch: medium.
    #[arg(long, value_name = "LEVEL", value_parser = severity())]
    severity: Option<Severity>,
    /// Largest percentage of keys for which automation may engage it; none: never, the default of a new switch.
    #[arg(long, value_name = "PERCENT|none", value_parser = limit)]
    max_automatic: Option<Limit>,
    /// Widest part of the fleet on which automation may engage it. Default of a new switch: instances.
    #[arg(long, value_name = "SPREAD", value_parser = spread())]
    max_automatic_spread: Option<Spread>,
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

/// A limit for automation; `None` is not at all.
#[derive(Clone, Copy)]
struct Limit(Option<Percent>);

fn limit(text: &str) -> Result<Limit, String> {
    if text == "none" { Ok(Limit(None)) } else { percent(text).map(Some).map(Limit) }
}

impl Define {
    pub(super) fn run(self, backend: &Backend) -> Result<Report, Failure> {
        let before = match backend.document() {
            Err(failure) if failure.code().starts_with("wrong_") => None, // no right to view
            document => document?,
        };
        let old =
            before.as_ref().and_then(|document| document.switch(self.id.as_str())).map(|switch| &switch.definition);
        // The decision holds only for the document that was read.
        let seen = before.as_ref().filter(|_| old.is_some()).map(Document::generation);
        let missing =
            |name: &str| Failure::Usage(format!("{} is not defined yet, and a new switch needs --{name}", self.id));
        let owner = self.owner.clone().or_else(|| Some(old?.owner.clone())).ok_or_else(|| missing("owner"))?;
        let disables = self.disables.clone().or_else(|| Some(old?.disables.clone()));
        let disables = disables.ok_or_else(|| missing("disables"))?;
        let on_unknown = self.on_unknown.or_else(|| Some(old?.on_unknown)).ok_or_else(|| missing("on-unknown"))?;
        let expires = self.expires.map(|expires| expires.from(now())).or_else(|| Some(old?.expires));
        let expires = expires.ok_or_else(|| missing("expires"))?;
        let severity = self.severity.or_else(|| Some(old?.severity)).unwrap_or_default();
        let spread = self.max_automatic_spread.or_else(|| Some(old?.max_automatic_spread)).unwrap_or_default();
        let limit = self.max_automatic.map_or_else(|| old.and_then(Definition::max_automatic), |Limit(limit)| limit);
        let definition = Definition::new(owner, disables, expires, on_unknown).with_severity(severity);
        let definition = limit.map(Percent::get).into_iter().fold(definition, Definition::with_max_automatic);
        let definition = definition.with_max_automatic_spread(spread);
        let change = Change::Define { switch: self.id.clone(), definition };
        backend.change_if(seen, &change, &self.who, |_| {
            let id = self.id;
            format!(
                "{id} is defined; review it by {}.\n\
                 To engage it: backstop switch engage {id} --all --reason \"..\"",
                minute(expires)
            )
        })
    }
}

/// Retires a switch: it is removed, and its name is never used again.
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
