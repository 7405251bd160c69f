//! Keep one slow dependency from taking the callers of all the others.
//!
//! A service that calls several dependencies shares its tasks, memory and sockets among them. When one answers in
//! ten seconds instead of ten milliseconds, the calls that wait for it pile up until nothing is left for the rest.
//! A bulkhead bounds how many calls to one dependency are in flight: who finds it full is rejected at once, or
//! waits for a bounded time in a bounded queue. A circuit breaker acts on calls that have ended; a bulkhead acts
//! while they hang.
//!
//! | setting | default |
//! |---|---|
//! | calls in flight | 25 |
//! | waiting for a permit | none: rejected at once |
//! | queue, where calls may wait | 100, first in, first out |
//! | shedding | none; [`Shedding::new`] lets calls wait 5 ms in a queue that has stood for 100 ms |
//! | permit held | until the response's head is there; [`until_body_end`](BulkheadLayer::until_body_end) |
//! | partitions | none |
//! | limit | fixed; [`adaptive`](BulkheadBuilder::adaptive) |
//!
//! All of them are explained on [`BulkheadBuilder`]; the guide says [how to choose
//! them](crate::guide::sizing_bulkheads). Metrics are in [`telemetry`](crate::telemetry);
//! [`Snapshot::saturation`] and the queue's depth show whether a service should receive more requests.
//!
//! # What it costs
//!
//! A permit is one atomic swap to take and one to give back. With a limit of 64 or more, and while few calls are in flight,
//! these are on a cache line of the thread's own, so that threads do not wait for each other: each thread keeps a few permits
//! in reserve. Towards half of the limit all count in one place again. A smaller limit, a key's permits, and calls that are
//! timed (`max_hold`, partitions, an adaptive limit) always do. The limit holds exactly in each case, and no call is rejected
//! while a permit is free. Reading a snapshot or the totals calls the reserves back: once a second costs nothing that matters,
//! before every call is slower than no reserves. tokio's semaphore would be the base
//! for calls that wait, but it serves them in their order only, and knows neither deadlines, nor shares, nor a
//! limit that shrinks below what is in flight. So the queue is our own: a pure room behind a lock that only calls
//! take which find no permit, or that are timed.
//!
//! # Nesting
//!
//! A call that needs a second permit of the same bulkhead, or two bulkheads taken in opposite orders, could wait for
//! each other. The wait is bounded, and by default there is none.
//!
//! # Examples
//!
//! In front of a service:
//!
//! ```
//! use backstop::Bulkhead;
//! use tower::{ServiceBuilder, service_fn};
//!
//! let reports = Bulkhead::builder("reports").max_concurrent_calls(10).build()?;
//! let service = ServiceBuilder::new()
//!     .layer(reports.layer())
//!     .service(service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! Without Tower:
//!
//! ```
//! # use backstop::{Bulkhead, CallError};
//! let reports = Bulkhead::new("reports");
//! match reports.call_blocking(|| std::fs::read_to_string("/etc/hostname")) {
//!     Ok(name) => println!("{name}"),
//!     Err(CallError::Rejected(rejected)) => println!("{rejected}"),
//!     Err(CallError::Inner(error)) => println!("failed: {error}"),
//! }
//! ```

mod acquire;
mod admission;
mod call;
mod compartment;
mod config;
mod control;
mod counters;
mod event;
mod future;
pub(in crate::bulkhead) mod handle;
mod in_flight;
pub mod keyed;
mod layer;
pub mod limit;
mod log;
#[cfg(all(test, backstop_loom))]
mod loom_tests;
mod machine;
#[cfg(feature = "metrics")]
mod metrics;
mod owner;
mod partitions;
mod permit;
mod permit_word;
mod publish;
mod queue;
mod release_point;
mod reserves;
mod saturation;
mod select;
mod service;
mod shared;
mod shedding;
mod sink;
mod snapshot;
mod surface;

pub(crate) use acquire::Held;
pub use config::BulkheadConfig;
pub use config::builder::BulkheadBuilder;
pub use event::Event;
pub use future::ResponseFuture;
pub(crate) use future::outcome;
pub use handle::Bulkhead;
pub use layer::BulkheadLayer;
pub use owner::PermitOwner;
pub use partitions::PartitionTotal;
pub use permit::Permit;
pub use queue::QueueOrder;
#[cfg(feature = "http")]
pub use release_point::{HeldBody, HoldExpired, UntilBodyEnd};
pub use release_point::{ReleasePoint, UntilResponse};
pub use select::{ByPartition, Bypass, Select};
pub use service::BulkheadService;
pub use shedding::Shedding;
pub use snapshot::{Snapshot, Totals};
