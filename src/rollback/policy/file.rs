//! Policies as text, and the check of their settings.

use super::{
    Acts, BreakerSettings, Class, GaugeSettings, Kind, LatencySettings, NoDataActs, Policy, Question, RateSettings,
    ReadinessSettings, Score, Trigger,
};
use crate::config::{ConfigError, Problems};
use crate::rollback::fields::{Fields, table_of};
use std::time::Duration;

/// Most triggers of a policy, and most points of one or of the score: their sum is a number, too.
const TRIGGERS_MAX: usize = 100;
const POINTS_MAX: u32 = 1_000_000;
const DAY: f64 = 86_400.0;
const ACTS: [Acts; 3] = [Acts::Rollback, Acts::Pause, Acts::Report];
const NO_DATA_ACTS: [NoDataActs; 3] = [NoDataActs::Collecting, NoDataActs::Pause, NoDataActs::Rollback];
const CLASSES: [Class; 3] = [Class::Server, Class::Client, Class::All];
const KINDS: [&str; 6] = ["errors", "kpi", "latency", "gauge", "readiness", "breakers"];
/// Settings of the sequential tests.
const RATE_ONLY: [&str; 11] = [
    "tolerated_ratio",
    "added",
    "limit",
    "minimum_requests",
    "minimum_distinct_seconds",
    "warm_up",
    "warm_up_ratio",
    "warm_up_limit",
    "warm_up_alpha",
    "without_baseline",
    "without_baseline_requests",
];
const LATENCY_ONLY: [&str; 5] = ["minimum_requests", "margin", "late_margin", "within", "quantile"];

impl Policy {
    /// Reads a policy from TOML or JSON.
    ///
    /// # Errors
    ///
    /// Every problem at once, with the path of the field: settings out of their range, of another kind of trigger or
    /// unknown, names that come twice or are required and missing. A document that is no TOML or JSON has one.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        let policy = Fields::read(table_of(text)?, &mut problems, policy);
        problems.into_result(policy)
    }
}

fn policy(fields: &mut Fields<'_>) -> Policy {
    let horizon = fields.seconds("horizon", 60.0..=7.0 * DAY).unwrap_or(1800.0);
    let no_data = fields.table("no_data", |fields| {
        let after = fields.seconds("after", 1.0..=DAY);
        (after, fields.choice("acts", &NO_DATA_ACTS))
    });
    let (no_data_after, no_data_acts) = no_data.unwrap_or_default();
    let score = fields.table("score", score);
    let require = fields.texts("require").unwrap_or_default();
    fields.need("trigger", "at least one [[trigger]]");
    let triggers = fields.tables("trigger", |fields| trigger(fields, horizon, score.is_some()));
    if triggers.as_ref().is_some_and(Vec::is_empty) {
        fields.wrong("trigger", "[]", "at least one [[trigger]]");
    }
    let triggers = triggers.unwrap_or_default();
    if triggers.len() > TRIGGERS_MAX {
        fields.wrong("trigger", format!("{} triggers", triggers.len()), format!("at most {TRIGGERS_MAX}"));
    }
    let place = |name: &str| triggers.iter().position(|trigger| trigger.name == name);
    for (i, Trigger { name, .. }) in triggers.iter().enumerate().take(TRIGGERS_MAX) {
        if !name.is_empty() && place(name) != Some(i) {
            fields.wrong(&format!("trigger[{i}].name"), name, "a name of its own");
        }
    }
    for (i, name) in require.iter().enumerate().take(TRIGGERS_MAX) {
        if require[..i].contains(name) {
            fields.wrong("require", name, "each name once");
        } else if place(name).is_none_or(|at| triggers[at].acts == Acts::Report) {
            fields.wrong("require", name, "the name of a trigger that does more than report");
        }
    }
    Policy {
        horizon: Duration::from_secs_f64(horizon),
        no_data_after: no_data_after.unwrap_or(600.0),
        no_data_acts: no_data_acts.unwrap_or(NoDataActs::Pause),
        score,
        require,
        triggers,
    }
}

fn score(fields: &mut Fields<'_>) -> Score {
    let rollback = fields.whole("rollback", 1..=POINTS_MAX).unwrap_or(15);
    let pause = fields.whole("pause", 1..=POINTS_MAX).unwrap_or(rollback.min(10));
    if pause > rollback {
        fields.wrong("pause", pause, format!("at most rollback, {rollback}"));
    }
    Score { rollback, pause }
}

fn trigger(fields: &mut Fields<'_>, horizon: f64, has_score: bool) -> Trigger {
    let name = fields.required("name", "the name of the trigger in verdicts");
    if name.len() > 128 {
        fields.wrong("name", &name, "at most 128 bytes");
    }
    if !has_score {
        fields.refuse(&["weight"], "where the policy has no [score]");
    } else if fields.has("weight") {
        fields.refuse(&["acts"], "beside weight: points act by the score alone");
    }
    let acts = fields.choice("acts", &ACTS).unwrap_or(Acts::Rollback);
    let weight = fields.whole("weight", 1..=POINTS_MAX);
    let required = fields.flag("required").unwrap_or(true);
    let ignore_first = fields.seconds("ignore_first", 0.0..=DAY).unwrap_or(0.0);
    let (kind_name, kind) = kind(fields, horizon);
    Trigger { name, acts, weight, required, ignore_first, kind_name, kind }
}

