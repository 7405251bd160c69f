//! Read-only routes: states from memory, documents from the store, the end of the audit from its file.

use super::answer::{Answer, Params, json as answer, last};
use super::audit_tail;
use super::auth::{admit, visible};
use super::problem::Problem;
use super::shared::Shared;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::clock::timestamp;
use crate::kill_switch::access::{Switches, Verb};
use crate::kill_switch::{Document, Switch};
use crate::sync::Arc;
use axum::extract::{RawQuery, State};
use http::StatusCode;
use http::header::HeaderMap;
use serde_json::{Value, json};

type Shares = State<Arc<Shared>>;

/// Items of an answer: by default, and at most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 500;

/// From memory: it answers while the store hangs and while every place is taken.
pub(super) async fn state(State(shared): Shares, headers: HeaderMap) -> Answer {
    admit(&shared.access.current(), &headers, &[Verb::View], None)?;
    let breakers = shared.registry.all::<CircuitBreaker>();
    let breakers = breakers.iter().map(|breaker| {
        json!({
            "name": breaker.name(), "state": breaker.state(), "snapshot": breaker.snapshot(), "totals": breaker.totals(),
        })
    });
    let bulkheads = shared.registry.all::<Bulkhead>();
    let bulkheads = bulkheads.iter().map(
        |bulkhead| json!({ "name": bulkhead.name(), "snapshot": bulkhead.snapshot(), "totals": bulkhead.totals() }),
    );
    let status = shared.switches.status();
    let mut board = json!(status);
    let warnings = status.warnings().into_iter().chain(shared.access.failure());
    board["warnings"] = warnings.collect::<Vec<_>>().into();
    let told = json!({
        "name": shared.switches.name(),
        "instance": shared.switches.instance(),
        "region": shared.switches.region(),
        "breakers": breakers.collect::<Vec<_>>(),
        "bulkheads": bulkheads.collect::<Vec<_>>(),
        "groups": shared.registry.groups(),
        "document": in_force(&shared),
        "board": board,
    });
    Ok(ok(&told))
}

/// Those of the document in force. A token for some switches sees those, and nothing else that is in the
/// document.
pub(super) async fn switches(State(shared): Shares, headers: HeaderMap) -> Answer {
    let access = shared.access.current();
    let Some(Switches::Only(ids)) = visible(&access, &headers)? else {
        return Ok(ok(&in_force(&shared)));
    };
    let document = shared.switches.document();
    let own = |document: &Document| {
        let switches = document.switches().iter().filter(|switch| ids.contains(switch.id.as_str()));
        let switches: Vec<_> = switches.map(|switch| with_state(&shared, switch)).collect();
        json!({ "generation": document.generation(), "hash": document.content_hash(), "switches": switches })
    };
    Ok(ok(&document.as_deref().map(own)))
}

pub(super) async fn switch(State(shared): Shares, params: Params, headers: HeaderMap) -> Answer {
    let id = last(&params);
    admit(&shared.access.current(), &headers, &[Verb::View], Some(&id))?;
    let document = shared.switches.document().ok_or_else(Problem::unknown_switch)?;
    let switch = document.switch(&id).ok_or_else(Problem::unknown_switch)?;
    Ok(ok(
        &json!({ "generation": document.generation(), "hash": document.content_hash(), "switch": with_state(&shared, switch) }),
    ))
}

pub(super) async fn history(State(shared): Shares, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    admit(&shared.access.current(), &headers, &[Verb::View], None)?;
    let limit = limit(query.as_deref())?;
    let (permit, editor) = (shared.begin()?, shared.editor()?);
    let work = move || {
        let of = |document: Document| {
            let (generation, hash) = (document.generation(), document.content_hash());
            json!({ "generation": generation, "hash": hash, "changed": document.changed() })
        };
        Ok(ok(&json!({ "revisions": editor.latest_told(limit, of)? })))
    };
    shared.in_background(permit, work).await
}

