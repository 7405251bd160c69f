//! Signals as ticks: a judge without Prometheus.

use backstop::clock::{Clock, ManualClock};
use backstop::rollback::{BreakerReport, BreakerState, Decision, Judge, Policy, TickReader};
use backstop::{Bulkhead, CircuitBreaker, Registry, Signals};
use futures_util::FutureExt;
use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;
use tower::{Layer, Service, service_fn};

/// An instance: its signals, its time and its requests, each of which takes some time and has a status.
fn instance(name: &str) -> (Signals, ManualClock, impl FnMut(u64, u16)) {
    let (clock, time) = Clock::manual();
    let signals = Signals::builder(name).clock(clock).build().unwrap();
    let passes = time.clone();
    let answer = move |(micros, status): (u64, u16)| {
        passes.advance(Duration::from_micros(micros));
        ready(Ok::<_, Infallible>(http::Response::builder().status(status).body(String::new()).unwrap()))
    };
    let mut service = signals.layer().layer(service_fn(answer));
    let ask = move |micros, status| drop(service.call((micros, status)).now_or_never().unwrap().unwrap());
    (signals, time, ask)
}

/// The last decision of a minute in which one in 50 requests of the canary ends like this, and all others are served
/// in 2 ms.
fn decided(micros: u64, status: u16) -> Decision {
    let (canary, _, mut ask_canary) = instance("canary");
    let (baseline, _, mut ask_baseline) = instance("baseline");
    let (mut judge, mut reader) = (Judge::new(Policy::default()), TickReader::new());
    let mut decision = Decision::Collecting;
    for at in 0..60 {
        for i in 0..100 {
            if i % 50 == 0 {
                ask_canary(micros, status);
            } else {
                ask_canary(2_000, 200);
            }
            ask_baseline(2_000, 200);
        }
        let arm = |signals: &Signals| {
            let mut arm = signals.arm();
            arm.gauges.clear(); // both are this process
            serde_json::to_string(&arm).unwrap()
        };
        let (canary, baseline) = (arm(&canary), arm(&baseline));
        let line = format!(r#"{{"at": {at}, "cumulative": true, "canary": {canary}, "baseline": {baseline}}}"#);
        decision = judge.observe(reader.read(&line).unwrap().unwrap()).decision;
    }
    decision
}

#[test]
fn signals_of_two_instances_decide_a_rollout() {
    assert_eq!(decided(2_000, 200), Decision::Continue);
    assert_eq!(decided(2_000, 500), Decision::Rollback);
    assert_eq!(decided(2_000, 400), Decision::Pause, "client errors are for a person");
}

#[test]
fn a_registry_adds_breakers_bulkheads_and_gauges() {
    let registry = Registry::new();
    let signals = registry.add(Signals::new("checkout")).unwrap();
    let breaker = registry.add(CircuitBreaker::new("payments")).unwrap();
    breaker.force_open("test");
    let builder = Bulkhead::builder("stock").max_concurrent_calls(4);
    let bulkhead = registry.add(builder.build().unwrap()).unwrap();
    let _held = bulkhead.try_acquire().unwrap();
    signals.gauge("completion", || 0.97).unwrap();
    signals.gauge("unknown", || f64::NAN).unwrap();
    signals.gauge("broken", || panic!("on purpose")).unwrap();
    let mut arm = signals.arm();
    registry.observe(&mut arm);
    assert_eq!(arm.breakers["payments"], BreakerReport::State(BreakerState::ForcedOpen));
    let gauge = |name| arm.gauges.get(name).copied();
    assert_eq!((gauge("bulkhead.stock"), gauge("bulkhead.stock.queue_depth")), (Some(0.25), Some(0.0)));
    assert_eq!((gauge("completion"), gauge("unknown"), gauge("broken")), (Some(0.97), None, None));
    assert_eq!(gauge("in_flight"), Some(0.0));
    assert!(!cfg!(target_os = "linux") || gauge("memory").is_some_and(|memory| memory > 0.0));
}

#[test]
fn what_a_bulkhead_rejects_has_failed_a_client_and_what_a_switch_rejects_has_not() {
    use backstop::signals::Signals as Of;
    let signals = Of::new("checkout");
    let bulkhead = Bulkhead::builder("stock").max_concurrent_calls(1).build().unwrap();
    let held = bulkhead.try_acquire().unwrap();
    let answer = |_: http::Request<String>| ready(Ok::<_, Infallible>(http::Response::new(axum::body::Body::empty())));
    let mut service = signals.layer().layer(bulkhead.layer().respond().layer(service_fn(answer)));
    let mut ask = || drop(service.call(http::Request::new(String::new())).now_or_never().unwrap().unwrap());
    ask();
    drop(held);
    ask();
    let segment = &signals.arm().segments["default"];
    assert_eq!((segment.requests, segment.server_errors, segment.client_errors), (Some(2.0), Some(1.0), Some(0.0)));
    assert_eq!(segment.error_seconds, Some(1.0));
}
