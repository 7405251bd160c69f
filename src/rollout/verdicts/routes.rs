//! Routes of verdicts.

use super::answer::{json, metrics, problem};
use super::decide::Hook;
use super::services::{Routes, check_name};
use super::token::HookToken;
use super::{hooks, query, rollouts};
use crate::rollout::judging::Verdicts;
use crate::sync::Arc;
use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};

/// Routes of the verdicts of these services: `/v1/verdict`, `/v1/rollout`, `/v1/evidence`, `/v1/hooks/..` and `/metrics`.
///
/// With a token, hooks need it; `POST /v1/rollout` always does, and is refused without one.
pub fn router(verdicts: impl IntoIterator<Item = Verdicts>, token: Option<HookToken>) -> Router {
    let routes = Arc::new(Routes::new(verdicts, token));
    let mut all = Router::new()
        .route("/v1/verdict", get(verdict))
        .route("/v1/rollout", post(rollout))
        .route("/v1/evidence", get(evidence))
        .route("/v1/evidence/{id}", get(piece))
        .route("/metrics", get(page));
    for (hook, name) in Hook::ALL {
        let answer = move |State(routes): State<Arc<Routes>>, headers: HeaderMap, request: Request| async move {
            hooks::answer(&routes, hook, &headers, request.into_body()).await.unwrap_or_else(|response| *response)
        };
        all = all.route(&format!("/v1/hooks/{name}"), post(answer));
    }
    all.with_state(routes)
}

async fn verdict(State(routes): State<Arc<Routes>>, request: Request) -> Response {
    answer(&routes, &request).unwrap_or_else(|response| *response)
}

fn answer(routes: &Routes, request: &Request) -> Result<Response, Box<Response>> {
    let bad = |code: &str, detail: &str| Box::new(problem(StatusCode::BAD_REQUEST, code, detail));
    let query = query::values(request.uri().query().unwrap_or_default(), ["service", "rollout"]);
    let [service, rollout] = query.map_err(|detail| bad("bad_query", &detail))?;
    let service = routes.service(service.as_deref())?;
    let published = match rollout {
        None => service.verdicts.latest(),
        Some(rollout) => {
            check_name("rollout", &rollout)?;
            service.verdicts.of(&rollout)
        }
    };
    Ok(json(published.json().to_owned()))
}

async fn rollout(State(routes): State<Arc<Routes>>, request: Request) -> Response {
    rollouts::answer(&routes, request).await.unwrap_or_else(|response| *response)
}

async fn evidence(State(routes): State<Arc<Routes>>, request: Request) -> Response {
    list(&routes, &request).unwrap_or_else(|response| *response)
}

fn list(routes: &Routes, request: &Request) -> Result<Response, Box<Response>> {
    let query = query::values(request.uri().query().unwrap_or_default(), ["service"]);
    let [service] = query.map_err(|detail| Box::new(problem(StatusCode::BAD_REQUEST, "bad_query", &detail)))?;
    let all = routes.service(service.as_deref())?.verdicts.evidence();
    let list = all.iter().map(|one| {
        let (decision, sentence) = (one.decision().as_str(), one.sentence());
        serde_json::json!({ "id": one.id(), "at": one.at(), "decision": decision, "sentence": sentence })
    });
    Ok(json(serde_json::json!({ "evidence": list.collect::<Vec<_>>() }).to_string()))
}

async fn piece(State(routes): State<Arc<Routes>>, params: RawPathParams) -> Response {
    let id = params.iter().last().map(|(_, id)| id.to_owned()).unwrap_or_default();
    let all = routes.services.values().map(|service| service.verdicts.evidence());
    let found = all.flat_map(|all| Vec::clone(&all)).find(|one| one.id() == id);
    found.map_or_else(
        || problem(StatusCode::NOT_FOUND, "unknown_evidence", "only the last 100 pieces of evidence are kept"),
        |one| json(one.json().to_owned()),
    )
}

async fn page(State(routes): State<Arc<Routes>>) -> Response {
    metrics(Verdicts::metrics(routes.services.values().map(|service| &service.verdicts)))
}
