//! hyper-util's pooling client: a response is recorded when its body ends.
//!
//! `cargo run --example hyper_util`

use axum::{Router, http::StatusCode, routing::get};
use backstop::{BoxError, CircuitBreaker, Rejected};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::net::TcpListener;
use tower::{Service, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new()
        .route("/text", get(async || "in stock"))
        .route("/busy", get(async || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")])));
    tokio::spawn(async { axum::serve(listener, app).await });

    let stock = CircuitBreaker::builder("stock").consecutive_failures_threshold(1).build()?;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut client = stock.wrap(client);
    let get = |path| http::Request::get(format!("http://{address}{path}")).body(Empty::new());

    let body = client.ready().await?.call(get("/text")?).await?.into_body();
    assert_eq!(stock.totals().successful, 0); // the body may still fail
    println!("{:?}", body.collect().await?.to_bytes());
    assert_eq!(stock.totals().successful, 1);

    println!("{}", client.ready().await?.call(get("/busy")?).await?.status());
    let error = client.ready().await?.call(get("/text")?).await.unwrap_err();
    let rejected = Rejected::find(&*error).expect("the circuit is open");
    println!("{rejected}"); // for the time in the server's Retry-After
    assert!(rejected.retry_after() <= Some(std::time::Duration::from_secs(7)));
    Ok(())
}
