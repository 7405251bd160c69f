//! The dependency: a ratings service with a real capacity.
//!
//! For each API key it serves [`SLOTS`] calls at a time, each taking [`WORK`]. Further calls queue for up to
//! [`PATIENCE`] and then get 503. So overload comes from load alone, and one caller's overload does not take slots from
//! another.

use crate::load::Arm;
use crate::process::{self, Message};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use backstop::BoxError;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// The argument that makes a process of this binary the ratings service.
pub(crate) const ROLE: &str = "ratings";
/// The header that names the caller.
pub(crate) const API_KEY: &str = "x-api-key";

pub(crate) const SLOTS: usize = 6;
pub(crate) const WORK: Duration = Duration::from_millis(10);
pub(crate) const PATIENCE: Duration = Duration::from_millis(100);

/// Slots of each API key.
type Quotas = Arc<BTreeMap<&'static str, Semaphore>>;

pub(crate) async fn run() -> Result<(), BoxError> {
    let quotas: Quotas = Arc::new(Arm::ALL.map(|arm| (arm.as_str(), Semaphore::new(SLOTS))).into());
    let app = Router::new().route("/ratings", get(ratings)).with_state(quotas);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    process::report(&Message::Listening(listener.local_addr()?));
    Ok(axum::serve(listener, app).await?)
}

async fn ratings(
    State(quotas): State<Quotas>,
    headers: HeaderMap,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(quota) = headers.get(API_KEY).and_then(|key| quotas.get(key.to_str().ok()?)) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    // The semaphore is fair; a caller that hangs up drops this future and so leaves the queue.
    let Ok(slot) = tokio::time::timeout(PATIENCE, quota.acquire()).await else {
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
