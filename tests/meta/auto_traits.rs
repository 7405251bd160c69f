//! What the public types can be moved into: losing `Send` or `Clone` in a patch would break users.

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
use backstop::circuit_breaker::{
    CircuitBreakerConfig, CircuitBreakerLayer, CircuitBreakerService, Event, ResponseFuture,
};
use backstop::classify::{Auto, WatchBody};
use backstop::reject::{AsError, Respond};
use backstop::{CallError, CircuitBreaker, ConfigError, Registry, Rejected, Subscription};
use std::future::Ready;

fn shared<T: Send + Sync>() {}
fn cloned<T: Clone + Send + Sync + 'static>() {}
fn sent<T: Send>(_: &T) {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn handles_layers_and_services_are_cloned_and_shared() {
    cloned::<CircuitBreaker>();
    cloned::<CircuitBreakerConfig>();
    cloned::<KeyedCircuitBreaker<String>>();
    cloned::<CircuitBreakerLayer>();
    cloned::<CircuitBreakerLayer<Auto, Respond>>();
    cloned::<CircuitBreakerService<(), Auto, AsError>>();
    cloned::<Registry>();
    cloned::<Event>();
}

#[test]
fn those_of_bulkheads_too() {
    use backstop::Bulkhead;
    use backstop::bulkhead::keyed::{KeyHandle, KeyedBulkhead};
    use backstop::bulkhead::{BulkheadConfig, BulkheadLayer, BulkheadService, Event, HeldBody, Permit};
    cloned::<Bulkhead>();
    cloned::<BulkheadConfig>();
    cloned::<KeyedBulkhead<String>>();
    cloned::<KeyHandle<String>>();
    cloned::<BulkheadLayer>();
    cloned::<BulkheadService<()>>();
    cloned::<Event>();
    shared::<Permit>();
    shared::<Permit<KeyHandle<String>>>();
    shared::<HeldBody<axum::body::Bytes, Bulkhead>>();
    let bulkhead = Bulkhead::new("sent");
    sent(&bulkhead.call(async { Ok::<_, std::io::Error>(()) }));
    sent(&bulkhead.acquire());
}

#[test]
fn those_of_signals_too() {
    use backstop::signals::{Observation, ResponseFuture, Signals, SignalsConfig, SignalsLayer, SignalsService};
    cloned::<Signals>();
    cloned::<SignalsConfig>();
    cloned::<SignalsLayer>();
    cloned::<SignalsService<()>>();
    shared::<Observation>();
    shared::<ResponseFuture<Ready<Result<(), ()>>, Auto>>();
    shared::<WatchBody<axum::body::Bytes, Observation>>();
}

#[test]
fn health_checks_are_shared() {
    use backstop::health::{Check, Event, Health, HealthBuilder, Report};
    cloned::<Health>();
    cloned::<HealthBuilder>();
    cloned::<Check>();
    cloned::<Event>();
    cloned::<Report>();
}

#[test]
fn what_travels_with_a_call_is_sent_between_threads() {
    shared::<Permit>();
    shared::<Subscription>();
    shared::<WatchBody<axum::body::Bytes, Permit>>();
    shared::<ResponseFuture<Ready<Result<(), ()>>, Auto, AsError, Rejected, ()>>();
}

#[test]
fn errors_are_errors() {
    error::<Rejected>();
    error::<ConfigError>();
    error::<CallError<std::io::Error>>();
}

#[test]
fn futures_of_calls_without_tower_are_sent_between_threads() {
    let breaker = CircuitBreaker::new("sent");
    sent(&breaker.call(async { Ok::<_, std::io::Error>(()) }));
}
