//! # Abandoned calls, hedges and streams
//!
//! A call that ends without an answer is evidence about the caller, about the dependency, or about neither. This
//! chapter lists what counts, when, and why, for HTTP and gRPC and for both sides of a call.
//!
//! ## The side of a layer
//!
//! A layer with `.respond()`, `.respond_with(..)` or `.respond_into(..)` is on the *inbound* side, in front of your
//! own handlers: the caller is a client. So is one with `.fallback(..)` in front of a service that never returns an error, as
//! those of axum are. Every other layer, [`wrap`](crate::CircuitBreaker::wrap) and the `call` methods
//! are *outbound*: you are the caller. `.inbound()` and `.outbound()` on a layer say otherwise, for a proxy that answers
//! for its upstream, for example.
//!
//! | | inbound | outbound |
//! |---|---|---|
//! | 5xx, a body that breaks | failure | failure |
//! | 429, 408, gRPC `RESOURCE_EXHAUSTED` | nothing: a client asked too often, or was slow | failure |
//! | 499 | nothing | success |
//! | the caller leaves before the answer | nothing | *unanswered*, if it had waited long enough; else nothing |
//! | time spent waiting for the caller's upload | not counted (axum, tonic): as slowness, in flight too, and as time of a probe or of an adaptive limit's round trip | counted |
//! | a request whose own body broke off, or that could not be built | nothing, whatever status a handler (axum, tonic) makes of it, also after the head of the response | nothing; after the head of the response where the body is axum's, or over HTTP/2 |
//! | a rejection of this crate or of tower's `LoadShed` further inside | nothing | nothing |
//! | an error of your own type, returned in the poll in which a mechanism rejected a call inside | nothing | nothing |
//!
//! What is not recognised is a failure: outbound over HTTP/1, a body of another type than axum's, as reqwest's, that breaks off
//! after the head; hyper's error is then that of a dependency that died. The excuse is the breaker's alone:
//! [`signals`](crate::signals), adaptive limits and fallbacks see the status or error as it is.
//!
//! *Nothing* is counted as `ignored` or `abandoned`, and no rule looks at it.
//!
//! ```
//! use backstop::CircuitBreaker;
//!
//! let upstream = CircuitBreaker::new("upstream");
//! let layer = upstream.layer().respond().outbound(); // a proxy: its handlers do nothing but call the upstream
//! ```
//!
//! ## Unanswered calls
//!
//! A dependency that hangs behind its callers' deadlines never fails: every call is dropped. It opens the circuit by a
//! rule of its own, with the reason `no_answer`: as many calls in a row as
//! [`minimum_calls`](crate::circuit_breaker::CircuitBreakerBuilder::minimum_calls) asks for, or
//! [`consecutive_failures_threshold`](crate::circuit_breaker::CircuitBreakerBuilder::consecutive_failures_threshold) where it is set, were
//! left after [`unanswered_after`](crate::circuit_breaker::CircuitBreakerBuilder::unanswered_after), and not one answer came between them.
//! That time is four times what answers usually take, at least 50 ms. What is usual is a running median, of each key its
//! own: long polls among short calls do not lengthen it.
//!
//! So hedges are free: the loser of a race is dropped, and the winner's answer ends the run. Clients that click away are
//! free, too: they leave before the usual time, or others are answered meanwhile. An abandoned call is never a failure:
//! `failed` in the metrics is what the failure rate is made of, and a controller may divide the two.
//!
//! Set `unanswered_after` if your callers' deadlines are shorter than four times the usual time. Better, put the timeout
//! inside the breaker, where a hang is an error like any other: see [layer order](super::layer_order).
//!
//! ```
//! use backstop::CircuitBreaker;
//! use std::time::Duration;
//!
//! let payments = CircuitBreaker::builder("payments")
//!     .consecutive_failures_threshold(5)
//!     .unanswered_after(Duration::from_millis(200)) // its callers give up after 250 ms
//!     .build()?;
//! # Ok::<(), backstop::ConfigError>(())
//! ```
//!
//! ## Streams
//!
//! The head of a response ends the measured call: an event stream is not slow, however long it lasts, also with
//! [`detect_slow_calls_in_flight`](crate::circuit_breaker::CircuitBreakerBuilder::detect_slow_calls_in_flight). The events that follow decide the
//! outcome:
//!
//! | the body | HTTP | gRPC |
//! |---|---|---|
//! | ends | success, by the status in the head | by the status in the trailers |
//! | breaks | failure | failure |
//! | is left before its first part | abandoned | abandoned |
//! | is left while parts come, or by a reader that had enough | success | ignored |
//! | is left after the next part was awaited for [`stall_after`](crate::circuit_breaker::CircuitBreakerBuilder::stall_after) (60 s) | unanswered | unanswered |
//!
//! A bulkhead's permit ends with the head, or with the body after
//! [`until_body_end`](crate::bulkhead::BulkheadLayer::until_body_end).
//!
//! ## A day in production
//!
//! `tests/circuit_breaker/day.rs` simulates a day of random services, with latencies of 1 ms to 10 min, hedges, streams,
//! restarts, outages, and callers of whom up to 99 % leave. Of 1,000 services, up to 40,000 calls each:
//!
//! | service | services | openings | open while healthy | recoveries | longest, s | probes a round | at once |
//! |---|---:|---:|---:|---:|---:|---:|---:|
//! | calls | 188 | 693 | 0 s | 594 | 2,554 | 20 | 10 |
//! | hedged calls | 227 | 914 | 0 s | 763 | 5,392 | 20 | 10 |
//! | streams | 191 | 892 | 0 s | 615 | 973 | 20 | 10 |
//! | inbound | 203 | 607 | 0 s | 508 | 3,119 | 10 | 10 |
//! | inbound streams | 191 | 801 | 0 s | 455 | 270 | 10 | 10 |
//! | without an outage | 507 | 0 | 0 s | 0 | | | |
//! | nine callers of ten leave | 313 | 867 | 0 s | 638 | 5,392 | 20 | 10 |
//!
//! The long recoveries are those of calls that last minutes, or of services that hardly a caller waits for. 20 probes are
//! 10 places, each given out again once.
//!
//! ## Half-open
//!
//! A round gives out [`half_open_max_calls`](crate::circuit_breaker::CircuitBreakerBuilder::half_open_max_calls) places.
//!
//! ```text
//!            while a place is free           success, failure
//!   ┌───────┐ ─────────────────▶ ┌─────────┐ ────────────────▶ a result: decides as soon as it is certain
//!   │ place │                    │ waiting │
//!   └───────┘ ◀───────────────── └─────────┘ ────────────────▶ lost: every place lost ──▶ Open
//!       ▲      it says nothing        │       its caller left
//!       │                             │ head of the response
//!       │      its place, once        ▼
//!       └─────────────────────── ┌─────────┐ ────────────────▶ a result
//!                                │ flowing │  the body ends
//!                                └─────────┘ ────────────────▶ flowed
//!                                             its caller left
//! ```
//!
//! When no place is left, or at the limit ([`half_open_timeout`](crate::circuit_breaker::CircuitBreakerBuilder::half_open_timeout), counted
//! from the first probe), what is there decides:
//!
//! - **Little traffic**: the results so far, by their rate. Successes and no failure close.
//! - **Streams only**: one that flows, or flowed until its reader left, is a success.
//! - **Calls beside streams**: a stream that flows leaves its place to one more probe, so ten streams do not keep ten
//!   calls from deciding. A round has twice its places at most: a dependency whose streams hang later is not flooded.
//! - **Uploads only** (inbound): a probe whose handler waits for its caller's body has not hung. The round goes on for
//!   as long again, with all its places: callers that never send their bodies do not keep others out.
//! - **Hung probes only**: open again, and the open time grows. Those probes may hang on; while they do, the next rounds
//!   ask with one probe at a time.
//! - **Callers that left at once**: their places are given out again, each once. If nothing else comes, open again for
//!   the same time.
//! - **Calls that last longer than a round**: the limit is at least four times what answers usually take.
//! - **Nothing has begun**: the round goes on, silently, until something does.
