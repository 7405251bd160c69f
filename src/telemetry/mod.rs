//! Metrics: their names, labels, units and help in one table.
//!
//! They go through the [`metrics`](https://docs.rs/metrics) facade, so any exporter works; the library installs none.
//! The recorder may be installed before or after a mechanism is made: counters always report the total since the
//! mechanism was made.
//!
//! | metric | type | labels |
//! |---|---|---|
//! | `backstop_circuit_breaker_state` | gauge 0/1 | name, state |
//! | `backstop_circuit_breaker_transitions_total` | counter | name, from, to, reason |
//! | `backstop_circuit_breaker_calls_total` | counter | name, kind |
//! | `backstop_circuit_breaker_slow_calls_total` | counter | name |
//! | `backstop_circuit_breaker_would_reject_total` | counter | name |
//! | `backstop_circuit_breaker_failure_rate` | gauge 0 to 1 | name |
//! | `backstop_circuit_breaker_slow_call_rate` | gauge 0 to 1 | name |
//! | `backstop_circuit_breaker_open_seconds_total` | counter | name |
//! | `backstop_circuit_breaker_fallbacks_total` | counter | name |
//! | `backstop_bulkhead_max_concurrent_calls` | gauge | name |
//! | `backstop_bulkhead_in_flight_calls` | gauge | name |
//! | `backstop_bulkhead_queue_depth` | gauge | name |
//! | `backstop_bulkhead_calls_total` | counter | name, kind |
//! | `backstop_bulkhead_abandoned_total` | counter | name |
//! | `backstop_bulkhead_wait_seconds` | histogram | name |
//! | `backstop_bulkhead_oldest_call_seconds` | gauge | name |
//! | `backstop_bulkhead_fallbacks_total` | counter | name |
//! | `backstop_bulkhead_permits_revoked_total` | counter | name |
//! | `backstop_kill_switch_engaged` | gauge | name |
//! | `backstop_kill_switch_transitions_total` | counter | name, to, trigger |
//! | `backstop_kill_switch_blocked_total` | counter | name |
//! | `backstop_kill_switch_fallbacks_total` | counter | name |
//! | `backstop_kill_switch_undecided_total` | counter | name |
//! | `backstop_kill_switch_elsewhere` | gauge | name |
//! | `backstop_kill_switch_unknown` | gauge | name |
//! | `backstop_kill_switch_definition_expired` | gauge | name |
//! | `backstop_kill_switch_engagement_overdue` | gauge | name |
//! | `backstop_kill_switch_drill_age_seconds` | gauge | name |
//! | `backstop_kill_switch_generation` | gauge | name |
//! | `backstop_kill_switch_store_stale_seconds` | gauge | name |
//! | `backstop_kill_switch_refused_documents_total` | counter | name |
//! | `backstop_kill_switch_audit_failures_total` | counter | name |
//! | `backstop_health_status` | gauge 0/1/2 | check |
//! | `backstop_requests_total` | counter | service, segment, outcome |
//! | `backstop_request_duration_seconds` | histogram | service, outcome |
//! | `backstop_active_seconds_total` | counter | service, segment |
//! | `backstop_error_seconds_total` | counter | service, segment |
//! | `backstop_in_flight_requests` | gauge | service |
//! | `backstop_verdict` | gauge 0 to 3 | service |
//! | `backstop_rollback_triggers_total` | counter | service, trigger, state |
//! | `backstop_verdict_source_stale_seconds` | gauge | service |
//!
//! Every series exists from the moment a mechanism is made, at 0 or without a sample: the first trip is an increase that
//! a query can see, and `transitions_total` records an opening that came and went between two scrapes. Of
//! `transitions_total` those exist that the settings allow. A breaker has at most 32 series: with more than three
//! reasons to open, `no_answer` among them, it has no gauges of rates. Settings that change add the series of the new ones.
//!
//! # Labels
//!
//! | label | values |
//! |---|---|
//! | name | the name that the mechanism was given; no key of a group and nothing of a request |
//! | state | `closed`, `open`, `half_open`, `forced_open`, `disabled`, `shadow` |
//! | from, to | the states; `from` is `any` for a change by hand and for `no_answer` |
//! | reason | `failure_rate`, `slow_call_rate`, `failure_count`, `consecutive_failures`, `no_answer`, `retry_after`, `open_time_elapsed`, `probes_succeeded`, `probes_failed`, `half_open_timeout`, `manual` |
//! | kind of a breaker's call | `successful`, `failed`, `ignored`, `abandoned`, `not_permitted`, `stale` |
//! | kind of a bulkhead's call | `permitted`, `rejected_full`, `timed_out`, `shed`, `left_queue`, `bypassed` |
//! | to of a kill switch | `engaged`, `released` |
//! | trigger | of a kill switch `human`, `kpi`, `expiry`, `drill`; of a rollback the policy's names |
//! | state of a trigger | `ok`, `collecting`, `no_data`, `not_measured`, `borderline`, `fired` |
//! | check | the name of a health check; `startup`, `readiness`, `deep` for all of that role |
//! | service | the name that the [signals](crate::signals) were given, or that is judged |
//! | segment | the configured segments and `other`, or `default` where none are configured |
//! | outcome of a request | `success`, `client_error`, `server_error`, `rejected_circuit_breaker`, `rejected_bulkhead`, `rejected_kill_switch`, `ignored` |
//! | outcome of a duration | `success`, `failure`: client and server errors |
//!
//! Each call is in one kind, so that sums are numbers of calls. What overlaps has a metric of its own: slow calls, calls
//! that a shadow breaker would have rejected, permitted calls that were abandoned.
//!
//! Circuits that are open in the canary and closed in the baseline, where the scrape configuration adds `version`:
//!
//! ```text
//! max by (name) (backstop_circuit_breaker_state{state="open", version="canary"}) == 1
//!   and on (name) min by (name) (backstop_circuit_breaker_state{state="closed", version="baseline"}) == 1
//! ```
//!
//! Share of failed calls, and of rejected ones:
//!
//! ```text
//! sum by (name) (rate(backstop_circuit_breaker_calls_total{kind="failed"}[5m]))
//!   / sum by (name) (rate(backstop_circuit_breaker_calls_total{kind=~"failed|successful"}[5m]))
//! ```
//!
//! ```text
//! sum by (name) (rate(backstop_circuit_breaker_calls_total{kind="not_permitted"}[5m]))
//!   / sum by (name) (rate(backstop_circuit_breaker_calls_total[5m]))
//! ```
//!
//! # Publishing
//!
//! Mechanisms keep their own counts, which costs a call next to nothing, and publish them
//!
//! - at once at every change of state, through the recorder of the thread that caused it;
//! - by calls, at most once a second, through the recorder of the calling thread;
//! - by one background thread, through the global recorder, within about a second after traffic ends. It is started when
//!   something first waits to be published, is parked while nothing does, and can be [switched
//!   off](background_publishing);
//! - when [`Registry::publish`](crate::Registry::publish) is called: in a scrape handler, for exact figures.
//!
//! | exporter | needs |
//! |---|---|
//! | Prometheus (`metrics-exporter-prometheus`) with its own listener or a push gateway | nothing |
//! | the same, rendered by a handler of yours | nothing; `registry.publish()` before `render()` for figures of this moment |
//! | others that push: `StatsD`, OTLP, TCP | nothing |
//! | any, with background publishing switched off or on WebAssembly | `registry.publish()` before each scrape, or `tokio::spawn(registry.publish_every(period))` |
//! | a local recorder of one thread (`metrics::with_local_recorder`) | `publish()` on that thread after the last call |
//!
//! Gauges end with the last handle that a user holds, calls in flight or not: they are set to 0. While two handles of
//! one name are alive, as during a reload, the gauges are those of the newest, and the log has one line on it. A scrape
//! during a change of state may see both states at 1.
//!
//! # Histograms
//!
//! Samples of `backstop_bulkhead_wait_seconds` are not stored: each goes to the current recorder at once, or is lost if
//! there is none. Durations of requests are counted in [`REQUEST_BUCKETS`] and recorded in bulk by the background thread
//! and by `publish()`, never by a request: each as the middle of its bucket (the geometric mean of its bounds), so that
//! counts by bucket are exact and the sum is within 12 %.
//!
//! The facade cannot set buckets, so exporters have to be told; [`BUCKETS`] fit all histograms of this crate, and
//! [`REQUEST_BUCKETS`] let a judge compare durations closely.
//!
//! | exporter | buckets |
//! |---|---|
//! | Prometheus | `builder.set_buckets_for_metric(Matcher::Prefix("backstop_".into()), BUCKETS)?` and the same for `Matcher::Full("backstop_request_duration_seconds".into())` with `REQUEST_BUCKETS`; a summary otherwise |
//! | OpenTelemetry | a view for `backstop_*` with `Aggregation::ExplicitBucketHistogram` and these boundaries |
//! | others: `StatsD`, TCP | none: the receiver computes them |
//!
//! # The recorder is user code
//!
//! A value is stored when it changes. An exporter that drops series without recent updates (an idle timeout) drops
//! those of a healthy breaker: leave that off.
//!
//! The recorder is called on the thread of the call that is due to publish or has a sample, and on the background thread.
//! No lock is held that other calls or readers wait for, so it may use the mechanism itself. A panic in it is caught, and
//! the values that were not published then are published the next time. A recorder that changes the mechanism whenever
//! it is called is called again a bounded number of times; the rest is published by the next call or the background
//! thread.
//!
//! # Examples
//!
//! ```
//! use backstop::telemetry::METRICS;
//!
//! assert!(METRICS.iter().all(|metric| metric.name.starts_with("backstop_")));
//! ```

