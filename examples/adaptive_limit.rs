//! An adaptive limit that finds the number of calls the dependency serves at full speed: about 8 here.
//!
//! From time to time the limit is halved briefly, to measure a round trip without a queue.
//!
//! `cargo run --example adaptive_limit`

use axum::{Router, routing::get};
use backstop::bulkhead::limit::Vegas;
use backstop::{BoxError, Bulkhead};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// Calls that the dependency serves at a time; more queue there.
const WORKERS: usize = 8;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let workers = Arc::new(Semaphore::new(WORKERS));
    let answer = async move || {
        let _worker = workers.acquire().await;
        sleep(Duration::from_millis(20)).await;
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, Router::new().route("/", get(answer))).await });

    let search = Bulkhead::builder("search")
        .max_concurrent_calls(64) // initial limit, far too high
        .max_wait(Duration::from_secs(1))
        .adaptive(Vegas::new().alpha(2).beta(3).max(100)) // tight, because the capacity is low
        .build()?;
    let client = reqwest::Client::new();
    for _ in 0..64 {
        let (search, client, url) = (search.clone(), client.clone(), url.clone());
        tokio::spawn(async move {
            loop {
                let _ = search.call(client.get(&url).send()).await; // callers retry without a pause
            }
        });
    }
    for look in 0..60 {
        let now = search.snapshot();
        println!("limit {:>2}: {:>2} calls in flight, {:>2} queued", now.limit, now.in_flight, now.queue_depth);
        if look >= 7 && now.limit < 40 {
            return Ok(()); // may take longer on a busy machine
        }
        sleep(Duration::from_millis(500)).await;
    }
    Err(format!("the limit did not decrease: {search:?}").into())
}
