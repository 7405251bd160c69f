//! An outgoing reqwest client, without Tower and with it.
//!
//! `cargo run --example reqwest`

use axum::{Router, http::StatusCode, routing::get};
use backstop::{BoxError, CallError, CircuitBreaker, Rejected, classify::Auto};
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/stock", listener.local_addr()?);
    let app = Router::new().route("/stock", get(async || StatusCode::BAD_GATEWAY));
    tokio::spawn(async { axum::serve(listener, app).await });

    let stock = CircuitBreaker::builder("stock").consecutive_failures_threshold(2).build()?;
    let client = reqwest::Client::new();

    // Around a call, with reqwest's own builder. `Auto` classifies the response; `stock.call(..)` looks at errors only.
    for _ in 0..3 {
        match stock.call_with(client.get(&url).send(), &Auto).await {
            Ok(response) => println!("{}", response.status()),
            Err(CallError::Rejected(rejected)) => println!("{rejected}"),
            Err(CallError::Inner(error)) => println!("failed: {error}"),
        }
    }

    // The same circuit around the client as a Tower service.
    let mut service = stock.wrap(client.clone());
    let error = service.ready().await?.call(client.get(&url).build()?).await.unwrap_err();
    assert!(Rejected::find(&*error).is_some());

    let totals = stock.totals();
    assert_eq!((totals.failed, totals.not_permitted), (2, 2));
    Ok(())
}
