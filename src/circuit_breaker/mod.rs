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
//! | [calls that their callers leave](crate::guide::abandoned_calls) | no failures; 100 in a row without any answer trip |
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
mod call;
mod config;
mod control;
mod core;
mod event;
mod future;
mod handle;
mod in_flight;
pub mod keyed;
mod layer;
mod log;
#[cfg(all(test, backstop_loom))]
mod loom_tests;
mod machine;
#[cfg(feature = "metrics")]
mod metrics;
mod open_time;
pub(crate) mod owner;
mod permit;
mod probes;
mod publish;
mod ramp;
mod readiness;
mod rules;
mod select;
mod service;
mod shared;
mod slow_calls;
mod snapshot;
mod state;
mod thread_counters;
mod throttle;
mod ticket;
mod totals;
mod usual_time;
mod waiters;
mod window;

pub use config::builder::CircuitBreakerBuilder;
pub use config::{
    AbandonedPolicy, CircuitBreakerConfig, EvaluateOn, HalfOpenDecision, PanicPolicy, ProbeLimit, RetryAfterPolicy,
    TimeoutTo,
};
pub use event::{Event, Transition};
pub use future::ResponseFuture;
pub use handle::CircuitBreaker;
pub use layer::CircuitBreakerLayer;
pub use open_time::OpenTime;
pub use owner::PermitOwner;
pub use permit::Permit;
pub(crate) use readiness::poll_inner;
pub use select::Select;
pub use service::CircuitBreakerService;
pub use snapshot::Snapshot;
pub use state::{Reason, State};
pub use throttle::Throttle;
pub use totals::Totals;
pub(crate) use waiters::Place;
pub use window::kind::{BucketAlignment, SlidingWindow};
