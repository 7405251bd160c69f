//! The dependency: a ratings service with a real capacity.
//!
//! For each API key it serves [`SLOTS`] calls at a time, each taking [`WORK`]. Further calls queue for up to
//! [`PATIENCE`] and then get 503. So overload comes from load alone, and one caller's overload does not take slots from
//! another.

use crate::process::{self, Message};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use backstop::BoxError;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The argument that makes a process of this binary the ratings service.
pub(crate) const ROLE: &str = "ratings";
/// The header that names the caller.
pub(crate) const API_KEY: &str = "x-api-key";
/// Calls that reached the service, by key.
pub(crate) const CALLS: &str = "ratings_calls_total";

pub(crate) const SLOTS: usize = 2;
pub(crate) const WORK: Duration = Duration::from_millis(10);
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Slots and call count of one API key.
struct Quota {
    slots: Semaphore,
    calls: AtomicU64,
}

type Quotas = Arc<BTreeMap<&'static str, Quota>>;

pub(crate) async fn run() -> Result<(), BoxError> {
    let quotas: Quotas = Arc::new(["stable", "canary"].map(|key| (key, Quota::new())).into());
    let app = Router::new().route("/ratings", get(ratings)).route("/metrics", get(metrics)).with_state(quotas);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::report(&Message::Listening(listener.local_addr()?));
    Ok(axum::serve(listener, app).await?)
}

impl Quota {
    fn new() -> Self {
        Self { slots: Semaphore::new(SLOTS), calls: AtomicU64::new(0) }
    }
}

async fn ratings(
    State(quotas): State<Quotas>,
    headers: HeaderMap,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(quota) = headers.get(API_KEY).and_then(|key| quotas.get(key.to_str().ok()?)) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    quota.calls.fetch_add(1, Ordering::Relaxed);
    // The semaphore is fair; a caller that hangs up drops this future and so leaves the queue.
    let Ok(slot) = tokio::time::timeout(PATIENCE, quota.slots.acquire()).await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    tokio::time::sleep(WORK).await;
    drop(slot);
    let ids = query.get("ids").map(String::as_str).unwrap_or_default();
    let stars: Result<Vec<u8>, _> = ids.split(',').map(|id| id.parse().map(stars)).collect();
    stars.map_or_else(|_| StatusCode::BAD_REQUEST.into_response(), |stars| Json(stars).into_response())
}

/// One star to five.
fn stars(product: usize) -> u8 {
    [4, 1, 5, 3, 2][product % 5]
}

async fn metrics(State(quotas): State<Quotas>) -> String {
    let mut text = format!("# TYPE {CALLS} counter\n");
    for (key, quota) in quotas.iter() {
        let _ = writeln!(text, "{CALLS}{{key=\"{key}\"}} {}", quota.calls.load(Ordering::Relaxed));
    }
    text
}
