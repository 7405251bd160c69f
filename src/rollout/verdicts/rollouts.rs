//! Rollouts that a controller begins.

use super::answer::{json, problem};
use super::body;
use super::services::{Routes, check_name};
use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    #[serde(default)]
    service: Option<String>,
    rollout: String,
}

/// Answers `POST /v1/rollout`. It ends what was judged, a rollback among it, so it needs the token.
pub(super) async fn answer(routes: &Routes, request: Request) -> Result<Response, Box<Response>> {
    let Some(token) = &routes.token else {
        let detail = "this judge has no token: start it with one, such as --token-file of the command";
        return Err(Box::new(problem(StatusCode::UNAUTHORIZED, "no_token", detail)));
    };
    token.check(None, request.headers())?;
    let Begin { service, rollout } = body::read(request.into_body()).await?;
    let service = routes.service(service.as_deref())?;
    check_name("rollout", &rollout)?;
    let is_begun = service.verdicts.start(&rollout);
    let service = service.verdicts.service();
    Ok(json(serde_json::json!({ "service": service, "rollout": rollout, "begun": is_begun }).to_string()))
}
