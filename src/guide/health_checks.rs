//! # Health checks
//!
//! A health check is a lever: somebody's automation pulls it. Before you write one, say what happens at 3 am when it
//! fails on *every* instance at the same second.
//!
//! | probe | what the orchestrator does | when all instances fail at once |
//! |---|---|---|
//! | liveness | kills the process | all restart together, with cold caches, into the same outage; again and again |
//! | readiness | sends it no traffic | there is no instance left: the service is down |
//! | startup | waits, then kills the process | the rollout stops, which is right |
//! | deep check | nothing; a person is alerted | the person knows, and the service still does what it can |
//!
//! ## What belongs where
//!
//! - **Liveness: nothing.** `/livez` says that the process answers. A database that is away is not cured by a restart, so
//!   there is no way to add a check to it.
//! - **Startup: what has to happen once.** Migrations, a loaded price list, a warm cache. Until then `/readyz` is 503, and
//!   `/livez` is 200.
//! - **Readiness: what this instance lacks and others have.** Its disk is full, its credentials have expired, its
//!   copy of the index is too old. Nothing is fatal that you have not declared here: by default a started instance is
//!   ready.
//! - **Deep checks: whether the business works.** Place a test order, once a minute. A failure is a metric, a log line
//!   and an event, and takes no traffic away.
//! - **A shared dependency: a circuit breaker and a deep check.** Requests that need it get a fallback or a 503; the
//!   others are served.
//!
//! | temptation | instead |
//! |---|---|
//! | `/readyz` asks for the database | a breaker in front of it, and a deep check |
//! | `/readyz` fails while a circuit is open | a fallback. Only if every request needs it, and other instances may reach it: [`Check::circuit_breaker`](crate::health::Check::circuit_breaker) |
//! | `/readyz` fails under load | the bulkhead's rejections: an instance that leaves fills the others |
//! | `/livez` fails when the queue is long | a readiness check with a threshold, or nothing: a restart loses the queue and the warm cache |
//!
//! ## In code
//!
//! ```
//! use axum::Router;
//! use backstop::health::{Check, Health};
//! use backstop::CircuitBreaker;
//! use std::time::Duration;
//!
//! # async fn migrate() -> Result<(), std::io::Error> { Ok(()) }
//! # async fn index_age() -> Result<Duration, std::io::Error> { Ok(Duration::ZERO) }
//! # async fn place_test_order() -> Result<(), std::io::Error> { Ok(()) }
//! let payments = CircuitBreaker::new("payments");
//!
//! let health = Health::builder()
//!     .startup(Check::new("migrations", || async { migrate().await }))
//!     .readiness(Check::new("index", || async {
//!         let age = index_age().await.map_err(|error| error.to_string())?;
//!         if age < Duration::from_secs(3_600) { Ok(()) } else { Err(format!("{age:?} old")) }
//!     }))
//!     .deep(Check::new("checkout", || async { place_test_order().await }).timeout(Duration::from_secs(5)))
//!     .deep(Check::circuit_breaker(&payments)) // alerts; under `readiness` it would take traffic away
//!     .build()?;
//!
//! let app: Router = Router::new(); // your routes, and your layers around them
//! let app = app.merge(health.router()); // last: no layer is in front of a probe
//! # drop(app);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! A layer in front of the probes turns a full bulkhead into failed liveness, and a restart. Where all routes share one
//! server, its accept queue and runtime are still shared with the probes; a listener of their own on another port takes
//! the queue out, and a runtime on a thread of its own also the rest.
//!
//! The router starts the checks at the first probe. `health.start()` starts them at once, and is needed where nobody
//! probes. Checks are async: one that blocks its thread is told as `still_running`, and costs a thread of the
//! runtime for as long as it blocks; move such work to `spawn_blocking`.
//!
//! ## In Kubernetes
//!
//! ```yaml
//! startupProbe:
//!   httpGet: { path: /startupz, port: 8080 }
//!   periodSeconds: 1
//!   failureThreshold: 60      # a minute to start, then a restart
//! livenessProbe:
//!   httpGet: { path: /livez, port: 8080 }
//!   periodSeconds: 10
//!   timeoutSeconds: 1
//!   failureThreshold: 3
//! readinessProbe:
//!   httpGet: { path: /readyz, port: 8080 }
//!   periodSeconds: 5
//!   timeoutSeconds: 1
//!   failureThreshold: 1       # the checks have thresholds of their own
//! ```
//!
//! Both sides count. From a failure to the end of traffic it takes at most `period` × `failure_threshold` + `timeout` of the
//! check, and then `periodSeconds` × `failureThreshold` of the probe: 5 s × 3 + 1 s + 5 s × 1 = 21 s with the defaults. Damp on
//! one side only. `/healthz/deep` is for monitors: as a probe it would take traffic away after all.
//!
//! A pod that ends leaves its endpoints by itself. For a load balancer that knows only probes, declare a readiness check of a
//! flag that your shutdown sets, and go on serving for as long as the formula says.
//!
//! ## At 3 am
//!
//! ```console
//! $ curl -s localhost:8080/readyz
//! {"status":"failing","checks":[{"name":"index","role":"readiness","status":"failing","reason":"failed",
//!   "failures":9,"age_ms":2210,"took_ms":3}]}
//! ```
//!
//! The body has names, states and times; the text of the error, which may contain an address or a password, is in the log
//! (`health check fails`, target `backstop::health`) and in the event.
//!
//! | reason | look at |
//! |---|---|
//! | `failed`, `timed_out` | the dependency, or the metrics of the mechanism; the log has the error |
//! | `panicked`, `still_running` | the code of the check |
//! | `stale` | a runtime that has stopped or starves |
//!
//! Alerts:
//!
//! ```text
//! max by (check) (backstop_health_status{check!~"startup|readiness|deep"}) == 2
//! ```
//!
//! Instances that take no traffic, as a share:
//!
//! ```text
//! avg(backstop_health_status{check="readiness"} != bool 1)
//! ```
