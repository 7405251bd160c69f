//! Rollouts over HTTP: their status, and people's commands, which go the same way as those of the command line.
//!
//! Without a controller, a rollback is carried out here, on a thread of its own that lasts until it is done: the plan's
//! commands run as this process.

use super::answer::{Answer, Params, json as answer, last};
use super::auth::admit;
use super::body;
use super::denied_log::DeniedRequest;
use super::problem::Problem;
use super::shared::{Shared, write_down};
use crate::kill_switch::access::Verb;
use crate::kill_switch::model::decode::without_types;
use crate::rollout::controller::{Asked, Controller, Ended, Status, rollback, silence};
use crate::rollout::requests::{Answer as Said, Request as Command};
use crate::rollout::stages::Ask;
use crate::rollout::state_dir::{Holder, StateDir};
use crate::sync::Arc;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::{get, post};
use http::StatusCode;
use http::header::HeaderMap;
use serde_json::json;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

/// Longest wait for the controller's answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest maintenance window, in seconds: 7 days.
const WINDOW_MAX: u64 = 7 * 86_400;

/// Commands by the end of their path, with the verb that each needs.
const ASKS: [(&str, Verb); 7] = [
    ("approve", Verb::Rollout),
    ("reject", Verb::Rollback),
    ("pause", Verb::Rollout),
    ("resume", Verb::Rollout),
    ("rollback", Verb::Rollback),
    ("disable", Verb::Rollout),
    ("enable", Verb::Rollout),
];

/// A command's body.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    reason: String,
    #[serde(default)]
    break_glass: bool,
    /// Seconds of a maintenance window.
    #[serde(default)]
    seconds: Option<u64>,
}

/// The routes; commands only where there are tokens.
pub(super) fn routes(router: Router<Arc<Shared>>, shared: &Shared) -> Router<Arc<Shared>> {
    if shared.rollouts.is_none() {
        return router;
    }
    let mut router = router.route("/v1/rollouts", get(list)).route("/v1/rollouts/{name}", get(one));
    if !shared.access.current().is_open {
        for (path, verb) in ASKS {
            let answer = move |State(shared): State<Arc<Shared>>, params: Params, request: Request| async move {
                ask(shared, path, verb, last(&params), request).await
            };
            router = router.route(&format!("/v1/rollouts/{{name}}/{path}"), post(answer));
        }
    }
    router
}

