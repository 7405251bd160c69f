//! Ticks: the counts of both arms since the tick before.

mod line;
mod sum;

pub(crate) use line::{Object, unique_objects};
pub use line::{TickError, TickReader};

use super::fields::{say, shown, shown_to};
use crate::config::{ConfigError, Problem, Problems};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most segments, KPIs, breakers or gauges in an arm.
const NAMES_MAX: usize = 1000;
/// Most bounds of a histogram.
const BOUNDS_MAX: usize = 500;
/// Largest count: sums of a thousand of them are still exact to a request.
const COUNT_MAX: f64 = 1e15;

/// A checked observation of both arms, ready for [`Judge::observe`](super::Judge::observe).
///
/// Every number in it is finite and, unless it is a gauge, not negative; bounds of buckets ascend and are the same in both
/// arms.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub(crate) at: f64,
    pub(crate) stage: Option<f64>,
    pub(crate) canary: Arm,
    pub(crate) baseline: Option<Arm>,
}

impl Tick {
    /// A tick at this time in seconds since the rollout began. Without a baseline, the canary is judged by limits alone.
    ///
    /// # Errors
    ///
    /// Every number that is infinite, NaN or, unless it is a gauge, negative; every histogram whose bounds do not ascend or differ between the
    /// arms, more than 1,000 segments, KPIs, breakers or gauges.
    pub fn new(at: f64, canary: Arm, baseline: Option<Arm>) -> Result<Self, ConfigError> {
        let mut problems = Problems::default();
        number(&mut problems, || "at".to_owned(), Some(at));
        canary.check("canary", &mut problems);
        if let Some(baseline) = &baseline {
            baseline.check("baseline", &mut problems);
            for (name, segment) in &canary.segments {
                let Some(other) = baseline.segments.get(name) else { continue };
                segment.latency.check_alike(&other.latency, name, &mut problems);
            }
        }
        problems.into_result(Self { at, stage: None, canary, baseline })
    }

    /// The same tick in a stage with this share of the traffic in the canary, in percent.
    ///
    /// # Errors
    ///
    /// A share outside 0 to 100.
    pub fn in_stage(self, percent: f64) -> Result<Self, ConfigError> {
        if !(0.0..=100.0).contains(&percent) {
            return Err(ConfigError::of(Problem::new("stage", say(percent), "a percentage from 0 to 100")));
        }
        Ok(Self { stage: Some(percent), ..self })
    }

    /// Seconds since the rollout began.
    pub const fn at(&self) -> f64 {
        self.at
    }

    /// The canary.
    pub const fn canary(&self) -> &Arm {
        &self.canary
    }

    /// The baseline; `None` without one.
    pub const fn baseline(&self) -> Option<&Arm> {
        self.baseline.as_ref()
    }
}

/// One side of the comparison. What is absent was not measured, which is not zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Arm {
    /// Requests by segment.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "line::unique_objects")]
    pub segments: BTreeMap<String, Segment>,
    /// Instances by readiness.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "line::object_or_null")]
    pub instances: Option<Instances>,
    /// Circuit breakers by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "line::unique")]
    pub breakers: BTreeMap<String, BreakerReport>,
    /// Kill switches that are engaged: shown with the evidence, never a trigger.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub switches_engaged: Vec<String>,
    /// Values of this moment, such as `cpu` or `memory` from 0 to 1.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "line::unique")]
    pub gauges: BTreeMap<String, f64>,
    /// Business results with counts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "line::unique_objects")]
    pub kpis: BTreeMap<String, Kpi>,
}

/// Requests of one segment. Where `requests` is present, an absent class of errors counts 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Segment {
    /// Finished requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<f64>,
    /// Requests that the client got wrong: 4xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_errors: Option<f64>,
    /// Requests that the service failed: 5xx.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_errors: Option<f64>,
    /// Instance-seconds with a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_seconds: Option<f64>,
    /// Instance-seconds with a server error. 0 beside server errors, and more than those, count as not measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_seconds: Option<f64>,
    /// Latencies.
    #[serde(deserialize_with = "line::object")]
    pub latency: Latency,
}

