//! The bulkhead's part of `protect()`: its own verdict on calls, and until when they hold a permit.

use backstop::bulkhead::BulkheadConfig;
use backstop::bulkhead::limit::Aimd;
use backstop::classify::Overload;
use backstop::{Bulkhead, CircuitBreaker, protect};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use std::convert::Infallible;
use std::future::{Ready, ready};
use tower::{Layer, Service, service_fn};

type Body = Full<Bytes>;

/// Every tenth answer has this status.
fn server(
    status: u16,
) -> impl Service<
    Request<()>,
    Response = Response<Body>,
    Error = Infallible,
    Future = Ready<Result<Response<Body>, Infallible>>,
> + Clone {
    let mut served = 0;
    service_fn(move |_: Request<()>| {
        served += 1;
        let status = if served % 10 == 0 { StatusCode::from_u16(status).unwrap() } else { StatusCode::OK };
        ready(Ok::<_, Infallible>(Response::builder().status(status).body(Body::default()).unwrap()))
    })
}

fn mechanisms() -> (CircuitBreaker, Bulkhead) {
    let bulkhead = Bulkhead::builder("own").max_concurrent_calls(50).adaptive(Aimd::new().window(1));
    (CircuitBreaker::new("own"), bulkhead.build().unwrap())
}

/// The limit after calls that use all of it.
fn limit_after<S>(bulkhead: &Bulkhead, mut service: S) -> u32
where
    S: Service<Request<()>>,
{
    for _ in 0..20 {
        let calls: Vec<_> = (0..bulkhead.snapshot().available()).map(|_| service.call(Request::new(()))).collect();
        for call in calls {
            drop(call.now_or_never());
        }
    }
    bulkhead.snapshot().limit
}

#[test]
fn a_failing_dependency_does_not_shrink_the_limit_of_a_bulkhead() {
    let (breaker, bulkhead) = mechanisms();
    let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
    let limits = [
        limit_after(&bulkhead, layer.clone().respond().layer(server(500))),
        limit_after(&bulkhead, layer.clone().until_body_end().respond().layer(server(500))),
        limit_after(&bulkhead, layer.layer(server(503))),
    ];
    assert!(limits.is_sorted() && limits[0] > 50, "{limits:?}");
    assert!(breaker.totals().failed > 20, "the breaker has its own verdict");
}

#[test]
fn overload_shrinks_it_where_the_bulkheads_classifier_says_so() {
    let (breaker, bulkhead) = mechanisms();
    let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead).classify_for_bulkhead(Overload);
    let grown = limit_after(&bulkhead, layer.clone().respond().layer(server(500)));
    let shrunk = limit_after(&bulkhead, layer.respond().layer(server(503)));
    assert!(grown > 50 && shrunk < grown / 2, "{grown}, then {shrunk}");
}

#[test]
fn a_call_without_tower_gives_it_the_same_verdict() {
    let (breaker, bulkhead) = mechanisms();
    let layer = protect().circuit_breaker(&breaker).bulkhead(&bulkhead);
    let busy = || ready(Ok::<_, Infallible>(Response::builder().status(503).body(Body::default()).unwrap()));
    for _ in 0..20 {
        assert!(layer.call(busy()).now_or_never().unwrap().is_ok());
    }
    assert!(bulkhead.snapshot().limit >= 50, "a response is a success by default");
    let layer = layer.classify_for_bulkhead(Overload);
    for _ in 0..20 {
        assert!(layer.call(busy()).now_or_never().unwrap().is_ok());
        assert!(layer.call_for(&(), busy()).now_or_never().unwrap().is_ok());
    }
    assert!(bulkhead.snapshot().limit < 25, "{}", bulkhead.snapshot().limit);
}

#[test]
fn a_response_without_a_body_holds_no_permit() {
    let (breaker, bulkhead) = (CircuitBreaker::new("empty"), Bulkhead::new("empty"));
    for status in [200, 204, 304, 404, 500] {
        let answer = move |_: Request<()>| {
            ready(Ok::<_, Infallible>(Response::builder().status(status).body(Empty::<Bytes>::new()).unwrap()))
        };
        let mechanisms = protect().circuit_breaker(&breaker).bulkhead(&bulkhead).until_body_end();
        let unread = mechanisms.clone().respond().layer(service_fn(answer)).call(Request::new(()));
        let unread = unread.now_or_never().unwrap().unwrap();
        assert_eq!((unread.status().as_u16(), bulkhead.snapshot().in_flight), (status, 0));
        let recovers = mechanisms.respond().recover(|failed: Result<_, Infallible>| failed);
        let unread = recovers.layer(service_fn(answer)).call(Request::new(())).now_or_never().unwrap().unwrap();
        assert_eq!((unread.status().as_u16(), bulkhead.snapshot().in_flight), (status, 0));
    }
}

#[test]
fn a_failed_response_holds_its_permit_until_its_body_ends() {
    let config = BulkheadConfig::builder().max_concurrent_calls(1).build().unwrap();
    let (breaker, bulkhead) = (CircuitBreaker::new("full"), Bulkhead::from_config("full", config).unwrap());
    let answer = |_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::builder().status(500).body(Body::from("broken")).unwrap()))
    };
    let mut service =
        protect().circuit_breaker(&breaker).bulkhead(&bulkhead).until_body_end().respond().layer(service_fn(answer));
    let response = service.call(Request::new(())).now_or_never().unwrap().unwrap();
    assert_eq!((breaker.totals().failed, bulkhead.snapshot().in_flight), (1, 1));
    assert_eq!(response.into_body().collect().now_or_never().unwrap().unwrap().to_bytes(), "broken");
    assert_eq!(bulkhead.snapshot().in_flight, 0);
}
