//! Sources: what both arms of a release did, as ticks.
//!
//! | source | asks | for |
//! |---|---|---|
//! | [`Scrape`] | every instance's metrics, at each look | up to some hundred instances, a verdict within seconds |
//! | [`Prometheus`] | a Prometheus server, which adds up the instances | any number of instances; as fast as it scrapes |
//! | [`TickLines`] | a growing file or a pipe | everything else |
//!
//! The services export [signals](crate::signals) and what their other mechanisms [publish](crate::telemetry). This is what
//! becomes of it:
//!
//! | field of an arm | from | where it is missing |
//! |---|---|---|
//! | the arm itself | the list of targets (`Scrape`), or label matchers such as `version="1.2.4"` (`Prometheus`) | |
//! | `requests` | `backstop_requests_total` but `ignored` and `rejected_kill_switch` | an error: the page is not that of the service |
//! | `client_errors` | `client_error` | 0 |
//! | `server_errors` | `server_error`, `rejected_circuit_breaker`, `rejected_bulkhead` | 0 |
//! | `active_seconds`, `error_seconds` | `backstop_active_seconds_total`, `backstop_error_seconds_total`, added over instances | not measured: requests over the dispersion are the units |
//! | `latency` | buckets of `backstop_request_duration_seconds`; of all segments together, as a segment `all segments` where there are several | not measured: the exporter needs [buckets](crate::telemetry#histograms) |
//! | `instances.total` | listed targets, or series of `up` | not measured (`Prometheus` without `up`) |
//! | `instances.not_ready` | targets that did not answer (`up` 0), and `backstop_health_status{check="readiness"}` other than 1 | ready if it answers |
//! | `instances.not_started` | `backstop_health_status{check="startup"}` other than 1 | started |
//! | `breakers` | `backstop_circuit_breaker_state`: instances with `open` or `half_open` at 1, of all that have it; `forced_open` is not open | not measured |
//! | `switches_engaged` | `backstop_kill_switch_engaged` at 1 in any instance | none |
//! | gauge `cpu` | `process_cpu_seconds_total`: cores in use, the mean of the instances | not measured |
//! | gauge `memory` | `process_resident_memory_bytes`, the mean | not measured |
//! | gauge `in_flight` | `backstop_in_flight_requests`, the mean | not measured |
//! | gauge `bulkhead.NAME` | `backstop_bulkhead_in_flight_calls` over `backstop_bulkhead_max_concurrent_calls`, the mean | not measured |
//! | other gauges of the policy | the metric of that name, the mean | not measured |
//! | `kpis` | two counters ([`Prometheus::kpi`]) | not measured |
//!
//! Servers that ask for credentials, or have a certificate of an authority of your own, need an [`Access`].
//!
//! Counters count from the first look on. A restart of an instance is found, and what it counted since is taken whole; what
//! a missed scrape left out is in the next one.
//!
//! # Examples
//!
//! A source of your own:
//!
//! ```
//! use backstop::rollback::{Arm, Tick};
//! use backstop::rollout::source::{Source, SourceError};
//!
//! struct Nothing;
//!
//! impl Source for Nothing {
//!     fn look(&mut self) -> Result<Option<Tick>, SourceError> {
//!         Tick::new(1.0, Arm::default(), None).map(Some).map_err(|error| SourceError::new(error.to_string()))
//!     }
//! }
//! assert!(Nothing.look()?.is_some());
//! # Ok::<(), SourceError>(())
//! ```

mod access;
mod contract;
pub(crate) mod counters;
mod fetch;
mod page;
mod prometheus;
mod scrape;
mod sums;
mod targets;
mod text;
mod ticks;

pub use access::{Access, Credentials};
pub use contract::{Source, SourceError};
pub use prometheus::Prometheus;
pub use scrape::Scrape;
pub use targets::Targets;
pub use ticks::TickLines;
