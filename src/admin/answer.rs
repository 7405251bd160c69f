//! Types of answers and path parameters.

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::problem::Problem;
pub(super) type Answer = Result<Response, Problem>;

/// Parameters of a path.
pub(super) type Params = Result<RawPathParams, RawPathParamsRejection>;

/// The last parameter, as those before are of an outer router; empty if it is not UTF-8.
pub(super) fn last(params: &Params) -> String {
    let last = params.as_ref().ok().and_then(|params| params.iter().last());
    last.map(|(_, value)| value.to_owned()).unwrap_or_default()
}

pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
