//! Responses that flow: the head ends the measured call.

use crate::common;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use backstop::circuit_breaker::State;
use backstop::clock::{Clock, ManualClock};
use backstop::protect::protect;
use backstop::{Bulkhead, CircuitBreaker};
use common::{counted, eventually, hyper_client, serve, soon};
use futures_util::StreamExt;
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tower::ServiceExt;

const MILLISECOND: Duration = Duration::from_millis(1);

/// A body that sends an event now and one after each `every`, for ever.
fn events(every: Duration) -> Body {
    let first = futures_util::stream::once(async { Ok::<_, Infallible>(Bytes::from("event\n")) });
    let rest = futures_util::stream::repeat(()).then(move |()| async move {
        tokio::time::sleep(every).await;
        Ok(Bytes::from("event\n"))
    });
    Body::from_stream(first.chain(rest))
}

async fn event_source(every: Duration) -> SocketAddr {
    serve(Router::new().route("/", get(move || async move { events(every) }))).await
}

fn slow_after(threshold: Duration) -> (CircuitBreaker, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("upstream").clock(clock).minimum_calls(10);
    let builder = builder.slow_call_duration_threshold(threshold).slow_call_rate_threshold(0.5);
    (builder.detect_slow_calls_in_flight(true).build().unwrap(), time)
}

#[tokio::test]
async fn a_body_that_lasts_makes_no_slow_call_also_through_protect() {
    let address = event_source(Duration::from_secs(3_600)).await;
    for by_protect in [false, true] {
        let (breaker, time) = slow_after(800 * MILLISECOND);
        let mut bodies = Vec::new();
        for _ in 0..20 {
            let request = common::get(address, "/");
            if by_protect {
                let layer = protect().circuit_breaker(&breaker).bulkhead(&Bulkhead::new("upstream"));
                let body = layer.wrap(hyper_client()).oneshot(request).await.unwrap().into_body();
                bodies.push(body.boxed_unsync());
            } else {
                let body = breaker.wrap(hyper_client()).oneshot(request).await.unwrap().into_body();
                bodies.push(body.boxed_unsync());
            }
        }
        time.advance(Duration::from_secs(4));
        assert_eq!((breaker.state(), breaker.snapshot().slow), (State::Closed, 0), "by protect(): {by_protect}");
    }
}

#[tokio::test]
async fn readers_that_leave_a_stream_say_nothing() {
    let address = event_source(Duration::from_secs(3_600)).await;
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("upstream").clock(clock).consecutive_failures_threshold(5);
    let breaker = builder.build().unwrap();
    for _ in 0..100 {
        let response = breaker.wrap(hyper_client()).oneshot(common::get(address, "/")).await.unwrap();
        let mut body = response.into_body();
        soon("an event", body.frame()).await.unwrap().unwrap();
        assert!(futures_util::FutureExt::now_or_never(body.frame()).is_none());
        time.advance(1_300 * MILLISECOND);
    }
    assert_eq!((breaker.state(), breaker.snapshot().unanswered), (State::Closed, 0));
}

/// No frame is awaited while its reader does not ask for one.
#[test]
fn a_reader_that_pauses_after_a_slow_head_has_not_waited_for_a_frame() {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("upstream").clock(clock).slow_call_rate_threshold(0.5);
    let breaker = builder.slow_call_duration_threshold(800 * MILLISECOND).build().unwrap();
    let slow_head = || {
        let service = tower::service_fn(|_: http::Request<()>| {
            time.advance(Duration::from_secs(1));
            let body = Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>("message")]));
            let response = http::Response::builder().header("content-type", "application/grpc").body(body);
            std::future::ready(Ok::<_, Infallible>(response.unwrap()))
        });
        let call = breaker.wrap(service).oneshot(http::Request::new(()));
        let response = futures_util::FutureExt::now_or_never(call).unwrap().unwrap();
        time.advance(Duration::from_secs(100));
        response.into_body()
    };
    drop(slow_head());
    assert_eq!((counted(&breaker), breaker.snapshot().unanswered), ([0, 0, 0, 1, 0], 0));
    futures_util::FutureExt::now_or_never(slow_head().collect()).unwrap().unwrap();
    assert_eq!((counted(&breaker)[1], breaker.snapshot().slow), (1, 1), "its head was slow; it has no trailers");
}

#[tokio::test]
async fn event_streams_alone_close_a_half_open_circuit() {
    let address = event_source(Duration::from_secs(3_600)).await;
    let (clock, time) = Clock::manual();
    let breaker = CircuitBreaker::builder("upstream").clock(clock).build().unwrap();
    breaker.probe("test");
    let mut readers = Vec::new();
    for _ in 0..3 {
        let response = breaker.wrap(hyper_client()).oneshot(common::get(address, "/")).await.unwrap();
        let mut body = response.into_body();
        soon("an event", body.frame()).await.unwrap().unwrap();
        readers.push(body);
        time.advance(Duration::from_secs(20));
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_server_is_not_opened_by_readers_that_leave_its_streams() {
    let handlers = CircuitBreaker::builder("handlers").consecutive_failures_threshold(5).build().unwrap();
    let app = Router::new().route("/", get(|| async { events(5 * MILLISECOND) })).layer(handlers.layer().respond());
    let address = serve(app).await;
    for _ in 0..20 {
        let mut body = hyper_client().request(common::get(address, "/")).await.unwrap().into_body();
        soon("an event", body.frame()).await.unwrap().unwrap();
    }
    eventually("the server has seen them leave", || counted(&handlers).iter().sum::<u64>() == 20).await;
    assert_eq!((handlers.state(), counted(&handlers)[1]), (State::Closed, 0));
}
