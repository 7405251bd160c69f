//! Whose fault a failed call is: the dependency's, the caller's, or nobody's.

use crate::common;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, post};
use backstop::circuit_breaker::State;
use backstop::classify::{Errors, HttpHead};
use backstop::clock::Clock;
use backstop::{Bulkhead, CallError, CircuitBreaker, Rejected};
use common::{counted, hyper_client, serve};
use futures_util::StreamExt as _;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

const SUCCESS: [u64; 5] = [1, 0, 0, 0, 0];
const FAILURE: [u64; 5] = [0, 1, 0, 0, 0];
const IGNORED: [u64; 5] = [0, 0, 1, 0, 0];

/// A server that answers with the status in the path.
async fn statuses() -> SocketAddr {
    let answer =
        async |request: Request| request.uri().path()[1..].parse::<StatusCode>().unwrap_or(StatusCode::NOT_FOUND);
    serve(Router::new().fallback(any(answer))).await
}

#[tokio::test]
async fn what_a_client_does_wrong_says_nothing_about_the_server() {
    let answer =
        async |request: Request| request.uri().path()[1..].parse::<StatusCode>().unwrap_or(StatusCode::NOT_FOUND);
    for (status, expected) in [(408, IGNORED), (429, IGNORED), (499, IGNORED), (404, SUCCESS), (503, FAILURE)] {
        let handlers = CircuitBreaker::new("handlers");
        let app = Router::new().fallback(any(answer)).layer(handlers.layer().respond());
        hyper_client().request(common::get(serve(app).await, &format!("/{status}"))).await.unwrap();
        assert_eq!(counted(&handlers), expected, "{status}");
    }
}

#[tokio::test]
async fn one_greedy_tenant_behind_a_rate_limiter_opens_nothing() {
    let handlers = CircuitBreaker::new("handlers");
    let limited = async |request: Request| match request.uri().path() {
        "/greedy" => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::OK,
    };
    let app = Router::new().fallback(any(limited)).layer(handlers.layer().respond());
    let (address, client) = (serve(app).await, hyper_client());
    for i in 0..100 {
        let path = if i % 5 < 3 { "/greedy" } else { "/fine" };
        client.request(common::get(address, path)).await.unwrap();
    }
    assert_eq!(handlers.state(), State::Closed);
}

#[tokio::test]
async fn to_a_client_408_and_429_are_failures_and_a_side_can_be_said() {
    let address = statuses().await;
    for status in [408, 429, 500] {
        let breaker = CircuitBreaker::new("upstream");
        breaker.wrap(hyper_client()).oneshot(common::get(address, &format!("/{status}"))).await.unwrap();
        assert_eq!(counted(&breaker), FAILURE, "{status}");
    }
    let breaker = CircuitBreaker::new("upstream");
    let service = ServiceBuilder::new().layer(breaker.layer().inbound()).service(hyper_client());
    service.oneshot(common::get(address, "/429")).await.unwrap();
    assert_eq!(counted(&breaker), IGNORED);
    let proxy = CircuitBreaker::new("upstream");
    let service = ServiceBuilder::new().layer(proxy.layer().respond().outbound()).service(hyper_client());
    service.oneshot(common::get(address, "/429")).await.unwrap();
    assert_eq!(counted(&proxy), FAILURE);
}

/// A body whose sender breaks off.
fn broken_upload() -> Body {
    broken_upload_after(Duration::ZERO)
}

fn broken_upload_after(after: Duration) -> Body {
    let parts = [Ok(Bytes::from("part")), Err(std::io::Error::other("the caller of the proxy has gone"))];
    let parts = futures_util::stream::iter(parts).then(move |part| async move {
        if part.is_err() {
            tokio::time::sleep(after).await;
        }
        part
    });
    Body::from_stream(parts)
}

