//! A bulkhead in real servers and in front of real clients: HTTP and gRPC through sockets.

use crate::bodies;
use crate::common;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use backstop::bulkhead::{HoldExpired, Permit};
use backstop::reject::{BoxError, Mechanism, RejectReason};
use backstop::{Bulkhead, CircuitBreaker, Rejected};
use bytes::Bytes;
use common::{counted, eventually, get, hyper_client, request, serve, soon};
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, health_server::HealthServer};
use tower::{Layer, Service, ServiceExt};

const IGNORED: [u64; 5] = [0, 0, 1, 0, 0];

async fn behave(request: Request) -> Response {
    match request.uri().path() {
        "/endless" => {
            let chunk = Bytes::from(vec![b'x'; 65_536]);
            Body::from_stream(stream::repeat(chunk).map(Ok::<_, io::Error>)).into_response()
        }
        "/breaks" => bodies::broken().into_response(),
        "/stalls" => bodies::stalled().into_response(),
        path => {
            let status = path.trim_start_matches('/').parse().unwrap_or(StatusCode::OK);
            (status, if status == StatusCode::OK { "text" } else { "" }).into_response()
        }
    }
}

fn app() -> Router {
    Router::new().fallback(any(behave))
}

fn one_call(name: &str) -> Bulkhead {
    Bulkhead::builder(name).max_concurrent_calls(1).build().unwrap()
}

fn full() -> (Bulkhead, Permit) {
    let bulkhead = one_call("orders");
    let permit = bulkhead.try_acquire().unwrap();
    (bulkhead, permit)
}

fn in_flight(bulkhead: &Bulkhead) -> u32 {
    bulkhead.snapshot().in_flight
}

/// Sends a request on a connection of its own and reads what fits into a small buffer: the head, and no more.
async fn connect(address: SocketAddr, path: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: here\r\n\r\n").as_bytes()).await.unwrap();
    let mut buffer = [0; 256];
    let read = soon("the head of the response", connection.read(&mut buffer)).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&buffer[..read]));
    connection
}

// ---- connections and bodies

/// As many connections as there may be, up to a thousand: each has a file on both sides.
fn connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|files| files.split_whitespace().next()?.parse().ok()).unwrap_or(1_024_usize);
    (soft.saturating_sub(200) / 2).min(1_000)
}

/// vector#26457: with a limit that reserves in `poll_ready` they held all the permits.
#[tokio::test]
async fn a_thousand_idle_connections_hold_no_permit() {
    let bulkhead = Bulkhead::builder("idle").max_concurrent_calls(3).build().unwrap();
    let address = serve(app().layer(bulkhead.layer().until_body_end().respond())).await;
    let mut idle = Vec::new();
    for _ in 0..connections() {
        idle.push(connect(address, "/").await);
        eventually("the response is out", || in_flight(&bulkhead) == 0).await;
    }
    assert_eq!((bulkhead.snapshot().available(), bulkhead.totals().permitted), (3, idle.len() as u64));
    drop(connect(address, "/").await);
}