pub(super) async fn revision(State(shared): Shares, params: Params, headers: HeaderMap) -> Answer {
    admit(&shared.access.current(), &headers, &[Verb::View], None)?;
    let unknown = |_| Problem::new(StatusCode::NOT_FOUND, "unknown_revision", "unknown generation");
    let generation = last(&params).parse().map_err(unknown)?;
    let (permit, editor) = (shared.begin()?, shared.editor()?);
    let work = move || Ok(answer(StatusCode::OK, editor.revision(generation)?.to_bytes()));
    shared.in_background(permit, work).await
}

/// As it is in the store.
pub(super) async fn document(State(shared): Shares, headers: HeaderMap) -> Answer {
    admit(&shared.access.current(), &headers, &[Verb::View], None)?;
    let (permit, editor) = (shared.begin()?, shared.editor()?);
    let work = move || {
        let document = editor.document()?.ok_or(crate::kill_switch::EditError::Empty)?;
        Ok(answer(StatusCode::OK, document.to_bytes()))
    };
    shared.in_background(permit, work).await
}

pub(super) async fn audit(State(shared): Shares, RawQuery(query): RawQuery, headers: HeaderMap) -> Answer {
    admit(&shared.access.current(), &headers, &[Verb::View], None)?;
    let limit = limit(query.as_deref())?;
    let none = || Problem::new(StatusCode::NOT_FOUND, "no_audit", "this admin page has no audit file configured");
    let path = shared.audit_file.clone().ok_or_else(none)?;
    let permit = shared.begin()?;
    let work = move || {
        let failed = |error: std::io::Error| {
            let detail = format!("the audit cannot be read: {}", error.kind());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unreadable_audit", detail)
        };
        let audit_tail::Lines { entries, unreadable } = audit_tail::lines(&path, limit).map_err(failed)?;
        Ok(ok(&json!({ "entries": entries, "unreadable": unreadable })))
    };
    shared.in_background(permit, work).await
}

/// `None` as long as there has been no document.
fn in_force(shared: &Shared) -> Option<Value> {
    let document = shared.switches.document()?;
    let switches: Vec<_> = document.switches().iter().map(|switch| with_state(shared, switch)).collect();
    Some(json!({
        "generation": document.generation(),
        "hash": document.content_hash(),
        "two_person": document.is_two_person(),
        "stages": document.stages(),
        "changed": document.changed(),
        "switches": switches,
        "pending": document.pending(),
    }))
}

/// A switch as the document has it, whether it is engaged now, and its state on this instance: null if the
/// program has not asked for it.
fn with_state(shared: &Shared, switch: &Switch) -> Value {
    let mut told = json!(switch);
    told["is_engaged"] = switch.is_engaged(timestamp()).into();
    told["here"] = here(shared, switch);
    told
}

/// State of a switch on this instance, and the reason if it does not block the requests it targets.
pub(super) fn here(shared: &Shared, switch: &Switch) -> Value {
    let mut here = json!({
        "instance": shared.switches.instance(),
        "region": shared.switches.region(),
        "is_engaged": shared.switches.is_engaged(switch.id.as_str()),
    });
    if let Some(warning) = shared.switches.not_in_force(switch) {
        here["warning"] = warning.into();
    }
    here
}

fn limit(query: Option<&str>) -> Result<usize, Problem> {
    let Some(query) = query.filter(|query| !query.is_empty()) else { return Ok(LIMIT) };
    let limit = query.strip_prefix("limit=").and_then(|limit| limit.parse().ok());
    let detail = || format!("the query is limit= and a number from 1 to {LIMIT_MAX}");
    limit
        .filter(|limit| (1..=LIMIT_MAX).contains(limit))
        .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail()))
}

fn ok(told: &impl serde::Serialize) -> axum::response::Response {
    // Values that were JSON before, and maps whose keys are texts: nothing here can fail to be JSON.
    answer(StatusCode::OK, serde_json::to_vec(told).unwrap_or_default())
}
