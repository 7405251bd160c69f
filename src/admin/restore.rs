//! The way back from a store that was damaged or deleted: the document in force is put into it again.

use super::answer::{Answer, json};
use super::auth::admit;
use super::body;
use super::change_request::reason;

use super::denied_log::DeniedRequest;
use super::problem::Problem;
use super::shared::{Shared, write_down};
use crate::clock::timestamp;
use crate::kill_switch::Author;
use crate::kill_switch::access::Verb;
use crate::sync::Arc;
use axum::extract::{Request, State};
use http::StatusCode;
use serde_json::json;

/// Its effect is not known in advance: it needs the rights of a revert.
const NEEDS: &[Verb] = &[Verb::Engage, Verb::Release, Verb::Define];

pub(super) async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let admitted = admit(&shared.access.current(), &parts.headers, NEEDS, None);
    if let Err(problem) = &admitted {
        let denial = DeniedRequest { path: "restore", about: None, headers: &parts.headers, code: problem.code() };
        write_down(&shared, denial).await;
    }
    let actor = admitted?.ok_or_else(Problem::unauthorized)?;
    body::is_json(&parts.headers)?;
    let permit = shared.begin()?;
    let body = body::read(body, shared.timeout, body::BODY_MAX).await?;
    body::has_no_token(&body)?;
    let reason = reason(&body)?;
    let worker = Arc::clone(&shared);
    let work = move || {
        let by = Author::person(actor.as_str(), timestamp()).because(reason);
        let document = worker.switches.restore(&by)?;
        let told = json!({ "generation": document.generation(), "hash": document.content_hash() });
        Ok(json(StatusCode::OK, told.to_string()))
    };
    shared.in_background(permit, work).await
}
