//! Policies as text, and the check of their settings.

use super::{
    Acts, BreakerSettings, Class, GaugeSettings, Kind, LatencySettings, NoDataActs, Policy, Question, RateSettings,
    ReadinessSettings, Score, Trigger,
};
use crate::config::{ConfigError, Problem, Problems};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::time::Duration;

/// Most triggers of a policy.
const TRIGGERS_MAX: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, with = "humantime_serde")]
    horizon: Option<Duration>,
    #[serde(default)]
    no_data: NoDataFile,
    #[serde(default)]
    score: Option<Score>,
    #[serde(default)]
    require: Vec<String>,
    #[serde(default)]
    trigger: Vec<TriggerFile>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NoDataFile {
    #[serde(with = "humantime_serde")]
    after: Option<Duration>,
    acts: Option<NoDataActs>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindName {
    Errors,
    Kpi,
    Latency,
    Gauge,
    Readiness,
    Breakers,
}

impl KindName {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Kpi => "kpi",
            Self::Latency => "latency",
            Self::Gauge => "gauge",
            Self::Readiness => "readiness",
            Self::Breakers => "breakers",
        }
    }
}

macro_rules! trigger_file {
    ($($(#[$attribute:meta])* $field:ident: $type:ty = [$($kind:ident)*],)*) => {
        /// A trigger as written. Settings that its kind does not have are an error.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct TriggerFile {
            name: String,
            kind: KindName,
            acts: Option<Acts>,
            weight: Option<u32>,
            required: Option<bool>,
            #[serde(default, with = "humantime_serde")]
            ignore_first: Option<Duration>,
            $($(#[$attribute])* $field: Option<$type>,)*
        }

        impl TriggerFile {
            /// Names of the settings that are there, with the kinds that have them.
            fn settings(&self) -> impl Iterator<Item = (&'static str, &'static [KindName])> {
                let all: [(&str, bool, &'static [KindName]); _] =
                    [$((stringify!($field), self.$field.is_some(), &[$(KindName::$kind),*]),)*];
                all.into_iter().filter(|(_, is_there, _)| *is_there).map(|(name, _, kinds)| (name, kinds))
            }
        }
    };
}

trigger_file! {
    class: Class = [Errors],
    kpi: String = [Kpi],
    tolerated_ratio: f64 = [Errors Kpi],
    added: f64 = [Errors Kpi],
    limit: f64 = [Errors Kpi],
    alpha: f64 = [Errors Kpi Latency],
    borderline: f64 = [Errors Kpi],
    minimum_requests: f64 = [Errors Kpi Latency],
    minimum_distinct_seconds: f64 = [Errors Kpi],
    #[serde(default, with = "humantime_serde")]
    warm_up: Duration = [Errors Kpi],
    warm_up_ratio: f64 = [Errors Kpi],
    warm_up_limit: f64 = [Errors Kpi],
    warm_up_alpha: f64 = [Errors Kpi],
    without_baseline: f64 = [Errors Kpi],
    without_baseline_requests: f64 = [Errors Kpi],
    look_once: f64 = [Errors Kpi Latency],
    margin: f64 = [Latency],
    late_margin: f64 = [Latency],
    #[serde(default, with = "humantime_serde")]
    within: Duration = [Latency Breakers],
    quantile: f64 = [Latency],
    gauge: String = [Gauge],
    above: f64 = [Gauge],
    below: f64 = [Gauge],
    ratio: f64 = [Gauge],
    floor: f64 = [Gauge],
    #[serde(default, with = "humantime_serde")]
    r#for: Duration = [Gauge Readiness],
    share: f64 = [Readiness Breakers],
    #[serde(default, with = "humantime_serde")]
    deadline: Duration = [Readiness],
    breakers: Vec<String> = [Breakers],
}

impl Policy {
    /// Reads a policy from TOML or JSON.
    ///
    /// # Errors
    ///
    /// Every problem at once, with the path of the field: settings out of their range, of another kind of trigger or
    /// unknown, names that come twice or are required and missing.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        parse(text)
    }
}

fn parse(text: &str) -> Result<Policy, ConfigError> {
    let file: File = read(text)?;
    let mut problems = Problems::default();
    let mut check = Check { problems: &mut problems, path: String::new() };
    let horizon = check.duration("horizon", file.horizon, 1800.0, 60.0, 7.0 * 86_400.0);
    let no_data_after = check.duration("no_data.after", file.no_data.after, 600.0, 1.0, 86_400.0);
    if file.trigger.is_empty() || file.trigger.len() > TRIGGERS_MAX {
        check.problems.add("trigger", format!("{} triggers", file.trigger.len()), format!("from 1 to {TRIGGERS_MAX}"));
    }
    if let Some(Score { rollback, pause }) = file.score
        && (pause == 0 || pause > rollback)
    {
        check.problems.add("score.pause", pause, format!("from 1 to score.rollback, {rollback}"));
    }
    let mut names = BTreeSet::new();
    let mut triggers = Vec::new();
    for (i, trigger) in file.trigger.into_iter().enumerate() {
        check.path = format!("trigger[{i}].");
        let name = trigger.name.clone();
        if name.trim().is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            check.add("name", format!("{name:?}"), "1 to 128 bytes without control characters");
        }
        if !names.insert(name.clone()) {
            check.add("name", format!("{name:?}"), "a name of its own");
        }
        if trigger.weight.is_some() && file.score.is_none() {
            check.add("weight", trigger.weight.unwrap_or(0), "absent, or [score] present");
        }
        triggers.push(check.trigger(trigger, horizon));
    }
    check.path = String::new();
    for (i, name) in file.require.iter().enumerate() {
        if file.require[..i].contains(name) {
            check.add("require", format!("{name:?}"), "each name once");
        }
        let acts = triggers.iter().find(|trigger| trigger.name == *name).map(|trigger| trigger.acts);
        if acts.is_none_or(|acts| acts == Acts::Report) {
            check.add("require", format!("{name:?}"), "the name of a trigger that does more than report");
        }
    }
    problems.into_result(Policy {
        horizon: Duration::try_from_secs_f64(horizon).unwrap_or(Duration::MAX),
        no_data_after: Duration::try_from_secs_f64(no_data_after).unwrap_or(Duration::MAX),
        no_data_acts: file.no_data.acts.unwrap_or(NoDataActs::Pause),
        score: file.score,
        require: file.require,
        triggers,
    })
}

/// TOML, or JSON where the text begins with a brace.
fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    let problem = |field: String, message: String| ConfigError::of(Problem::new(field, message, ""));
    let field = |path: &serde_path_to_error::Path| match path.to_string().as_str() {
        "." => "policy".to_owned(),
        path => path.to_owned(),
    };
    if text.trim_start().starts_with('{') {
        let json = &mut serde_json::Deserializer::from_str(text);
        let read = serde_path_to_error::deserialize(&mut *json)
            .map_err(|error| problem(field(error.path()), error.inner().to_string()))?;
        json.end().map_err(|error| problem("policy".to_owned(), error.to_string()))?;
        return Ok(read);
    }
    let toml = toml::Deserializer::parse(text).map_err(|error| problem("policy".to_owned(), error.to_string()))?;
    serde_path_to_error::deserialize(toml)
        .map_err(|error| problem(field(error.path()), error.inner().message().to_owned()))
}

struct Check<'a> {
    problems: &'a mut Problems,
    path: String,
}

impl Check<'_> {
    fn add(&mut self, field: &str, value: impl std::fmt::Display, allowed: impl Into<String>) {
        self.problems.add(format!("{}{field}", self.path), value, allowed);
    }

    fn number(&mut self, field: &str, value: Option<f64>, default: f64, least: f64, most: f64) -> f64 {
        let value = value.unwrap_or(default);
        if !(least..=most).contains(&value) {
            self.add(field, value, format!("from {least} to {most}"));
        }
        value
    }

    fn optional(&mut self, field: &str, value: Option<f64>, least: f64, most: f64) -> Option<f64> {
        value.map(|value| self.number(field, Some(value), value, least, most))
    }

    fn duration(&mut self, field: &str, value: Option<Duration>, default: f64, least: f64, most: f64) -> f64 {
        let seconds = value.map_or(default, |value| value.as_secs_f64());
        if !(least..=most).contains(&seconds) {
            self.add(field, format!("{seconds}s"), format!("from {least}s to {most}s"));
        }
        seconds
    }

    fn needed(&mut self, field: &str, value: Option<String>) -> String {
        match value {
            Some(value) if !value.is_empty() => value,
            _ => {
                self.add(field, "nothing", "a name");
                String::new()
            }
        }
    }

    fn trigger(&mut self, file: TriggerFile, horizon: f64) -> Trigger {
        for (setting, kinds) in file.settings().filter(|(_, kinds)| !kinds.contains(&file.kind)) {
            let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
            let allowed = format!("absent in kind {}: it is a setting of {}", file.kind.as_str(), kinds.join(" and "));
            self.add(setting.trim_start_matches("r#"), "a value", allowed);
        }
        if file.weight.is_some() && file.acts.is_some() {
            self.add("weight", file.weight.unwrap_or(0), "absent where acts is present: points act by the score alone");
        }
        if file.weight == Some(0) {
            self.add("weight", 0, "1 or more");
        }
        Trigger {
            name: file.name.clone(),
            acts: file.acts.unwrap_or_default(),
            weight: file.weight,
            required: file.required.unwrap_or(true),
            ignore_first: self.duration("ignore_first", file.ignore_first, 0.0, 0.0, 86_400.0),
            kind: self.kind(file, horizon),
        }
    }

    fn kind(&mut self, mut file: TriggerFile, horizon: f64) -> Kind {
        match file.kind {
            KindName::Errors => {
                let class = file.class.unwrap_or(Class::Server);
                // Some percent of 4xx are ordinary: no limit is assumed for what clients get wrong.
                let limit = (class != Class::Client).then_some(0.01);
                Kind::Errors { class, rate: self.rate(&file, limit, horizon) }
            }
            KindName::Kpi => {
                Kind::Kpi { kpi: self.needed("kpi", file.kpi.take()), rate: self.rate(&file, None, horizon) }
            }
            KindName::Latency => self.latency(&file, horizon),
            KindName::Gauge => self.gauge(file),
            KindName::Readiness => Kind::Readiness(ReadinessSettings {
                share: self.number("share", file.share, 0.1, 0.001, 1.0),
                lasting: self.duration("for", file.r#for, 120.0, 0.0, 86_400.0),
                deadline: self.duration("deadline", file.deadline, 300.0, 1.0, 86_400.0),
            }),
            KindName::Breakers => Kind::Breakers(BreakerSettings {
                share: self.number("share", file.share, 0.5, 0.001, 1.0),
                within: file.within.map(|within| within.as_secs_f64()),
                breakers: file.breakers.unwrap_or_default(),
            }),
        }
    }

    fn rate(&mut self, file: &TriggerFile, limit: Option<f64>, horizon: f64) -> RateSettings {
        let questions = [file.tolerated_ratio, file.added, file.limit].iter().flatten().count();
        if questions > 1 {
            self.add("limit", "more than one of tolerated_ratio, added and limit", "one of them");
        }
        let question = if let Some(added) = self.optional("added", file.added, 1e-6, 1.0) {
            Question::Added(added)
        } else if let Some(limit) = self.optional("limit", file.limit, 1e-6, 0.999) {
            Question::Limit(limit)
        } else {
            Question::Ratio(self.number("tolerated_ratio", file.tolerated_ratio, 1.0, 1.0, 100.0))
        };
        RateSettings {
            question,
            alpha: self.number("alpha", file.alpha, 0.0166, 1e-6, 0.5),
            borderline: self.number("borderline", file.borderline, 2.0, 1.0, 100.0),
            minimum_requests: self.number("minimum_requests", file.minimum_requests, 50.0, 1.0, 1e9),
            minimum_distinct_seconds: self.number(
                "minimum_distinct_seconds",
                file.minimum_distinct_seconds,
                2.0,
                1.0,
                60.0,
            ),
            warm_up: self.duration("warm_up", file.warm_up, 60.0, 0.0, 3600.0),
            warm_up_ratio: self.number("warm_up_ratio", file.warm_up_ratio, 1.25, 1.0, 100.0),
            warm_up_limit: self.number("warm_up_limit", file.warm_up_limit, 0.01, 1e-6, 0.999),
            warm_up_alpha: self.number("warm_up_alpha", file.warm_up_alpha, 0.03, 1e-6, 0.5),
            without_baseline: self.optional("without_baseline", file.without_baseline.or(limit), 1e-6, 0.999),
            without_baseline_requests: self.number(
                "without_baseline_requests",
                file.without_baseline_requests,
                1000.0,
                1.0,
                1e9,
            ),
            look_once: self.optional("look_once", file.look_once, 1.0, 1e12),
            horizon,
        }
    }

    fn latency(&mut self, file: &TriggerFile, horizon: f64) -> Kind {
        let objective = match (file.within, file.quantile) {
            (None, None) => None,
            (Some(within), quantile) => {
                let quantile = self.number("quantile", quantile, 0.99, 0.01, 0.9999);
                Some((1.0 - quantile, self.duration("within", Some(within), 0.0, 1e-6, 3600.0)))
            }
            (None, Some(quantile)) => {
                self.add("quantile", quantile, "absent, or `within` present: the latency of this quantile");
                None
            }
        };
        let margin = self.number("margin", file.margin, 1.18, 1.0, 10.0);
        Kind::Latency(LatencySettings {
            alpha: self.number("alpha", file.alpha, 0.0125, 1e-6, 0.5),
            margin,
            late_margin: self.number("late_margin", file.late_margin, margin.max(1.4), margin, 10.0),
            objective,
            recorded: None,
            minimum_requests: self.number("minimum_requests", file.minimum_requests, 50.0, 1.0, 1e9),
            look_once: self.optional("look_once", file.look_once, 1.0, 1e12),
            horizon,
        })
    }

    fn gauge(&mut self, mut file: TriggerFile) -> Kind {
        if file.above.is_none() && file.below.is_none() && file.ratio.is_none() {
            self.add("above", "nothing", "at least one of above, below and ratio");
        }
        let finite = -1e300..=1e300;
        for (field, value) in [("above", file.above), ("below", file.below), ("floor", file.floor)] {
            if let Some(value) = value.filter(|value| !finite.contains(value)) {
                self.add(field, value, "a finite number");
            }
        }
        Kind::Gauge(GaugeSettings {
            gauge: self.needed("gauge", file.gauge.take()),
            above: file.above,
            below: file.below,
            ratio: self.optional("ratio", file.ratio, 0.01, 100.0),
            floor: file.floor.unwrap_or(0.1),
            lasting: self.duration("for", file.r#for, 60.0, 0.0, 86_400.0),
        })
    }
}
