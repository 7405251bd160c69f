//! Health checks: liveness, readiness, startup, and deep checks that alert.
//!
//! An orchestrator asks three questions, and each failure has an action. A check that is asked under the wrong question
//! turns a small outage into a large one, so each check is declared under one of them, and nothing is fatal that you have
//! not named.
//!
//! | question | a failure | checks |
//! |---|---|---|
//! | live? | restarts the instance | none: it depends on nothing, and startup does not gate it |
//! | started? | no traffic; the other checks wait | [`startup`](HealthBuilder::startup): each has to pass once |
//! | ready? | takes traffic away from the instance | [`readiness`](HealthBuilder::readiness), after startup |
//! | | alerts; traffic stays | [`deep`](HealthBuilder::deep), after startup |
//!
//! Checks run in the background, and a probe gets the last results from memory: it waits for no check, and ten probes a
//! second ask a database no more often than one. A check that hangs or panics is a failure of that check and holds up
//! nothing else. Of each check at most one run is in progress.
//!
//! # Readiness takes traffic away
//!
//! A shared dependency fails on all instances at once. If readiness asks for the database and it goes away, no
//! instance is ready, and the service is down: also for requests that a cache would have answered, also for the
//! error page. Nor does it help: there is no other instance with a better database. Ask under readiness for what *this*
//! instance lacks and others have: its warm cache, its credentials, its disk. For what is shared, let the requests that
//! need it fail, behind a [circuit breaker](crate::circuit_breaker), and declare a deep check to be alerted.
//!
//! Overload is similar. An instance that leaves sends its load to the others, which then leave too.
//! A [bulkhead](crate::bulkhead) that rejects what is too much does not.
//!
//! # Mechanisms
//!
//! | check | fails while |
//! |---|---|
//! | [`Check::circuit_breaker`] | the circuit is open and its open time is not over, or it is forced open |
//! | [`Check::bulkhead`] | every permit is taken, for 10 s |
//! | [`Check::queue`] | more than so many calls wait in its queue, for 10 s |
//! | `Check::kill_switch` (feature `kill-switch`) | the switch blocks every request on this instance |
//! | `Check::kill_switches` (feature `kill-switch`) | the kill switches have warnings |
//!
//! A check keeps a handle of its mechanism. A group of keys has no single state, and one key's circuit says nothing about
//! the instance: write a [check of your own](Check::new) with its `open_len`.
//!
//! # Settings
//!
//! | setting | startup | readiness | deep |
//! |---|---|---|---|
//! | [`period`](Check::period) | 1 s | 5 s | 60 s |
//! | [`timeout`](Check::timeout) | 1 s | 1 s | 10 s |
//! | [`failure_threshold`](Check::failure_threshold) | 30 | 3 | 2 |
//! | [`success_threshold`](Check::success_threshold) | 1 | 1 | 1 |
//!
//! Checks of mechanisms other than `kill_switches` have a period of 1 s and thresholds of their own. A result that is older
//! than 3 × `period` + `timeout` is `stale`, a failure.
//!
//! # Routes
//!
//! `Health::router` (feature `axum`) has them, with 200 or 503, for `GET` and `HEAD`:
//!
//! | path | 200 while |
//! |---|---|
//! | `/livez` | the process answers |
//! | `/startupz` | every startup check has passed |
//! | `/readyz` | the same, and every readiness check passes |
//! | `/healthz/deep` | every deep check passes. For people and monitors: never give it to a load balancer |
//!
//! The body is a [`Report`], and has no text of an error: that is in the log.
//!
//! ```json
//! {"status":"failing","checks":[{"name":"cache","role":"readiness","status":"failing","reason":"timed_out",
//!   "failures":3,"age_ms":812,"took_ms":1000}]}
//! ```
//!
//! # Metrics
//!
//! `backstop_health_status` by `check`: 0 without a result, 1 while it passes, 2 while it fails. `startup`, `readiness`
//! and `deep` have the status of all checks of that role. A change is an [`Event`] and a line in the log (feature
//! `tracing`), a failure as a warning.
//!
//! # Examples
//!
//! ```
//! use backstop::health::{Check, Health, Role, Status};
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), backstop::ConfigError> {
//! # async fn place_test_order() -> Result<(), std::io::Error> { Ok(()) }
//! let is_loaded = Arc::new(AtomicBool::new(false));
//! let loaded = Arc::clone(&is_loaded);
//! let health = Health::builder()
//!     .startup(Check::new("prices", move || {
//!         let is_loaded = loaded.load(Ordering::Acquire);
//!         async move { is_loaded.then_some(()).ok_or("prices are not loaded yet") }
//!     }))
//!     .deep(Check::new("checkout", || async { place_test_order().await }).timeout(Duration::from_secs(5)))
//!     .build()?;
//! health.start();
//!
//! assert!(!health.is_ready());
//! is_loaded.store(true, Ordering::Release);
//! # while !health.is_started() { tokio::time::sleep(Duration::from_millis(1)).await; }
//! assert_eq!(health.report(Role::Readiness).status, Status::Passing);
//! # Ok(())
//! # }
//! ```

mod check;
mod event;
mod handle;
mod log;
mod machine;
mod mechanism;
mod publish;
mod report;
#[cfg(feature = "axum")]
mod router;
mod run;
mod shared;
mod state;

pub use check::Check;
pub use event::Event;
pub use handle::{Health, HealthBuilder};
pub use report::{CheckReport, Report};
pub use state::{Reason, Role, Status};