async fn list(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Answer {
    admit(&shared.access.current(), &headers, &[Verb::View], None)?;
    let (permit, state) = (shared.begin()?, state(&shared));
    let read = move || {
        let all = Status::all(&state).map_err(|error| no_state(&error))?;
        Ok(json!({ "rollouts": all }))
    };
    let all = shared.in_background(permit, read).await?;
    Ok(answer(StatusCode::OK, all.to_string()))
}

async fn one(State(shared): State<Arc<Shared>>, params: Params, headers: HeaderMap) -> Answer {
    admit(&shared.access.current(), &headers, &[Verb::View], None)?;
    let (permit, state, name) = (shared.begin()?, state(&shared), last(&params));
    let found = shared.in_background(permit, move || status(&state, &name)).await?;
    let found = found.ok_or_else(unknown)?;
    Ok(answer(StatusCode::OK, json!(found).to_string()))
}

async fn ask(shared: Arc<Shared>, path: &'static str, verb: Verb, name: String, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let admitted = admit(&shared.access.current(), &parts.headers, &[verb], None);
    let actor = match admitted.and_then(|actor| actor.ok_or_else(Problem::unauthorized)) {
        Ok(actor) => actor,
        Err(problem) => {
            let denial = DeniedRequest { path, about: None, headers: &parts.headers, code: problem.code() };
            write_down(&shared, denial).await;
            return Err(problem);
        }
    };
    body::is_json(&parts.headers)?;
    let permit = shared.begin()?;
    let body = body::read(body, shared.timeout, body::BODY_MAX).await?;
    body::has_no_token(&body)?;
    let invalid = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid", detail);
    let body: Body = serde_json::from_slice(&body).map_err(|error| invalid(without_types(&error)))?;
    let command = Command::new(wanted(path, &body).map_err(invalid)?, actor.as_str(), body.reason);
    command.check().map_err(|error| invalid(error.to_string()))?;
    let state = state(&shared);
    let send = move || {
        let dir = StateDir::new(&state, &name).map_err(|_| unknown())?;
        if dir.latest().is_none() {
            return Err(unknown());
        }
        if let Ask::Rollback { .. } = command.ask {
            let holder = Holder::new(&command.by, "rollback over HTTP");
            let asked = rollback(&dir, command, &holder, PATIENCE).map_err(|error| no_state(&error))?;
            return match asked {
                Asked::Controller(answer) => said(&dir, answer).map(|said| (said, None)),
                Asked::Nothing(text) => Err(Problem::new(StatusCode::CONFLICT, "refused", text)),
                Asked::Here(answer, _) if !answer.is_accepted => said(&dir, Some(answer)).map(|said| (said, None)),
                Asked::Here(answer, controller) => begin(*controller).map(|ended| (answer, Some(ended))),
            };
        }
        if dir.holder().is_none() {
            let detail =
                "no controller runs: `backstop rollout start` with the same plan goes on; a rollback needs none";
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_controller", detail));
        }
        command.send(&dir).map_err(|error| no_state(&error))?;
        said(&dir, command.answer(&dir, PATIENCE)).map(|said| (said, None))
    };
    let (mut said, ended) = shared.in_background(permit, send).await?;
    if let Some(ended) = ended {
        said.text = match tokio::time::timeout(PATIENCE, ended).await {
            Ok(Ok(Some(text))) => text,
            Ok(_) => {
                let detail = format!("{}; a person has to decide how it goes on: see its status", said.text);
                return Err(Problem::new(StatusCode::CONFLICT, "held", detail));
            }
            Err(_) => format!("{}; it goes on, see its status", said.text),
        };
    }
    Ok(answer(StatusCode::OK, json!(said).to_string()))
}

/// The controller's answer.
fn said(dir: &StateDir, answer: Option<Said>) -> Result<Said, Problem> {
    match answer {
        Some(said) if said.is_accepted => Ok(said),
        Some(said) => Err(Problem::new(StatusCode::CONFLICT, "refused", said.text)),
        None => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "slow_controller", silence(dir, PATIENCE))),
    }
}

/// Carries out a rollback that was decided here, whether or not the client waits for it.
fn begin(controller: Controller) -> Result<oneshot::Receiver<Option<String>>, Problem> {
    let (sender, ended) = oneshot::channel();
    let artifact = controller.rollout().plan().artifact.clone();
    let run = move || _ = sender.send(Ended::without_source(controller.run(), &artifact));
    let started = thread::Builder::new().name("backstop-rollback".to_owned()).spawn(run);
    started.map(|_| ended).map_err(|error| no_state(&error))
}

fn wanted(path: &str, body: &Body) -> Result<Ask, String> {
    if body.break_glass && path != "rollback" {
        return Err("break_glass is for rollback".to_owned());
    }
    match (path, body.seconds) {
        ("disable", Some(seconds @ 1..=WINDOW_MAX)) => Ok(Ask::Disable { seconds }),
        ("disable", _) => Err(format!("seconds is required, from 1 to {WINDOW_MAX}")),
        (_, Some(_)) => Err("seconds is for disable".to_owned()),
        ("approve", _) => Ok(Ask::Approve),
        ("reject", _) => Ok(Ask::Reject),
        ("pause", _) => Ok(Ask::Pause),
        ("resume", _) => Ok(Ask::Resume),
        ("rollback", _) => Ok(Ask::Rollback { cut: body.break_glass }),
        _ => Ok(Ask::Enable),
    }
}

fn state(shared: &Shared) -> PathBuf {
    shared.rollouts.clone().unwrap_or_default()
}

fn status(state: &std::path::Path, name: &str) -> Result<Option<Status>, Problem> {
    let dir = StateDir::new(state, name).map_err(|_| unknown())?;
    Status::read(&dir).map_err(|error| no_state(&error))
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_rollout", "there is no rollout of this service")
}

fn no_state(error: &impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_state", error.to_string())
}
