//! Stop calling what fails, and notice soon when it works again.
//!
//! A dependency that fails or hangs takes its callers with it: their threads, sockets and patience wait for
//! answers that do not come, and their retries keep it down. A circuit breaker watches the calls, and when too
//! many fail it *opens*: calls are rejected at once, for a while. Then a few probes pass, *half-open*; they
//! close the circuit or open it again.
//!
//! | setting | default |
//! |---|---|
//! | window | the last 100 calls |
//! | trips at | 50 % failures of at least 100 calls |
//! | open for | 60 s |
//! | half-open | 10 probes, judged by the same rate, at most 60 s |
//! | panics | failures |
//! | abandoned calls | failures when slow; otherwise they trip at half of all calls |
//!
//! All of them are explained on [`CircuitBreakerBuilder`]. Metrics are in [`telemetry`](crate::telemetry).
//!
//! # Examples
//!
//! In front of a service:
//!
//! ```
//! use backstop::CircuitBreaker;
//! use std::time::Duration;
//! use tower::{ServiceBuilder, service_fn};
//!
//! let breaker = CircuitBreaker::builder("inventory")
//!     .failure_rate_threshold(0.4)
//!     .open_time(Duration::from_secs(30))
//!     .build()?;
//! let service = ServiceBuilder::new()
//!     .layer(breaker.layer().classify(backstop::classify::Errors))
//!     .service(service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! Without Tower:
//!
//! ```
//! # use backstop::{CallError, CircuitBreaker};
//! let breaker = CircuitBreaker::new("inventory");
//! match breaker.call_blocking(|| std::fs::read_to_string("/etc/hostname")) {
//!     Ok(name) => println!("{name}"),
//!     Err(CallError::Rejected(rejected)) => println!("{rejected}"),
//!     Err(CallError::Inner(error)) => println!("failed: {error}"),
//! }
//! ```

mod admission;
mod config;
mod control;
mod flights;
mod future;
mod handle;
pub mod keyed;
mod layer;
mod ledger;
mod locked;
mod log;
#[cfg(all(test, backstop_loom))]
mod loom_tests;
mod machine;
mod metrics;
mod open_time;
mod permit;
mod probes;
mod ramp;
mod rules;
mod service;
mod shared;
mod snapshot;
mod stopwatch;
mod tally;
mod throttle;
#[cfg(feature = "tokio")]
mod wait;
mod waiters;
mod window;

pub use config::{
    Abandonment, Alignment, CircuitBreakerBuilder, CircuitBreakerConfig, ConfigOnly, EvaluateOn, HalfOpenDecision,
    Named, PanicPolicy, ProbeLimit, RetryAfter, SlidingWindow, TimeoutTo,
};
pub use future::ResponseFuture;
pub use handle::CircuitBreaker;
pub use keyed::KeyedCircuitBreaker;
pub use layer::CircuitBreakerLayer;
pub use open_time::OpenTime;
pub use permit::{Holder, Permit};
pub use service::CircuitBreakerService;
pub use snapshot::{Event, Reason, Snapshot, State, Totals, Transition};
pub use throttle::Throttle;