#[tokio::test]
async fn an_upload_that_breaks_off_is_not_the_dependencys_fault() {
    let address = serve(Router::new().route("/", post(async |body: Bytes| body))).await;
    let breaker = CircuitBreaker::new("upstream");
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let request = http::Request::post(format!("http://{address}/")).body(broken_upload()).unwrap();
    breaker.wrap(client.clone()).oneshot(request).await.unwrap_err();
    assert_eq!(counted(&breaker), IGNORED, "hyper-util");
    let request = http::Request::post(format!("http://{address}/")).body(broken_upload()).unwrap();
    breaker.call(client.request(request)).await.unwrap_err();
    assert_eq!(counted(&breaker), [0, 0, 2, 0, 0], "hyper-util without Tower");

    let breaker = CircuitBreaker::new("upstream");
    let body = reqwest::Body::wrap_stream(http_body_util::BodyDataStream::new(broken_upload()));
    let sent = reqwest::Client::new().post(format!("http://{address}/")).body(body).send();
    breaker.call(sent).await.unwrap_err();
    assert_eq!(counted(&breaker), IGNORED, "reqwest");

    let breaker = CircuitBreaker::new("upstream");
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let late = broken_upload_after(Duration::from_millis(30));
    let request = http::Request::post(format!("http://{address}/")).body(late).unwrap();
    breaker.wrap(client).oneshot(request).await.unwrap_err();
    assert_eq!(counted(&breaker), IGNORED, "HTTP/2");
}

#[tokio::test]
async fn an_upload_that_breaks_off_after_the_head_breaks_the_answer_by_no_fault_of_the_dependency() {
    let address = serve(Router::new().route("/", post(async |body: Body| body))).await; // answers at once, and echoes
    for is_http2 in [false, true] {
        let breaker = CircuitBreaker::new("upstream");
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).http2_only(is_http2).build_http();
        let late = broken_upload_after(Duration::from_millis(30));
        let request = http::Request::post(format!("http://{address}/")).body(late).unwrap();
        let response = breaker.wrap(client).oneshot(request).await.unwrap();
        response.into_body().collect().await.unwrap_err();
        assert_eq!(counted(&breaker), IGNORED, "HTTP/2: {is_http2}");
    }
}

/// hyper reads the peer's reset, or notices it as it writes.
#[tokio::test]
async fn a_dependency_that_resets_while_the_rest_of_an_upload_is_sent_fails() {
    for pause in [Duration::ZERO, Duration::from_millis(50)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_exact(&mut [0; 4]).await.unwrap(); // of the request
            let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n";
            stream.write_all(head).await.unwrap();
            tokio::time::sleep(pause / 2).await;
            stream.set_zero_linger().unwrap();
        });
        let breaker = CircuitBreaker::new("upstream");
        let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
        let parts = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>("part"));
        let slowly = parts.then(async |part| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            part
        });
        let request = http::Request::post(format!("http://{address}/")).body(Body::from_stream(slowly)).unwrap();
        // The reset may overtake the head.
        if let Ok(response) = breaker.wrap(client).oneshot(request).await {
            tokio::time::sleep(pause).await; // of the reader: the upload notices first
            response.into_body().collect().await.unwrap_err();
        }
        assert_eq!(counted(&breaker), FAILURE, "after {pause:?}");
    }
}

#[tokio::test]
async fn a_rejection_inside_is_found_whatever_the_error_type_of_the_call() {
    #[derive(Debug)]
    enum OrderError {
        Stock(CallError<std::fmt::Error>),
        Broken,
    }
    let inner = Bulkhead::builder("inner").max_concurrent_calls(1).build().unwrap();
    let _held = inner.try_acquire().unwrap();
    let outer = CircuitBreaker::new("outer");
    let stock = || inner.call(async { Err::<(), _>(std::fmt::Error) });
    assert!(matches!(outer.call(stock()).await, Err(CallError::Inner(CallError::Rejected(_)))));
    let order = async { stock().await.map_err(OrderError::Stock) };
    let error = outer.call(order).await.unwrap_err();
    assert!(matches!(error, CallError::Inner(OrderError::Stock(CallError::Rejected(_)))));
    assert_eq!(counted(&outer), [0, 0, 2, 0, 0]);
    // One that was handled before says nothing about a later failure.
    let order = async {
        drop(stock().await);
        tokio::task::yield_now().await;
        Err::<(), _>(OrderError::Broken)
    };
    outer.call(order).await.unwrap_err();
    outer.call(async { Err::<(), _>(OrderError::Broken) }).await.unwrap_err();
    assert_eq!(counted(&outer), [0, 2, 2, 0, 0]);
}

#[derive(Debug, thiserror::Error)]
#[error("broken")]
struct Broken;

/// A service that is finished.
struct Finished;

