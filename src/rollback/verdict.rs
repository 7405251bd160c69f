//! Verdicts: the decision, and the evidence for it.

use serde::Serialize;

/// Decision about a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The canary is not worse, as far as is known.
    Continue,
    /// Not enough data yet, or none any more. Never a reason to promote.
    Collecting,
    /// A person has to decide.
    Pause,
    /// The canary is worse: roll back.
    Rollback,
}

impl Decision {
    /// Its number in metrics and files: 0 continue, 1 collecting, 2 pause, 3 rollback.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// Its name in metrics and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Continue => "continue",
            Self::Collecting => "collecting",
            Self::Pause => "pause",
            Self::Rollback => "rollback",
        }
    }
}

/// State of a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TriggerState {
    /// Measured, and not worse.
    Ok,
    /// Measured, and too little to say.
    Collecting,
    /// Required or measured before, and missing.
    NoData,
    /// Not measured, and not required.
    NotMeasured,
    /// Surely worse, but by little: a person decides.
    Borderline,
    /// Worse.
    Fired,
}

/// Data behind a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Data {
    /// Every required trigger has data.
    Ok,
    /// A required trigger never had data.
    NoData,
    /// A trigger had data, and has none any more.
    Stale,
}

/// Requests seen in each arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Samples {
    /// In the canary.
    pub canary: f64,
    /// In the baseline.
    pub baseline: f64,
}

/// Answer to one tick.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// Seconds since the rollout began.
    pub at: f64,
    /// The decision.
    pub decision: Decision,
    /// [`Decision::code`].
    pub code: u8,
    /// The reason in one sentence.
    pub sentence: String,
    /// Share of the traffic in the canary, in percent.
    pub stage: Option<f64>,
    /// Whether the verdict rests on data.
    pub data: Data,
    /// Requests so far.
    pub n: Samples,
    /// Logarithm of the strongest evidence.
    pub log_e: f64,
    /// Chance of a false alarm at which that evidence acts.
    pub alpha: f64,
    /// Every trigger, in the order of the policy.
    pub triggers: Vec<TriggerReport>,
    /// Oddities of the data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Kill switches engaged in the canary.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub switches_engaged: Vec<String>,
    /// The person who overrode the verdict.
    #[serde(rename = "override")]
    pub overridden: Option<Override>,
}

/// A person's decision against the verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Override {
    /// The person.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When, in seconds since the rollout began.
    pub at: f64,
    /// The decision that was overridden.
    pub decision: Decision,
}

/// A trigger's part of a verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TriggerReport {
    /// Its name in the policy.
    pub name: String,
    /// Its kind in the policy: `errors`, `kpi`, `latency`, `gauge`, `readiness` or `breakers`.
    pub kind: &'static str,
    /// Its state.
    pub state: TriggerState,
    /// The canary's value, as a rate, a share or a gauge.
    pub canary: Option<f64>,
    /// The baseline's value.
    pub baseline: Option<f64>,
    /// The canary's value over the baseline's.
    pub ratio: Option<f64>,
    /// Requests of the canary behind it.
    pub samples: f64,
    /// Logarithm of the evidence, and of the one at which the trigger fires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_e: Option<f64>,
    /// See `log_e`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_threshold: Option<f64>,
    /// The finding, in one sentence.
    pub sentence: String,
}
