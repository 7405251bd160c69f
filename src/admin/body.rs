//! Reading of a body: its type, its length and a time limit.

use super::problem::Problem;
use axum::body::{Body, HttpBody as _};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use std::time::Duration;

/// The longest body, in bytes, and the longest that names for whom a switch is engaged: 10,000 tenants.
pub(super) const BODY_MAX: usize = 64 * 1024;
pub(super) const SCOPE_MAX: usize = 2 << 20;

/// # Errors
///
/// 415 for anything but `application/json`: a form on a page of another site can send everything else.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let mut all = headers.get_all(CONTENT_TYPE).iter();
    let only = all.next().filter(|_| all.next().is_none()).and_then(|value| value.to_str().ok());
    let essence = only.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let detail = "the body must be application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", detail))
}

/// # Errors
///
/// 413 for a body that is too long, 408 for one that takes too long, 400 for one that breaks off.
pub(super) async fn read(body: Body, within: Duration, most: usize) -> Result<Vec<u8>, Problem> {
    let slow = |_| Problem::new(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not arrive in time");
    tokio::time::timeout(within, collect(body, most)).await.map_err(slow)?
}

/// # Errors
///
/// 400 for a body with a token in it: it would be kept in the document, in the audit and in logs.
pub(super) fn has_no_token(body: &[u8]) -> Result<(), Problem> {
    let is_token =
        |at: &[u8]| at.starts_with(b"bks_") && at[4..].iter().take(43).filter(|byte| is_digit(**byte)).count() == 43;
    if (0..body.len()).any(|at| is_token(&body[at..])) {
        let detail = "the body contains a token: send it in the authorization header only";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "token_in_body", detail));
    }
    Ok(())
}

/// One of base64url.
const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

async fn collect(body: Body, most: usize) -> Result<Vec<u8>, Problem> {
    let too_long = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_long", format!("{most} bytes at most"));
    if body.size_hint().lower() > most as u64 {
        return Err(too_long());
    }
    let broken = || Problem::new(StatusCode::BAD_REQUEST, "broken_body", "the body ended early");
    match Limited::new(body, most).collect().await {
        Ok(read) => Ok(read.to_bytes().into()),
        Err(error) => Err(if error.is::<LengthLimitError>() { too_long() } else { broken() }),
    }
}
