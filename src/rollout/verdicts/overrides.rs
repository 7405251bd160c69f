//! Overrides by people.

use super::answer::text;
use super::body;
use super::services::{Routes, check_name};
use super::token::HookToken;
use crate::rollout::judging::Verdicts;
use crate::sync::Arc;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    #[serde(default)]
    service: Option<String>,
    by: String,
    reason: String,
}

/// The route `POST /v1/override`, by which a person decides against a pause or a rollback, as
/// [`Judge::override_by`](crate::rollback::Judge::override_by) says. It needs the token, as `Authorization: Bearer`.
///
/// The body is `{"by": "..", "reason": "..", "service": ".."}`; the service may be left out where one is judged. The answer
/// is 202: the override is in force at the next look. Controllers need a token of their own.
pub fn overrides(verdicts: impl IntoIterator<Item = Verdicts>, token: HookToken) -> Router {
    let routes = Arc::new(Routes::new(verdicts, Some(token)));
    let answer = |State(routes): State<Arc<Routes>>, request: Request| async move {
        answer(&routes, request).await.unwrap_or_else(|response| *response)
    };
    Router::new().route("/v1/override", post(answer)).with_state(routes)
}

async fn answer(routes: &Routes, request: Request) -> Result<Response, Box<Response>> {
    if let Some(token) = &routes.token {
        token.check(None, request.headers())?;
    }
    let Override { service, by, reason } = body::read(request.into_body()).await?;
    let service = routes.service(service.as_deref())?;
    check_name("by", &by)?;
    check_name("reason", &reason)?;
    service.verdicts.ask_override(by, reason);
    Ok(text(StatusCode::ACCEPTED, "in force at the next look\n".to_owned()))
}
