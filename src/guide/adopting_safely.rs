//! # Adopting safely: shadow first
//!
//! A breaker with wrong thresholds is an outage waiting to happen. In
//! [`State::Shadow`](crate::circuit_breaker::State) it evaluates every call, records what it would have done, and
//! rejects nothing.
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
//!     breaker.try_acquire().expect("shadow rejects nothing").failure();
//! }
//! let _ = breaker.try_acquire().expect("shadow rejects nothing").success();
//! assert_eq!(breaker.totals().would_reject, 1);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! Leave it in shadow through a few ordinary days, a deployment and, if you can arrange it, a drill. Then look at:
//!
//! - `backstop_circuit_breaker_would_reject_total`: calls it would have rejected,
//! - `backstop_circuit_breaker_failure_rate` and `_slow_call_rate`: how far normal is from the threshold,
//! - the log, with a warning for each rule and incident (feature `tracing`).
//!
//! The settings are ready when the breaker would have opened in the incidents you remember and at no other time.
//!
//! ## 2. Decide what a caller gets
//!
//! Decide what a rejected call returns before the first rejection: cached data, a default, an honest 503. Write and
//! test it now, because a fallback that first runs in an incident is a second incident.
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
//! Arming is a method call, not a deployment: `reset` leaves shadow mode. New settings do not need a restart
//! either.
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
//! ## 4. Know the manual overrides
//!
//! When in doubt, `disable` lets every call through and `force_open` rejects every call. Both take effect at once,
//! from any thread, and last until `reset`. Each takes a reason, which is logged.
