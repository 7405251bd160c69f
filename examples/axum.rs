//! An axum server: one line answers rejected requests with 503, `Retry-After` and problem+json.
//!
//! `cargo run --example axum`

use axum::{Router, http::StatusCode, routing::get};
use backstop::{BoxError, CircuitBreaker};
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let payments = CircuitBreaker::builder("payments")
        .consecutive_failures_threshold(3)
        .open_time(Duration::from_secs(30))
        .build()?;
    let app = Router::new()
        .route("/pay", get(async || StatusCode::INTERNAL_SERVER_ERROR)) // the database is down
        .layer(payments.layer().respond());

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/pay", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    for _ in 0..4 {
        let response = reqwest::get(&url).await?;
        println!("{}: circuit {}", response.status(), payments.state());
    }
    let rejection = reqwest::get(&url).await?;
    assert_eq!(rejection.status(), 503);
    println!("Retry-After: {:?}", rejection.headers()["retry-after"]);
    println!("{}", rejection.text().await?);

    let totals = payments.totals();
    assert_eq!((totals.failed, totals.not_permitted), (3, 2)); // the handler ran for 3 of 5 requests
    Ok(())
}