#[cfg(feature = "metrics")]
mod background;
#[cfg(feature = "metrics")]
mod claims;
#[cfg(feature = "metrics")]
mod publication;
#[cfg(feature = "metrics")]
mod publisher;
#[cfg(feature = "metrics")]
mod samples;
#[cfg(feature = "metrics")]
mod source;

#[cfg(feature = "metrics")]
pub use background::background_publishing;
#[cfg(feature = "metrics")]
pub(crate) use publication::{Look, Publication};
#[cfg(feature = "metrics")]
pub(crate) use publisher::{Publisher, Sent, Series, Value};
#[cfg(feature = "metrics")]
pub(crate) use samples::Samples;
#[cfg(feature = "metrics")]
pub(crate) use source::{Source, Waiting};

/// Upper bounds of buckets, in seconds, that fit every histogram of this crate: from 1 ms to a minute.
///
/// # Examples
///
/// ```
/// use backstop::telemetry::BUCKETS;
/// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
///
/// let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Prefix("backstop_".into()), BUCKETS)?;
/// # drop(builder);
/// # Ok::<(), metrics_exporter_prometheus::BuildError>(())
/// ```
pub const BUCKETS: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Upper bounds of buckets, in seconds, in which durations of requests are counted: ten a decade, from 1 ms to a minute.
///
/// A bound is 1.19 to 1.34 times the one before, so that a judge can interpolate; [`BUCKETS`] are among them.
///
/// # Examples
///
/// ```
/// use backstop::telemetry::{BUCKETS, REQUEST_BUCKETS, REQUEST_DURATION_SECONDS};
/// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
///
/// let durations = Matcher::Full(REQUEST_DURATION_SECONDS.name.into());
/// let builder = PrometheusBuilder::new()
///     .set_buckets_for_metric(Matcher::Prefix("backstop_".into()), BUCKETS)?
///     .set_buckets_for_metric(durations, REQUEST_BUCKETS)?;
/// # drop(builder);
/// # Ok::<(), metrics_exporter_prometheus::BuildError>(())
/// ```
#[rustfmt::skip]
pub const REQUEST_BUCKETS: &[f64] = &[
    0.001, 0.00125, 0.0016, 0.002, 0.0025, 0.00315, 0.004, 0.005, 0.0063, 0.008,
    0.01, 0.0125, 0.016, 0.02, 0.025, 0.0315, 0.04, 0.05, 0.063, 0.08,
    0.1, 0.125, 0.16, 0.2, 0.25, 0.315, 0.4, 0.5, 0.63, 0.8,
    1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0,
    10.0, 12.5, 16.0, 20.0, 25.0, 30.0, 40.0, 50.0, 60.0,
];

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// A total that only grows.
    Counter,
    /// A value that rises and falls.
    Gauge,
    /// Samples, counted by bucket.
    Histogram,
}