impl Service<()> for Finished {
    type Response = ();
    type Error = Broken;
    type Future = std::future::Ready<Result<(), Broken>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        Poll::Ready(Err(Broken))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        std::future::ready(Err(Broken))
    }
}

#[test]
fn a_rejection_of_another_call_on_the_thread_excuses_no_failure() {
    let (other, breaker) = (CircuitBreaker::new("other"), CircuitBreaker::new("upstream"));
    other.force_open("maintenance");
    let reject = || other.call_blocking(|| Ok::<_, Broken>(())).unwrap_err();
    reject();
    breaker.call_blocking(|| Err::<(), _>(Broken)).unwrap_err();
    assert_eq!(counted(&breaker), FAILURE, "blocking");
    reject();
    let mut service = breaker.layer().classify(Errors).layer(Finished);
    assert!(matches!(service.poll_ready(&mut Context::from_waker(Waker::noop())), Poll::Ready(Err(_))));
    assert_eq!(counted(&breaker), [0, 2, 0, 0, 0], "a service that is finished");
}

#[tokio::test]
async fn clients_that_leave_do_not_open_a_route_that_has_a_fallback() {
    let handlers = CircuitBreaker::builder("handlers").consecutive_failures_threshold(5).build().unwrap();
    let slow = || async { tokio::time::sleep(Duration::from_millis(200)).await };
    let cached = |_: Request, _: Rejected| Ok(StatusCode::OK.into_response());
    let app = Router::new().route("/", any(slow)).layer(handlers.layer().fallback(cached).classify(HttpHead));
    let (address, client) = (serve(app).await, hyper_client());
    for _ in 0..10 {
        let left = client.request(common::get(address, "/"));
        tokio::time::timeout(Duration::from_millis(100), left).await.unwrap_err();
    }
    assert_eq!(handlers.state(), State::Closed);
}

#[tokio::test]
async fn a_rejection_is_found_in_dynamic_errors() {
    let inner = Bulkhead::builder("inner").max_concurrent_calls(1).build().unwrap();
    let _held = inner.try_acquire().unwrap();
    let rejected = || inner.try_acquire().unwrap_err();
    let outer = CircuitBreaker::new("outer");
    outer.call(async { Err::<(), _>(anyhow::Error::new(rejected())) }).await.unwrap_err();
    outer.call(async { Err::<(), _>(anyhow::Error::new(rejected()).context("orders")) }).await.unwrap_err();
    let through = || reqwest_middleware::Error::Middleware(anyhow::Error::new(rejected()));
    outer.call(async { Err::<(), _>(through()) }).await.unwrap_err();
    assert_eq!(counted(&outer), [0, 0, 3, 0, 0]);
    assert!(Rejected::find(&through()).is_some());
    assert!(Rejected::find(&*anyhow::Error::new(through())).is_some());
    outer.call(async { Err::<(), _>(anyhow::anyhow!("broken")) }).await.unwrap_err();
    assert_eq!(counted(&outer), [0, 1, 3, 0, 0]);
}

#[tokio::test]
async fn a_refusal_of_load_shed_inside_says_nothing() {
    let breaker = CircuitBreaker::new("upstream");
    let hangs = tower::service_fn(|()| std::future::pending::<Result<(), std::io::Error>>());
    let layers = ServiceBuilder::new().layer(breaker.layer().classify(Errors));
    let mut service = layers.layer(LoadShedLayer::new()).layer(ConcurrencyLimitLayer::new(1)).service(hangs);
    let _held = service.ready().await.unwrap().call(());
    service.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(counted(&breaker), IGNORED);
}

#[tokio::test]
async fn a_plain_call_judges_what_reqwest_and_tonic_answer() {
    let address = statuses().await;
    let breaker = CircuitBreaker::new("upstream");
    let client = reqwest::Client::new();
    for _ in 0..150 {
        drop(breaker.call(client.get(format!("http://{address}/500")).send()).await);
    }
    assert_eq!((breaker.state(), counted(&breaker)[1]), (State::Open, 100));
    let breaker = CircuitBreaker::new("ledger");
    let call = breaker.call(async { Err::<(), _>(tonic::Status::not_found("no such entry")) }).await;
    assert!(matches!(call, Err(CallError::Inner(_))));
    breaker.call(async { Err::<(), _>(tonic::Status::unavailable("down")) }).await.unwrap_err();
    assert_eq!(counted(&breaker), [1, 1, 0, 0, 0]);
    let breaker = CircuitBreaker::new("upstream");
    breaker.call(hyper_client().request(common::get(address, "/500"))).await.unwrap();
    assert_eq!(counted(&breaker), FAILURE, "hyper");
}

