//! Circuit breakers, bulkheads and kill switches for Tower services and plain async calls.
//!
//! | mechanism | purpose |
//! |---|---|
//! | [`CircuitBreaker`] | rejects calls to a dependency that fails or is slow, until it has recovered |
//! | [`Bulkhead`] | bounds the calls in flight to a dependency, so that a slow one cannot block callers of others |
//! | kill switch (feature `kill-switch`) | turns one capability off for a scope, at an operator's command |
//! | [`Signals`] | counts what a service answers, so that a release can be compared with the one before it |
//!
//! [`protect()`] combines them in one layer. Health checks (feature `tokio`) answer an orchestrator's probes. The [`guide`] explains how to choose settings, order layers and adopt the
//! crate step by step.
//!
//! ```text
//!  request ──▶ layer / service / future ──▶ handle ──▶ machine      one folder a mechanism, the same files in each
//!                 (Tower, thin)           (shared,     (pure: state,
//!                                          lock-free    input, time ──▶
//!                                          fast path)   state, events)
//!                                               │ values
//!                                               ▼
//!                                  telemetry (metrics, log), listeners, health, admin
//! ```
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "http")] {
//! use axum::{Router, routing::get};
//! use backstop::CircuitBreaker;
//!
//! let payments = CircuitBreaker::new("payments");
//! let app: Router = Router::new()
//!     .route("/pay", get(|| async { "paid" }))
//!     .layer(payments.layer().respond()); // open: 503, Retry-After if it is known, and problem+json
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `metrics` (default) | metrics through the [`metrics`](https://docs.rs/metrics) facade |
//! | `tracing` | log events for state changes |
//! | `tokio` | everything that needs a timer: calls that wait in a bulkhead, load-balancer mode; health checks; `Clock::tokio` |
//! | `http` | classification of HTTP and gRPC responses, `.respond()` |
//! | `grpc` | tonic: `NamedService`, rejections as `tonic::Status` |
//! | `axum-core` | `.respond_into()` for any `IntoResponse` |
//! | `rollback` | the rollback verdict: is this release worse than the one before it? |
//! | `axum` | [`admin`]: breakers, bulkheads and switches over HTTP, for operators |
//! | `reqwest` | classification of reqwest responses |
//! | `reqwest-middleware` | rejections inside its errors |
//! | `hyper-util` | uploads that break off, in the errors of its client |
//! | `anyhow` | rejections inside its errors |
//! | `serde` | configuration from files, values as JSON |
//! | `kill-switch` | kill switches: documents, stores in memory, gates |
//! | `file` | kill switches in a file, and their audit |
//! | `rollback` | [`rollback`]: release plans and verdicts on releases; signals as ticks, recorded baselines |
//! | `simulation` | [`rollback::simulation`]: rollouts to try a policy on |
//! | `rollout` | [`rollout`]: sources of ticks, the process that judges a release, its verdicts over HTTP, and rollouts that act on them |
//! | `full` | all of the above |
//! | `cli` | the command `backstop`; not in `full`, and not needed by a library |
//!
//! The crate needs a target with 64-bit atomics.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
pub mod admin;
pub mod bulkhead;
pub mod circuit_breaker;
pub mod classify;
pub mod clock;
pub mod config;
mod events;
#[cfg(any(feature = "kill-switch", feature = "rollback"))]
mod fs;
mod guarded;
pub mod guide;
#[cfg(feature = "tokio")]
pub mod health;
mod keyed_table;
#[cfg(feature = "kill-switch")]
pub mod kill_switch;
mod named_enum;
pub mod outcome;
mod panic;
mod parked;
pub mod protect;
pub mod registry;
pub mod reject;
#[cfg(feature = "rollback")]
pub mod rollback;
#[cfg(feature = "kill-switch")]
pub mod rollout;
mod sealed;
#[cfg(feature = "axum")]
mod server;
mod shared_ref;
pub mod signals;
mod sync;
pub mod telemetry;
mod thread_id;
mod thread_lines;
mod timer;
mod upload;

pub use bulkhead::Bulkhead;
pub use circuit_breaker::CircuitBreaker;
pub use config::ConfigError;
pub use events::Subscription;
#[cfg(feature = "tokio")]
pub use health::Health;
pub use keyed_table::Key;
#[cfg(feature = "kill-switch")]
pub use kill_switch::{KillSwitch, KillSwitches};
pub use outcome::Outcome;
pub use protect::{Protect, protect};
pub use registry::Registry;
pub use reject::{BoxError, CallError, Rejected};
pub use signals::Signals;
