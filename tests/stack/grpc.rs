//! gRPC through the server and client of tonic: where the status is found.

use crate::common;

use backstop::circuit_breaker::State;
use backstop::classify::Auto;
use backstop::reject::RejectReason;
use backstop::{CircuitBreaker, Rejected};
use bytes::Bytes;
use common::{counted, eventually, soon};
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::task::{Context, Poll};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::{Layer, ServiceExt};

pub(crate) const SUCCESS: [u64; 5] = [1, 0, 0, 0, 0];
pub(crate) const FAILURE: [u64; 5] = [0, 1, 0, 0, 0];
pub(crate) const IGNORED: [u64; 5] = [0, 0, 1, 0, 0];
const ABANDONED: [u64; 5] = [0, 0, 0, 1, 0];
pub(crate) const REJECTED: [u64; 5] = [0, 0, 0, 0, 1];

/// The health service, with answers by the name that is asked for: a code ends the call with it, `stalls`
/// never ends it.
#[derive(Clone)]
pub(crate) struct Answers;

fn status(name: &str) -> Option<Status> {
    name.parse().ok().map(|code| Status::new(Code::from_i32(code), "as asked"))
}

pub(crate) fn serving() -> HealthCheckResponse {
    HealthCheckResponse { status: ServingStatus::Serving.into() }
}

#[tonic::async_trait]
impl Health for Answers {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        status(&request.into_inner().service).map_or_else(|| Ok(Response::new(serving())), Err)
    }

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let name = request.into_inner().service;
        let message = stream::once(async { Ok(serving()) });
        Ok(Response::new(match status(&name) {
            Some(status) => message.chain(stream::iter([Err(status)])).boxed(),
            None if name == "stalls" => message.chain(stream::pending()).boxed(),
            None => message.boxed(),
        }))
    }
}

/// The health service as a server behaves whose author forgot the trailers.
#[derive(Clone)]
pub(crate) struct NoTrailers;

impl NamedService for NoTrailers {
    const NAME: &'static str = <HealthServer<Answers> as NamedService>::NAME;
}

impl Service<http::Request<Body>> for NoTrailers {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<Body>) -> Self::Future {
        let message = Full::new(Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1])); // SERVING
        let response = http::Response::builder().header("content-type", "application/grpc").body(Body::new(message));
        ready(Ok(response.expect("a static header is valid")))
    }
}

pub(crate) async fn listen() -> (SocketAddr, TcpListenerStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
    (listener.local_addr().expect("a bound listener has an address"), TcpListenerStream::new(listener))
}

pub(crate) async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address is an endpoint");
    soon("connecting", endpoint.connect()).await.expect("the server listens")
}

/// Serves `$server` and connects to it.
macro_rules! connected {
    ($server:expr) => {{
        let (address, incoming) = $crate::grpc::listen().await;
        tokio::spawn($server.serve_with_incoming(incoming));
        $crate::grpc::channel(address).await
    }};
}
pub(crate) use connected;

pub(crate) async fn answers() -> Channel {
    connected!(Server::builder().add_service(HealthServer::new(Answers)))
}

