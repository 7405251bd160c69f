//! Several mechanisms as one layer, in the one order that is right.
//!
//! ```text
//!  request ──▶ kill switch ──▶ circuit open? ──▶ bulkhead, perhaps its queue ──▶ circuit's permit ──▶ service
//!               rejected        rejected           rejected, or waits              slow calls are timed from here
//! ```
//!
//! Layers that are nested by hand have to choose. With the breaker outside, the time that a call waits in the
//! bulkhead's queue counts as slowness of the dependency; with the bulkhead outside, calls queue for a circuit that
//! is open. Here an open circuit rejects before the queue, and the circuit's permit is taken after it, just before
//! the call. The order is the same whatever the order in which the mechanisms are named.
//!
//! One layer is also cheaper in an axum `Router` than several, each of which boxes every response once more.
//!
//! | setting | default |
//! |---|---|
//! | classification | the response's own protocol ([`Auto`]) |
//! | what answers a rejection | a boxed error; [`respond`](Protect::respond) for servers |
//! | bulkhead's permit | until the response's head is there; [`until_body_end`](Protect::until_body_end) |
//!
//! # Examples
//!
//! ```
//! # #[cfg(feature = "http")] {
//! use axum::{Router, routing::get};
//! use backstop::{Bulkhead, CircuitBreaker, protect};
//!
//! let (breaker, bulkhead) = (CircuitBreaker::new("stock"), Bulkhead::new("stock"));
//! let app: Router = Router::new()
//!     .route("/stock", get(async || "much"))
//!     .layer(protect().circuit_breaker(&breaker).bulkhead(&bulkhead).respond());
//! # }
//! ```
//!
//! Round a client:
//!
//! ```
//! # #[cfg(feature = "reqwest")] {
//! # use backstop::{Bulkhead, CircuitBreaker, protect};
//! # let (breaker, bulkhead) = (CircuitBreaker::new("stock"), Bulkhead::new("stock"));
//! let client = protect().circuit_breaker(&breaker).bulkhead(&bulkhead).wrap(reqwest::Client::new());
//! # }
//! ```
//!
//! A circuit for each host and a bulkhead for each tenant, with keys from the request. An open host rejects before the
//! queue of its tenant; the other hosts and tenants go on:
//!
//! ```
//! use backstop::bulkhead::keyed::KeyedBulkhead;
//! use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
//! use backstop::protect;
//!
//! struct Job {
//!     host: String,
//!     tenant: String,
//! }
//!
//! let hosts = KeyedCircuitBreaker::<String>::builder("hosts").build()?;
//! let tenants = KeyedBulkhead::<String>::builder("tenants").build()?;
//! let layer = protect()
//!     .keyed_circuit_breaker(&hosts, |job: &Job| job.host.clone())
//!     .keyed_bulkhead(&tenants, |job: &Job| job.tenant.clone());
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! Calls without Tower; [`call_for`](Protect::call_for) is for those of a kill switch or with keys:
//!
//! ```
//! use backstop::{Bulkhead, CallError, CircuitBreaker, protect};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (breaker, bulkhead) = (CircuitBreaker::new("stock"), Bulkhead::new("stock"));
//! let stock = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
//! match stock.call(async { Ok::<_, std::io::Error>(7) }).await {
//!     Ok(left) => println!("{left} left"),
//!     Err(CallError::Rejected(rejected)) => println!("not asked: {rejected}"),
//!     Err(CallError::Inner(error)) => println!("asked in vain: {error}"),
//! }
//! # }
//! ```

mod begin;
mod call;
mod future;
mod guards;
mod layer;
mod service;
mod targets;

pub use future::ResponseFuture;
pub use guards::Guards;
pub use layer::{Protect, protect};
pub use service::ProtectService;
pub use targets::CallTargets;
#[cfg(feature = "kill-switch")]
pub use targets::Switched;
#[cfg(not(feature = "kill-switch"))]
pub use targets::{Anyone, Targets};

#[cfg(doc)]
use crate::classify::Auto;
