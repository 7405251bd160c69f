//! Text of a plan into its values, with the defaults.

use super::check;
use super::model::{
    Action, ActionKind, DataChange, DataKind, Escalation, Gate, Lag, LagKind, Plan, Preserve, Recovery, SERVICE, Stage,
    is_service,
};
use super::outside::{alert, traffic};
use crate::clock::Timestamp;
use crate::config::{ConfigError, Problems};
use crate::rollback::fields::{Fields, show, table_of};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(30);
const ACTIONS: [ActionKind; 5] =
    [ActionKind::KillSwitch, ActionKind::Flag, ActionKind::TrafficShift, ActionKind::ScaleDown, ActionKind::VersionPin];
const DATA: [DataKind; 5] =
    [DataKind::None, DataKind::Additive, DataKind::Expand, DataKind::Contract, DataKind::Destructive];

impl Plan {
    /// Reads a plan in TOML or JSON and checks everything except its expiry.
    ///
    /// # Errors
    ///
    /// Every problem at once; a document that is no TOML or JSON has one.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        Self::read(text, None)
    }

    /// Reads a plan and checks whether a rollout may start with it: as [`parse`](Self::parse), and not expired.
    ///
    /// # Errors
    ///
    /// Every problem at once.
    pub fn check(text: &str, now: Timestamp) -> Result<Self, ConfigError> {
        Self::read(text, Some(now))
    }

    /// The values of a plan that may be wrong: for its receivers of alerts. `None` if the text is no TOML or JSON.
    #[cfg(feature = "rollout")]
    pub(crate) fn draft(text: &str) -> Option<Self> {
        let mut problems = Problems::default();
        Some(Fields::read(table_of(text).ok()?, &mut problems, |fields| plan(fields, None)))
    }

    fn read(text: &str, now: Option<Timestamp>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let plan = Fields::read(table_of(text)?, &mut problems, |fields| plan(fields, now));
        check::check(&plan, &mut problems);
        problems.into_result(plan)
    }
}

/// Reads the fields in the order of the documentation, which is that of the problems.
fn plan(fields: &mut Fields<'_>, now: Option<Timestamp>) -> Plan {
    let mut plan = Plan {
        service: service(fields),
        artifact: fields.required("artifact", "the artifact that is released"),
        previous: fields.required("previous", "the artifact that a rollback returns to"),
        owner: fields.required("owner", "the team or person that answers for the release"),
        expires: expires(fields, now),
        policy: fields.text("policy").unwrap_or_else(|| "policy.toml".to_owned()),
        budget: fields.duration("budget").unwrap_or(5 * MINUTE),
        forward_fix_only: fields.flag("forward_fix_only").unwrap_or(false),
        switches: fields.texts("switches").unwrap_or_default(),
        stop_when: fields.texts("stop_when").unwrap_or_default(),
        traffic: fields.table("traffic", traffic).flatten(),
        start: fields.choice("start", &[Gate::Auto, Gate::Manual]).unwrap_or(Gate::Auto),
        stages: fields.tables("stage", stage).unwrap_or_else(|| [5, 20, 50, 100].map(default_stage).to_vec()),
        promote: fields.tables("promote", promote).unwrap_or_default(),
        rollback: fields.tables("rollback", action).unwrap_or_default(),
        data: fields.tables("data", data).unwrap_or_default(),
        lag: fields.tables("lag", lag).unwrap_or_default().into_iter().flatten().collect(),
        preserve: fields.tables("preserve", preserve).unwrap_or_default(),
        recovery: Recovery { metric: String::new(), errors: 1.5, p99: 1.25, lasts: MINUTE },
        escalation: Escalation { contacts: Vec::new(), after: Duration::ZERO },
        instances_for_full_traffic: None,
        alerts: fields.tables("alert", alert).unwrap_or_default().into_iter().flatten().collect(),
    };
    fields.need("recovery", "a table with the metric that confirms recovery");
    fields.table("recovery", |fields| recovery(fields, &mut plan.recovery));
    plan.escalation.after = plan.budget;
    fields.need("escalation", "a table with the contacts: whom to call, with a number or channel");
    fields.table("escalation", |fields| escalation(fields, &mut plan.escalation));
    let instances = |fields: &mut Fields<'_>| fields.whole("instances_for_full_traffic", 1..=100_000);
    plan.instances_for_full_traffic = fields.table("stable", instances).flatten();
    plan
}

fn service(fields: &mut Fields<'_>) -> String {
    let name = fields.required("service", "the name of the service");
    if !name.is_empty() && !is_service(&name) {
        fields.wrong("service", format!("{name:?}"), SERVICE);
    }
    name
}

