//! Outbound clients behind a breaker: reqwest and hyper-util, with Tower and without.

use crate::common;

use axum::http::StatusCode;
use axum::{Router, routing};
use backstop::circuit_breaker::{Reason, State};
use backstop::classify::{Auto, StatusRules};
use backstop::{CallError, CircuitBreaker, Outcome, Rejected};
use common::{HyperClient, counted, get, hyper_client, serve, soon};
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::time::Duration;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

const SUCCESS: [u64; 5] = [1, 0, 0, 0, 0];
const FAILURE: [u64; 5] = [0, 1, 0, 0, 0];
const IGNORED: [u64; 5] = [0, 0, 1, 0, 0];

async fn shop() -> SocketAddr {
    let app = Router::new()
        .route("/pay", routing::get(async || "paid"))
        .route("/broken", routing::get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/slow", routing::get(std::future::pending::<StatusCode>));
    serve(app).await
}

fn to(address: SocketAddr, path: &str) -> reqwest::Request {
    let url = format!("http://{address}{path}").parse().expect("the tests' own URLs are valid");
    reqwest::Request::new(reqwest::Method::GET, url)
}

#[tokio::test]
async fn reqwest_behind_tower() {
    let address = shop().await;
    let breaker = CircuitBreaker::new("shop");
    let client = reqwest::Client::new();

    let mut borrowed = breaker.wrap(&client);
    let response = borrowed.ready().await.unwrap().call(to(address, "/pay")).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "paid");

    let mut owned = breaker.wrap(client.clone());
    let response = owned.ready().await.unwrap().call(to(address, "/broken")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(counted(&breaker), [1, 1, 0, 0, 0]);

    breaker.force_open("test");
    let error = owned.ready().await.unwrap().call(to(address, "/pay")).await.unwrap_err();
    assert_eq!(Rejected::find(&*error).unwrap().name(), "shop");
    assert_eq!(counted(&breaker), [1, 1, 0, 0, 1]);
}

#[tokio::test]
async fn reqwest_without_tower_keeps_its_request_builder() {
    let address = shop().await;
    let breaker = CircuitBreaker::new("shop");
    let client = reqwest::Client::new();
    let url = |path| format!("http://{address}{path}");

    let response =
        breaker.call_with(client.get(url("/pay")).header("accept", "text/plain").send(), &Auto).await.unwrap();
    assert_eq!(response.url().path(), "/pay");
    assert_eq!(response.text().await.unwrap(), "paid");
    let response = breaker.call_with(client.get(url("/broken")).send(), &Auto).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(counted(&breaker), [1, 1, 0, 0, 0]);

    breaker.force_open("test");
    let error = breaker.call_with(client.get(url("/pay")).send(), &Auto).await.unwrap_err();
    assert_eq!(error.rejected().unwrap().name(), "shop");
}

#[tokio::test]
async fn an_error_by_status_is_a_failure_of_a_plain_call() {
    let address = shop().await;
    let breaker = CircuitBreaker::new("shop");
    let fetch = async || reqwest::get(format!("http://{address}/broken")).await?.error_for_status()?.text().await;
    let error = breaker.call(fetch()).await.unwrap_err();
    assert!(matches!(error, CallError::Inner(error) if error.is_status()));
    assert_eq!(counted(&breaker), FAILURE);
}

#[tokio::test]
async fn a_timeout_of_reqwest_is_a_failure() {
    let address = shop().await;
    let breaker = CircuitBreaker::new("shop");
    let request = reqwest::Client::new().get(format!("http://{address}/slow")).timeout(Duration::from_millis(20));
    let error = soon("reqwest's timeout", breaker.call_with(request.send(), &Auto)).await.unwrap_err();
    assert!(error.into_inner().unwrap().is_timeout());
    assert_eq!(counted(&breaker), FAILURE);
}

#[tokio::test]
async fn a_request_that_cannot_be_built_is_not_the_dependencys_fault() {
    let breaker = CircuitBreaker::new("shop");
    let client = reqwest::Client::new();
    breaker.call_with(client.get("no URL").send(), &Auto).await.unwrap_err();
    assert_eq!(counted(&breaker), IGNORED);
    breaker.call(client.get("no URL").send()).await.unwrap_err();
    assert_eq!(counted(&breaker), [0, 0, 2, 0, 0]);
}

#[tokio::test]
async fn hyper_util_behind_tower() {
    let address = shop().await;
    let breaker = CircuitBreaker::builder("shop").consecutive_failures_threshold(1).build().unwrap();
    let mut client = breaker.wrap(hyper_client());
    let response = client.ready().await.unwrap().call(get(address, "/pay")).await.unwrap();
    assert_eq!(counted(&breaker), [0; 5], "the body decides");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "paid");
    assert_eq!(counted(&breaker), SUCCESS);

    client.ready().await.unwrap().call(get(address, "/broken")).await.unwrap();
    assert_eq!(breaker.state(), State::Open);
    let error = client.ready().await.unwrap().call(get(address, "/pay")).await.unwrap_err();
    assert!(Rejected::find(&*error).is_some());
}

