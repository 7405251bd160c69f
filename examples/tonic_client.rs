//! A gRPC client: a wrapped channel, with each call classified by its status, in the headers or the trailers.
//!
//! `cargo run --example tonic_client`

use backstop::{BoxError, CircuitBreaker, Rejected};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (_reporter, service) = tonic_health::server::health_reporter();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let incoming = TcpListenerStream::new(listener);
    let server = Server::builder().add_service(service);
    let server = tokio::spawn(server.serve_with_incoming_shutdown(incoming, async { drop(stopped.await) }));

    let health = CircuitBreaker::builder("health").consecutive_failures_threshold(2).build()?;
    let channel = Channel::from_shared(url)?.connect().await?;
    let mut client = HealthClient::new(health.wrap(channel));

    println!("{:?}", client.check(HealthCheckRequest::default()).await?.into_inner().status());
    // NOT_FOUND is the caller's mistake: the dependency works.
    let unknown = HealthCheckRequest { service: "unknown".into() };
    println!("{:?}", client.check(unknown).await.unwrap_err().code());
    assert_eq!(health.totals().successful, 2);

    drop(stop);
    server.await??; // the dependency is gone
    loop {
        let status = client.check(HealthCheckRequest::default()).await.unwrap_err();
        println!("{:?}: circuit {}", status.code(), health.state());
        if let Some(rejected) = Rejected::find(&status) {
            println!("{rejected}");
            break;
        }
    }
    assert_eq!(health.totals().failed, 2);
    Ok(())
}
