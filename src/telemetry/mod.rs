//! The names that a controller reads: one table.
//!
//! Metrics go through the [`metrics`](https://docs.rs/metrics) facade, so any exporter shows them; the library
//! installs none. Mechanisms keep their own counts and publish them when something changes and every now and
//! then; a scrape handler that calls [`Registry::publish`](crate::Registry::publish) first shows exact figures.
//! It does not matter whether the recorder is installed before or after a mechanism is made.
//!
//! | metric | type | labels |
//! |---|---|---|
//! | `backstop_circuit_breaker_state` | gauge 0/1 | name, state |
//! | `backstop_circuit_breaker_transitions_total` | counter | name, from, to, reason |
//! | `backstop_circuit_breaker_calls_total` | counter | name, kind |
//! | `backstop_circuit_breaker_slow_calls_total` | counter | name, kind |
//! | `backstop_circuit_breaker_failure_rate` | gauge 0 to 1 | name |
//! | `backstop_circuit_breaker_slow_call_rate` | gauge 0 to 1 | name |
//! | `backstop_circuit_breaker_open_seconds_total` | counter | name |
//! | `backstop_circuit_breaker_fallbacks_total` | counter | name |
//!
//! # Examples
//!
//! ```
//! use backstop::telemetry::METRICS;
//!
//! assert!(METRICS.iter().all(|metric| metric.name.starts_with("backstop_")));
//! ```

#[cfg(feature = "metrics")]
mod publisher;

#[cfg(feature = "metrics")]
pub(crate) use publisher::{Label, Publisher, Value};

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Only ever grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name in Prometheus.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it says.
    pub help: &'static str,
}

macro_rules! table {
    ($($constant:ident = $name:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, kind: MetricKind::$kind, labels: &$labels, help: $help };
        )*
        /// Every metric, in the order of the table above.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

table! {
    CIRCUIT_BREAKER_STATE = "backstop_circuit_breaker_state", Gauge, ["name", "state"],
        "1 for the state that the circuit breaker is in, 0 for every other.";
    CIRCUIT_BREAKER_TRANSITIONS = "backstop_circuit_breaker_transitions_total", Counter,
        ["name", "from", "to", "reason"], "Changes of state.";
    CIRCUIT_BREAKER_CALLS = "backstop_circuit_breaker_calls_total", Counter, ["name", "kind"],
        "Calls by how they ended, or that they were not permitted.";
    CIRCUIT_BREAKER_SLOW_CALLS = "backstop_circuit_breaker_slow_calls_total", Counter, ["name", "kind"],
        "Calls that took longer than the slow-call threshold.";
    CIRCUIT_BREAKER_FAILURE_RATE = "backstop_circuit_breaker_failure_rate", Gauge, ["name"],
        "Share of failed calls, 0 to 1; 0 below the minimum number of calls.";
    CIRCUIT_BREAKER_SLOW_CALL_RATE = "backstop_circuit_breaker_slow_call_rate", Gauge, ["name"],
        "Share of slow calls, 0 to 1; 0 below the minimum number of calls.";
    CIRCUIT_BREAKER_OPEN_SECONDS = "backstop_circuit_breaker_open_seconds_total", Counter, ["name"],
        "Whole seconds spent open or forced open.";
    CIRCUIT_BREAKER_FALLBACKS = "backstop_circuit_breaker_fallbacks_total", Counter, ["name"],
        "Calls answered by a fallback.";
}
