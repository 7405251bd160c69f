//! What HTTP responses and their bodies say about a dependency, seen through real sockets.

use crate::bodies;
use crate::common;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use backstop::circuit_breaker::{RetryAfterPolicy, State};
use backstop::classify::{HttpHead, StatusRules};
use backstop::clock::Clock;
use backstop::reject::RejectReason;
use backstop::{CircuitBreaker, Outcome, Rejected};
use common::{counted, eventually, get, hyper_client, request, serve, soon};
use futures_util::FutureExt;
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tower::{Layer, Service, ServiceExt};

const SUCCESS: [u64; 5] = [1, 0, 0, 0, 0];
const FAILURE: [u64; 5] = [0, 1, 0, 0, 0];
const ABANDONED: [u64; 5] = [0, 0, 0, 1, 0];

/// A server whose path says what it does.
async fn upstream() -> SocketAddr {
    serve(Router::new().fallback(any(behave))).await
}

async fn behave(request: Request) -> Response {
    match request.uri().path() {
        "/breaks" => bodies::broken().into_response(),
        "/stalls" => bodies::stalled().into_response(),
        "/busy" => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "7")]).into_response(),
        path => {
            let status = path.trim_start_matches('/').parse().unwrap_or(StatusCode::NOT_FOUND);
            (status, "text").into_response()
        }
    }
}

/// Calls through a fresh breaker and reads the body to its end.
async fn outcome(address: SocketAddr, method: &str, path: &str) -> [u64; 5] {
    let breaker = CircuitBreaker::new("upstream");
    let response = breaker.wrap(hyper_client()).oneshot(request(method, address, path)).await.unwrap();
    drop(soon("the body", response.into_body().collect()).await);
    counted(&breaker)
}

