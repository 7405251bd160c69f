//! Types of answers and path parameters.

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::response::Response;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};

use super::problem::Problem;
pub(super) type Answer = Result<Response, Problem>;

/// Parameters of a path; empty if they are not UTF-8.
pub(super) struct Params(Option<RawPathParams>);

impl Params {
    pub(super) fn last(&self) -> String {
        let last = self.0.as_ref().and_then(|params| params.iter().last()); // those before are of an outer router
        last.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Params {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut http::request::Parts, state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(RawPathParams::from_request_parts(parts, state).await.ok()))
    }
}

pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
