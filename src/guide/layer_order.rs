//! # Layer order
//!
//! A request meets the layers from the outside in. The order decides what each of them sees.
//!
//! ```text
//! outside   fallback / response to the user
//!           deadline           bounds everything below: queueing, attempts, pauses
//!           retry              sees rejections and must not retry them
//!           kill switch        blocks before the layers below do any work
//!           bulkhead           bounds the calls in flight; calls queue here
//!           circuit breaker    records each attempt
//!           timeout            turns a hang into an error that the breaker records
//! inside    the call
//! ```
//!
//! ## The timeout inside the breaker
//!
//! Inside, a timeout is an error like any other: the breaker records a failure. Outside, it drops the breaker's
//! future, and the call is recorded as abandoned. Both open the circuit of a dead dependency: the first at once by
//! the failure rate, the second once [no call was answered](super::abandoned_calls) for a while. If you can choose, put
//! it inside.
//!
//! The timeout of tower-http answers 408 by default, which a breaker in front of handlers takes for a slow client. Let
//! it say what happened: `TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(2))`.
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
//! Inside, one call of the breaker is up to n attempts: it sees failures n times too late, and a probe becomes n
//! probes. Outside, every attempt is recorded, and an open circuit stops the retries at once, provided that the
//! retry policy does not treat a rejection as an error to retry:
//!
//! ```
//! use backstop::{BoxError, Rejected};
//!
//! fn is_worth_repeating(error: &BoxError) -> bool {
//!     match Rejected::find(&**error) {
//!         Some(_) => false, // nothing was sent; try again after `retry_after`
//!         None => true,
//!     }
//! }
//! ```
//!
//! ## One breaker inside another
//!
//! A rejection says nothing about the dependency. An outer breaker of this crate ignores the rejections of an inner
//! one, which it finds in the error or in the response's extensions. A breaker of another library sees a 503.
//!
//! ## The bulkhead outside the breaker
//!
//! A breaker measures how long a call takes. With the bulkhead inside, that includes the time in its queue: the
//! bulkhead fills, calls wait, and the breaker takes the wait for a slow dependency and opens. With the bulkhead
//! outside, the breaker's measurement starts once the permit is acquired. While the circuit is open, calls return
//! at once and release their permits, so the queue empties by itself.
//!
//! Two times bound a call. The timeout of the attempt is inside both layers: it ends a call that hangs, and so
//! releases the permit. The deadline of the caller is outside both, because it includes the wait; a call that it
//! drops leaves the queue. Retries are outside, too: each attempt acquires a permit of its own, and the pause
//! between two attempts holds none.
//!
//! ```
//! use backstop::{Bulkhead, CircuitBreaker};
//! use backstop::classify::Errors;
//! use std::time::Duration;
//! use tower::{ServiceBuilder, service_fn};
//!
//! let bulkhead = Bulkhead::builder("inventory").max_wait(Duration::from_millis(100)).build()?;
//! let breaker = CircuitBreaker::new("inventory"); // names are unique within a mechanism
//! let service = ServiceBuilder::new()
//!     .timeout(Duration::from_secs(1))               // deadline of the caller
//!     .layer(bulkhead.layer())
//!     .layer(breaker.layer().classify(Errors))
//!     .timeout(Duration::from_millis(500))           // timeout of the attempt
//!     .service(service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
//! # let _: tower::util::BoxCloneService<u32, u32, backstop::BoxError> = tower::util::BoxCloneService::new(service);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! A bulkhead that rejects at once may be inside the breaker as well. Its rejection says nothing about the
//! dependency: the breaker ignores it, and if the call was a probe, its slot is released.
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
//! [`protect()`](crate::protect()) combines breaker and bulkhead, behind a kill switch if you have one, and is
//! better than any nesting: an open circuit rejects before the queue, and the circuit is checked again after it,
//! just before the call.
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
//! queues calls that will only be rejected. Inside, an open circuit does not poll it, and callers that wait for it are
//! woken when the circuit opens. But a caller that was ready before the circuit opened keeps its permit after the
//! rejection, for as long as it holds its service: two idle workers over `ConcurrencyLimit(2)` leave none for a probe.
//! Take a [bulkhead](crate::bulkhead) instead, which reserves nothing in `poll_ready`. If it has to be tower's, put it
//! outside the breaker, or let a worker clone the service for each request and drop the clone (`oneshot`):
//!
//! ```
//! use backstop::CircuitBreaker;
//! use backstop::classify::Errors;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let breaker = CircuitBreaker::new("inventory");
//! let service = ServiceBuilder::new()
//!     .layer(breaker.layer().classify(Errors))
//!     .concurrency_limit(2)
//!     .service(service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
//! let stock = service.clone().oneshot(7).await?; // whatever it reserved is gone with the clone
//! # assert_eq!(stock, 7);
//! # Ok::<(), backstop::BoxError>(())
//! # })?;
//! # Ok::<(), backstop::BoxError>(())
//! ```
//!
//! ## On a server
//!
//! In front of your own handlers a breaker protects you from yourself: it sheds load from a route that fails. It
//! belongs inside tracing and metrics layers, which should see the 503, and outside the handlers that do the work.
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
