//! A request to an axum route, in process.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::error_handling::HandleErrorLayer;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use axum_prometheus::PrometheusMetricLayer;
use tower_http::trace::TraceLayer;
use tower_resilience_circuitbreaker::CircuitBreakerError;
use tower_service::Service;

use super::pass_through::PassThrough;
use super::{all_three, row};
use crate::ours::{bulkhead, circuit_breaker, kill_switch, signals};
use crate::peers::tower_resilience;
use crate::{Instance, Mechanism, Subject};

const fn route(name: &'static str, title: &'static str, admits: fn() -> Instance) -> Subject {
    row(Mechanism::Route, name, title, admits)
}

/// The rows of the table, in its order.
pub(super) const ROWS: [Subject; 11] = [
    route("route-bare", "axum 0.8 route", || called(router())),
    route("route-pass-through", "a layer that does nothing", || called(router().layer(PassThrough::default()))),
    route("route-trace", "tower-http 0.6 `TraceLayer`, no subscriber", || {
        called(router().layer(TraceLayer::new_for_http()))
    }),
    route("route-tower-resilience", "tower-resilience 0.14, breaker", || {
        let answer = |_: CircuitBreakerError<Infallible>| async { StatusCode::SERVICE_UNAVAILABLE };
        called(router().layer((HandleErrorLayer::new(answer), tower_resilience::breaker_layer())))
    }),
    route("route-prometheus", "axum-prometheus 0.10, `PrometheusMetricLayer`", || {
        called(router().layer(PrometheusMetricLayer::new()))
    }),
    route("ours-route-signals", "backstop, signals", || called(router().layer(signals::one().layer()))),
    route("ours-route-breaker", "backstop, breaker", || {
        called(router().layer(circuit_breaker::count().layer().respond()))
    }),
    route("ours-route-bulkhead", "backstop, bulkhead", || called(router().layer(bulkhead::roomy().layer().respond()))),
    route("ours-route-switch", "backstop, kill switch", || {
        called(router().layer(kill_switch::released().layer().respond()))
    }),
    route("ours-route-layers", "backstop, all three, three layers", || {
        let layered = router().layer(bulkhead::roomy().layer().respond());
        let layered = layered.layer(circuit_breaker::count().layer().respond());
        called(layered.layer(kill_switch::released().layer().respond()))
    }),
    route("ours-route-protect", "backstop, all three, `protect()`", || called(router().layer(all_three().respond()))),
];

fn router() -> Router {
    Router::new().route("/", get(|| async { "ok" }))
}

/// One request after another, each to a clone of the router as `axum::serve` does it, its response read to the end.
fn called(router: Router) -> Instance {
    Instance::new(move || {
        // For each connection axum makes the routes at once; without, it would apply the layers for each request.
        let router = router.clone().with_state::<()>(());
        move || {
            let mut context = Context::from_waker(Waker::noop());
            let response = pin!(router.clone().call(Request::new(Body::empty())));
            let Poll::Ready(Ok(response)) = response.poll(&mut context) else { return false };
            let is_success = response.status().is_success();
            let mut body = response.into_body();
            while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut body).poll_frame(&mut context) {}
            is_success
        }
    })
}
