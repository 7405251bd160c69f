//! Tower layers around a plain function: the breaker is outside the timeout and records its errors.
//!
//! `cargo run --example service_builder`

use backstop::{CircuitBreaker, Rejected, classify::Errors};
use std::time::Duration;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// A lookup that answers for small numbers and hangs for others.
async fn look_up(id: u32) -> Result<String, std::io::Error> {
    if id > 9 {
        std::future::pending::<()>().await;
    }
    Ok(format!("item {id}"))
}

#[tokio::main]
async fn main() -> Result<(), backstop::BoxError> {
    let items = CircuitBreaker::builder("items").consecutive_failures_threshold(2).build()?;
    let mut service = ServiceBuilder::new()
        .layer(items.layer().classify(Errors)) // every `Err` is a failure; a `String` needs no classification
        .timeout(Duration::from_millis(50))
        .service(service_fn(look_up));

    for id in [1, 10, 11, 2] {
        match service.ready().await?.call(id).await {
            Ok(item) => println!("{item}"),
            Err(error) if Rejected::find(&*error).is_some() => println!("rejected: {error}"),
            Err(error) => println!("failed: {error}"),
        }
    }
    let totals = items.totals();
    assert_eq!((totals.successful, totals.failed, totals.not_permitted), (1, 2, 1));
    Ok(())
}