#[tokio::test]
async fn server_errors_and_too_many_requests_fail_and_the_rest_succeeds() {
    let address = upstream().await;
    for path in ["/200", "/204", "/301", "/304", "/400", "/401", "/404", "/499"] {
        assert_eq!(outcome(address, "GET", path).await, SUCCESS, "{path}");
    }
    for path in ["/429", "/500", "/501", "/503", "/599"] {
        assert_eq!(outcome(address, "GET", path).await, FAILURE, "{path}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_a_failure() {
    let nobody = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let breaker = CircuitBreaker::new("upstream");
    assert!(breaker.wrap(hyper_client()).oneshot(get(nobody, "/200")).await.is_err());
    assert_eq!(counted(&breaker), FAILURE);
}

#[tokio::test]
async fn retry_after_sets_the_time_that_the_circuit_stays_open() {
    let address = upstream().await;
    for (policy, wait) in [(RetryAfterPolicy::SetsOpenTime, 7), (RetryAfterPolicy::Ignore, 60)] {
        let (clock, _) = Clock::manual();
        let breaker = CircuitBreaker::builder("upstream")
            .clock(clock)
            .consecutive_failures_threshold(1)
            .retry_after(policy)
            .build()
            .unwrap();
        let mut client = breaker.wrap(hyper_client());
        client.ready().await.unwrap().call(get(address, "/busy")).await.unwrap();
        assert_eq!(breaker.retry_after(), Some(Duration::from_secs(wait)));
        let error = client.ready().await.unwrap().call(get(address, "/200")).await.unwrap_err();
        let rejected = Rejected::find(&*error).expect("the circuit is open");
        assert_eq!(rejected.retry_after(), Some(Duration::from_secs(wait)));
    }
}

#[tokio::test]
async fn rules_change_what_single_statuses_mean() {
    let address = upstream().await;
    let breaker = CircuitBreaker::new("upstream");
    let rules =
        StatusRules::new().status(404, Outcome::Failure).status(501, Outcome::Success).status(400, Outcome::Ignored);
    let mut client = breaker.layer().classify(rules).layer(hyper_client());
    for path in ["/404", "/501", "/400", "/500", "/200"] {
        let response = client.ready().await.unwrap().call(get(address, path)).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(counted(&breaker), [2, 2, 1, 0, 0]);
}

#[tokio::test]
async fn a_body_that_breaks_after_200_is_a_failure_unless_only_the_head_counts() {
    let address = upstream().await;
    assert_eq!(outcome(address, "GET", "/breaks").await, FAILURE);

    let breaker = CircuitBreaker::new("by head");
    let client = breaker.layer().classify(HttpHead).layer(hyper_client());
    let response = client.oneshot(get(address, "/breaks")).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(counted(&breaker), SUCCESS);
}

#[tokio::test]
async fn a_server_sees_its_own_body_break() {
    let breaker = CircuitBreaker::new("handlers");
    let app = Router::new().fallback(any(behave)).layer(breaker.layer().respond());
    let address = serve(app).await;
    let response = hyper_client().request(get(address, "/breaks")).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    eventually("the broken body is counted", || counted(&breaker) == FAILURE).await;
}

#[tokio::test]
async fn head_and_unread_bodies_keep_the_verdict_of_the_headers() {
    let address = upstream().await;
    assert_eq!(outcome(address, "HEAD", "/200").await, SUCCESS);
    assert_eq!(outcome(address, "HEAD", "/500").await, FAILURE);
    for (path, expected) in [("/200", SUCCESS), ("/stalls", SUCCESS), ("/500", FAILURE)] {
        let breaker = CircuitBreaker::new("upstream");
        let response = breaker.wrap(hyper_client()).oneshot(get(address, path)).await.unwrap();
        drop(response);
        assert_eq!(counted(&breaker), expected, "{path}");
    }
}

#[tokio::test]
async fn a_server_counts_head_requests_by_their_status() {
    let breaker = CircuitBreaker::new("handlers");
    let address = serve(Router::new().fallback(any(behave)).layer(breaker.layer().respond())).await;
    for path in ["/200", "/500"] {
        hyper_client().request(request("HEAD", address, path)).await.unwrap();
    }
    eventually("both are counted", || counted(&breaker) == [1, 1, 0, 0, 0]).await;
}

/// Reads the first part of a body that stalls, looks for more in vain, and goes away.
async fn give_up_on_stalled_body(breaker: &CircuitBreaker, wait: impl FnOnce()) {
    let response = breaker.wrap(hyper_client()).oneshot(get(upstream().await, "/stalls")).await.unwrap();
    let mut body = response.into_body();
    let part = soon("the first part", body.frame()).await.unwrap().unwrap();
    assert_eq!(part.into_data().unwrap(), "part");
    assert!(body.frame().now_or_never().is_none());
    wait();
}

#[tokio::test]
async fn giving_up_on_a_stalled_body_is_abandonment() {
    let (clock, time) = Clock::manual();
    let slow = Duration::from_secs(2);
    let breaker = CircuitBreaker::builder("upstream").clock(clock).slow_call_duration_threshold(slow).build().unwrap();
    give_up_on_stalled_body(&breaker, || time.advance(Duration::from_secs(59))).await;
    assert_eq!(counted(&breaker), SUCCESS, "a keep-alive may take so long");
    give_up_on_stalled_body(&breaker, || time.advance(Duration::from_secs(60))).await;
    assert_eq!(counted(&breaker), [1, 0, 0, 1, 0]);
    assert_eq!((breaker.snapshot().unanswered, breaker.snapshot().failed), (1, 0));
}

#[tokio::test]
async fn a_pause_of_the_reader_is_no_stall_of_the_body() {
    let (clock, time) = Clock::manual();
    let breaker = CircuitBreaker::builder("upstream").clock(clock).build().unwrap();
    let response = breaker.wrap(hyper_client()).oneshot(get(upstream().await, "/stalls")).await.unwrap();
    let mut body = response.into_body();
    soon("the first part", body.frame()).await.unwrap().unwrap();
    time.advance(Duration::from_secs(60));
    assert!(body.frame().now_or_never().is_none());
    drop(body);
    assert_eq!(counted(&breaker), SUCCESS);
}

#[tokio::test]
async fn a_client_that_leaves_a_stalled_server_is_abandonment_there() {
    let (clock, time) = Clock::manual();
    let breaker = CircuitBreaker::builder("handlers").clock(clock).build().unwrap();
    let address = serve(Router::new().fallback(any(behave)).layer(breaker.layer().respond())).await;
    let client = hyper_client();
    let mut body = client.request(get(address, "/stalls")).await.unwrap().into_body();
    soon("the first part", body.frame()).await.unwrap().unwrap();
    time.advance(Duration::from_secs(60));
    drop((body, client));
    eventually("the server notices", || counted(&breaker) == ABANDONED).await;
}

#[tokio::test]
async fn a_caller_that_times_out_before_the_headers_is_abandonment() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let breaker = CircuitBreaker::new("upstream");
    let call = breaker.wrap(hyper_client()).oneshot(get(address, "/200"));
    let connection = tokio::select! {
        answer = call => panic!("answered: {answer:?}"),
        connection = silent.accept() => connection, // the call is under way, and dropped here
    };
    assert_eq!(counted(&breaker), ABANDONED);
    drop(connection);
}

#[tokio::test]
async fn a_large_download_is_not_a_slow_call() {
    let (clock, time) = Clock::manual();
    let threshold = Duration::from_secs(2);
    let breaker =
        CircuitBreaker::builder("upstream").clock(clock).slow_call_duration_threshold(threshold).build().unwrap();
    let response = breaker.wrap(hyper_client()).oneshot(get(upstream().await, "/200")).await.unwrap();
    time.advance(10 * threshold);
    response.into_body().collect().await.unwrap();
    assert_eq!(counted(&breaker), SUCCESS);
    assert_eq!(breaker.totals().slow_successful, 0);
}

#[tokio::test]
async fn a_streaming_probe_leaves_its_place_to_one_more() {
    let address = upstream().await;
    let breaker = CircuitBreaker::builder("upstream").half_open_max_calls(1).build().unwrap();
    breaker.probe("test");
    let mut client = breaker.wrap(hyper_client());
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let mut body = client.ready().await.unwrap().call(get(address, "/stalls")).await.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().now_or_never().is_none());
        bodies.push(body);
    }
    let error = client.ready().await.unwrap().call(get(address, "/200")).await.unwrap_err();
    assert_eq!(Rejected::find(&*error).unwrap().reason(), RejectReason::HalfOpen);

    drop(bodies);
    let response = client.ready().await.unwrap().call(get(address, "/200")).await.unwrap();
    response.into_body().collect().await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn grpc_web_is_judged_by_its_status_alone() {
    let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, "application/grpc-web+proto".parse().unwrap())]);
    let app = Router::new().fallback(any(async move || (headers, "a frame whose trailers only gRPC-web reads")));
    assert_eq!(outcome(serve(app).await, "POST", "/").await, SUCCESS);
}

