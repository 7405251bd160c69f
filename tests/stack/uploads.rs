//! Requests whose bodies trickle: the time in which a handler waits for its caller is not the handler's.

use crate::common;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::post;
use backstop::bulkhead::limit::Vegas;
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
use backstop::circuit_breaker::{CircuitBreakerConfig, State};
use backstop::clock::{Clock, ManualClock};
use backstop::protect::protect;
use backstop::{Bulkhead, CircuitBreaker};
use common::{counted, eventually, serve};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use http_body::Frame;
use std::convert::Infallible;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tower::ServiceExt;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Sends a body in parts, `pause` between them.
fn trickling(parts: usize, pause: Duration) -> reqwest::Body {
    let parts = futures_util::stream::iter(0..parts).then(move |_| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, Infallible>("part")
    });
    reqwest::Body::wrap_stream(parts)
}

#[tokio::test]
async fn uploads_that_trickle_are_not_the_handlers_slowness() {
    let builder = CircuitBreaker::builder("handlers").minimum_calls(10);
    let builder = builder.slow_call_duration_threshold(150 * MILLISECOND).slow_call_rate_threshold(0.5);
    let handlers = builder.build().unwrap();
    let all = protect().circuit_breaker(&handlers).bulkhead(&Bulkhead::new("handlers")).respond();
    let echo = async |body: Bytes| body.len().to_string();
    let thinks = async |body: Bytes| {
        tokio::time::sleep(300 * MILLISECOND).await;
        body.len().to_string()
    };
    let app = Router::new().route("/echo", post(echo)).route("/thinks", post(thinks));
    for app in [app.clone().layer(handlers.layer().respond()), app.layer(all)] {
        handlers.reset("test");
        let address = serve(app).await;
        let client = reqwest::Client::new();
        let upload = |path| {
            let request = client.post(format!("http://{address}{path}")).body(trickling(4, 100 * MILLISECOND));
            async { request.send().await.unwrap().text().await.unwrap() }
        };
        let answers = join_all((0..25).map(|_| upload("/echo"))).await;
        assert!(answers.iter().all(|length| length == "16"), "{answers:?}");
        assert_eq!((handlers.state(), handlers.snapshot().slow), (State::Closed, 0));
        upload("/thinks").await;
        assert_eq!(handlers.snapshot().slow, 1, "the time that the handler itself takes counts");
    }
}

type Answer = Pin<Box<dyn Future<Output = Option<u16>>>>;

/// A request whose caller sends its body later, and its answer: the status, once the response's body has been read.
struct Upload {
    body: mpsc::Sender<Result<Bytes, Infallible>>,
    answer: Answer,
}

fn request(path: &str, body: Body) -> Request {
    Request::post(path).body(body).unwrap()
}

fn answer(app: &Router, request: Request) -> Answer {
    let call = app.clone().oneshot(request);
    Box::pin(async {
        let response = call.await.unwrap();
        let status = response.status().as_u16();
        axum::body::to_bytes(response.into_body(), usize::MAX).await.ok().map(|_| status)
    })
}

impl Upload {
    fn begin(app: &Router, path: &str) -> Self {
        let (body, parts) = mpsc::channel(1);
        let mut answer = answer(app, request(path, Body::from_stream(ReceiverStream::new(parts))));
        assert_eq!(answer.as_mut().now_or_never(), None);
        Self { body, answer }
    }

    /// The body ends. The answer, if it is there at once.
    fn end(self) -> (Option<u16>, Answer) {
        drop(self.body);
        let mut answer = self.answer;
        (answer.as_mut().now_or_never().flatten(), answer)
    }
}

/// An echo, a handler without a body, and one that hangs once it has read it.
fn handlers() -> Router {
    let hangs = async |_: Bytes| pending::<String>().await;
    let echo = async |body: Bytes| body.len().to_string();
    Router::new().route("/echo", post(echo)).route("/ping", post(async || "here")).route("/hangs", post(hangs))
}

fn ping(app: &Router) -> Option<u16> {
    answer(app, request("/ping", Body::empty())).now_or_never().flatten()
}

/// The same handlers behind a breaker, a key's circuit, and `protect()`.
fn fronts(config: &CircuitBreakerConfig, clock: &Clock) -> [Router; 3] {
    let breaker = || {
        let breaker = CircuitBreaker::builder("handlers").clock(clock.clone()).build().unwrap();
        breaker.reconfigure(config.clone());
        breaker
    };
    let bulkhead = Bulkhead::builder("handlers").max_concurrent_calls(200).build().unwrap();
    let keyed = KeyedCircuitBreaker::<&str>::builder("routes").clock(clock.clone()).config(config.clone());
    let by_key = keyed.build().unwrap().layer(|_: &Request| "handlers");
    let all = protect().circuit_breaker(&breaker()).bulkhead(&bulkhead);
    [handlers().layer(breaker().layer().respond()), handlers().layer(by_key.respond()), handlers().layer(all.respond())]
}