/// Latencies by outcome: failures that fail fast must not flatter the successes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Latency {
    /// Of requests that succeeded.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "line::object_or_null")]
    pub success: Option<Buckets>,
    /// Of requests that failed.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "line::object_or_null")]
    pub failure: Option<Buckets>,
}

/// A histogram: plain counts, one more than bounds; the last one is above every bound.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Buckets {
    /// Upper bounds in seconds, ascending.
    pub le: Vec<f64>,
    /// Requests in each bucket.
    pub counts: Vec<f64>,
}

/// Instances by readiness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instances {
    /// All of them.
    pub total: f64,
    /// Those whose start has not ended.
    #[serde(default)]
    pub not_started: f64,
    /// Those that started and are not ready.
    #[serde(default)]
    pub not_ready: f64,
}

/// A business result with counts, tested as a rate: a smaller share of good ones is worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kpi {
    /// Results as wanted.
    pub good: f64,
    /// All results.
    pub total: f64,
}

/// A circuit breaker of an arm: its state in every instance, or a share of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a state of closed, open, half_open, forced_open, disabled, shadow, or an object with open and of"
)]
pub enum BreakerReport {
    /// The same state everywhere.
    State(BreakerState),
    /// Open in some instances.
    Share(#[serde(deserialize_with = "line::object")] BreakerShare),
}

/// Instances in which a circuit breaker is open.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerShare {
    /// Instances with an open or half-open circuit.
    pub open: f64,
    /// All instances.
    pub of: f64,
}

/// A circuit breaker's state in a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    /// Calls pass.
    Closed,
    /// Calls are rejected.
    Open,
    /// Probes pass: it was open before.
    HalfOpen,
    /// Opened by a person; never a trigger.
    ForcedOpen,
    /// Switched off.
    Disabled,
    /// Observed only.
    Shadow,
}

impl BreakerReport {
    /// The share of instances with a circuit that opened by itself; `None` of no instance.
    pub(crate) fn open_share(&self) -> Option<f64> {
        match self {
            Self::State(BreakerState::Open | BreakerState::HalfOpen) => Some(1.0),
            Self::State(_) => Some(0.0),
            Self::Share(BreakerShare { open, of }) => (*of > 0.0).then(|| open / of),
        }
    }
}

fn number(problems: &mut Problems, field: impl FnOnce() -> String, value: Option<f64>) {
    if let Some(value) = value.filter(|value| !(0.0..=COUNT_MAX).contains(value)) {
        problems.add(field(), say(value), "a number from 0 to 1e15");
    }
}

impl Arm {
    /// Requests of all segments that count them.
    pub(crate) fn requests(&self) -> f64 {
        self.segments.values().filter_map(|segment| segment.requests).sum()
    }

