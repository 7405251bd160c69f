//! Engagement of a switch: scope, stage, reason and end.

use super::{Scope, Stage, decode, text};
use crate::clock::Timestamp;
use crate::config::Problems;
use std::time::Duration;

/// The longest link to an incident, in bytes.
const INCIDENT_MAX: usize = 512;
/// The longest window of a KPI: a week.
const WINDOW_MAX: u64 = 604_800;

/// A switch that is engaged.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Engagement {
    /// For whom.
    pub scope: Scope,
    /// The stage it has reached.
    pub stage: Stage,
    /// Name of the author.
    pub by: String,
    /// Reason, as the actor gave it.
    pub reason: String,
    /// A link to the incident, or its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Time of the engagement.
    #[serde(deserialize_with = "decode::time")]
    pub at: Timestamp,
    /// Expiry, and the action then; `None` is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Expiry>,
    /// The trigger.
    pub trigger: Trigger,
}

impl Engagement {
    /// Returns whether it has expired and its expiry action is `Release`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expiry| expiry.then == ExpiryAction::Release && now >= expiry.at)
    }

    /// Adds the problems of its fields.
    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        self.scope.check_at(&format!("{at}.scope"), problems);
        self.stage.check_at(&format!("{at}.stage"), problems);
        text::name(&format!("{at}.by"), &self.by, problems);
        text::reason(&format!("{at}.reason"), &self.reason, problems);
        check_incident(at, self.incident.as_deref(), problems);
        self.trigger.check_at(&format!("{at}.trigger"), problems);
    }

    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.scope.covers(&other.scope) && self.stage.covers(&other.stage) && ends(self.expires) >= ends(other.expires)
    }
}

/// End of an engagement with this expiry.
pub(crate) fn ends(expires: Option<Expiry>) -> Timestamp {
    match expires {
        Some(Expiry { at, then: ExpiryAction::Release }) => at,
        _ => Timestamp::MAX,
    }
}

pub(crate) fn check_incident(at: &str, incident: Option<&str>, problems: &mut Problems) {
    if let Some(incident) = incident {
        text::bytes(&format!("{at}.incident"), incident, INCIDENT_MAX, problems);
    }
}

/// Expiry of an engagement, and the action then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
#[must_use = "pass it to a change"]
pub struct Expiry {
    /// The time.
    #[serde(deserialize_with = "decode::time")]
    pub at: Timestamp,
    /// Action at that time.
    pub then: ExpiryAction,
}

impl Expiry {
    /// Releases at this time.
    pub const fn release(at: Timestamp) -> Self {
        Self { at, then: ExpiryAction::Release }
    }

    /// Stays engaged at this time and says so: an alert, not a change.
    pub const fn keep(at: Timestamp) -> Self {
        Self { at, then: ExpiryAction::Keep }
    }
}

/// Action when an engagement expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ExpiryAction {
    /// The capability comes back.
    Release,
    /// It stays off, and an alert asks for a review.
    Keep,
}

/// Trigger of an engagement.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Trigger {
    /// A person decided it.
    #[default]
    Human,
    /// A KPI was beyond its threshold.
    Kpi(Breach),
    /// A time that had been set came.
    Expiry,
    /// A drill.
    Drill,
}

impl Trigger {
    /// Names of the kinds, in the order of [`index`](Self::index): label values of metrics.
    #[cfg(feature = "metrics")]
    pub(crate) const KINDS: [&'static str; 4] = ["human", "kpi", "expiry", "drill"];

    /// Index of a drill among the kinds.
    pub(crate) const DRILL: usize = 3;

    /// Index of the kind.
    pub(crate) const fn index(&self) -> usize {
        match self {
            Self::Human => 0,
            Self::Kpi(_) => 1,
            Self::Expiry => 2,
            Self::Drill => Self::DRILL,
        }
    }

    pub(crate) fn check_at(&self, at: &str, problems: &mut Problems) {
        if let Self::Kpi(breach) = self {
            breach.check_at(at, problems);
        }
    }
}

/// The KPI that engaged a switch.
///
/// Valid: a name of 1 to 128 bytes, finite numbers, a window of 1 second to 7 days, at least one sample.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Breach {
    /// The KPI's name.
    pub metric: String,
    /// The measured value.
    pub value: f64,
    /// The threshold.
    pub threshold: f64,
    /// Length of the window, in whole seconds.
    pub window_seconds: u64,
    /// Number of samples.
    pub samples: u64,
}

impl Breach {
    /// A measured value, its threshold, the window in whole seconds, and the number of samples.
    pub fn new(metric: impl Into<String>, value: f64, threshold: f64, window: Duration, samples: u64) -> Self {
        Self { metric: metric.into(), value, threshold, window_seconds: window.as_secs(), samples }
    }

    fn check_at(&self, at: &str, problems: &mut Problems) {
        text::name(&format!("{at}.metric"), &self.metric, problems);
        for (field, number) in [("value", self.value), ("threshold", self.threshold)] {
            if !number.is_finite() {
                problems.add(format!("{at}.{field}"), number, "a finite number");
            }
        }
        if !(1..=WINDOW_MAX).contains(&self.window_seconds) {
            problems.add(format!("{at}.window_seconds"), self.window_seconds, format!("from 1 to {WINDOW_MAX}"));
        }
        if self.samples == 0 {
            problems.add(format!("{at}.samples"), 0, "at least 1");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_written_and_read_as_the_same() {
        let breach = Breach::new("error_rate", 0.1 + 0.2, f64::MIN_POSITIVE, Duration::from_secs(60), 1_000);
        for trigger in [Trigger::Human, Trigger::Kpi(breach), Trigger::Expiry, Trigger::Drill] {
            let written = serde_json::to_string(&trigger).unwrap();
            assert_eq!(serde_json::from_str::<Trigger>(&written).unwrap(), trigger, "{written}");
        }
        for wrong in [r#""kpi""#, r#"{"human":1}"#, r#""Human""#, r#"{"human":null,"drill":null}"#] {
            assert!(serde_json::from_str::<Trigger>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_engagement_that_keeps_is_never_over() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let with = |expires| Engagement {
            scope: Scope::all(),
            stage: Stage::Everywhere,
            by: "ana".into(),
            reason: "x".into(),
            incident: None,
            at: at(0),
            expires,
            trigger: Trigger::Human,
        };
        let releases = with(Some(Expiry::release(at(10))));
        assert!(!releases.is_over(at(9)) && releases.is_over(at(10)));
        assert!(!with(Some(Expiry::keep(at(10)))).is_over(Timestamp::MAX) && !with(None).is_over(Timestamp::MAX));
        assert!(with(None).covers(&releases) && !releases.covers(&with(None)));
    }
}