#[test]
fn uploads_that_trickle_are_not_slow_while_they_are_in_flight() {
    let config = CircuitBreakerConfig::builder().minimum_calls(10).slow_call_duration_threshold(150 * MILLISECOND);
    let config = config.slow_call_rate_threshold(0.5).detect_slow_calls_in_flight(true).build().unwrap();
    let (clock, time) = Clock::manual();
    for app in fronts(&config, &clock) {
        let uploads: Vec<_> = (0..25).map(|_| Upload::begin(&app, "/echo")).collect();
        for _ in 0..20 {
            time.advance(100 * MILLISECOND);
            assert_eq!(ping(&app), Some(200));
        }
        assert!(uploads.into_iter().all(|upload| upload.end().0 == Some(200)));
        let hung: Vec<_> = (0..60).map(|_| Upload::begin(&app, "/hangs").end()).collect();
        assert_eq!(ping(&app), Some(200));
        time.advance(151 * MILLISECOND);
        assert_eq!(ping(&app), Some(503), "the handler has the bodies, and hangs");
        drop(hung);
    }
}

fn half_open(has_slow_rule: bool) -> (CircuitBreaker, Router, ManualClock) {
    let (clock, time) = Clock::manual();
    let mut builder = CircuitBreaker::builder("handlers").clock(clock);
    if has_slow_rule {
        builder = builder.slow_call_duration_threshold(SECOND).slow_call_rate_threshold(0.5);
    }
    let breaker = builder.build().unwrap();
    breaker.probe("test");
    let app = handlers().layer(breaker.layer().respond());
    (breaker, app, time)
}

#[test]
fn uploads_that_last_longer_than_a_half_open_round_close_it() {
    for has_slow_rule in [false, true] {
        let (breaker, app, time) = half_open(has_slow_rule);
        let upload = Upload::begin(&app, "/echo");
        for _ in 0..12 {
            time.advance(10 * SECOND);
            assert_eq!(breaker.state(), State::HalfOpen);
        }
        assert_eq!(upload.end().0, Some(200));
        time.advance(60 * SECOND);
        assert_eq!(breaker.state(), State::Closed, "with a rule on slow calls: {has_slow_rule}");
    }
}

#[test]
fn uploads_that_never_end_leave_places_for_others_at_the_limit() {
    let (breaker, app, time) = half_open(true);
    let uploads: Vec<_> = (0..10).map(|_| Upload::begin(&app, "/echo")).collect();
    assert_eq!(ping(&app), Some(503));
    time.advance(60 * SECOND);
    (0..10).for_each(|_| assert_eq!(ping(&app), Some(200)));
    assert_eq!(breaker.state(), State::Closed);
    drop(uploads);
}

#[test]
fn a_handler_that_hangs_with_its_callers_body_fails_a_round() {
    let (breaker, app, time) = half_open(true);
    let upload = Upload::begin(&app, "/hangs");
    time.advance(50 * SECOND);
    let (answered, _hung) = upload.end();
    assert_eq!(answered, None);
    time.advance(10 * SECOND);
    assert_eq!(breaker.state(), State::HalfOpen, "for ten seconds of its own");
    time.advance(60 * SECOND);
    assert_eq!(breaker.state(), State::Open);
}

/// Handlers that answer when told to, behind a limit that follows the time of answers.
#[test]
fn uploads_that_trickle_leave_an_adaptive_limit_alone() {
    for by_protect in [false, true] {
        let (clock, time) = Clock::manual();
        let bulkhead =
            Bulkhead::builder("handlers").clock(clock).max_concurrent_calls(40).adaptive(Vegas::new().max(200));
        let bulkhead = bulkhead.build().unwrap();
        let gate = Arc::new(Notify::new());
        let passes = Arc::clone(&gate);
        let app = Router::new().route(
            "/",
            post(async move |body: Bytes| {
                passes.notified().await;
                body.len().to_string()
            }),
        );
        let app = if by_protect {
            app.layer(protect().bulkhead(&bulkhead).respond())
        } else {
            app.layer(bulkhead.layer().respond())
        };
        let answer_all = |mut calls: Vec<Answer>| {
            time.advance(10 * MILLISECOND);
            gate.notify_waiters();
            assert!(calls.iter_mut().all(|call| call.now_or_never().flatten() == Some(200)));
        };
        let round = || {
            let uploads: Vec<_> = (0..30).map(|_| Upload::begin(&app, "/")).collect();
            time.advance(10 * SECOND);
            answer_all(uploads.into_iter().map(|upload| upload.end().1).collect());
        };
        let quick = || {
            let call = |_| {
                let mut call = answer(&app, request("/", Body::empty()));
                assert_eq!(call.as_mut().now_or_never(), None);
                call
            };
            answer_all((0..30).map(call).collect());
        };
        (0..50).for_each(|_| quick());
        let before = bulkhead.snapshot().limit;
        (0..50).for_each(|_| round());
        let after = bulkhead.snapshot().limit;
        assert!(after >= before, "from {before} to {after}, by protect(): {by_protect}");
    }
}

