//! # Testing with Backstop
//!
//! A test of your service has three questions: does the mechanism act when it should, what does the caller get then, and
//! does everything come back? None of them needs a sleep.
//!
//! ## A clock that the test advances
//!
//! Windows, open times and waits are measured with the [clock](crate::clock::Clock) of the builder. A manual one stands
//! still until the test advances it, so a result never depends on the load of the machine.
//!
//! ```
//! use backstop::CircuitBreaker;
//! use backstop::circuit_breaker::State;
//! use backstop::clock::Clock;
//! use std::time::Duration;
//!
//! let (clock, time) = Clock::manual();
//! let payments = CircuitBreaker::builder("payments")
//!     .clock(clock)
//!     .consecutive_failures_threshold(5)
//!     .open_time(Duration::from_secs(30))
//!     .build()?;
//! for _ in 0..5 {
//!     payments.try_acquire()?.failure();
//! }
//! assert_eq!(payments.state(), State::Open);
//! assert!(payments.try_acquire().is_err());
//! time.advance(Duration::from_secs(30));
//! payments.try_acquire()?.success(); // a probe
//! # Ok::<(), backstop::BoxError>(())
//! ```
//!
//! Settings from a file take a clock as well, with
//! [`from_config_with_clock`](crate::CircuitBreaker::from_config_with_clock).
//!
//! ## tokio's paused time
//!
//! In a test with `start_paused`, tokio's time jumps to the next timer whenever all tasks wait.
//! [`Clock::tokio`](crate::clock::Clock::tokio) follows it: a call that waits for a permit waits in tokio's time, beside
//! your own timeouts. Outside of tests it is the system's clock.
//!
//! ```
//! use backstop::clock::Clock;
//! use backstop::{Bulkhead, CallError};
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), backstop::BoxError> {
//! // #[tokio::test(start_paused = true)]
//! let exports = Bulkhead::builder("exports")
//!     .clock(Clock::tokio())
//!     .max_concurrent_calls(1)
//!     .max_wait(Duration::from_secs(2))
//!     .build()?;
//! let slow = exports.call(async {
//!     tokio::time::sleep(Duration::from_secs(60)).await;
//!     Ok::<_, std::io::Error>(())
//! });
//! let waits = exports.call(async { Ok::<_, std::io::Error>(()) });
//! let (first, second) = tokio::join!(slow, waits); // at once, and a minute later on tokio's clock
//! assert!(first.is_ok());
//! assert!(matches!(second, Err(CallError::Rejected(_))));
//! # Ok(())
//! # }
//! ```
//!
//! | clock | waits in `start_paused` |
//! |---|---|
//! | `Clock::tokio()` | in tokio's time: at once |
//! | `Clock::system()`, the default | in real time, on a thread of Backstop's own |
//! | `Clock::manual()` | until the test advances the manual clock and tokio's by the same time |
//!
//! A runtime without a time driver, and one of another library, needs nothing: the thread serves it. Outside of a tokio
//! runtime a call does not wait; it is rejected at once.
//!
//! ## States by hand
//!
//! The answer of an open circuit is tested without making anything fail:
//!
//! ```
//! use backstop::{Bulkhead, CircuitBreaker};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let payments = CircuitBreaker::new("payments");
//! let price = async || {
//!     let call = async { Ok::<_, std::io::Error>("of today") };
//!     payments.call_or(call, |_| Ok("of yesterday")).await
//! };
//! payments.force_open("test");
//! assert_eq!(price().await?, "of yesterday");
//! payments.reset("test");
//! assert_eq!(price().await?, "of today");
//!
//! let reports = Bulkhead::builder("reports").max_concurrent_calls(1).build()?;
//! let taken = reports.try_acquire()?; // a full bulkhead
//! assert!(reports.call(async { Ok::<_, std::io::Error>(()) }).await.is_err());
//! drop(taken);
//! # Ok::<(), backstop::BoxError>(())
//! # })?;
//! # Ok::<(), backstop::BoxError>(())
//! ```
//!
//! `trip` opens the circuit for its open time, `probe` makes it half-open, `shadow` lets every call through and counts
//! those that it would reject.
//!
//! ## Both states of a switch
//!
//! The path behind an engaged switch is walked in an incident only, unless a test walks it.
//! [`KillSwitches::manual`](crate::KillSwitches::manual) runs one in both states:
//!
//! ```
//! use backstop::kill_switch::{KillSwitches, OnUnknown, State, Target};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), backstop::BoxError> {
//! let (switches, control) = KillSwitches::manual();
//! let ads = switches.switch("ads", OnUnknown::Allow)?;
//! let page = async || ads.call_or(&Target::new(), async { Ok::<_, ()>("ads") }, |_| Ok("no ads")).await;
//! control
//!     .in_both_states("ads", async |state| {
//!         let expected = if state == State::Engaged { "no ads" } else { "ads" };
//!         assert_eq!(page().await, Ok(expected));
//!     })
//!     .await;
//! # Ok(())
//! # }
//! ```
//!
//! ## What comes back
//!
//! End a test with the counts: every call in one outcome, nothing in flight.
//!
//! ```
//! use backstop::{Bulkhead, protect, CircuitBreaker};
//! use backstop::classify::Errors;
//! use tower::{Layer, Service, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let (breaker, bulkhead) = (CircuitBreaker::new("stock"), Bulkhead::new("stock"));
//! let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead).classify(Errors);
//! let mut service = layer.layer(service_fn(async |id: u32| if id > 0 { Ok(id) } else { Err(std::io::Error::other("0")) }));
//! assert!(service.call(7).await.is_ok() && service.call(0).await.is_err());
//! drop(service.call(1)); // a caller that leaves at once
//! let totals = breaker.totals();
//! assert_eq!((totals.successful, totals.failed, totals.abandoned), (1, 1, 1));
//! assert_eq!(bulkhead.snapshot().in_flight, 0);
//! # Ok::<(), backstop::BoxError>(())
//! # })?;
//! # Ok::<(), backstop::BoxError>(())
//! ```