    fn check(&self, arm: &str, problems: &mut Problems) {
        let sizes = [
            ("segments", self.segments.len()),
            ("breakers", self.breakers.len()),
            ("gauges", self.gauges.len()),
            ("kpis", self.kpis.len()),
            ("switches_engaged", self.switches_engaged.len()),
        ];
        for (field, size) in sizes.into_iter().filter(|(_, size)| *size > NAMES_MAX) {
            problems.add(format!("{arm}.{field}"), size, format!("at most {NAMES_MAX} names"));
        }
        for (name, segment) in &self.segments {
            // Its path is made where there is a problem: most ticks have none.
            segment.check(&|| format!("{arm}.segments.{}", shown(name)), problems);
        }
        if let Some(Instances { total, not_started, not_ready }) = self.instances {
            for (field, value) in [("total", total), ("not_started", not_started), ("not_ready", not_ready)] {
                number(problems, || format!("{arm}.instances.{field}"), Some(value));
            }
            if not_started + not_ready > total {
                let field = format!("{arm}.instances");
                let value = format!("not_started {} and not_ready {}", say(not_started), say(not_ready));
                problems.add(field, value, format!("at most total, {}", say(total)));
            }
        }
        for (name, kpi) in &self.kpis {
            let path = |field: &str| format!("{arm}.kpis.{}.{field}", shown(name));
            number(problems, || path("good"), Some(kpi.good));
            number(problems, || path("total"), Some(kpi.total));
            if kpi.good > kpi.total {
                problems.add(path("good"), say(kpi.good), format!("at most total, {}", say(kpi.total)));
            }
        }
        for (name, report) in &self.breakers {
            let BreakerReport::Share(BreakerShare { open, of }) = report else { continue };
            let path = |field: &str| format!("{arm}.breakers.{}.{field}", shown(name));
            number(problems, || path("open"), Some(*open));
            number(problems, || path("of"), Some(*of));
            if open > of {
                problems.add(path("open"), say(*open), format!("at most of, {}", say(*of)));
            }
        }
        for (name, value) in self.gauges.iter().filter(|(_, value)| !value.is_finite()) {
            problems.add(format!("{arm}.gauges.{}", shown(name)), value, "a finite number");
        }
    }
}

impl Segment {
    /// The counts that are there, with their names.
    fn counts(&mut self) -> [(&'static str, &mut Option<f64>); 5] {
        [
            ("requests", &mut self.requests),
            ("client_errors", &mut self.client_errors),
            ("server_errors", &mut self.server_errors),
            ("active_seconds", &mut self.active_seconds),
            ("error_seconds", &mut self.error_seconds),
        ]
    }

    fn check(&self, path: &dyn Fn() -> String, problems: &mut Problems) {
        // Without its latencies, which are long.
        let mut counts = Self { latency: Latency::default(), ..*self };
        for (field, value) in counts.counts() {
            number(problems, || format!("{}.{field}", path()), *value);
        }
        for (field, buckets) in [("success", &self.latency.success), ("failure", &self.latency.failure)] {
            if let Some(buckets) = buckets {
                buckets.check(&|| format!("{}.latency.{field}", path()), problems);
            }
        }
    }
}

impl Latency {
    fn check_alike(&self, other: &Self, segment: &str, problems: &mut Problems) {
        let both = [("success", &self.success, &other.success), ("failure", &self.failure, &other.failure)];
        for (field, own, other) in both {
            if let (Some(own), Some(other)) = (own, other)
                && own.le != other.le
            {
                let path = format!("baseline.segments.{}.latency.{field}.le", shown(segment));
                let (own, other) = (format!("{:?}", own.le), format!("{:?}", other.le));
                problems.add(path, shown_to(&other, 500), format!("the canary's, {}", shown_to(&own, 500)));
            }
        }
    }
}

impl Buckets {
    fn check(&self, path: &dyn Fn() -> String, problems: &mut Problems) {
        if self.le.len() > BOUNDS_MAX {
            problems.add(format!("{}.le", path()), self.le.len(), format!("at most {BOUNDS_MAX} bounds"));
        }
        if self.counts.len() != self.le.len() + 1 {
            let allowed = format!("one more than bounds, {}", self.le.len() + 1);
            problems.add(format!("{}.counts", path()), format!("{} counts", self.counts.len()), allowed);
        }
        if self.le.iter().any(|bound| !bound.is_finite() || *bound <= 0.0)
            || !self.le.is_sorted_by(|one, next| one < next)
        {
            problems.add(
                format!("{}.le", path()),
                shown_to(&format!("{:?}", self.le), 500),
                "seconds above 0, ascending",
            );
        }
        for (i, count) in self.counts.iter().enumerate() {
            number(problems, || format!("{}.counts[{i}]", path()), Some(*count));
        }
    }
}
