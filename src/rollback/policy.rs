//! Policies: which triggers judge a release, and what each may do.

mod file;

use crate::named_enum::named;
use std::time::Duration;

named! {
    /// Effect of a trigger once it is sure.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Acts {
        /// Rolls the release back.
        Rollback = "rollback",
        /// Holds it until a person decides.
        Pause = "pause",
        /// Is shown, and never counts into anything.
        Report = "report",
    }

    as_str
}

named! {
    /// Effect of required data that has been missing for a time.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum NoDataActs {
        /// The verdict stays `collecting`.
        Collecting = "collecting",
        /// Holds the release until a person decides.
        Pause = "pause",
        /// Rolls it back.
        Rollback = "rollback",
    }

    as_str
}

/// Points at which triggers with a weight act together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) rollback: u32,
    pub(crate) pause: u32,
}

/// A checked policy. The default one is the text of [`Policy::DEFAULT`].
///
/// # Examples
///
/// ```
/// use backstop::rollback::Policy;
///
/// let policy = Policy::parse(
///     r#"
///     [[trigger]]
///     name = "checkout"
///     kind = "kpi"
///     kpi = "checkout"
///     "#,
/// )?;
/// assert_eq!(policy.triggers().count(), 1);
///
/// let error = Policy::parse("[[trigger]]\nname = \"e\"\nkind = \"errors\"\nalpha = 2.0").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "invalid configuration: trigger[0].alpha: 2.0 is not allowed, must be a number from 0.000001 to 0.5",
/// );
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(crate) horizon: Duration,
    /// Seconds.
    pub(crate) no_data_after: f64,
    pub(crate) no_data_acts: NoDataActs,
    pub(crate) score: Option<Score>,
    pub(crate) require: Vec<String>,
    pub(crate) triggers: Vec<Trigger>,
}

impl Policy {
    /// The default policy, with every value and its reason.
    pub const DEFAULT: &str = include_str!("default_policy.toml");

    /// Names of the triggers, in order.
    pub fn triggers(&self) -> impl Iterator<Item = &str> {
        self.triggers.iter().map(|trigger| &*trigger.name)
    }

    /// Names of the gauges that its triggers compare.
    pub fn gauges(&self) -> impl Iterator<Item = &str> {
        self.triggers.iter().filter_map(|trigger| match &trigger.kind {
            Kind::Gauge(gauge) => Some(&*gauge.gauge),
            _ => None,
        })
    }

    /// Warnings before this policy judges: triggers that act alone beyond three, points that can never
    /// be reached, and the like.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let counts_alone = |trigger: &&Trigger| {
            trigger.acts == Acts::Rollback
                && trigger.weight.is_none()
                && matches!(trigger.kind, Kind::Kpi { .. } | Kind::Gauge(_))
        };
        let alone = self.triggers.iter().filter(counts_alone).count();
        if alone > 3 {
            warnings.push(format!(
                "{alone} KPIs and gauges roll back alone: each adds its own false alarms; keep at most 3"
            ));
        }
        if self.triggers.iter().all(|trigger| trigger.acts != Acts::Rollback && trigger.weight.is_none()) {
            warnings.push("no trigger rolls back".to_owned());
        }
        let most: u32 = self.triggers.iter().filter_map(|trigger| trigger.weight).sum();
        let never = |name, points: u32| {
            let sentence = || format!("[score] {name} = {points} is never reached: all weights together are {most}");
            (most < points).then(sentence)
        };
        warnings.extend(self.score.and_then(|score| never("rollback", score.rollback)));
        warnings.extend(self.score.and_then(|score| never("pause", score.pause)));
        warnings
    }

    /// A warning about stages of this length, if they are no longer than a warm-up: in it, errors roll back only where they
    /// are also above `warm_up_limit`.
    pub fn stage_warning(&self, stage: Duration) -> Option<String> {
        let rate = |trigger: &Trigger| match &trigger.kind {
            Kind::Errors { rate, .. } | Kind::Kpi { rate, .. } if rate.look_once.is_none() => {
                let is_cut = rate.warm_up > 0.0 && stage.as_secs_f64() <= rate.warm_up + trigger.ignore_first;
                is_cut.then_some((trigger.name.clone(), rate.warm_up_limit))
            }
            _ => None,
        };
        let cut: Vec<_> = self.triggers.iter().filter_map(rate).collect();
        let (_, limit) = cut.first()?;
        let names: Vec<_> = cut.iter().map(|(name, _)| &**name).collect();
        Some(format!(
            "a stage of {} s is over before the warm-up of {}: in it, a rate under {} % is not found, however much worse it \
             is than the baseline's; let stages last longer, or set a shorter warm_up",
            stage.as_secs_f64(),
            names.join(", "),
            (limit * 1e4).round() / 100.0,
        ))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::parse(Self::DEFAULT).expect("the default policy is checked by a test")
    }
}

