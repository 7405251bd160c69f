//! # Sizing bulkheads
//!
//! A bulkhead answers one question: how much of this service may one dependency hold? The default of 25 calls is a
//! guess that suits many. A few numbers that you have make it better.
//!
//! ## How many calls?
//!
//! Little's law: calls in flight = calls a second × average seconds a call takes. A service that makes 200 calls a
//! second of 50 ms each has 10 in flight. Calls do not come evenly, so take two or three times the figure of the
//! busiest minute: 25. Then check it from both ends.
//!
//! - *What can you afford to lose?* When the dependency hangs, that many calls hang with it. They hold tasks,
//!   memory, sockets and whatever the handler acquired before (a database connection, above all). All bulkheads of
//!   a service together should leave enough of the scarcest of these for the routes that need none of the
//!   dependencies.
//! - *What can the dependency take?* 25 calls from each of 20 instances are 500 at once. It is a bound for a bad
//!   day, not a substitute for a quota on the dependency's side.
//!
//! The size also sets how slow the dependency may become: at 200 calls a second, 25 calls are in flight when a call
//! takes 125 ms. Beyond that, calls are rejected. If 125 ms is an ordinary minute, take more.
//!
//! ## Wait, or be rejected at once?
//!
//! By default nothing waits, and that is right wherever a rejection has a good answer. Waiting is for bursts: ten
//! calls at the same instant that would have been served a few milliseconds later.
//!
//! A wait must fit into the time the caller has left. If callers give up after 500 ms and the dependency's p99 is
//! 200 ms, they have at most 300 ms; 50 to 100 ms absorb most bursts. A queue longer than `max_wait` / time of a
//! call × `max_concurrent_calls` holds calls that cannot be served in time: 100 ms / 50 ms × 25 is 50.
//!
//! ```
//! use backstop::Bulkhead;
//! use std::time::Duration;
//!
//! let catalog = Bulkhead::builder("catalog")
//!     .max_concurrent_calls(25)                // 200 calls/s × 50 ms × 2.5
//!     .max_wait(Duration::from_millis(100))    // callers have 300 ms to spare
//!     .max_queue(50)                           // more could not be served within 100 ms
//!     .build()?;
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## When the queue does not empty
//!
//! In a burst the order hardly matters. In a lasting overload it decides which calls are served. First in, first
//! out, every call waits as long as it may, and is then answered to a caller who is about to give up. Last in,
//! first out, the newest calls are answered in time, at the expense of those already waiting. Shedding clears out
//! the latter: a queue that has not been empty for 100 ms is not a burst, and from then on a call may wait 5 ms.
//! Use both together if callers have deadlines; keep the default if fairness matters more than latency.
//!
//! ```
//! use backstop::Bulkhead;
//! use backstop::bulkhead::{QueueOrder, Shedding};
//! use std::time::Duration;
//!
//! let search = Bulkhead::builder("search")
//!     .max_wait(Duration::from_millis(200))
//!     .queue_order(QueueOrder::Lifo)
//!     .shedding(Shedding::new())
//!     .build()?;
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## Partitions
//!
//! One bulkhead for two kinds of callers lets the greedy one take everything; two bulkheads leave permits idle.
//! Partitions guarantee shares and lend idle permits.
//!
//! ```
//! use backstop::Bulkhead;
//!
//! let database = Bulkhead::builder("database")
//!     .max_concurrent_calls(40)
//!     .partition("live", 0.7)
//!     .partition("batch", 0.2) // the rest, 4 permits, goes to any caller
//!     .build()?;
//! let batch = database.partition("batch").expect("defined above");
//! let borrowed: Vec<_> = (0..40).map_while(|_| batch.try_acquire().ok()).collect();
//! assert_eq!(borrowed.len(), 40); // the live share was idle
//!
//! let live = database.partition("live").expect("defined above");
//! assert!(live.try_acquire().is_err()); // until a batch call ends
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! With the default, [`PartitionTotal::Hard`](crate::bulkhead::PartitionTotal), the limit is never exceeded: a
//! partition whose share is lent out waits for it, and then goes first. Give it a `max_wait` of a call or two. With
//! `Soft`, a partition below its share gets its permit at once, and up to twice the limit may be in flight: use it
//! for a limit that protects you, not for a pool with a fixed number of connections.
//!
//! ## Should the limit adapt?
//!
//! If the dependency's capacity changes with replicas and neighbours, an [adaptive limit](crate::bulkhead::limit)
//! follows it. [`Vegas`](crate::bulkhead::limit::Vegas) is a good first choice; its bounds limit the harm if it
//! measures wrongly.
//!
//! ```
//! use backstop::Bulkhead;
//! use backstop::bulkhead::limit::Vegas;
//!
//! let search = Bulkhead::builder("search")
//!     .max_concurrent_calls(25) // initial limit
//!     .adaptive(Vegas::new().min(5).max(200))
//!     .build()?;
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! Keep the limit fixed if round trips say little about load:
//!
//! - calls of different kinds (a lookup, a report) share the bulkhead: a change in the mix looks like a queue,
//! - calls are few: a step of the limit takes as many calls as the limit, at least 10,
//! - the limit is a known number: connections of a pool, a quota in a contract,
//! - the answer is a stream whose length the caller decides.
//!
//! Drops, which [`Aimd`](crate::bulkhead::limit::Aimd) depends on, need a classifier: `.classify(Auto)` on the
//! layer, or `call_with`. Without one, every answer counts as a success, and errors are ignored.
//!
//! ## How long is a permit held?
//!
//! Until the head of the response arrives. That is right for a client that reads small bodies at once. On a server,
//! and for downloads, [`until_body_end`](crate::bulkhead::BulkheadLayer::until_body_end) includes the body: a
//! thousand clients that read slowly are a thousand responses in memory. A client can then read a byte a minute and
//! keep its permit indefinitely; [`max_hold`](crate::bulkhead::BulkheadBuilder::max_hold) bounds that. Choose it
//! well above the longest acceptable body: a longer one ends with an error.
//!
//! ```
//! use axum::{Router, routing::get};
//! use backstop::Bulkhead;
//! use std::time::Duration;
//!
//! let exports = Bulkhead::builder("exports").max_concurrent_calls(8).max_hold(Duration::from_secs(120)).build()?;
//! let app: Router = Router::new()
//!     .route("/export", get(async || "a long list"))
//!     .layer(exports.layer().until_body_end().respond());
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! `max_hold` revokes the permit for another call; a call that has not answered yet goes on. Calls are ended by a
//! timeout, which belongs inside the bulkhead: see [layer order](super::layer_order).
//!
//! ### Sockets that outlive their request
//!
//! The response that upgrades a connection to a WebSocket has no body: its permit ends with the head, whatever the layer
//! says, and the socket lives on in a task. Take the permit in the handler and move it into that task:
//!
//! ```
//! use axum::extract::{Request, State};
//! use axum::http::{StatusCode, header};
//! use axum::response::{IntoResponse, Response};
//! use axum::{Router, routing::get};
//! use backstop::Bulkhead;
//!
//! async fn socket(State(sockets): State<Bulkhead>, mut request: Request) -> Response {
//!     let Ok(permit) = sockets.try_acquire() else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
//!     let upgrade = hyper::upgrade::on(&mut request);
//!     tokio::spawn(async move {
//!         if let Ok(socket) = upgrade.await {
//!             // … until it is closed
//!             # drop(socket);
//!         }
//!         drop(permit);
//!     });
//!     (StatusCode::SWITCHING_PROTOCOLS, [(header::UPGRADE, "websocket"), (header::CONNECTION, "upgrade")]).into_response()
//! }
//!
//! let sockets = Bulkhead::builder("sockets").max_concurrent_calls(1_000).build()?;
//! let app: Router = Router::new().route("/feed", get(socket)).with_state(sockets);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! With axum's `WebSocketUpgrade` it is the same: the closure of `on_upgrade` takes the permit.
//!
//! ## What to watch
//!
//! | question | metric |
//! |---|---|
//! | How full is it? | `backstop_bulkhead_in_flight_calls / backstop_bulkhead_max_concurrent_calls` |
//! | Are calls rejected? | `rate(backstop_bulkhead_calls_total{kind=~"rejected_full\|timed_out\|shed"}[5m])` |
//! | Do they wait? | `backstop_bulkhead_wait_seconds`, `backstop_bulkhead_queue_depth` |
//! | Does a call hang, or leak its permit? | `backstop_bulkhead_oldest_call_seconds`, if calls are timed ([when](crate::Bulkhead::oldest_call)) |
//! | Is the adaptive limit stuck? | `backstop_bulkhead_max_concurrent_calls` at its `min` or `max` |
//!
//! The metrics of a [group of keys](crate::bulkhead::keyed) are sums over its keys, but its `max_concurrent_calls`
//! is the limit of one key: the first question cannot be answered for a group, the others can.
//!
//! Alert on rejected calls, as a share of the offered ones, over some minutes: one in a thousand is a burst, one in
//! twenty is an incident. Being full is a warning. In a rollout, rejections in the canary and none in the baseline
//! are a reason to look at it; the example `canary` has a bulkhead that fills before its circuit opens.
//!
//! ## Adopting it safely
//!
//! There is no shadow mode: a bulkhead that is too large rejects nothing, and that is the safe start.
//!
//! 1. Begin with a limit that is never reached, and watch `in_flight_calls` for a week. A scrape sees one moment of
//!    many, so its highest value is below the true peak.
//! 2. Write and test what a rejected caller gets: `.respond()`, `.fallback(..)`, or `CallError::Rejected` in a
//!    match.
//! 3. Lower the limit in steps, without a deployment, until it is two or three times the highest value you have
//!    seen.
//!
//! ```
//! use backstop::Bulkhead;
//!
//! let payments = Bulkhead::builder("payments").max_concurrent_calls(10_000).build()?;
//! // … a week later: at most 18 in flight
//! payments.resize(50, "three times the busiest hour")?;
//! assert_eq!(payments.snapshot().limit, 50);
//! # Ok::<(), backstop::ConfigError>(())
//! ```
