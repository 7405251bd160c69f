//! A service for the tests: signals, a bulkhead and a circuit breaker in front of a dependency that fails a set share of its calls.
//!
//! `PUT /fault/PERCENT` sets the share of calls that fail. The first line of standard output is the address.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, put};
use backstop::health::Health;
use backstop::kill_switch::store::MemoryStore;
use backstop::kill_switch::{KillSwitches, OnUnknown};
use backstop::signals::Signals;
use backstop::telemetry::{BUCKETS, REQUEST_BUCKETS, REQUEST_DURATION_SECONDS};
use backstop::{BoxError, Bulkhead, CircuitBreaker};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;

static CALLS: AtomicU32 = AtomicU32::new(0);
static FAULT: AtomicU32 = AtomicU32::new(0);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let durations = Matcher::Full(REQUEST_DURATION_SECONDS.name.into());
    let exporter = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Prefix("backstop_".into()), BUCKETS)?
        .set_buckets_for_metric(durations, REQUEST_BUCKETS)?
        .install_recorder()?;
    let signals = Signals::new("checkout");
    let bulkhead = Bulkhead::builder("ratings").max_concurrent_calls(50).build()?;
    let breaker = CircuitBreaker::builder("ratings").open_time(Duration::from_secs(120)).build()?;
    let switches = KillSwitches::builder("checkout").store(MemoryStore::new()).build()?;
    let _recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
    let health = Health::builder().build()?;
    let app = Router::new()
        .route("/pay", get(pay))
        .layer(breaker.layer().respond())
        .layer(bulkhead.layer().respond())
        .layer(signals.layer())
        .route(
            "/fault/{percent}",
            put(|Path(percent): Path<u32>| async move { FAULT.store(percent, Ordering::Relaxed) }),
        )
        .route("/metrics", get(move || async move { exporter.render() }))
        .merge(health.router());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(axum::serve(listener, app).await?)
}

/// Fails this many of a hundred calls, evenly.
async fn pay() -> StatusCode {
    let is_failed = CALLS.fetch_add(1, Ordering::Relaxed) * 37 % 100 < FAULT.load(Ordering::Relaxed);
    if is_failed { StatusCode::BAD_GATEWAY } else { StatusCode::OK }
}
