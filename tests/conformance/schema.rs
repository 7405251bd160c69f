//! The words of a scenario file, one scenario per line. An unknown word is an error: nothing is skipped.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What every line has. `config` and `steps` belong to the mechanism that `kind` names.
#[derive(Deserialize)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) title: String,
    pub(crate) config: Value,
    pub(crate) steps: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Breaker {
    pub(crate) window: Window,
    #[serde(default = "one")]
    pub(crate) min_calls: u32,
    pub(crate) trip: Vec<BTreeMap<Rule, f64>>,
    pub(crate) slow_ms: Option<u64>,
    #[serde(default)]
    pub(crate) evaluate_on: EvaluateOn,
    #[serde(default)]
    pub(crate) open: Open,
    pub(crate) half_open: Option<HalfOpen>,
    #[serde(default)]
    pub(crate) initial_state: State,
    #[serde(default)]
    pub(crate) on_cancel: OnCancel,
    pub(crate) listener: Option<Listener>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Window {
    Count {
        size: u32,
    },
    Time {
        buckets: u32,
        bucket_ms: u64,
        #[serde(default)]
        align: Align,
    },
    Tumbling {
        ms: u64,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Align {
    #[default]
    Epoch,
    FirstEvent,
}

#[derive(Clone, Copy, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Rule {
    FailureRateGte,
    FailureRateGt,
    SlowRateGte,
    SlowRateGt,
    FailuresGte,
    ConsecutiveFailuresGte,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EvaluateOn {
    #[default]
    Any,
    Failure,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Open {
    pub(crate) wait_ms: u64,
    pub(crate) elapsed: Elapsed,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) auto: bool,
}

impl Default for Open {
    fn default() -> Self {
        Self { wait_ms: 60_000, elapsed: Elapsed::Gte, backoff: None, auto: false }
    }
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Elapsed {
    Gte,
    Gt,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Backoff {
    Exponential { initial_ms: f64, multiplier: f64, max_ms: Option<u64> },
    Linear { step_ms: f64, max_ms: Option<u64> },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HalfOpen {
    pub(crate) permits: u32,
    #[serde(default)]
    pub(crate) permit_mode: PermitMode,
    pub(crate) decide: Decide,
    pub(crate) max_wait_ms: Option<u64>,
    #[serde(default)]
    pub(crate) max_wait_to: MaxWaitTo,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PermitMode {
    #[default]
    Total,
    Concurrent,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Decide {
    Rate { min: Option<u32> },
    Consecutive { n: u32 },
    Ratio { successes: u32, of: u32 },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum MaxWaitTo {
    #[default]
    Open,
    Closed,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    #[default]
    Closed,
    Open,
    HalfOpen,
    #[serde(alias = "isolated")]
    ForcedOpen,
    Disabled,
    MetricsOnly,
}

#[derive(Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnCancel {
    #[default]
    Ignore,
    Failure,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Listener {
    ReadsStateAndCounts,
    Panics,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Step {
    Call {
        result: CallResult,
        n: Option<u32>,
        #[serde(default)]
        ms: u64,
        gap_ms: Option<u64>,
        #[serde(default)]
        expect: Admission,
        retry_after_ms: Option<u64>,
    },
    Start {
        id: String,
        n: Option<u32>,
        #[serde(default)]
        expect: Admission,
    },
    Finish {
        id: String,
        result: CallResult,
        retry_after_ms: Option<u64>,
    },
    Advance {
        ms: u64,
    },
    WallJump {
        #[serde(rename = "ms")]
        _ms: i64,
    },
    Control {
        to: Control,
        for_ms: Option<u64>,
    },
    /// The fields to look at; `null` says that there is no value.
    Expect(Map<String, Value>),
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Admission {
    #[default]
    Admitted,
    Rejected,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CallResult {
    Ok,
    Err,
    BadResult,
    Panic,
    Ignored,
    NotExecuted,
    Cancel,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Control {
    #[serde(alias = "reset")]
    Closed,
    Open,
    HalfOpen,
    #[serde(alias = "isolated")]
    ForcedOpen,
    Disabled,
    MetricsOnly,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Throttle {
    pub(crate) threshold: f64,
    #[serde(default = "whole")]
    pub(crate) max_rate: f64,
    #[serde(default)]
    pub(crate) min_requests: u32,
    #[serde(default = "whole")]
    pub(crate) aggression: f64,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ThrottleStep {
    Compute { requests: u64, accepts: u64, reject_probability: f64 },
}

fn one() -> u32 {
    1
}

pub(crate) fn whole() -> f64 {
    1.0
}
