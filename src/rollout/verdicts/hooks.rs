//! Hooks of Flagger.

use super::answer::{problem, text};
use super::decide::Hook;
use super::services::{Routes, Service, is_name};
use crate::rollout::judging::Named;
use crate::sync::Ordering;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// Longest body, in bytes, and the time in which it has to arrive.
const BODY_MAX: usize = 64 * 1024;
const BODY_TIME: Duration = Duration::from_secs(5);

/// A request of Flagger. Other fields are left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Payload {
    name: String,
    checksum: String,
    metadata: Option<Map<String, Value>>,
}

impl Payload {
    fn metadata(&self, name: &str) -> Option<&str> {
        self.metadata.as_ref()?.get(name)?.as_str()
    }
}

/// Answers a hook: 200 for yes, 403 with the reason for no.
pub(super) async fn answer(routes: &Routes, hook: Hook, headers: &HeaderMap, body: Body) -> Response {
    let payload = match payload(body).await {
        Ok(payload) => payload,
        Err(response) => return *response,
    };
    if let Some(token) = &routes.token {
        match token.is_presented(payload.metadata("token"), headers) {
            Some(true) => {}
            Some(false) => {
                return problem(StatusCode::FORBIDDEN, "wrong_token", "the token is not the one of this judge");
            }
            None => {
                let detail = "a token is required, in metadata.token or as Authorization: Bearer";
                return problem(StatusCode::UNAUTHORIZED, "no_token", detail);
            }
        }
    }
    let service = match payload.metadata("service") {
        Some(name) => routes.services.get(name),
        None => routes.services.get(&payload.name).or_else(|| routes.only()),
    };
    let Some(service) = service else {
        let asked = payload.metadata("service").unwrap_or(&payload.name);
        return routes.unknown(asked);
    };
    if !payload.checksum.is_empty() {
        if !is_name(&payload.checksum) {
            return problem(
                StatusCode::BAD_REQUEST,
                "bad_checksum",
                "checksum: at most 200 bytes without control characters",
            );
        }
        if service.verdicts.name(&payload.checksum) == Named::Superseded {
            return text(
                StatusCode::FORBIDDEN,
                format!("rollout {} was superseded by another one\n", payload.checksum),
            );
        }
    }
    decide(service, hook)
}

fn decide(service: &Service, hook: Hook) -> Response {
    let latest = service.verdicts.latest();
    let (decision, requests) = (latest.decision(), latest.verdict().n.canary);
    let steps = service.steps(service.verdicts.number());
    let is_yes = hook.is_yes(decision, requests, steps);
    if is_yes && hook == Hook::ConfirmTrafficIncrease && decision != crate::rollback::Decision::Continue {
        service.first_steps.fetch_add(1, Ordering::Relaxed);
    }
    let status = if is_yes { StatusCode::OK } else { StatusCode::FORBIDDEN };
    let evidence = match latest.evidence_id() {
        "" => String::new(),
        id => format!(" (evidence {id})"),
    };
    text(status, format!("{}: {}{evidence}\n", decision.as_str(), latest.verdict().sentence))
}

async fn payload(body: Body) -> Result<Payload, Box<Response>> {
    let bad = |status, code, detail: &str| Box::new(problem(status, code, detail));
    let read = tokio::time::timeout(BODY_TIME, Limited::new(body, BODY_MAX).collect()).await;
    let read = read.map_err(|_| bad(StatusCode::REQUEST_TIMEOUT, "slow_body", "the body did not arrive within 5 s"))?;
    let read = read.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            bad(StatusCode::PAYLOAD_TOO_LARGE, "too_long", "the body is longer than 64 KiB")
        } else {
            bad(StatusCode::BAD_REQUEST, "broken_body", "the body ended early")
        }
    })?;
    // An object first: a list would be taken for the fields in their order.
    let parsed = serde_json::from_slice::<Map<String, Value>>(&read.to_bytes());
    parsed.and_then(|object| serde_json::from_value(Value::Object(object))).map_err(|error| {
        bad(StatusCode::BAD_REQUEST, "bad_body", &format!("the body is no payload of a hook: {error}"))
    })
}