#[tokio::test]
async fn a_watched_response_is_as_useful_as_the_original() {
    let inner =
        tower::service_fn(async |_: http::Request<Body>| Ok::<_, Infallible>(Response::new(Body::from("text"))));
    let breaker = CircuitBreaker::new("handlers");
    let service = breaker.layer().respond().layer(inner);
    let response = service.oneshot(http::Request::new(Body::empty())).await.unwrap();
    let shown = format!("{response:?}");
    assert!(shown.contains("WatchBody"), "{shown}");
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(4));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "text");
    assert_eq!(counted(&breaker), SUCCESS);
}

#[tokio::test]
async fn clients_that_leave_a_stream_that_flows_say_nothing_about_it() {
    use http_body::Body as _;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    /// One event, and then nothing for a long time.
    struct Stream(bool);
    impl http_body::Body for Stream {
        type Data = bytes::Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, Self::Error>>> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(http_body::Frame::data("event".into()))))
        }
    }

    let (clock, time) = backstop::clock::Clock::manual();
    let breaker = backstop::CircuitBreaker::builder("stream")
        .clock(clock)
        .slow_call_duration_threshold(std::time::Duration::from_secs(1))
        .build()
        .unwrap();
    for _ in 0..200 {
        let answer = async { Ok::<_, std::convert::Infallible>(http::Response::new(Stream(false))) };
        let response = breaker.call_with(answer, &backstop::classify::Auto).await.unwrap();
        let mut body = Box::pin(response.into_body());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(body.as_mut().poll_frame(&mut cx).is_ready());
        assert!(body.as_mut().poll_frame(&mut cx).is_pending());
        time.advance(std::time::Duration::from_millis(900)); // it leaves within the threshold after the last event
    }
    assert_eq!((breaker.state(), breaker.totals().successful), (backstop::circuit_breaker::State::Closed, 200));
}
