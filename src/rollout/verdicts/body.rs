//! Bodies of requests: JSON of bounded length, in bounded time.

use super::answer::problem;
use crate::rollback::Object;
use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Longest body, in bytes, and the time in which it has to arrive.
const BODY_MAX: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(5);

pub(super) async fn read<T: DeserializeOwned>(body: Body) -> Result<T, Box<Response>> {
    let bad = |status, code, detail: &str| Box::new(problem(status, code, detail));
    let read = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await;
    let read = read.map_err(|_| bad(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not arrive within 5 s"))?;
    let read = read.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            bad(StatusCode::PAYLOAD_TOO_LARGE, "too_long", "the body is longer than 64 KiB")
        } else {
            bad(StatusCode::BAD_REQUEST, "broken_body", "the body ended early")
        }
    })?;
    // An object alone: a list would be taken for the fields in their order.
    serde_json::from_slice(&read.to_bytes())
        .map(|Object(body)| body)
        .map_err(|error| bad(StatusCode::BAD_REQUEST, "bad_body", &format!("the body cannot be read: {error}")))
}
