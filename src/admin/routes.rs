//! Routes of the admin page.

use super::answer::{Params, last};
use super::change::{self, Ask};
use super::problem::Problem;
use super::shared::Shared;
use super::{auth, restore, views};
use crate::sync::Arc;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};

/// The routes; `is_own` if they are reached only through this crate's own listener on a loopback address.
pub(super) fn router(shared: &Arc<Shared>, is_own: bool) -> Router {
    let mut router = Router::new()
        .route("/v1/state", get(views::state))
        .route("/v1/switches", get(views::switches))
        .route("/v1/switches/{id}", get(views::switch))
        .route("/v1/history", get(views::history))
        .route("/v1/revisions/{generation}", get(views::revision))
        .route("/v1/audit", get(views::audit))
        .route("/v1/document", get(views::document));
    #[cfg(feature = "rollout")]
    {
        router = super::rollouts::routes(router, shared);
    }
    if !shared.access.current().is_open {
        router = router.route("/v1/restore", post(restore::answer));
        for ask in Ask::ALL {
            let path = if ask.is_of_switch() {
                format!("/v1/switches/{{id}}/{}", ask.path)
            } else {
                format!("/v1/{}", ask.path)
            };
            let answer = move |State(shared): State<Arc<Shared>>, params: Params, request: Request| async move {
                change::answer(shared, ask, last(&params), request).await
            };
            router = router.route(&path, post(answer));
        }
    }
    router
        .fallback(async || Problem::new(StatusCode::NOT_FOUND, "not_found", "no such route"))
        .method_not_allowed_fallback(async || {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "wrong_method",
                "method not allowed: reads are GET, changes are POST",
            )
        })
        .layer(from_fn_with_state((Arc::clone(shared), is_own), frame))
        .with_state(Arc::clone(shared))
}

/// Headers of every answer.
async fn frame(State((shared, is_own)): State<(Arc<Shared>, bool)>, request: Request, next: Next) -> Response {
    let access = shared.access.current();
    let mut response = match auth::same_site(&access, &request) {
        Ok(()) if access.is_open && !is_own => {
            let detail = "without an access list, admin routes answer only on their own loopback listener: configure an access list";
            Problem::new(StatusCode::FORBIDDEN, "no_tokens", detail).into_response()
        }
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
