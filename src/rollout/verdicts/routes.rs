//! Routes of verdicts.

use super::answer::{json, metrics, problem};
use super::decide::Hook;
use super::token::HookToken;
use super::{hooks, query};
use crate::rollout::judging::{NAME_MAX, Named, Verdicts};
use crate::sync::{Arc, AtomicU64, Ordering};
use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use std::collections::BTreeMap;

pub(super) struct Routes {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) token: Option<HookToken>,
}

pub(super) struct Service {
    pub(super) verdicts: Verdicts,
    /// Steps of traffic that were allowed without data, in the rollout of this number.
    pub(super) first_steps: AtomicU64,
    of: AtomicU64,
}

impl Service {
    /// Steps that were allowed in the rollout of this number. Two requests at the same instant may both be the first.
    pub(super) fn steps(&self, number: u64) -> u64 {
        if self.of.swap(number, Ordering::Relaxed) != number {
            self.first_steps.store(0, Ordering::Relaxed);
        }
        self.first_steps.load(Ordering::Relaxed)
    }
}

impl Routes {
    /// The service, if there is only one.
    pub(super) fn only(&self) -> Option<&Service> {
        self.services.values().next().filter(|_| self.services.len() == 1)
    }

    pub(super) fn unknown(&self, asked: &str) -> Response {
        let known: Vec<_> = self.services.keys().map(String::as_str).collect();
        let asked: String = asked.chars().take(100).flat_map(char::escape_debug).collect();
        let detail = format!("service \"{asked}\" is not judged here, must be one of {}", known.join(", "));
        problem(StatusCode::NOT_FOUND, "unknown_service", &detail)
    }

    fn service(&self, asked: Option<&str>) -> Result<&Service, Box<Response>> {
        match asked {
            Some(name) => self.services.get(name).ok_or_else(|| Box::new(self.unknown(name))),
            None => self.only().ok_or_else(|| {
                let detail = "several services are judged here: name one, as /v1/verdict?service=NAME";
                Box::new(problem(StatusCode::BAD_REQUEST, "no_service", detail))
            }),
        }
    }
}

/// Names of rollouts that are taken.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_MAX && !name.chars().any(char::is_control)
}

/// Routes of the verdicts of these services: `/v1/verdict`, `/v1/evidence`, `/v1/hooks/..` and `/metrics`.
///
/// With a token, hooks need it, and so does a `?rollout=` that is not the one judged.
pub fn router(verdicts: impl IntoIterator<Item = Verdicts>, token: Option<HookToken>) -> Router {
    let service = |verdicts: Verdicts| {
        let of = AtomicU64::new(verdicts.number());
        (verdicts.service().to_owned(), Service { verdicts, first_steps: AtomicU64::new(0), of })
    };
    let routes = Arc::new(Routes { services: verdicts.into_iter().map(service).collect(), token });
    let mut all = Router::new()
        .route("/v1/verdict", get(verdict))
        .route("/v1/evidence", get(evidence))
        .route("/v1/evidence/{id}", get(piece))
        .route("/metrics", get(page));
    for (hook, name) in Hook::ALL {
        let answer = move |State(routes): State<Arc<Routes>>, headers: HeaderMap, request: Request| async move {
            hooks::answer(&routes, hook, &headers, request.into_body()).await
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
    if let Some(rollout) = rollout.filter(|rollout| !service.verdicts.is_current(rollout)) {
        if !is_name(&rollout) {
            return Err(bad("bad_query", "rollout: 1 to 200 bytes without control characters"));
        }
        if let Some(token) = &routes.token
            && token.is_presented(None, request.headers()) != Some(true)
        {
            let detail = "a token is required to name another rollout, as Authorization: Bearer";
            return Err(Box::new(problem(StatusCode::UNAUTHORIZED, "no_token", detail)));
        }
        if service.verdicts.name(&rollout) == Named::Superseded {
            let detail = format!("rollout {rollout} was superseded by another one");
            return Err(Box::new(problem(StatusCode::CONFLICT, "superseded", &detail)));
        }
    }
    Ok(json(service.verdicts.latest().json().to_owned()))
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
