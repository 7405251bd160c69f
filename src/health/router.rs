//! Probes over HTTP.

use super::handle::Health;
use super::report::Report;
use super::state::{Role, Status};
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

impl Health {
    /// The routes of the probes, each for `GET` and `HEAD`, with 200 or 503 and JSON. See the [module](super#routes).
    ///
    /// The first probe other than `/livez` [starts](Self::start) the checks. Merge it last, so that no layer of the
    /// application is in front of it: a full bulkhead, an engaged switch or a login would fail `/livez`, and restart the
    /// instance. A router with a state is merged after its `with_state`.
    pub fn router(&self) -> Router {
        let of = |role| -> MethodRouter {
            let health = self.clone();
            get(async move || {
                health.start();
                answer(&health.report(role))
            })
        };
        Router::new()
            // No lock and no clock: if this cannot be answered, the process is stuck.
            .route("/livez", get(async || answer(&Report::new(Vec::new()))))
            .route("/startupz", of(Role::Startup))
            .route("/readyz", of(Role::Readiness))
            .route("/healthz/deep", of(Role::Deep))
    }
}

fn answer(report: &Report) -> impl IntoResponse + use<> {
    let is_passing = report.status == Status::Passing;
    let status = if is_passing { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    // Names, numbers and texts of ours: nothing in it can fail to be JSON.
    let json = serde_json::to_vec(report).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], json)
}
