//! Answers.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = [(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    for (name, value) in headers {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

pub(super) fn json(body: String) -> Response {
    answer(StatusCode::OK, "application/json", body)
}

/// Text for people: controllers write it to their log.
pub(super) fn text(status: StatusCode, body: String) -> Response {
    answer(status, "text/plain; charset=utf-8", body)
}

/// The page of metrics.
pub(super) fn metrics(body: String) -> Response {
    answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", body)
}

pub(super) fn problem(status: StatusCode, code: &str, detail: &str) -> Response {
    let body = serde_json::json!({ "status": status.as_u16(), "code": code, "detail": detail });
    answer(status, "application/problem+json", body.to_string())
}
