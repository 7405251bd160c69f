//! What a rejected caller is told, and that nobody mistakes a rejection for a failure of the dependency.

use crate::common;

use axum::body::Body;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get_service};
use axum::{Json, Router, routing};
use backstop::classify::{Causes, Errors};
use backstop::clock::Clock;
use backstop::reject::{BoxError, RejectReason};
use backstop::{CallError, CircuitBreaker, Outcome, Rejected};
use common::{counted, eventually, get, hyper_client, request, serve};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tower::retry::{Policy, RetryLayer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const IGNORED: [u64; 5] = [0, 0, 1, 0, 0];
const REJECTED: [u64; 5] = [0, 0, 0, 0, 1];

fn forced_open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("payments");
    breaker.force_open("test");
    breaker
}

fn open_for_1500_ms() -> CircuitBreaker {
    let (clock, _) = Clock::manual(); // stands still
    let breaker = CircuitBreaker::builder("payments").clock(clock).build().unwrap();
    breaker.trip_for(Duration::from_millis(1_500), "test");
    breaker
}

async fn paid() -> &'static str {
    "paid"
}

fn shop() -> Router {
    Router::new().route("/pay", routing::get(paid))
}

fn to_pay() -> Request {
    Request::get("/pay").body(Body::empty()).unwrap()
}

/// The status and body that a server in front of `app` answers with.
async fn answer(app: Router) -> (StatusCode, String) {
    let response = hyper_client().request(get(serve(app).await, "/pay")).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

// ---- what is said

#[tokio::test]
async fn http_is_told_503_when_to_come_back_and_why() {
    let breaker = open_for_1500_ms();
    let address = serve(shop().layer(breaker.layer().respond())).await;
    let response = hyper_client().request(get(address, "/pay")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "2", "whole seconds, rounded up");
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        problem,
        serde_json::json!({
            "type": "about:blank", // RFC 9457: the title is then the status's own phrase
            "title": "Service Unavailable",
            "status": 503,
            "detail": "the call was rejected: open", // no internal name, and the same at every moment
            "retry_after": 1_500,
        })
    );
}

