//! # Adopting safely: shadow first
//!
//! A breaker with wrong numbers is an outage that waits. In [`State::Shadow`](crate::circuit_breaker::State)
//! it judges every call, says what it would have done, and rejects nothing.
//!
//! ## 1. Watch
//!
//! ```
//! use backstop::CircuitBreaker;
//! use backstop::circuit_breaker::State;
//!
//! let breaker = CircuitBreaker::builder("payments").initial_state(State::Shadow).build()?;
//!
//! for _ in 0..100 {
//!     breaker.try_acquire().expect("a shadow rejects nothing").failure();
//! }
//! let _ = breaker.try_acquire().expect("still nothing").success();
//! assert_eq!(breaker.totals().would_reject, 1);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! Let it run through a few ordinary days, a deployment and, if you can arrange it, a drill. Look at
//!
//! - `backstop_circuit_breaker_calls_total{kind="would_reject"}`: calls it would have rejected,
//! - `backstop_circuit_breaker_failure_rate` and `_slow_call_rate`: how far normal is from the threshold,
//! - the log, where each rule that is met is a warning (feature `tracing`).
//!
//! It is ready when it would have opened in the incidents you remember and at no other time.
//!
//! ## 2. Decide what a caller gets
//!
//! A rejected call needs an answer before the first rejection: cached data, a default, an honest 503. Write
//! and test it now, because a fallback that first runs in an incident is a second incident.
//!
//! ```
//! use backstop::{CallError, CircuitBreaker};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let breaker = CircuitBreaker::new("recommendations");
//! breaker.force_open("trying the fallback");
//! let shown = breaker
//!     .call_or(async { Ok::<_, std::io::Error>(vec!["fresh"]) }, |_: CallError<_>| Ok(vec!["popular"]))
//!     .await?;
//! assert_eq!((shown, breaker.totals().fallbacks), (vec!["popular"], 1));
//! # Ok::<(), std::io::Error>(())
//! # })?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! ## 3. Arm it, one instance first
//!
//! Arming is a command, not a deployment: `reset` ends the shadow. New numbers do not need a restart either.
//!
//! ```
//! use backstop::CircuitBreaker;
//! use backstop::circuit_breaker::{CircuitBreakerConfig, State};
//!
//! # let breaker = CircuitBreaker::builder("payments").initial_state(State::Shadow).build()?;
//! breaker.reset("armed after two quiet weeks");
//! assert_eq!(breaker.state(), State::Closed);
//! breaker.reconfigure(CircuitBreakerConfig::builder().failure_rate_threshold(0.3).build()?);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## 4. Keep a hand on it
//!
//! When in doubt, `disable` lets everything through and `force_open` nothing, at once, from any thread, until
//! changed by hand. Each takes a reason that is logged.