#[tokio::test]
async fn a_client_that_reads_slowly_holds_its_permit_until_it_goes_away() {
    let bulkhead = one_call("slow");
    let address = serve(app().layer(bulkhead.layer().until_body_end().respond())).await;
    let slow = connect(address, "/endless").await;
    assert_eq!(in_flight(&bulkhead), 1);
    let refused = hyper_client().request(get(address, "/")).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(slow);
    eventually("the server notices", || in_flight(&bulkhead) == 0).await;
    assert_eq!(hyper_client().request(get(address, "/")).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn by_default_a_call_is_over_with_the_head_of_its_response() {
    let bulkhead = one_call("head");
    let address = serve(app().layer(bulkhead.layer().respond())).await;
    let slow = [connect(address, "/endless").await, connect(address, "/endless").await];
    assert_eq!((in_flight(&bulkhead), bulkhead.totals().permitted), (0, 2));
    drop(slow);
}

#[tokio::test]
async fn max_hold_breaks_a_body_that_stalls_and_frees_its_permit() {
    let bulkhead =
        Bulkhead::builder("stalls").max_concurrent_calls(1).max_hold(Duration::from_millis(300)).build().unwrap();
    let address = serve(app().layer(bulkhead.layer().until_body_end().respond())).await;
    let response = hyper_client().request(get(address, "/stalls")).await.unwrap();
    assert!(soon("the end of the body", response.into_body().collect()).await.is_err(), "it breaks, it does not end");
    eventually("the permit is back", || in_flight(&bulkhead) == 0).await;
    assert_eq!(bulkhead.totals().abandoned, 1);

    // As a client it sees why.
    let stalling = serve(app()).await;
    let response = bulkhead.layer().until_body_end().layer(hyper_client()).oneshot(get(stalling, "/stalls")).await;
    let error = soon("the end of the body", response.unwrap().into_body().collect()).await.unwrap_err();
    assert!(error.is::<HoldExpired>(), "{error}");
    assert_eq!((in_flight(&bulkhead), bulkhead.totals().abandoned), (0, 2));
}

/// Its body breaks, or the call that waits takes the permit away, whichever comes first.
#[tokio::test]
async fn max_hold_frees_the_permit_of_a_client_that_reads_nothing_when_another_call_waits() {
    let bulkhead = Bulkhead::builder("reads nothing")
        .max_concurrent_calls(1)
        .max_hold(Duration::from_millis(300))
        .max_wait(Duration::from_secs(3_600))
        .build()
        .unwrap();
    let address = serve(app().layer(bulkhead.layer().until_body_end().respond())).await;
    let slow = connect(address, "/endless").await;
    let response = soon("its turn", hyper_client().request(get(address, "/"))).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.into_body().collect().await.unwrap();
    drop(slow);
    eventually("nothing is in flight", || in_flight(&bulkhead) == 0).await;
    assert_eq!((bulkhead.totals().permitted, bulkhead.totals().abandoned), (2, 1));
}

#[tokio::test]
async fn a_body_that_breaks_gives_its_permit_back() {
    let bulkhead = one_call("breaks");
    let address = serve(app().layer(bulkhead.layer().until_body_end().respond())).await;
    for _ in 0..3 {
        let response = hyper_client().request(get(address, "/breaks")).await.unwrap();
        assert!(response.into_body().collect().await.is_err());
        eventually("the permit is back", || in_flight(&bulkhead) == 0).await;
    }
    let upstream = serve(app()).await;
    let client = bulkhead.layer().until_body_end().layer(hyper_client());
    let response = client.oneshot(get(upstream, "/breaks")).await.unwrap();
    assert_eq!(in_flight(&bulkhead), 1);
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test]
async fn a_response_without_a_body_gives_its_permit_back() {
    let bulkhead = one_call("bodiless");
    let address = serve(app().layer(bulkhead.layer().until_body_end().respond())).await;
    let client = hyper_client();
    for (method, path) in [("HEAD", "/"), ("GET", "/204"), ("GET", "/304"), ("GET", "/404"), ("HEAD", "/endless")] {
        let response = soon(path, client.request(request(method, address, path))).await.unwrap();
        assert_ne!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        eventually("the permit is back", || in_flight(&bulkhead) == 0).await;
    }
    // Also where nobody looks at the body.
    let mut service = bulkhead.layer().until_body_end().respond().layer(app());
    for path in ["/204", "/404"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let _unread = ServiceExt::<Request>::ready(&mut service).await.unwrap().call(request).await.unwrap();
        assert_eq!(in_flight(&bulkhead), 0, "{path}");
    }
    let request = Request::get("/").body(Body::empty()).unwrap();
    let unread = ServiceExt::<Request>::ready(&mut service).await.unwrap().call(request).await.unwrap();
    assert_eq!(in_flight(&bulkhead), 1);
    drop(unread);
    assert_eq!(in_flight(&bulkhead), 0);
}

// ---- rejections

#[tokio::test]
async fn a_rejected_request_is_told_503_and_no_time_to_come_back() {
    let (bulkhead, _permit) = full();
    let layer = bulkhead.layer().until_body_end().respond();
    let address = serve(app().layer(layer.clone())).await;
    let response = hyper_client().request(get(address, "/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert!(!response.headers().contains_key(header::RETRY_AFTER), "when it is worth trying again is not known");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(problem.to_string().contains("the call was rejected: full"), "{problem}");

    let response = layer.layer(app()).oneshot(Request::new(Body::empty())).await.unwrap();
    let rejected = response.extensions().get::<Rejected>().expect("it can be found");
    assert_eq!(
        (rejected.by(), rejected.reason(), rejected.name()),
        (Mechanism::Bulkhead, RejectReason::Full, "orders")
    );
    assert_eq!(bulkhead.totals().rejected_full, 2);
}

#[tokio::test]
async fn an_outer_breaker_ignores_the_rejections_of_a_bulkhead() {
    let (bulkhead, _permit) = full();
    let upstream = serve(app()).await;

    let breaker = CircuitBreaker::new("as an error");
    let error = breaker.wrap(bulkhead.wrap(hyper_client())).oneshot(get(upstream, "/")).await.unwrap_err();
    assert_eq!(Rejected::find(&*error).unwrap().by(), Mechanism::Bulkhead);
    assert_eq!(counted(&breaker), IGNORED);

    let breaker = CircuitBreaker::new("as a response");
    let app = app().layer(bulkhead.layer().respond()).layer(breaker.layer().respond());
    let response = hyper_client().request(get(serve(app).await, "/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    eventually("it is counted", || counted(&breaker) == IGNORED).await;

    let breaker = CircuitBreaker::new("as a result");
    let nested = breaker.call(bulkhead.call(async { Ok::<_, io::Error>(()) })).await;
    assert!(nested.is_err());
    assert_eq!(counted(&breaker), IGNORED);
}

// ---- clients

#[tokio::test]
async fn reqwest_and_hyper_util_hold_a_permit_while_they_wait_for_an_answer() {
    let upstream = serve(app()).await;
    let bulkhead = one_call("client");
    let client = reqwest::Client::new();
    let to = |path| reqwest::Request::new(reqwest::Method::GET, format!("http://{upstream}{path}").parse().unwrap());
    let mut wrapped = bulkhead.wrap(&client);
    let call = wrapped.ready().await.unwrap().call(to("/"));
    assert_eq!(in_flight(&bulkhead), 1, "from the call on, polled or not");
    let error = bulkhead.wrap(hyper_client()).oneshot(get(upstream, "/")).await.unwrap_err();
    assert_eq!(Rejected::find(&*error).unwrap().reason(), RejectReason::Full);
    assert_eq!(call.await.unwrap().text().await.unwrap(), "text");
    assert_eq!(in_flight(&bulkhead), 0);
    let response = bulkhead.wrap(hyper_client()).oneshot(get(upstream, "/")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "text");
    let response = bulkhead.call(client.execute(to("/"))).await.unwrap();
    assert_eq!((response.status(), in_flight(&bulkhead)), (StatusCode::OK, 0));
}

#[tokio::test]
async fn a_client_that_gives_up_on_its_answer_gives_its_permit_back_at_once() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let bulkhead = one_call("silent");
    let call = bulkhead.wrap(hyper_client()).oneshot(get(silent.local_addr().unwrap(), "/"));
    let connection = tokio::select! {
        answer = call => panic!("answered: {answer:?}"),
        connection = silent.accept() => connection, // the call is under way, and dropped here
    };
    assert_eq!((in_flight(&bulkhead), bulkhead.totals().abandoned), (0, 1));
    drop(connection);
}

// ---- gRPC

fn ask() -> HealthCheckRequest {
    HealthCheckRequest { service: String::new() }
}

/// Serves `$server` and connects to it.
macro_rules! connected {
    ($server:expr) => {{
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn($server.serve_with_incoming(incoming));
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel: Channel = soon("connecting", endpoint.connect()).await.expect("the server listens");
        channel
    }};
}

#[tokio::test]
async fn grpc_is_told_resource_exhausted() {
    let (_, health) = tonic_health::server::health_reporter();
    let (bulkhead, permit) = full();
    let service = bulkhead.layer().until_body_end().respond().layer(health.clone());
    let responding = connected!(Server::builder().add_service(service));
    let failing = connected!(Server::builder().layer(bulkhead.layer()).add_service(health.clone()));
    let plain = connected!(Server::builder().add_service(health));
    for channel in [&responding, &failing] {
        let status = HealthClient::new(channel.clone()).check(ask()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert_eq!(status.message(), "the call was rejected: full");
        assert!(status.metadata().get("grpc-retry-pushback-ms").is_none());
    }
    let status = HealthClient::new(bulkhead.wrap(plain.clone())).check(ask()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(Rejected::find(&status).unwrap().by(), Mechanism::Bulkhead);

    drop(permit);
    for channel in [responding, failing] {
        HealthClient::new(channel).check(ask()).await.unwrap();
        eventually("the permit is back", || in_flight(&bulkhead) == 0).await;
    }
    HealthClient::new(bulkhead.wrap(plain)).check(ask()).await.unwrap();
    assert_eq!(in_flight(&bulkhead), 0);
}

#[tokio::test]
async fn a_watch_holds_its_permit_until_its_client_leaves() {
    let (_, health) = tonic_health::server::health_reporter();
    let bulkhead = one_call("watch");
    let service = bulkhead.layer().until_body_end().respond().layer(health);
    let mut client = HealthClient::new(connected!(Server::builder().add_service(service)));
    let mut watch = client.watch(ask()).await.unwrap().into_inner();
    watch.message().await.unwrap().expect("the status now");
    assert!(watch.message().now_or_never().is_none());
    assert_eq!(client.check(ask()).await.unwrap_err().code(), Code::ResourceExhausted);
    drop(watch);
    eventually("the server hears of it", || in_flight(&bulkhead) == 0).await;
    client.check(ask()).await.unwrap();
}

/// iota#12137: a layer without it cannot be mounted.
#[test]
fn a_layer_keeps_the_name_that_tonic_routes_by() {
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let (_, health): (_, HealthServer<_>) = tonic_health::server::health_reporter();
    let bulkhead = one_call("health");
    let layer = bulkhead.layer().until_body_end();
    assert_eq!(name(&layer.clone().respond().layer(health.clone())), "grpc.health.v1.Health");
    assert_eq!(name(&bulkhead.wrap(health)), "grpc.health.v1.Health");
}

#[tokio::test]
async fn a_held_response_is_as_useful_as_the_original() {
    let inner = tower::service_fn(async |_: Request| Ok::<_, Infallible>(Response::new(Body::from("text"))));
    let service = one_call("handlers").layer().until_body_end().respond().layer(inner);
    let response = service.oneshot(Request::new(Body::empty())).await.unwrap();
    assert!(format!("{response:?}").contains("HeldBody"));
    assert_eq!(http_body::Body::size_hint(response.body()).exact(), Some(4));
    let text: Result<_, BoxError> = response.into_body().collect().await;
    assert_eq!(text.unwrap().to_bytes(), "text");
}