#[tokio::test]
async fn a_circuit_without_an_end_in_sight_promises_none() {
    let address = serve(shop().layer(forced_open().layer().respond())).await;
    let response = hyper_client().request(get(address, "/pay")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(!response.headers().contains_key(header::RETRY_AFTER));
}

#[tokio::test]
async fn head_is_told_the_same_without_a_body() {
    let address = serve(shop().layer(forced_open().layer().respond())).await;
    let response = hyper_client().request(request("HEAD", address, "/pay")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.into_body().collect().await.unwrap().to_bytes().is_empty());
}

#[tokio::test]
async fn grpc_web_is_told_unavailable_in_its_own_content_type() {
    let app = shop().layer(open_for_1500_ms().layer().respond());
    let call = Request::post("/pay").header(header::CONTENT_TYPE, "application/grpc-web+proto");
    let response = app.oneshot(call.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/grpc-web+proto");
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["grpc-retry-pushback-ms"], "1500");
}

// ---- how it is said

#[tokio::test]
async fn whatever_axum_can_respond_with_answers_rejected_calls() {
    let breaker = forced_open();
    let app = shop().layer(breaker.layer().respond_into(|r| (StatusCode::TOO_MANY_REQUESTS, r.reason())));
    assert_eq!(answer(app).await, (StatusCode::TOO_MANY_REQUESTS, "forced open".to_owned()));
    let app = shop().layer(breaker.layer().respond_into(|_| (StatusCode::IM_A_TEAPOT, "no coffee")));
    assert_eq!(answer(app).await, (StatusCode::IM_A_TEAPOT, "no coffee".to_owned()));
    let app = shop().layer(breaker.layer().respond_into(|r| Json(r.name())));
    assert_eq!(answer(app).await, (StatusCode::OK, "\"payments\"".to_owned()));
    assert_eq!(counted(&breaker)[4], 3);
    assert_eq!(breaker.totals().fallbacks, 0);
}

#[tokio::test]
async fn a_response_of_the_services_own_type_answers_rejected_calls() {
    let breaker = forced_open();
    let app = shop().layer(breaker.layer().respond_with(|rejected| rejected.name().into_response()));
    assert_eq!(answer(app).await, (StatusCode::OK, "payments".to_owned()));

    let doubled = service_fn(async |n: u32| Ok::<_, Infallible>(2 * n));
    let classify = |_: &Result<u32, Infallible>| Outcome::Success;
    let service = breaker.layer().classify(classify).respond_with(|_| 0).layer(doubled);
    assert_eq!(service.oneshot(21).await, Ok(0));
}

#[tokio::test]
async fn a_fallback_sees_the_request_and_is_counted() {
    let breaker = forced_open();
    let cached = |request: Request<Body>, rejected: Rejected| {
        Ok(format!("{} while {}", request.uri().path(), rejected.reason()).into_response())
    };
    let app = shop().layer(breaker.layer().fallback(cached));
    assert_eq!(answer(app).await, (StatusCode::OK, "/pay while forced open".to_owned()));
    assert_eq!(breaker.totals().fallbacks, 1);

    breaker.reset("test");
    let app = shop().layer(breaker.layer().fallback(cached));
    assert_eq!(answer(app).await, (StatusCode::OK, "paid".to_owned()));
    assert_eq!(breaker.totals().fallbacks, 1);
}

#[tokio::test]
async fn recover_replaces_a_failed_result_which_still_counts_as_failed() {
    let breaker = CircuitBreaker::new("payments");
    let broken = Router::new().fallback(any(async || StatusCode::INTERNAL_SERVER_ERROR));
    let layer = breaker.layer().respond().recover(|_failed: Result<Response, _>| Ok("from the cache".into_response()));
    assert_eq!(answer(broken.layer(layer.clone())).await, (StatusCode::OK, "from the cache".to_owned()));
    assert_eq!((counted(&breaker), breaker.totals().fallbacks), ([0, 1, 0, 0, 0], 1));

    assert_eq!(answer(shop().layer(layer.clone())).await.1, "paid");
    breaker.force_open("test");
    assert_eq!(answer(shop().layer(layer)).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(breaker.totals().fallbacks, 1, "recover is for calls that were let through");
}

#[tokio::test]
async fn a_handler_may_return_the_rejection_of_what_it_calls() {
    let payments = open_for_1500_ms();
    let handler = async move || -> Result<&'static str, Rejected> {
        payments.try_acquire()?.success();
        Ok("paid")
    };
    let outer = CircuitBreaker::new("shop");
    let app = Router::new().route("/pay", routing::get(handler)).layer(outer.layer().respond());
    let address = serve(app).await;
    let response = hyper_client().request(get(address, "/pay")).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    eventually("the shop itself did not fail", || counted(&outer) == IGNORED).await;
}

// ---- where a layer goes in axum

#[tokio::test]
async fn every_place_that_axum_has_for_a_layer_shares_the_circuit() {
    let breaker = CircuitBreaker::new("payments");
    let layer = breaker.layer().respond();
    let app = Router::new()
        .nest("/router", shop().layer(layer.clone()))
        .nest("/route-layer", shop().route_layer(layer.clone()))
        .route("/method-router", routing::get(paid).layer(layer.clone()))
        .route("/handler", routing::get(paid.layer(layer.clone())))
        .nest_service("/nested", layer.layer(shop()))
        .route("/service", get_service(layer.layer(shop().fallback(paid))))
        .route("/built", routing::get(paid).layer(ServiceBuilder::new().layer(layer.clone())));
    let address = serve(app).await;
    let paths = ["/router/pay", "/route-layer/pay", "/method-router", "/handler", "/nested/pay", "/service", "/built"];
    for path in paths {
        let response = hyper_client().request(get(address, path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    eventually("all are counted", || counted(&breaker) == [7, 0, 0, 0, 0]).await;
    breaker.force_open("test");
    for path in paths {
        let response = hyper_client().request(get(address, path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
    assert_eq!(counted(&breaker), [7, 0, 0, 0, 7]);
}

// ---- what others make of it

#[tokio::test]
async fn an_outer_breaker_ignores_a_rejection_that_comes_as_a_response() {
    let inner = forced_open();
    let apps = [
        shop().layer(inner.layer().respond()),
        shop().layer(inner.layer().respond_into(|_| StatusCode::BAD_GATEWAY)),
        shop().layer(inner.layer().respond_with(|rejected| {
            let mut response = StatusCode::BAD_GATEWAY.into_response();
            response.extensions_mut().insert(rejected.clone());
            response
        })),
    ];
    for app in apps {
        let outer = CircuitBreaker::new("outer");
        let response = app.layer(outer.layer().respond()).oneshot(to_pay()).await.unwrap();
        assert!(response.status().is_server_error());
        assert_eq!(counted(&outer), IGNORED);
    }
}

#[tokio::test]
async fn an_outer_breaker_ignores_a_rejection_that_comes_as_an_error() {
    let service = || forced_open().layer().classify(Errors).layer(service_fn(async |()| Ok::<_, std::io::Error>(())));

    let outer = CircuitBreaker::new("boxed");
    outer.layer().classify(Errors).layer(service()).oneshot(()).await.unwrap_err();
    assert_eq!(counted(&outer), IGNORED);

    let outer = CircuitBreaker::new("without Tower");
    outer.call(forced_open().call(async { Ok::<_, std::io::Error>(()) })).await.unwrap_err();
    assert_eq!(counted(&outer), IGNORED);

    let outer = CircuitBreaker::new("of any type");
    let error = outer.call_with(forced_open().call(async { Ok::<_, std::fmt::Error>(()) }), &Causes).await.unwrap_err();
    assert!(matches!(error, CallError::Inner(CallError::Rejected(_))));
    assert_eq!(counted(&outer), IGNORED);

    let outer = CircuitBreaker::new("with a timeout between");
    let within = ServiceBuilder::new().timeout(Duration::from_secs(30)).service(service());
    outer.layer().classify(Errors).layer(within).oneshot(()).await.unwrap_err();
    assert_eq!(counted(&outer), IGNORED);
}

#[tokio::test]
async fn handlers_of_errors_can_take_the_boxed_rejection() {
    let on_error = axum::error_handling::HandleErrorLayer::new(async |error: BoxError| {
        Rejected::find(&*error).map_or(StatusCode::INTERNAL_SERVER_ERROR, |_| StatusCode::SERVICE_UNAVAILABLE)
    });
    let stack = ServiceBuilder::new().layer(on_error).layer(forced_open().layer());
    assert_eq!(answer(shop().layer(stack)).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

/// Repeats whatever failed, but no rejection.
#[derive(Clone)]
struct Thrice(u32);

impl<B> Policy<(), http::Response<B>, BoxError> for Thrice {
    type Future = Ready<()>;

    fn retry(&mut self, (): &mut (), result: &mut Result<http::Response<B>, BoxError>) -> Option<Ready<()>> {
        let is_final = match result {
            Ok(response) => response.status().is_success() || response.extensions().get::<Rejected>().is_some(),
            Err(error) => Rejected::find(&**error).is_some(),
        };
        self.0 = self.0.checked_sub(1).filter(|_| !is_final)?;
        Some(ready(()))
    }

    fn clone_request(&mut self, (): &()) -> Option<()> {
        Some(())
    }
}

#[tokio::test]
async fn a_retry_outside_repeats_failures_but_no_rejection() {
    let called = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&called);
    let failing = service_fn(move |()| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Err::<http::Response<Body>, BoxError>("broken".into()) }
    });
    let breaker = CircuitBreaker::builder("payments").consecutive_failures_threshold(2).build().unwrap();
    let stack = ServiceBuilder::new().layer(RetryLayer::new(Thrice(3))).layer(breaker.layer()).service(failing);
    let error = stack.clone().oneshot(()).await.unwrap_err();
    // Two attempts fail, the second opens the circuit, the third is rejected, a fourth is not made.
    assert_eq!(Rejected::find(&*error).unwrap().reason(), RejectReason::Open);
    assert_eq!((called.load(Ordering::Relaxed), counted(&breaker)), (2, [0, 2, 0, 0, 1]));

    stack.oneshot(()).await.unwrap_err();
    assert_eq!(counted(&breaker)[4], 2, "one rejection a request");
}

#[tokio::test]
async fn a_retry_outside_finds_a_rejection_in_a_response() {
    let breaker = forced_open();
    let unavailable = |rejected: &Rejected| {
        let mut response = http::Response::new(Body::empty());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.extensions_mut().insert(rejected.clone());
        response
    };
    let service = service_fn(async |()| Ok::<_, BoxError>(http::Response::new(Body::empty())));
    let stack = ServiceBuilder::new()
        .layer(RetryLayer::new(Thrice(3)))
        .layer(breaker.layer().respond_with(unavailable))
        .service(service);
    assert_eq!(stack.oneshot(()).await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(counted(&breaker), REJECTED);
}