/// Unit of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricUnit {
    /// A number of calls or events.
    Count,
    /// 0 or 1.
    Flag,
    /// A share, 0 to 1.
    Ratio,
    /// Seconds: whole in a counter, fractional otherwise.
    Seconds,
    /// A number that stands for a state.
    Code,
}

/// A metric: one row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name in Prometheus.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// Its unit.
    pub unit: MetricUnit,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// Its help text.
    pub help: &'static str,
}

macro_rules! table {
    ($($constant:ident = $name:literal, $kind:ident, $unit:ident, $labels:expr, $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                unit: MetricUnit::$unit,
                labels: &$labels,
                help: $help,
            };
        )*
        /// Every metric, in the order of the table above.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

table! {
    CIRCUIT_BREAKER_STATE = "backstop_circuit_breaker_state", Gauge, Flag, ["name", "state"],
        "1 for the state that the circuit breaker is in, 0 for every other.";
    CIRCUIT_BREAKER_TRANSITIONS = "backstop_circuit_breaker_transitions_total", Counter, Count,
        ["name", "from", "to", "reason"], "Changes of state.";
    CIRCUIT_BREAKER_CALLS = "backstop_circuit_breaker_calls_total", Counter, Count, ["name", "kind"],
        "Calls by outcome, rejected calls included; each call is in one kind.";
    CIRCUIT_BREAKER_SLOW_CALLS = "backstop_circuit_breaker_slow_calls_total", Counter, Count, ["name"],
        "Calls that took longer than the slow-call threshold; they are among the calls by outcome, too.";
    CIRCUIT_BREAKER_WOULD_REJECT = "backstop_circuit_breaker_would_reject_total", Counter, Count, ["name"],
        "Calls that a shadow breaker let pass and would have rejected; they are among the calls by outcome, too.";
    CIRCUIT_BREAKER_FAILURE_RATE = "backstop_circuit_breaker_failure_rate", Gauge, Ratio, ["name"],
        "Share of failed calls, 0 to 1; 0 below the minimum number of calls.";
    CIRCUIT_BREAKER_SLOW_CALL_RATE = "backstop_circuit_breaker_slow_call_rate", Gauge, Ratio, ["name"],
        "Share of slow calls, 0 to 1; 0 below the minimum number of calls.";
    CIRCUIT_BREAKER_OPEN_SECONDS = "backstop_circuit_breaker_open_seconds_total", Counter, Seconds, ["name"],
        "Whole seconds spent open or forced open.";
    CIRCUIT_BREAKER_FALLBACKS = "backstop_circuit_breaker_fallbacks_total", Counter, Count, ["name"],
        "Calls answered by a fallback.";
    BULKHEAD_MAX_CONCURRENT_CALLS = "backstop_bulkhead_max_concurrent_calls", Gauge, Count, ["name"],
        "Calls that may be in flight at once.";
    BULKHEAD_IN_FLIGHT_CALLS = "backstop_bulkhead_in_flight_calls", Gauge, Count, ["name"],
        "Calls in flight.";
    BULKHEAD_QUEUE_DEPTH = "backstop_bulkhead_queue_depth", Gauge, Count, ["name"],
        "Calls waiting in the queue.";
    BULKHEAD_CALLS = "backstop_bulkhead_calls_total", Counter, Count, ["name", "kind"],
        "Calls by whether they were admitted, or why not; each call is in one kind.";
    BULKHEAD_ABANDONED = "backstop_bulkhead_abandoned_total", Counter, Count, ["name"],
        "Permitted calls that were dropped before their end, or whose permit was revoked.";
    BULKHEAD_WAIT_SECONDS = "backstop_bulkhead_wait_seconds", Histogram, Seconds, ["name"],
        "Time that calls waited in the queue; calls that got a permit at once are not included.";
    BULKHEAD_OLDEST_CALL_SECONDS = "backstop_bulkhead_oldest_call_seconds", Gauge, Seconds, ["name"],
        "Age of the oldest call in flight if calls are timed, otherwise 0.";
    BULKHEAD_FALLBACKS = "backstop_bulkhead_fallbacks_total", Counter, Count, ["name"],
        "Calls answered by a fallback.";
    BULKHEAD_PERMITS_REVOKED = "backstop_bulkhead_permits_revoked_total", Counter, Count, ["name"],
        "Permits revoked from calls that held them too long, or by hand; those calls count as abandoned.";
    KILL_SWITCH_ENGAGED = "backstop_kill_switch_engaged", Gauge, Flag, ["name"],
        "1 while the switch is engaged on this instance, for all or for some.";
    KILL_SWITCH_TRANSITIONS = "backstop_kill_switch_transitions_total", Counter, Count, ["name", "to", "trigger"],
        "Changes of the switch on this instance.";
    KILL_SWITCH_BLOCKED = "backstop_kill_switch_blocked_total", Counter, Count, ["name"],
        "Requests blocked by the switch.";
    KILL_SWITCH_FALLBACKS = "backstop_kill_switch_fallbacks_total", Counter, Count, ["name"],
        "Requests answered by the degraded mode's fallback.";
    KILL_SWITCH_UNDECIDED = "backstop_kill_switch_undecided_total", Counter, Count, ["name"],
        "Requests that passed an engaged scope because they state no value for what it asks for.";
    KILL_SWITCH_ELSEWHERE = "backstop_kill_switch_elsewhere", Gauge, Flag, ["name"],
        "1 while the switch is engaged at a stage that does not include this instance.";
    KILL_SWITCH_UNKNOWN = "backstop_kill_switch_unknown", Gauge, Flag, ["name"],
        "1 while no known document contains the switch.";
    KILL_SWITCH_DEFINITION_EXPIRED = "backstop_kill_switch_definition_expired", Gauge, Flag, ["name"],
        "1 once the definition of the switch has expired.";
    KILL_SWITCH_ENGAGEMENT_OVERDUE = "backstop_kill_switch_engagement_overdue", Gauge, Flag, ["name"],
        "1 while the switch is still engaged after its engagement has expired.";
    KILL_SWITCH_DRILL_AGE_SECONDS = "backstop_kill_switch_drill_age_seconds", Gauge, Seconds, ["name"],
        "Time since the last drill of the switch; since 1970 if there was none.";
    KILL_SWITCH_GENERATION = "backstop_kill_switch_generation", Gauge, Count, ["name"],
        "Generation of the document that this instance has applied; name is that of the set of switches.";
    KILL_SWITCH_STORE_STALE_SECONDS = "backstop_kill_switch_store_stale_seconds", Gauge, Seconds, ["name"],
        "Time since the last successful read of the store; 0 while reads succeed.";
    KILL_SWITCH_REFUSED_DOCUMENTS = "backstop_kill_switch_refused_documents_total", Counter, Count, ["name"],
        "Reads of the store that failed or returned a document that was rejected.";
    KILL_SWITCH_AUDIT_FAILURES = "backstop_kill_switch_audit_failures_total", Counter, Count, ["name"],
        "Changes made by this instance without an entry in the audit.";
    HEALTH_STATUS = "backstop_health_status", Gauge, Code, ["check"],
        "0 while the health check has no result, 1 while it passes, 2 while it fails.";
    REQUESTS = "backstop_requests_total", Counter, Count, ["service", "segment", "outcome"],
        "Finished requests by outcome; each request is in one.";
    REQUEST_DURATION_SECONDS = "backstop_request_duration_seconds", Histogram, Seconds, ["service", "outcome"],
        "Time until the head of the response; rejected requests and those whose client left are not included.";
    ACTIVE_SECONDS = "backstop_active_seconds_total", Counter, Seconds, ["service", "segment"],
        "Seconds in which a request ended.";
    ERROR_SECONDS = "backstop_error_seconds_total", Counter, Seconds, ["service", "segment"],
        "Seconds in which a request ended in a server error or was rejected by a circuit breaker or a bulkhead.";
    IN_FLIGHT_REQUESTS = "backstop_in_flight_requests", Gauge, Count, ["service"],
        "Requests in progress.";
    VERDICT = "backstop_verdict", Gauge, Code, ["service"],
        "Verdict on the release: 0 continue, 1 collecting, 2 pause, 3 rollback.";
    ROLLBACK_TRIGGERS = "backstop_rollback_triggers_total", Counter, Count, ["service", "trigger", "state"],
        "Changes of a trigger into each state.";
    VERDICT_SOURCE_STALE_SECONDS = "backstop_verdict_source_stale_seconds", Gauge, Seconds, ["service"],
        "Time since the source had measurements.";
}