fn recovery(fields: &mut Fields<'_>, to: &mut Recovery) {
    to.metric = fields.required("metric", "the metric that confirms recovery");
    to.errors = fields.factor("errors").unwrap_or(to.errors);
    to.p99 = fields.factor("p99").unwrap_or(to.p99);
    to.lasts = fields.duration("lasts").unwrap_or(to.lasts);
}

fn escalation(fields: &mut Fields<'_>, to: &mut Escalation) {
    fields.need("contacts", "whom to call, with a number or channel");
    let contacts = fields.texts("contacts");
    if contacts.as_ref().is_some_and(Vec::is_empty) {
        fields.wrong("contacts", "[]", "at least one, with a number or channel");
    }
    to.contacts = contacts.unwrap_or_default();
    to.after = fields.duration("after").unwrap_or(to.after);
}

fn preserve(fields: &mut Fields<'_>) -> Preserve {
    Preserve { argv: fields.command(), timeout: fields.duration("timeout").unwrap_or(TIMEOUT) }
}

fn expires(fields: &mut Fields<'_>, now: Option<Timestamp>) -> Timestamp {
    fields.need("expires", "the time after which the plan is out of date, such as \"2027-01-31T00:00:00Z\"");
    let expires = fields.time("expires").unwrap_or(Timestamp::MAX);
    if let Some(now) = now.filter(|now| expires <= *now) {
        fields.wrong("expires", expires, format!("after now ({now}): have the owner review the plan"));
    }
    expires
}

fn default_stage(weight: u32) -> Stage {
    let (min, samples) = if weight == 100 { (15 * MINUTE, 0) } else { (10 * MINUTE, 1_000) };
    Stage { weight, min, max: min * 6, samples, gate: Gate::Auto }
}

/// A weight of 0 is one that could not be read.
fn stage(fields: &mut Fields<'_>) -> Stage {
    fields.need("weight", "the share of the traffic in percent");
    let default = default_stage(fields.whole("weight", 1..=100).unwrap_or(0));
    let min = fields.duration("min").unwrap_or(default.min);
    let max = fields.duration("max");
    if let Some(max) = max.filter(|max| *max < min) {
        fields.wrong("max", show(max), format!("at least min ({})", show(min)));
    }
    Stage {
        min,
        max: max.unwrap_or_else(|| min.saturating_mul(6)),
        samples: fields.whole("samples", 0..=u32::MAX).unwrap_or(default.samples),
        gate: fields.choice("gate", &[Gate::Auto, Gate::Timed, Gate::Manual]).unwrap_or(Gate::Auto),
        ..default
    }
}

/// An action. A kind that could not be read counts as the traffic shift: it breaks the fewest rules about the order.
fn action(fields: &mut Fields<'_>) -> Action {
    let kind = fields.kind(&ACTIONS).unwrap_or(ActionKind::TrafficShift);
    command(fields, kind)
}

fn promote(fields: &mut Fields<'_>) -> Action {
    command(fields, ActionKind::Promote)
}

fn command(fields: &mut Fields<'_>, kind: ActionKind) -> Action {
    Action {
        kind,
        argv: fields.command(),
        verify: fields.argv("verify"),
        timeout: fields.duration("timeout").unwrap_or(TIMEOUT),
        idempotent: fields.flag("idempotent").unwrap_or(false),
    }
}

fn data(fields: &mut Fields<'_>) -> DataChange {
    let kind = fields.kind(&DATA);
    if matches!(kind, Some(DataKind::Contract | DataKind::Destructive)) {
        fields.need("reversible", "true if the previous artifact works on the changed data, else false");
    }
    let reversible = fields.flag("reversible");
    if kind == Some(DataKind::Destructive) {
        fields.need("backup", "a destructive change needs a snapshot or backup from before it");
    }
    let backup = fields.text("backup");
    if kind == Some(DataKind::None) && reversible == Some(false) {
        fields.wrong("reversible", false, "true, as the kind is none: nothing changes");
    }
    let kind = kind.unwrap_or(DataKind::Additive);
    DataChange { kind, change: fields.text("change"), reversible: reversible.unwrap_or(true), backup }
}

fn lag(fields: &mut Fields<'_>) -> Option<Lag> {
    let kind = fields.kind(&[LagKind::Migration, LagKind::Job, LagKind::Cache]);
    let name = fields.required("name", "the name of the migration, job or cache");
    let up_to = fields.duration("up_to");
    Some(Lag { kind: kind?, name, up_to })
}