pub(crate) fn ask(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_client_finds_the_status_in_headers() {
    let channel = answers().await;
    for (code, expected) in [("14", FAILURE), ("2", FAILURE), ("5", SUCCESS), ("1", IGNORED)] {
        let breaker = CircuitBreaker::new("health");
        let mut client = HealthClient::new(breaker.wrap(channel.clone()));
        assert_eq!(client.check(ask(code)).await.unwrap_err().code() as i32, code.parse::<i32>().unwrap());
        assert_eq!(counted(&breaker), expected, "{code}");
    }
}

#[tokio::test]
async fn a_client_finds_the_status_in_trailers() {
    let channel = answers().await;
    for (code, expected) in [("14", FAILURE), ("5", SUCCESS), ("1", IGNORED), ("", SUCCESS)] {
        let breaker = CircuitBreaker::new("health");
        let mut client = HealthClient::new(breaker.wrap(channel.clone()));
        let mut messages = client.watch(ask(code)).await.unwrap().into_inner();
        messages.message().await.unwrap().expect("one message comes before the status");
        assert_eq!(counted(&breaker), [0; 5], "200 and a message say nothing yet");
        let end = messages.message().await;
        assert_eq!(end.is_err(), !code.is_empty());
        assert_eq!(counted(&breaker), expected, "{code}");
    }
    let breaker = CircuitBreaker::new("health");
    HealthClient::new(breaker.wrap(channel)).check(ask("")).await.unwrap();
    assert_eq!(counted(&breaker), SUCCESS);
}

#[tokio::test]
async fn a_server_finds_the_status_in_headers_and_trailers() {
    let breaker = CircuitBreaker::new("health");
    let service = breaker.layer().respond().layer(HealthServer::new(Answers));
    let mut client = HealthClient::new(connected!(Server::builder().add_service(service)));
    client.check(ask("")).await.unwrap();
    eventually("trailers of a success", || counted(&breaker) == [1, 0, 0, 0, 0]).await;
    client.check(ask("14")).await.unwrap_err();
    eventually("headers of a failure", || counted(&breaker) == [1, 1, 0, 0, 0]).await;
    let mut messages = client.watch(ask("14")).await.unwrap().into_inner();
    messages.message().await.unwrap();
    messages.message().await.unwrap_err();
    eventually("trailers of a failure", || counted(&breaker) == [1, 2, 0, 0, 0]).await;
}

#[tokio::test]
async fn missing_trailers_are_a_failure_on_both_sides() {
    let server = CircuitBreaker::new("server");
    let channel = connected!(Server::builder().add_service(server.layer().respond().layer(NoTrailers)));
    let client = CircuitBreaker::new("client");
    // What tonic makes of it is its own affair: it lets a unary call without trailers pass.
    drop(HealthClient::new(client.wrap(channel)).check(ask("")).await);
    assert_eq!(counted(&client), FAILURE);
    eventually("the server has seen the end", || counted(&server) == FAILURE).await;
}

#[tokio::test]
async fn a_body_dropped_before_its_first_message_is_abandoned() {
    let channel = answers().await;
    let breaker = CircuitBreaker::new("health");
    let mut client = HealthClient::new(breaker.wrap(channel));
    drop(client.watch(ask("")).await.unwrap()); // unread
    assert_eq!(counted(&breaker), ABANDONED);
    let mut messages = client.watch(ask("")).await.unwrap().into_inner();
    messages.message().await.unwrap();
    drop(messages); // between message and trailers: the dependency has answered
    assert_eq!(counted(&breaker), [0, 0, 1, 1, 0]);
}

#[tokio::test]
async fn a_watch_is_a_probe_until_it_ends_and_leaves_its_place_to_one_more() {
    let (mut reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("orders", tonic_health::ServingStatus::Serving).await;
    let channel = connected!(Server::builder().add_service(service));
    let breaker = CircuitBreaker::builder("health").half_open_max_calls(1).build().unwrap();
    breaker.probe("test");
    let mut client = HealthClient::new(breaker.wrap(channel));

    let mut watches = Vec::new();
    for _ in 0..2 {
        let mut watch = client.watch(ask("orders")).await.unwrap().into_inner();
        watch.message().await.unwrap().expect("the status now");
        assert!(watch.message().now_or_never().is_none());
        watches.push(watch);
    }
    let status = client.check(ask("orders")).await.unwrap_err();
    assert_eq!(Rejected::find(&status).unwrap().reason(), RejectReason::HalfOpen);
    assert_eq!(breaker.state(), State::HalfOpen);

    reporter.clear_service_status("orders").await; // ends its watches, with OK
    assert!(soon("the end of the watch", watches[0].message()).await.unwrap().is_none());
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn dropping_a_watch_frees_its_probe() {
    let breaker = CircuitBreaker::builder("health").half_open_max_calls(1).build().unwrap();
    breaker.probe("test");
    let mut client = HealthClient::new(breaker.wrap(answers().await));
    let mut watches = Vec::new();
    for _ in 0..2 {
        let mut watch = client.watch(ask("stalls")).await.unwrap().into_inner();
        watch.message().await.unwrap().expect("one message");
        watches.push(watch);
    }
    assert!(client.check(ask("")).await.is_err());
    watches.pop();
    assert_eq!(counted(&breaker), [0, 0, 1, 0, 1]);
    client.check(ask("")).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_watch_that_its_client_leaves_says_nothing_on_the_server() {
    let breaker = CircuitBreaker::new("health");
    let service = breaker.layer().respond().layer(HealthServer::new(Answers));
    let mut client = HealthClient::new(connected!(Server::builder().add_service(service)));
    let mut watch = client.watch(ask("stalls")).await.unwrap().into_inner();
    watch.message().await.unwrap().expect("one message");
    drop(watch);
    eventually("the server hears of it", || counted(&breaker) == [0, 0, 1, 0, 0]).await;
}

#[tokio::test]
async fn a_layer_keeps_the_name_that_tonic_routes_by() {
    fn name<S: NamedService>(_: &S) -> &'static str {
        S::NAME
    }
    let breaker = CircuitBreaker::new("health");
    let service = breaker.layer().respond().layer(HealthServer::new(Answers));
    assert_eq!(name(&service), "grpc.health.v1.Health");
}

#[tokio::test]
async fn a_call_without_tower_is_judged_by_its_status() {
    let mut client = HealthClient::new(answers().await);
    for (code, expected) in [("14", FAILURE), ("5", SUCCESS), ("1", IGNORED), ("", SUCCESS)] {
        let breaker = CircuitBreaker::new("health");
        drop(breaker.call_with(client.check(ask(code)), &Auto).await);
        assert_eq!(counted(&breaker), expected, "{code}");
    }
}

#[tokio::test]
async fn raw_calls_end_with_their_trailers() {
    let breaker = CircuitBreaker::new("health");
    let request = http::Request::post("http://ignored/grpc.health.v1.Health/Check")
        .header("content-type", "application/grpc")
        .body(Body::new(Full::new(Bytes::from_static(&[0, 0, 0, 0, 0]))))
        .unwrap();
    let response = breaker.wrap(answers().await).oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(counted(&breaker), SUCCESS);
}
