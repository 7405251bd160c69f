//! Probes over HTTP.

use super::handle::Health;
use super::run::run;
use super::state::{Role, Status};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::runtime::Handle;

impl Health {
    /// The routes of the probes, each for `GET` and `HEAD`, with 200 or 503 and JSON. See the [module](super#routes).
    ///
    /// The first probe other than `/livez` spawns [`run`](Self::run), unless it runs. Merge it last, so that no layer of
    /// the application is in front of it: a full bulkhead, an engaged switch or a login would fail `/livez`, and restart
    /// the instance. A router with a state is merged after its `with_state`.
    pub fn router(&self) -> Router {
        let of = |role: Role| -> MethodRouter {
            let health = self.clone();
            get(move || async move { health.answer(role) })
        };
        Router::new()
            // No lock and no clock: if this cannot be answered, the process is stuck.
            .route("/livez", get(async || answer(Status::Passing, "{\"status\":\"passing\"}")))
            .route("/startupz", of(Role::Startup))
            .route("/readyz", of(Role::Readiness))
            .route("/healthz/deep", of(Role::Deep))
    }

    fn answer(&self, role: Role) -> Response {
        if !self.shared.is_running()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(run(self.shared.for_call()));
        }
        let report = self.report(role);
        // Names, numbers and texts of ours: nothing in it can fail to be JSON.
        answer(report.status, serde_json::to_vec(&report).unwrap_or_default())
    }
}

fn answer(status: Status, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let is_passing = status == Status::Passing;
    *response.status_mut() = if is_passing { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
