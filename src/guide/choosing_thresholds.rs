//! # Choosing thresholds
//!
//! The defaults (half of at least 100 calls failed; open for 60 s) are meant to be wrong in the harmless direction:
//! they trip late. Four questions lead to better numbers.
//!
//! ## How many calls a second?
//!
//! A window should hold the calls of a few seconds. At 500 calls a second the last 100 calls span 0.2 s: one burst
//! of errors trips. At one call a second they span almost two minutes: an outage is over before it is seen.
//!
//! | calls a second | window | minimum |
//! |---|---|---|
//! | below 1 | `consecutive_failures_threshold(5)`, rate off | - |
//! | 1 to 20 | `SlidingWindow::time(60 s, 12)` | 20 |
//! | 20 to 500 | `SlidingWindow::count(200)` or `time(10 s, 10)` | 100 |
//! | above 500 | `SlidingWindow::time(10 s, 10)` | 500 |
//!
//! A time window forgets as time passes; a count window keeps old results until new calls replace them. If traffic
//! stops at night, use a time window, so that last night's failures do not count against this morning's first call.
//!
//! ```
//! use backstop::CircuitBreaker;
//! use backstop::circuit_breaker::SlidingWindow;
//! use std::time::Duration;
//!
//! let busy = CircuitBreaker::builder("search")
//!     .window(SlidingWindow::time(Duration::from_secs(10), 10))
//!     .minimum_calls(500)
//!     .build()?;
//! let rare = CircuitBreaker::builder("invoicing")
//!     .failure_rate_threshold(None)
//!     .consecutive_failures_threshold(5)
//!     .build()?;
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## How many failures are normal?
//!
//! Measure the normal rate, then leave room. With a true failure rate p and a minimum of n calls, the observed rate
//! varies by about `2 * sqrt(p * (1 - p) / n)`. At 5 % and 20 calls that is 10 points either way, so a threshold of
//! 15 % trips by chance alone; with 500 calls it is 2 points. A threshold of three to five times the normal rate,
//! with a minimum that keeps the noise small compared to the distance, rarely trips by mistake. Below 20 calls,
//! count consecutive failures instead of rates.
//!
//! Count from the caller's side: a page that makes ten calls one after another is lost when one of them fails. At
//! 10 % failed calls, two pages in three are lost, and a threshold of half never trips. With many calls per
//! request, use a threshold far below 0.5. Probes are judged by the same rate: at 0.2, nine of ten must succeed.
//!
//! ## What is slow?
//!
//! A dependency that hangs does more harm than one that fails, because it holds its callers. The slow-call
//! threshold belongs between the p99 of good days and the caller's timeout. Calls that an outer timeout drops are no
//! slow calls: they trip the circuit [when no call is answered](super::abandoned_calls). If calls can hang for
//! minutes, or some of them hang while others are answered, count them while they are still in flight:
//!
//! ```
//! use backstop::CircuitBreaker;
//! use std::time::Duration;
//!
//! let breaker = CircuitBreaker::builder("ledger")
//!     .slow_call_duration_threshold(Duration::from_millis(800)) // p99 is 300 ms, callers give up after 2 s
//!     .slow_call_rate_threshold(0.5)
//!     .detect_slow_calls_in_flight(true)
//!     .build()?;
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## How long does recovery take?
//!
//! The open time is how long users go without the dependency after it has recovered, and how often it is probed
//! until then. A restart takes seconds, a failover half a minute, a bad deployment many minutes: an exponential
//! open time fits all three. Replicas that tripped together probe together, so add jitter. If a cold dependency
//! fails again when all traffic returns at once, add a ramp.
//!
//! ```
//! use backstop::CircuitBreaker;
//! use backstop::circuit_breaker::{HalfOpenDecision, OpenTime};
//! use std::time::Duration;
//!
//! let breaker = CircuitBreaker::builder("recommendations")
//!     .open_time(OpenTime::exponential(Duration::from_secs(5), 2.0, Duration::from_secs(120)))
//!     .open_time_jitter(0.1)
//!     .half_open_max_calls(5)
//!     .half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 5 })
//!     .ramp(Duration::from_secs(30))
//!     .build()?;
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## Trip, or throttle?
//!
//! If a dependency still serves part of its calls well (overload, one bad replica of many), rejecting everything is
//! more than needed. [`Throttle`](crate::circuit_breaker::Throttle) rejects the share that would fail and never
//! opens.
