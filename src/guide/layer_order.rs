//! # Layer order
//!
//! A request meets the layers from the outside in. The order decides what each of them sees.
//!
//! ```text
//! outside   fallback / response to the user
//!           retry              sees rejections, and must not repeat them
//!           circuit breaker    judges each attempt
//!           timeout            makes a hang an error that the breaker sees
//! inside    the call
//! ```
//!
//! ## The timeout inside the breaker
//!
//! Inside, a timeout is an error like any other: the breaker counts a failure. Outside, it drops the breaker's
//! future: an abandoned call. Both open the circuit of a dead dependency, the first at once by the failure
//! rate, the second by the rules for abandoned calls. When you can choose, put it inside.
//!
//! ```
//! use backstop::CircuitBreaker;
//! use backstop::classify::Errors;
//! use std::time::Duration;
//! use tower::{ServiceBuilder, service_fn};
//!
//! let breaker = CircuitBreaker::new("inventory");
//! let service = ServiceBuilder::new()
//!     .layer(breaker.layer().classify(Errors))       // outside
//!     .timeout(Duration::from_secs(2))               // inside
//!     .service(service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
//! # let _: tower::util::BoxCloneService<u32, u32, backstop::BoxError> = tower::util::BoxCloneService::new(service);
//! ```
//!
//! ## Retries outside the breaker
//!
//! Inside, one call of the breaker is up to n attempts: it sees failures n times too late, and a probe becomes
//! n probes. Outside, every attempt is judged, and an open circuit stops the retries at once, as long as the
//! retry policy does not take a rejection for an error worth repeating. It can tell:
//!
//! ```
//! use backstop::{BoxError, Rejected};
//!
//! fn is_worth_repeating(error: &BoxError) -> bool {
//!     match Rejected::find(&**error) {
//!         Some(_) => false, // nothing was sent; come back after `retry_after`
//!         None => true,
//!     }
//! }
//! ```
//!
//! ## One breaker inside another
//!
//! A rejection says nothing about the dependency. An outer breaker of this crate ignores the rejections of an
//! inner one, found in the error or among the response's extensions. A breaker of another make sees a 503.
//!
//! ## The breaker and a concurrency limit
//!
//! A queue inside the breaker makes waiting look like slowness of the dependency; a limit outside it queues
//! calls that will only be rejected. Without a queue, reject-at-once limits go inside: their rejection gives a
//! probe's place back. Tower's `ConcurrencyLimit` takes its permit in `poll_ready`; an open circuit does not
//! poll it, so an idle connection holds none on account of the breaker.
//!
//! ## On a server
//!
//! In front of your own handlers a breaker protects you from yourself: it sheds load from a route that fails.
//! It belongs inside tracing and metrics layers, which should see the 503, and outside whatever does the work.
//!
//! ```
//! use axum::{Router, routing::get};
//! use backstop::CircuitBreaker;
//!
//! let reports = CircuitBreaker::new("reports");
//! let app: Router = Router::new()
//!     .route("/reports", get(|| async { "…" }))
//!     .route_layer(reports.layer().respond());
//! ```