#[tokio::test]
async fn a_plain_call_judges_what_a_timeout_returns() {
    let address = statuses().await;
    let client = reqwest::Client::new();
    let within = async |url: String| {
        let breaker = CircuitBreaker::new("upstream");
        let sent = tokio::time::timeout(Duration::from_secs(20), client.get(url).send());
        drop(breaker.call(sent).await);
        counted(&breaker)
    };
    assert_eq!(within(format!("http://{address}/200")).await, SUCCESS);
    assert_eq!(within(format!("http://{address}/500")).await, FAILURE);
    assert_eq!(within("http://127.0.0.1:1/".to_owned()).await, FAILURE);
}

#[tokio::test]
async fn an_error_by_status_has_the_outcome_of_the_status() {
    let address = statuses().await;
    for (status, expected) in [(404, SUCCESS), (429, FAILURE), (503, FAILURE)] {
        let breaker = CircuitBreaker::new("upstream");
        let fetch = async || reqwest::get(format!("http://{address}/{status}")).await?.error_for_status();
        breaker.call(fetch()).await.unwrap_err();
        assert_eq!(counted(&breaker), expected, "{status}");
        let breaker = CircuitBreaker::new("upstream");
        breaker.call(async { fetch().await.map_err(anyhow::Error::from) }).await.unwrap_err();
        assert_eq!(counted(&breaker), expected, "{status} in anyhow's error");
    }
}

#[tokio::test]
async fn a_date_is_read_by_the_clock_of_the_server_that_sent_it() {
    let ahead = SystemTime::now() + Duration::from_secs(300);
    let date = |after| httpdate::fmt_http_date(ahead + Duration::from_secs(after));
    let (now, until) = (date(0), date(30));
    let busy = move || {
        let headers: [(HeaderName, String); 2] = [(header::DATE, now.clone()), (header::RETRY_AFTER, until.clone())];
        async move { (StatusCode::SERVICE_UNAVAILABLE, headers) }
    };
    let address = serve(Router::new().fallback(any(busy))).await;
    let (clock, _time) = Clock::manual();
    let builder = CircuitBreaker::builder("upstream").clock(clock).consecutive_failures_threshold(1);
    let breaker = builder.build().unwrap();
    breaker.wrap(hyper_client()).oneshot(common::get(address, "/")).await.unwrap();
    assert_eq!(breaker.retry_after(), Some(Duration::from_secs(30)));
}

#[tokio::test]
async fn a_page_of_a_load_balancer_fails_a_call_of_tonic() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    for (status, expected) in [(200, FAILURE), (404, FAILURE), (400, FAILURE), (401, SUCCESS)] {
        let breaker = CircuitBreaker::new("ledger");
        let page = move |_: http::Request<tonic::body::Body>| {
            let page = http::Response::builder().status(status).header(header::CONTENT_TYPE, "text/html");
            let body = tonic::body::Body::new(http_body_util::Full::new(Bytes::from("<html></html>")));
            std::future::ready(Ok::<_, std::convert::Infallible>(page.body(body).unwrap()))
        };
        let mut client = HealthClient::new(breaker.wrap(tower::service_fn(page)));
        client.check(HealthCheckRequest::default()).await.unwrap_err();
        assert_eq!(counted(&breaker), expected, "{status}");

        for text in ["", "<html></html>"] {
            let breaker = CircuitBreaker::new("ledger");
            let page = move |_: http::Request<tonic::body::Body>| {
                let body = tonic::body::Body::new(http_body_util::Full::new(Bytes::from(text)));
                let page = http::Response::builder().status(status).body(body);
                std::future::ready(Ok::<_, std::convert::Infallible>(page.unwrap()))
            };
            let mut client = HealthClient::new(tower::service_fn(page));
            breaker.call(client.check(HealthCheckRequest::default())).await.unwrap_err();
            assert_eq!(counted(&breaker), expected, "{status} with {text:?}, by a plain call");
        }
    }
}