#[tokio::test]
async fn hyper_util_without_tower() {
    let address = shop().await;
    let breaker = CircuitBreaker::new("shop");
    let response = breaker.call_with(hyper_client().request(get(address, "/pay")), &Auto).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "paid");
    let rules = StatusRules::new().status(500, Outcome::Ignored);
    breaker.call_with(hyper_client().request(get(address, "/broken")), &rules).await.unwrap();
    assert_eq!(counted(&breaker), [1, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_dead_dependency_behind_a_callers_timeout_opens_the_circuit() {
    let address = shop().await;
    let breaker = CircuitBreaker::builder("shop").minimum_calls(3).build().unwrap();
    let timeout = Duration::from_millis(60);
    let mut client = ServiceBuilder::new().timeout(timeout).layer(breaker.layer()).service(hyper_client());
    for _ in 0..3 {
        soon("the timeout", client.ready().await.unwrap().call(get(address, "/slow"))).await.unwrap_err();
    }
    assert_eq!((counted(&breaker), breaker.state()), ([0, 0, 0, 3, 0], State::Open));

    // With the timeout inside, each is an error that the breaker sees.
    let breaker = CircuitBreaker::builder("shop").minimum_calls(3).build().unwrap();
    let mut client = ServiceBuilder::new().layer(breaker.layer()).timeout(timeout).service(hyper_client());
    for _ in 0..3 {
        soon("the timeout", client.ready().await.unwrap().call(get(address, "/slow"))).await.unwrap_err();
    }
    assert_eq!((counted(&breaker), breaker.state()), ([0, 3, 0, 0, 0], State::Open));
}

#[tokio::test]
async fn a_dependency_that_comes_back_is_found_by_probes() {
    let address = shop().await;
    let breaker = CircuitBreaker::builder("shop")
        .consecutive_failures_threshold(1)
        .open_time(Duration::from_millis(50))
        .half_open_max_calls(2)
        .build()
        .unwrap();
    let client = reqwest::Client::new();
    let call = async |path: &str| breaker.call_with(client.execute(to(address, path)), &Auto).await;
    call("/broken").await.unwrap();
    assert_eq!(breaker.state(), State::Open);
    let answered = async {
        while call("/pay").await.is_err() {
            tokio::time::sleep(breaker.retry_after().unwrap_or_default()).await;
        }
    };
    soon("the first probe", answered).await;
    assert_eq!(breaker.state(), State::HalfOpen);
    call("/pay").await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(breaker.totals().failed, 1);
}

/// What a service with a breaker in front is asked to be elsewhere: cloned into tasks, kept in a struct by name.
struct Payments {
    client: backstop::circuit_breaker::CircuitBreakerService<HyperClient>,
}

impl Payments {
    async fn pay(&self, address: SocketAddr) -> Result<String, backstop::BoxError> {
        let response = self.client.clone().oneshot(get(address, "/pay")).await?;
        Ok(String::from_utf8(response.into_body().collect().await?.to_bytes().to_vec())?)
    }
}

#[tokio::test]
async fn a_wrapped_client_can_be_named_cloned_and_sent() {
    let address = shop().await;
    let breaker = CircuitBreaker::new("shop");
    let payments = Payments { client: breaker.wrap(hyper_client()) };
    assert_eq!(tokio::spawn(async move { payments.pay(address).await }).await.unwrap().unwrap(), "paid");
    let layered = breaker.layer().layer(hyper_client());
    assert_eq!(Payments { client: layered }.pay(address).await.unwrap(), "paid");
    assert_eq!(counted(&breaker), [2, 0, 0, 0, 0]);
}

#[tokio::test]
async fn events_tell_why_a_client_was_cut_off() {
    let address = shop().await;
    let breaker = CircuitBreaker::builder("shop").failure_count_threshold(2).build().unwrap();
    let (events, heard) = std::sync::mpsc::channel();
    let _subscription = breaker.subscribe(move |event| events.send(event.details().reason).unwrap());
    let client = reqwest::Client::new();
    for _ in 0..2 {
        breaker.call_with(client.execute(to(address, "/broken")), &Auto).await.unwrap();
    }
    assert_eq!(heard.try_iter().collect::<Vec<_>>(), [Reason::FailureCount]);
}
