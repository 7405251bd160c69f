//! tonic over loopback: unary calls, streams and their trailers.

use crate::common::{eventually, soon};
use crate::{counted, sum};

use backstop::{CircuitBreaker, Signals};
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::Layer;

/// The health service, with answers by the name that is asked for: a code ends the call with it, `stalls` never ends it.
#[derive(Clone)]
struct Answers;

fn status(name: &str) -> Option<Status> {
    name.parse().ok().map(|code| Status::new(Code::from_i32(code), "as asked"))
}

fn serving() -> HealthCheckResponse {
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

async fn serve(signals: &Signals) -> Channel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().layer(signals.layer()).add_service(HealthServer::new(Answers));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    soon("connecting", endpoint.connect()).await.unwrap()
}

fn ask(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

/// Class of a code: success, client error, server error, nothing.
const CODES: [(&str, usize); 7] = [("all is well", 0), ("0", 0), ("3", 1), ("5", 1), ("8", 1), ("13", 2), ("1", 6)];

#[tokio::test]
async fn unary_calls_are_in_the_class_of_their_status() {
    let signals = Signals::new("health");
    let mut client = HealthClient::new(serve(&signals).await);
    let mut expected = [0; 7];
    for (name, class) in CODES {
        let _ = soon(name, client.check(ask(name))).await;
        expected[class] += 1;
        eventually("it is counted", || sum(&signals) == expected.iter().sum::<u64>()).await;
        assert_eq!(counted(&signals), expected, "{name}");
    }
}

#[tokio::test]
async fn trailers_decide_on_streams_and_a_client_that_leaves_says_nothing() {
    let signals = Signals::new("health");
    let mut client = HealthClient::new(serve(&signals).await);
    let mut expected = [0; 7];
    for (name, class) in CODES {
        let mut stream = client.watch(ask(name)).await.unwrap().into_inner();
        while let Ok(Some(_)) = soon(name, stream.message()).await {}
        expected[class] += 1;
        eventually("it is counted", || sum(&signals) == expected.iter().sum::<u64>()).await;
        assert_eq!(counted(&signals), expected, "{name}");
    }
    let mut stream = client.watch(ask("stalls")).await.unwrap().into_inner();
    soon("a message", stream.message()).await.unwrap().unwrap();
    assert_eq!(signals.snapshot().in_flight, 1);
    drop(stream);
    expected[6] += 1;
    eventually("the server has seen it leave", || signals.snapshot().in_flight == 0).await;
    assert_eq!(counted(&signals), expected);
}

#[tokio::test]
async fn a_layer_goes_round_a_service_of_tonic_and_its_breaker() {
    let (signals, breaker) = (Signals::new("health"), CircuitBreaker::new("health"));
    breaker.force_open("test");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = signals.layer().layer(breaker.layer().respond().layer(HealthServer::new(Answers)));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(TcpListenerStream::new(listener)));
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let status = HealthClient::new(channel).check(ask("any")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(counted(&signals), [0, 0, 0, 1, 0, 0, 0]);
}
