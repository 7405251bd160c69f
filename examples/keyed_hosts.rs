//! One circuit per host: calls to the failing shard are rejected, the others continue.
//!
//! `cargo run --example keyed_hosts`

use axum::{Router, http::StatusCode, routing::get};
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
use backstop::circuit_breaker::{CircuitBreakerConfig, SlidingWindow};
use backstop::classify::Auto;
use backstop::{BoxError, CallError};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let good = serve(StatusCode::OK).await?;
    let bad = serve(StatusCode::INTERNAL_SERVER_ERROR).await?;

    let config = CircuitBreakerConfig::builder().window(SlidingWindow::count(20)).minimum_calls(5).build()?;
    let hosts = KeyedCircuitBreaker::<String>::builder("shards")
        .config(config)
        .max_keys(1_000)
        .max_open_fraction(0.5) // if most shards seem to fail, the fault is likely on our side
        .build()?;

    let client = reqwest::Client::new();
    let mut rejected = 0;
    for _ in 0..10 {
        for host in [&good, &bad] {
            let call = client.get(format!("http://{host}/")).send();
            match hosts.key(host).call_with(call, &Auto).await {
                Ok(response) => println!("{host}  {}", response.status()),
                Err(CallError::Rejected(why)) => {
                    rejected += 1;
                    println!("{host}  {why}");
                }
                Err(CallError::Inner(error)) => return Err(error.into()),
            }
        }
    }
    println!("not closed: {:?}", hosts.not_closed());
    assert_eq!((rejected, hosts.open_len(), hosts.len()), (5, 1, 2));
    Ok(())
}

/// Starts a server on loopback that always answers with `status`.
async fn serve(status: StatusCode) -> std::io::Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let app = Router::new().route("/", get(move || async move { status }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
