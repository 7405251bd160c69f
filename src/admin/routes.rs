//! Which path is answered by what.

use super::change::{self, Ask};
use super::guard;
use super::handle::Shared;
use super::problem::Problem;
use super::restore;
use super::views;
use crate::sync::Arc;
use axum::Router;
use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};

pub(super) type Answer = Result<Response, Problem>;

pub(super) fn router(shared: &Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/v1/state", get(views::state))
        .route("/v1/switches", get(views::switches))
        .route("/v1/switches/{id}", get(views::switch))
        .route("/v1/history", get(views::history))
        .route("/v1/revisions/{generation}", get(views::revision))
        .route("/v1/audit", get(views::audit))
        .route("/v1/document", get(views::document));
    if shared.has_live_token() {
        router = router.route("/v1/restore", post(restore::answer));
        for ask in Ask::ALL {
            let path = if ask.is_of_switch() {
                format!("/v1/switches/{{id}}/{}", ask.path)
            } else {
                format!("/v1/{}", ask.path)
            };
            let answer = move |State(shared): State<Arc<Shared>>, params: Params, request: Request| async move {
                change::answer(shared, ask, params.last(), request).await
            };
            router = router.route(&path, post(answer));
        }
    }
    router
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", "reads are GET, changes are POST")
        })
        .layer(from_fn_with_state(Arc::clone(shared), frame))
        .with_state(Arc::clone(shared))
}

/// What surrounds every answer.
async fn frame(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match guard::same_site(&shared.access, request.headers(), request.uri()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 2] = [(X_CONTENT_TYPE_OPTIONS, "nosniff"), (CACHE_CONTROL, "no-store")];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What stands in the place of `{..}` in a path; nothing where that is not UTF-8.
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
