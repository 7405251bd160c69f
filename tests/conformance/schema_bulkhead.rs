//! The words of a scenario of a bulkhead or of an adaptive limit.

use super::schema::whole;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulkhead {
    pub(crate) max: u32,
    /// `null`: for ever.
    #[serde(default = "no_wait")]
    pub(crate) max_wait_ms: Option<u64>,
    pub(crate) queue: Option<u32>,
    #[serde(default)]
    pub(crate) order: Order,
    #[serde(default)]
    pub(crate) partitions: BTreeMap<String, f64>,
    #[serde(default)]
    pub(crate) total: Total,
    pub(crate) shedding: Option<Shedding>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    #[default]
    Fifo,
    Lifo,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Total {
    #[default]
    Soft,
    Hard,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shedding {
    pub(crate) target_ms: u64,
    pub(crate) interval_ms: u64,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum BulkheadStep {
    Acquire {
        id: String,
        n: Option<u32>,
        expect: Acquired,
        wait_ms: Option<u64>,
        partition: Option<String>,
        #[serde(default)]
        bypass: bool,
    },
    Release {
        id: String,
        n: Option<u32>,
    },
    Cancel {
        id: String,
        n: Option<u32>,
    },
    Advance {
        ms: u64,
    },
    Resize {
        max: u32,
    },
    SetWait {
        ms: Option<u64>,
    },
    PollReady {
        n: Option<u32>,
    },
    ResetInFlight {},
    Expect(Map<String, Value>),
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Acquired {
    Admitted,
    Rejected,
    Waiting,
}

#[derive(Deserialize)]
#[serde(tag = "algo", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Limiter {
    Aimd {
        initial: u32,
        min: u32,
        max: u32,
        backoff: f64,
        timeout_ms: Option<u64>,
    },
    Vegas {
        initial: u32,
        max: u32,
        alpha: Option<u32>,
        beta: Option<u32>,
        #[serde(default)]
        decrease: Decrease,
        #[serde(default = "whole")]
        smoothing: f64,
    },
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Decrease {
    #[default]
    Log10,
    Half,
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum LimiterStep {
    Sample {
        rtt_ms: f64,
        in_flight: u32,
        #[serde(default)]
        drop: bool,
    },
    Expect {
        limit: u32,
    },
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for a field that may be null")]
fn no_wait() -> Option<u64> {
    Some(0)
}
