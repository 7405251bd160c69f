//! Errors as `application/problem+json`, with a stable code.

use crate::config::ConfigError;
use crate::kill_switch::store::StoreError;
use crate::kill_switch::{ChangeError, EditError};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

/// An error response. Nothing that was sent goes into a header.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// More for machines: the problems of each field, the current generation.
    more: Option<(&'static str, Value)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), more: None }
    }

    /// The only answer to an unknown or expired token, whatever the reason.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "not authorized")
    }

    pub(super) fn forbidden(code: &'static str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, "the token does not allow this")
    }

    pub(super) fn unknown_switch() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown_switch", "unknown switch")
    }

    pub(super) fn busy() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many requests at once: try again")
    }

    pub(super) fn no_store() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_store",
            "the switches of this program have no store, so nothing can be changed or read there",
        )
    }

    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    fn and(mut self, name: &'static str, value: Value) -> Self {
        self.more = Some((name, value));
        self
    }
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        let problems: Vec<_> = error.problems().iter().map(problem).collect();
        let detail = "some fields are invalid: see problems";
        Self::new(StatusCode::BAD_REQUEST, "invalid", detail).and("problems", Value::Array(problems))
    }
}

fn problem(problem: &crate::config::Problem) -> Value {
    json!({ "field": problem.field(), "value": problem.value(), "allowed": problem.allowed() })
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        let status = match &error {
            ChangeError::Invalid(invalid) => return invalid.clone().into(),
            ChangeError::UnknownSwitch { .. }
            | ChangeError::UnknownProposal { .. }
            | ChangeError::UnknownRevision { .. } => StatusCode::NOT_FOUND,
            ChangeError::AlreadyEngaged { .. }
            | ChangeError::NotEngaged { .. }
            | ChangeError::NotPinned { .. }
            | ChangeError::StaleApproval { .. }
            | ChangeError::AlreadyProposed { .. }
            | ChangeError::Unchanged => StatusCode::CONFLICT,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<EditError> for Problem {
    fn from(error: EditError) -> Self {
        let (status, code) = match error {
            EditError::Change(error) => return error.into(),
            EditError::Moved { found, .. } => {
                return Self::new(StatusCode::CONFLICT, "moved", error.to_string()).and("generation", found.into());
            }
            EditError::Empty => (StatusCode::NOT_FOUND, "empty"),
            EditError::Gone => (StatusCode::CONFLICT, "gone"),
            EditError::Behind { .. } => (StatusCode::CONFLICT, "behind"),
            EditError::WentBack { .. } => (StatusCode::CONFLICT, "went_back"),
            EditError::Sound(_) => (StatusCode::CONFLICT, "sound"),
            EditError::NoSuchRevision(_) => (StatusCode::NOT_FOUND, "unknown_revision"),
            EditError::Unreadable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unreadable"),
            EditError::Busy => (StatusCode::SERVICE_UNAVAILABLE, "busy"),
            EditError::Store(StoreError::NotDurable { .. }) => (StatusCode::SERVICE_UNAVAILABLE, "not_durable"),
            EditError::Store(_) => (StatusCode::SERVICE_UNAVAILABLE, "unreachable"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, code, detail, more } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let mut body = json!({
            "type": "about:blank", "title": title, "status": status.as_u16(), "code": code, "detail": detail,
        });
        if let Some((name, value)) = more {
            body[name] = value;
        }
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if code == "busy" {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
