//! Circuit breakers, bulkheads and kill switches for Tower services and plain calls, cheap enough for every request and
//! readable by a rollback controller.
//!
//! ```text
//!  request ──▶ layer ──▶ service ──▶ handle ──▶ machine        the machine is pure: input and time in,
//!              (thin, Tower)        (shared,    (decides)      transition out
//!                                    lock-free
//!                                    fast path)
//!                                       │ transitions, outcomes: values
//!                                       ▼
//!                         telemetry: metrics, log, listeners ──▶ a rollout controller reads them
//! ```
//!
//! | mechanism | keeps |
//! |---|---|
//! | [`CircuitBreaker`] | calls away from a dependency that fails or is slow, until it has recovered |
//! | [`Bulkhead`] | a slow dependency from blocking callers of the others: it limits calls in flight |
//! | a kill switch (feature `kill-switch`) | one capability off for a scope, at an operator's command |
//!
//! [`protect()`] is several of them as one layer.
//!
//! # Example
//!
//! ```
//! # #[cfg(feature = "http")] {
//! use backstop::CircuitBreaker;
//! use axum::{Router, routing::get};
//!
//! let payments = CircuitBreaker::new("payments");
//! let app: Router = Router::new()
//!     .route("/pay", get(|| async { "paid" }))
//!     .layer(payments.layer().respond()); // open: 503 with Retry-After and problem+json
//! # }
//! ```
//!
//! It needs a target with 64-bit atomics.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `metrics` (default) | metrics through the `metrics` facade |
//! | `tracing` | transitions in the log |
//! | `tokio` | timers: calls that wait in a bulkhead, load-balancer mode |
//! | `http` | classification of HTTP and gRPC responses, `.respond()` |
//! | `grpc` | tonic: `NamedService`, rejections as `tonic::Status` |
//! | `axum-core` | `.respond_into()` anything that is `IntoResponse` |
//! | `axum` | [`admin`]: breakers, bulkheads and switches over HTTP, for operators |
//! | `reqwest` | classification of reqwest's responses |
//! | `serde` | configuration from files, values as JSON |
//! | `kill-switch` | kill switches: documents, stores in memory, gates |
//! | `file` | kill switches in a file, their audit |
//! | `full` | all of the above |
//! | `cli` | the command `backstop`; not part of `full`, and not for libraries |

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "axum")]
pub mod admin;
pub mod bulkhead;
pub mod circuit_breaker;
pub mod classify;
pub mod clock;
pub mod config;
mod events;
#[cfg(feature = "kill-switch")]
mod fs;
pub mod guide;
mod keyed_table;
#[cfg(feature = "kill-switch")]
pub mod kill_switch;
pub mod outcome;
mod panic;
pub mod protect;
pub mod registry;
pub mod reject;
mod shared_ref;
mod sync;
pub mod telemetry;

pub use bulkhead::Bulkhead;
pub use circuit_breaker::CircuitBreaker;
pub use config::ConfigError;
pub use events::Subscription;
pub use keyed_table::Key;
#[cfg(feature = "kill-switch")]
pub use kill_switch::{KillSwitch, KillSwitches};
pub use outcome::Outcome;
pub use protect::{Protect, protect};
pub use registry::Registry;
pub use reject::{BoxError, CallError, Rejected};
