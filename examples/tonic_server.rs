//! A gRPC server: a breaker for one service, with rejections that every gRPC client understands.
//!
//! `cargo run --example tonic_server`

use backstop::{BoxError, CircuitBreaker};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Channel, Server};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tower::Layer;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let health = CircuitBreaker::new("health");
    let (_reporter, service) = tonic_health::server::health_reporter();
    // In front of this service only; `Server::builder().layer(..)` puts it in front of all of them.
    let service = health.layer().respond().layer(service);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let incoming = TcpListenerStream::new(listener);
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));

    let mut client = HealthClient::new(Channel::from_shared(url)?.connect().await?);
    let answer = client.check(HealthCheckRequest::default()).await?.into_inner();
    println!("closed: {:?}", answer.status());

    health.trip_for(Duration::from_secs(5), "the database is being moved");
    let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    println!("open: {}", status.message());
    println!("pushback: {:?} ms", status.metadata().get("grpc-retry-pushback-ms"));

    assert_eq!(health.totals().not_permitted, 1);
    Ok(())
}
