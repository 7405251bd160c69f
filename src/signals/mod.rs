//! Signals: what a service answers to its clients, counted so that a judge can compare two versions.
//!
//! A breaker looks at one dependency; a release is judged by what its clients got. One layer in front of a service counts
//! requests by outcome and segment, latencies of successes and failures apart (a failure that fails fast must not flatter
//! the latency), and the seconds with a request and with an error, a unit that a burst of errors does not inflate. Put it
//! outside of every other layer that may answer.
//!
//! | a request | outcome |
//! |---|---|
//! | is answered, and its body ends well | `success` |
//! | is answered 4xx, or by a gRPC code such as `NOT_FOUND` | `client_error` |
//! | is answered 5xx or by a code such as `INTERNAL`; ends in an error or a panic; its body breaks | `server_error` |
//! | was rejected by a mechanism of this crate, as a response or an error | `rejected_circuit_breaker`, `rejected_bulkhead`, `rejected_kill_switch` |
//! | says nothing: its client left before the answer or the first frame, or while a gRPC stream went on; 499, `CANCELLED` | `ignored` |
//!
//! The head of a response ends the latency, the end of its body decides the outcome, as [`classify`](crate::classify)
//! says for the inbound side. Latency includes the time in which a handler reads the request's body.
//!
//! | setting | default | valid |
//! |---|---|---|
//! | [`segments`](SignalsBuilder::segments) | none: all requests are in `default` | at most 32 names |
//! | [classifier](SignalsLayer::classify) | the response's own protocol ([`Auto`](crate::classify::Auto)) | |
//! | [gauges](Signals::gauge) | `cpu`, `memory` (Linux), `in_flight` | at most 100 more |
//!
//! Latencies are counted in the buckets of [`REQUEST_BUCKETS`](crate::telemetry::REQUEST_BUCKETS). Metrics:
//! `backstop_requests_total`, `backstop_request_duration_seconds`, `backstop_active_seconds_total`,
//! `backstop_error_seconds_total`, `backstop_in_flight_requests`; [`telemetry`](crate::telemetry) describes them, and the
//! buckets that an exporter needs.
//!
//! A request costs two clock reads and a few stores on lines of its own thread: no lock, no shared write, no allocation.
//!
//! With the feature `rollback`, `Signals::arm` is what a judge reads without Prometheus, and `Baseline` keeps
//! known-good values for rollouts without a live baseline.
//!
//! # Examples
//!
//! ```
//! # #[cfg(feature = "http")] {
//! use axum::{Router, routing::get};
//! use backstop::{Bulkhead, signals::Signals};
//!
//! let (checkout, payments) = (Signals::new("checkout"), Bulkhead::new("payments"));
//! let app: Router = Router::new()
//!     .route("/pay", get(async || "paid"))
//!     .layer(payments.layer().respond())
//!     .layer(checkout.layer()); // outside: it counts what the bulkhead rejects
//! # }
//! ```

#[cfg(feature = "rollback")]
mod arm;
#[cfg(feature = "rollback")]
mod baseline;
#[cfg(feature = "rollback")]
mod baseline_file;
pub(crate) mod config;
mod counts;
mod future;
mod handle;
mod layer;
#[cfg(all(test, backstop_loom))]
mod loom_tests;
#[cfg(feature = "metrics")]
mod metrics;
mod observation;
mod outcome_class;
mod publish;
mod saturation;
mod segments;
mod service;
mod shared;
mod snapshot;

#[cfg(feature = "rollback")]
pub use baseline::{Baseline, BaselineHour, BaselineRecorder};
pub use config::SignalsConfig;
pub use config::builder::SignalsBuilder;
pub use future::ResponseFuture;
pub use handle::Signals;
pub use layer::SignalsLayer;
pub use observation::Observation;
pub use saturation::Saturation;
pub use segments::{Segments, Undivided};
pub use service::SignalsService;
pub use snapshot::{SegmentCounts, Snapshot};
