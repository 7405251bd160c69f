//! Rejected gRPC calls: their status and pushback, and what an outer breaker makes of them.

use crate::common;
use crate::grpc::{Answers, IGNORED, REJECTED, answers, ask, connected, serving};

use backstop::classify::Auto;
use backstop::clock::Clock;
use backstop::{CallError, CircuitBreaker, Outcome, Rejected};
use common::{counted, eventually};
use futures_util::stream::BoxStream;
use std::time::Duration;
use tonic::body::Body;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower::Layer;

fn open_for_1500_ms() -> CircuitBreaker {
    let (clock, _) = Clock::manual(); // stands still
    let breaker = CircuitBreaker::builder("payments").clock(clock).build().unwrap();
    breaker.trip_for(Duration::from_millis(1_500), "test");
    breaker
}

fn assert_unavailable_with_pushback(status: &Status) {
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "1500");
    assert_eq!(status.message(), "the call was rejected: open");
}

#[tokio::test]
async fn a_server_that_responds_says_unavailable_with_pushback() {
    let breaker = open_for_1500_ms();
    let service = breaker.layer().respond().layer(HealthServer::new(Answers));
    let channel = connected!(Server::builder().add_service(service));
    assert_unavailable_with_pushback(&HealthClient::new(channel).check(ask("")).await.unwrap_err());

    let breaker = open_for_1500_ms();
    let server = Server::builder().layer(breaker.layer().respond()).add_service(HealthServer::new(Answers));
    assert_unavailable_with_pushback(&HealthClient::new(connected!(server)).check(ask("")).await.unwrap_err());
    assert_eq!(counted(&breaker), REJECTED);
}

#[tokio::test]
async fn a_server_that_returns_the_error_says_the_same() {
    let breaker = open_for_1500_ms();
    let server = Server::builder().layer(breaker.layer()).add_service(HealthServer::new(Answers));
    let mut client = HealthClient::new(connected!(server));
    // tonic resets the stream of an error in which it finds no status.
    assert_unavailable_with_pushback(&client.check(ask("")).await.unwrap_err());
    assert_unavailable_with_pushback(&client.watch(ask("")).await.unwrap_err());
}

#[tokio::test]
async fn a_client_says_the_same_and_the_rejection_can_be_found() {
    let breaker = open_for_1500_ms();
    let status = HealthClient::new(breaker.wrap(answers().await)).check(ask("")).await.unwrap_err();
    assert_unavailable_with_pushback(&status);
    assert_eq!(Rejected::find(&status).unwrap().name(), "payments");

    let responding = breaker.layer().respond().layer(answers().await);
    assert_unavailable_with_pushback(&HealthClient::new(responding).check(ask("")).await.unwrap_err());
}

#[tokio::test]
async fn an_outer_breaker_ignores_the_rejections_of_an_inner_one() {
    let inner = open_for_1500_ms();

    let outer = CircuitBreaker::new("outer");
    HealthClient::new(outer.wrap(inner.wrap(answers().await))).check(ask("")).await.unwrap_err();
    assert_eq!(counted(&outer), IGNORED, "as an error");

    let outer = CircuitBreaker::new("outer");
    let responding = inner.layer().respond().layer(answers().await);
    HealthClient::new(outer.wrap(responding)).check(ask("")).await.unwrap_err();
    assert_eq!(counted(&outer), IGNORED, "as a response");

    let outer = CircuitBreaker::new("outer");
    let mut client = HealthClient::new(inner.wrap(answers().await));
    let error = outer.call(client.check(ask(""))).await.unwrap_err();
    assert!(matches!(error, CallError::Inner(_)));
    assert_eq!(counted(&outer), IGNORED, "as a status");

    let outer = CircuitBreaker::new("outer");
    let service = inner.layer().respond().layer(HealthServer::new(Answers));
    let server = Server::builder().layer(outer.layer().respond()).add_service(service);
    HealthClient::new(connected!(server)).check(ask("")).await.unwrap_err();
    eventually("within one server", || counted(&outer) == IGNORED).await;
}

#[tokio::test]
async fn pushback_sets_the_time_that_the_circuit_stays_open() {
    let server = open_for_1500_ms();
    let service = server.layer().respond().layer(HealthServer::new(Answers));
    let channel = connected!(Server::builder().add_service(service));

    let (clock, _) = Clock::manual();
    let builder = CircuitBreaker::builder("client").clock(clock).consecutive_failures_threshold(1);
    let [layered, called] = [builder.clone().build().unwrap(), builder.build().unwrap()];
    HealthClient::new(layered.wrap(channel.clone())).check(ask("")).await.unwrap_err();
    assert_eq!(layered.retry_after(), Some(Duration::from_millis(1_500)));
    drop(called.call_with(HealthClient::new(channel).check(ask("")), &Auto).await);
    assert_eq!(called.retry_after(), Some(Duration::from_millis(1_500)));
}

/// A service that stands in front of a dependency of its own.
struct Checkout {
    payments: CircuitBreaker,
}

#[tonic::async_trait]
impl Health for Checkout {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let permit = self.payments.try_acquire()?;
        permit.success();
        Ok(Response::new(serving()))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("not asked for"))
    }
}

#[tokio::test]
async fn a_rejection_is_a_status_by_the_question_mark() {
    let service = HealthServer::new(Checkout { payments: open_for_1500_ms() });
    let channel = connected!(Server::builder().add_service(service));
    assert_unavailable_with_pushback(&HealthClient::new(channel).check(ask("")).await.unwrap_err());
    let status = Status::from(open_for_1500_ms().try_acquire().unwrap_err());
    assert!(Rejected::find(&status).is_some());
}

#[tokio::test]
async fn a_classifier_that_watches_no_body_can_answer_for_tonic() {
    let breaker = open_for_1500_ms();
    let layer = breaker
        .layer()
        .classify(|_: &Result<http::Response<Body>, _>| Outcome::Success)
        .respond_with(|rejected| Status::from(rejected.clone()).into_http());
    let channel = connected!(Server::builder().add_service(layer.layer(HealthServer::new(Answers))));
    assert_unavailable_with_pushback(&HealthClient::new(channel.clone()).check(ask("")).await.unwrap_err());
    breaker.reset("test");
    HealthClient::new(channel).check(ask("")).await.unwrap();
}