/// A proxy has no other status for it than one of its upstream's failures.
#[tokio::test]
async fn uploads_that_break_off_are_no_failures_of_a_handler_whatever_it_makes_of_them() {
    let reads = async |body: Body| match axum::body::to_bytes(body, 100).await {
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR,
        Err(_) => StatusCode::BAD_GATEWAY,
    };
    let plain = CircuitBreaker::new("handlers");
    let keyed = KeyedCircuitBreaker::<&str>::builder("routes").build().unwrap();
    let bulkhead = Bulkhead::builder("handlers").max_concurrent_calls(1).max_wait(SECOND).build().unwrap();
    let app = Router::new().route("/", post(reads));
    let by_key = keyed.layer(|_: &Request| "/").respond();
    let all = protect().circuit_breaker(&plain).bulkhead(&bulkhead);
    for (front, is_keyed, waits) in [
        (app.clone().layer(plain.layer().respond()), false, false),
        (app.clone().layer(plain.layer().respond().outbound()), false, false),
        (app.clone().layer(by_key), true, false),
        (app.clone().layer(all.clone().respond()), false, false),
        (app.clone().layer(all.clone().respond()), false, true),
        (app.clone().layer(all.respond().outbound()), false, true),
    ] {
        let totals = || if is_keyed { keyed.totals() } else { plain.totals() };
        let counts = || (totals().failed, totals().ignored);
        let before = counts();
        for (part, failed, ignored) in [(Err(std::io::Error::other("reset by the peer")), 0, 1), (Ok("whole"), 1, 1)] {
            let held = waits.then(|| bulkhead.try_acquire().unwrap());
            let body = Body::from_stream(futures_util::stream::iter([part]));
            let mut call = answer(&front, request("/", body));
            if waits {
                assert_eq!(call.as_mut().now_or_never(), None);
            }
            drop(held);
            assert!(call.now_or_never().flatten().is_some_and(|status| status >= 500));
            assert_eq!(counts(), (before.0 + failed, before.1 + ignored), "{front:?}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_breaks_off_after_the_head_of_its_echo_is_no_failure_of_the_handler() {
    let handlers = CircuitBreaker::new("handlers");
    let app = Router::new().route("/", post(async |body: Body| body)).layer(handlers.layer().respond());
    let mut stream = TcpStream::connect(serve(app).await).await.unwrap();
    let request = b"POST / HTTP/1.1\r\nhost: echo\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    stream.shutdown().await.unwrap();
    eventually("its end is counted", || counted(&handlers).iter().sum::<u64>() == 1).await;
    assert_eq!(counted(&handlers), [0, 0, 1, 0, 0]);
}

#[test]
fn a_dependency_left_without_an_answer_after_the_upload_broke_off_has_not_hung() {
    let (clock, time) = Clock::manual();
    let breaker = CircuitBreaker::builder("upstream").clock(clock).build().unwrap();
    let hangs = tower::service_fn(async |request: Request| {
        axum::body::to_bytes(request.into_body(), 100).await.unwrap_err();
        pending::<Result<axum::response::Response, Infallible>>().await
    });
    let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset by the peer"))]);
    let mut call = Box::pin(breaker.wrap(hangs).oneshot(request("/", Body::from_stream(broken))));
    assert!(call.as_mut().now_or_never().is_none());
    time.advance(60 * SECOND);
    drop(call);
    assert_eq!((counted(&breaker), breaker.snapshot().unanswered), ([0, 0, 1, 0, 0], 0));
}

/// The stream says nothing, and its place is free again.
#[test]
fn a_stream_that_fails_after_its_upload_broke_off_closes_no_half_open_circuit() {
    let breaker = CircuitBreaker::builder("handlers").half_open_max_calls(1).build().unwrap();
    breaker.probe("test");
    let streams = async |request: Request| {
        let begun = futures_util::stream::iter([Ok::<_, Infallible>(Frame::data(Bytes::from("message")))]);
        let broken = futures_util::stream::once(async {
            axum::body::to_bytes(request.into_body(), 100).await.unwrap_err();
            let mut trailers = axum::http::HeaderMap::new();
            trailers.insert("grpc-status", 13.into());
            Ok(Frame::trailers(trailers))
        });
        let body = Body::new(http_body_util::StreamBody::new(Box::pin(begun.chain(broken))));
        ([("content-type", "application/grpc")], body)
    };
    let app = handlers().route("/streams", post(streams)).layer(breaker.layer().respond());
    for _ in 0..5 {
        let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset by the peer"))]);
        let call = answer(&app, request("/streams", Body::from_stream(broken)));
        assert_eq!(call.now_or_never().flatten(), Some(200));
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    assert_eq!(ping(&app), Some(200));
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_body_that_panics_when_it_is_asked_for_its_end_loses_no_probe() {
    struct Panics;
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            std::task::Poll::Ready(None)
        }

        fn is_end_stream(&self) -> bool {
            panic!("the end is unknown")
        }
    }
    let breaker = CircuitBreaker::builder("handlers").half_open_max_calls(1).build().unwrap();
    breaker.probe("test");
    let app = handlers().layer(breaker.layer().respond());
    assert_eq!(answer(&app, request("/ping", Body::new(Panics))).now_or_never().flatten(), Some(200));
    assert_eq!(breaker.state(), State::Closed);
}