/// Question of a trigger, and the name of its kind. One whose kind could not be read counts as readiness.
fn kind(fields: &mut Fields<'_>, horizon: f64) -> (&'static str, Kind) {
    let name = fields.kind(&KINDS);
    match name {
        None => fields.skip_rest(),
        Some(name) => fields.of_kind(name),
    }
    let kind = match name {
        Some("errors") => {
            let class = fields.choice("class", &CLASSES).unwrap_or(Class::Server);
            // Some percent of 4xx are ordinary: no limit is assumed for what clients get wrong.
            let limit = (class != Class::Client).then_some(0.01);
            Kind::Errors { class, rate: rate(fields, limit, horizon) }
        }
        Some("kpi") => {
            Kind::Kpi { kpi: fields.required("kpi", "its name in the ticks"), rate: rate(fields, None, horizon) }
        }
        Some("latency") => Kind::Latency(latency(fields, horizon)),
        Some("gauge") => Kind::Gauge(gauge(fields)),
        Some("breakers") => Kind::Breakers(BreakerSettings {
            share: fields.number("share", 0.001..=1.0).unwrap_or(0.5),
            within: fields.seconds("within", 1.0..=7.0 * DAY),
            breakers: fields.texts("breakers").unwrap_or_default(),
        }),
        _ => Kind::Readiness(ReadinessSettings {
            share: fields.number("share", 0.001..=1.0).unwrap_or(0.1),
            lasting: fields.seconds("for", 0.0..=DAY).unwrap_or(120.0),
            deadline: fields.seconds("deadline", 1.0..=DAY).unwrap_or(300.0),
        }),
    };
    (name.unwrap_or("readiness"), kind)
}

/// Requests at which a test is made that may be looked at once. Settings that it would ignore are refused.
fn look_once(fields: &mut Fields<'_>, unused: &[&'static str]) -> Option<f64> {
    if fields.has("look_once") {
        fields.refuse(unused, "beside look_once, whose test does not use it");
    }
    fields.number("look_once", 1.0..=1e12)
}

fn rate(fields: &mut Fields<'_>, limit: Option<f64>, horizon: f64) -> RateSettings {
    let look_once = look_once(fields, &RATE_ONLY);
    let ratio = fields.number("tolerated_ratio", 1.0..=100.0);
    let added = fields.number("added", 1e-6..=1.0);
    let most = fields.number("limit", 1e-6..=0.999);
    if [ratio, added, most].iter().flatten().count() > 1 {
        fields.wrong("limit", "more than one of tolerated_ratio, added and limit", "one of them");
    }
    if most.is_some() {
        fields.refuse(&["without_baseline"], "beside `limit`, which needs no baseline");
    }
    RateSettings {
        question: match (added, most) {
            (Some(added), _) => Question::Added(added),
            (None, Some(limit)) => Question::Limit(limit),
            (None, None) => Question::Ratio(ratio.unwrap_or(1.0)),
        },
        alpha: fields.number("alpha", 1e-6..=0.5).unwrap_or(0.0166),
        borderline: fields.number("borderline", 1.0..=100.0).unwrap_or(2.0),
        minimum_requests: fields.number("minimum_requests", 1.0..=1e9).unwrap_or(50.0),
        minimum_distinct_seconds: fields.number("minimum_distinct_seconds", 1.0..=60.0).unwrap_or(2.0),
        warm_up: fields.seconds("warm_up", 0.0..=3600.0).unwrap_or(60.0),
        warm_up_ratio: fields.number("warm_up_ratio", 1.0..=100.0).unwrap_or(1.25),
        warm_up_limit: fields.number("warm_up_limit", 1e-6..=0.999).unwrap_or(0.01),
        warm_up_alpha: fields.number("warm_up_alpha", 1e-6..=0.5).unwrap_or(0.015),
        without_baseline: fields.number("without_baseline", 1e-6..=0.999).or(limit),
        without_baseline_requests: fields.number("without_baseline_requests", 1.0..=1e9).unwrap_or(1000.0),
        look_once,
        horizon,
    }
}

fn latency(fields: &mut Fields<'_>, horizon: f64) -> LatencySettings {
    let look_once = look_once(fields, &LATENCY_ONLY);
    if fields.has("within") {
        fields.refuse(&["margin", "late_margin"], "beside `within`: the baseline is not compared with");
    } else {
        fields.refuse(&["quantile"], "without `within`, the latency of this quantile");
    }
    let tail = 1.0 - fields.number("quantile", 0.01..=0.9999).unwrap_or(0.99);
    let margin = fields.number("margin", 1.0..=10.0).unwrap_or(1.17);
    LatencySettings {
        alpha: fields.number("alpha", 1e-6..=0.5).unwrap_or(0.0125),
        margin,
        late_margin: fields.number("late_margin", margin..=10.0).unwrap_or(margin.max(1.4)),
        objective: fields.seconds("within", 1e-6..=3600.0).map(|within| (tail, within)),
        recorded: None,
        minimum_requests: fields.number("minimum_requests", 1.0..=1e9).unwrap_or(50.0),
        look_once,
        horizon,
    }
}

fn gauge(fields: &mut Fields<'_>) -> GaugeSettings {
    const FINITE: std::ops::RangeInclusive<f64> = -1e300..=1e300;
    if !["above", "below", "ratio"].iter().any(|name| fields.has(name)) {
        fields.wrong("above", "nothing", "at least one of above, below and ratio");
    }
    let (above, below) = (fields.number("above", FINITE), fields.number("below", FINITE));
    if let (Some(above), Some(below)) = (above, below)
        && below > above
    {
        fields.wrong("below", below, format!("at most above, {above}: every value is beyond one of them"));
    }
    GaugeSettings {
        gauge: fields.required("gauge", "its name in the ticks"),
        above,
        below,
        ratio: fields.number("ratio", 0.01..=100.0),
        floor: fields.number("floor", FINITE).unwrap_or(0.1),
        lasting: fields.seconds("for", 0.0..=DAY).unwrap_or(60.0),
    }
}
