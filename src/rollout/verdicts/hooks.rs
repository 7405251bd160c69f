//! Hooks of Flagger.

use super::answer::text;
use super::body;
use super::decide::Hook;
use super::services::{Routes, Service, check_name};
use crate::rollout::judging::Named;
use crate::sync::Ordering;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value};

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
pub(super) async fn answer(
    routes: &Routes,
    hook: Hook,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Box<Response>> {
    let payload = body::read::<Payload>(body).await?;
    if let Some(token) = &routes.token {
        token.check(payload.metadata("token"), headers)?;
    }
    let service = match payload.metadata("service") {
        Some(name) => routes.services.get(name),
        None => routes.services.get(&payload.name).or_else(|| routes.only()),
    };
    let Some(service) = service else {
        let asked = payload.metadata("service").unwrap_or(&payload.name);
        return Err(Box::new(routes.unknown(asked)));
    };
    let checksum = &payload.checksum;
    if !checksum.is_empty() {
        check_name("checksum", checksum)?;
        if service.verdicts.name(checksum) == Named::Superseded {
            return Ok(text(StatusCode::FORBIDDEN, format!("rollout {checksum} was superseded by another one\n")));
        }
    }
    Ok(decide(service, hook))
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
