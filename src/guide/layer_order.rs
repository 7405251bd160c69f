//! # Layer order
//!
//! A request meets the layers from the outside in. The order decides what each of them sees.
//!
//! ```text
//! outside   fallback / response to the user
//!           deadline           bounds all that follows: waiting, attempts, pauses
//!           retry              sees rejections, and must not repeat them
//!           kill switch        what is off costs nothing further in
//!           bulkhead           lets so many in at once; who waits, waits here
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
//! retry policy does not retry a rejection. It can distinguish them:
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
//! ## The bulkhead outside the breaker
//!
//! A breaker measures how long a call takes. Time in a queue inside it is measured, too: the bulkhead fills, calls
//! wait, the breaker takes the waiting for slowness of the dependency and opens. Outside, the breaker's watch starts
//! when the permit is there. While the circuit is open, calls come back at once and their permits with them, so the
//! queue outside it empties by itself.
//!
//! Two times bound a call. The timeout of the attempt is inside both: it ends a call that hangs, and so gives the
//! permit back. The deadline of the caller is outside both, because it has to count the wait as well; who is dropped
//! by it leaves the queue. Retries are outside, too: an attempt takes a permit of its own, and the pause between two
//! takes none.
//!
//! ```
//! use backstop::{Bulkhead, CircuitBreaker};
//! use backstop::classify::Errors;
//! use std::time::Duration;
//! use tower::{ServiceBuilder, service_fn};
//!
//! let bulkhead = Bulkhead::builder("inventory").max_wait(Duration::from_millis(100)).build()?;
//! let breaker = CircuitBreaker::new("inventory"); // a name is unique for each kind
//! let service = ServiceBuilder::new()
//!     .timeout(Duration::from_secs(1))               // what the caller has
//!     .layer(bulkhead.layer())
//!     .layer(breaker.layer().classify(Errors))
//!     .timeout(Duration::from_millis(500))           // what the call may take
//!     .service(service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
//! # let _: tower::util::BoxCloneService<u32, u32, backstop::BoxError> = tower::util::BoxCloneService::new(service);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! A bulkhead that rejects at once may stand inside the breaker as well. Its rejection says nothing about the
//! dependency: the breaker ignores it, and where it was a probe, its place is given back.
//!
//! ```
//! use backstop::classify::Errors;
//! use backstop::{Bulkhead, CircuitBreaker};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let bulkhead = Bulkhead::builder("stock").max_concurrent_calls(1).build()?;
//! let breaker = CircuitBreaker::builder("stock").consecutive_failures_threshold(1).build()?;
//! let _all = bulkhead.try_acquire()?;
//! let call = bulkhead.call(async { Ok::<_, std::io::Error>(()) });
//! assert!(breaker.call_with(call, &Errors).await.is_err());
//! assert_eq!((breaker.totals().failed, breaker.totals().ignored), (0, 1));
//! # Ok::<(), backstop::BoxError>(())
//! # })?;
//! # Ok::<(), backstop::BoxError>(())
//! ```
//!
//! ## All in one layer
//!
//! [`protect()`](crate::protect()) is breaker and bulkhead at once, behind a kill switch if you have one, and better
//! than any nesting: an open circuit rejects before the queue, and the circuit is asked again after it, just before
//! the call.
//!
//! ```
//! use backstop::classify::Errors;
//! use backstop::{Bulkhead, CircuitBreaker, protect};
//! use tower::{ServiceBuilder, service_fn};
//!
//! let (breaker, bulkhead) = (CircuitBreaker::new("inventory"), Bulkhead::new("inventory"));
//! let service = ServiceBuilder::new()
//!     .layer(protect().circuit_breaker(&breaker).bulkhead(&bulkhead).classify(Errors))
//!     .service(service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
//! # let _: tower::util::BoxCloneService<u32, u32, backstop::BoxError> = tower::util::BoxCloneService::new(service);
//! ```
//!
//! ## Tower's own limit
//!
//! Tower's `ConcurrencyLimit` queues without a bound and takes its permit in `poll_ready`. Outside the breaker it
//! queues calls that will only be rejected; inside, an open circuit does not poll it, so an idle connection holds
//! none on account of the breaker.
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