/// A trigger of a policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    pub(crate) acts: Acts,
    /// Points towards the score, instead of acting alone.
    pub(crate) weight: Option<u32>,
    /// Whether missing data holds the verdict at `collecting` though it was never measured.
    pub(crate) required: bool,
    pub(crate) ignore_first: f64,
    /// The name of its kind in files.
    pub(crate) kind_name: &'static str,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Errors { class: Class, rate: RateSettings },
    Kpi { kpi: String, rate: RateSettings },
    Latency(LatencySettings),
    Gauge(GaugeSettings),
    Readiness(ReadinessSettings),
    Breakers(BreakerSettings),
}

named! {
    /// Errors that count.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum Class {
        Server = "server",
        Client = "client",
        All = "all",
    }

    as_str
}

/// How a rate is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Question {
    /// Worse than this times the baseline.
    Ratio(f64),
    /// Worse than the baseline by this rate.
    Added(f64),
    /// Above this rate, whatever the baseline.
    Limit(f64),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RateSettings {
    pub(crate) question: Question,
    pub(crate) alpha: f64,
    pub(crate) borderline: f64,
    pub(crate) minimum_requests: f64,
    pub(crate) minimum_distinct_seconds: f64,
    pub(crate) warm_up: f64,
    pub(crate) warm_up_ratio: f64,
    pub(crate) warm_up_limit: f64,
    pub(crate) warm_up_alpha: f64,
    /// `None`: not judged without a baseline.
    pub(crate) without_baseline: Option<f64>,
    pub(crate) without_baseline_requests: f64,
    /// Judged once, when both arms have this many requests, by a test that may be looked at once.
    pub(crate) look_once: Option<f64>,
    pub(crate) horizon: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LatencySettings {
    pub(crate) alpha: f64,
    pub(crate) margin: f64,
    pub(crate) late_margin: f64,
    /// Objective: at most this share of requests above so many seconds.
    pub(crate) objective: Option<(f64, f64)>,
    /// The same of a recorded baseline, while there is no live one.
    pub(crate) recorded: Option<(f64, f64)>,
    pub(crate) minimum_requests: f64,
    pub(crate) look_once: Option<f64>,
    pub(crate) horizon: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GaugeSettings {
    pub(crate) gauge: String,
    pub(crate) above: Option<f64>,
    pub(crate) below: Option<f64>,
    /// Of the baseline: from 1 up the canary is higher, under 1 lower.
    pub(crate) ratio: Option<f64>,
    pub(crate) floor: f64,
    pub(crate) lasting: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ReadinessSettings {
    pub(crate) share: f64,
    pub(crate) lasting: f64,
    pub(crate) deadline: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BreakerSettings {
    pub(crate) share: f64,
    /// Only circuits that opened in the first so many seconds of a stage.
    pub(crate) within: Option<f64>,
    pub(crate) breakers: Vec<String>,
}
