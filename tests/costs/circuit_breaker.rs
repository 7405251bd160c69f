//! What a call and a breaker take from the allocator, and how much larger the layer makes a future.

use crate::{CALLS, WARM_UP, allocations};

use allocation_counter::measure;
use backstop::bulkhead::{self, BulkheadBuilder};
use backstop::circuit_breaker::CircuitBreakerLayer;
use backstop::classify::Errors;
use backstop::clock::{Clock, ManualClock};
use backstop::config::Named;
use backstop::{BoxError, Bulkhead, CallError, CircuitBreaker, Rejected};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tower::{Layer, Service, ServiceExt, service_fn};

fn open() -> CircuitBreaker {
    let breaker = CircuitBreaker::new("open");
    breaker.trip_for(Duration::from_secs(3_600), "test");
    breaker
}

/// One call through a layer, as a server makes it.
fn call<L, S, R>(service: &mut S, request: R) -> Result<S::Response, S::Error>
where
    S: Service<R, Error = L>,
{
    let called = service.ready().now_or_never().expect("it is ready at once").map_err(|_| ());
    let Ok(service) = called else { panic!("it is not ready") };
    service.call(request).now_or_never().expect("it answers at once")
}

fn echo(number: u64) -> Ready<Result<u64, io::Error>> {
    ready(Ok(number))
}

#[test]
fn a_call_that_succeeds_allocates_nothing() {
    let breaker = CircuitBreaker::new("closed");
    let mut service = breaker.layer().classify(Errors).layer(service_fn(echo));
    assert_eq!(allocations(|| assert!(call::<BoxError, _, _>(&mut service, 1).is_ok())), 0, "a layer");

    let mut service = breaker.layer().classify(Errors).respond_with(|_: &Rejected| 0).layer(service_fn(echo));
    assert_eq!(allocations(|| assert!(call(&mut service, 1).is_ok())), 0, "a layer that responds");

    assert_eq!(allocations(|| breaker.try_acquire().unwrap().success()), 0, "a permit");

    let blocking = || assert!(breaker.call_blocking(|| Ok::<_, io::Error>(1)).is_ok());
    assert_eq!(allocations(blocking), 0, "a blocking call");

    let future = || assert!(breaker.call(echo(1)).now_or_never().unwrap().is_ok());
    assert_eq!(allocations(future), 0, "a future");
}

#[test]
fn other_windows_and_timing_allocate_nothing_either() {
    use backstop::circuit_breaker::SlidingWindow;
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("time").clock(clock);
    let builder = builder.window(SlidingWindow::time(Duration::from_secs(10), 10));
    let breaker = builder.slow_call_duration_threshold(Duration::from_secs(1)).build().unwrap();
    let one = |time: &ManualClock| {
        let permit = breaker.try_acquire().unwrap();
        time.advance(Duration::from_millis(3));
        permit.success();
    };
    assert_eq!(allocations(|| one(&time)), 0);
}

#[test]
fn a_failure_that_does_not_trip_allocates_nothing() {
    let breaker = CircuitBreaker::builder("failing").failure_rate_threshold(1.0).build().unwrap();
    let mut calls = 0_u64;
    let mostly_failing = || {
        calls += 1;
        breaker.try_acquire().unwrap().end(if calls.is_multiple_of(4) { SUCCESS } else { FAILURE });
    };
    assert_eq!(allocations(mostly_failing), 0);
}

#[test]
fn a_rejection_allocates_nothing() {
    let breaker = open();
    assert_eq!(allocations(|| assert!(breaker.try_acquire().is_err())), 0, "a permit");

    let rejects = || match breaker.call(echo(1)).now_or_never().unwrap() {
        Err(CallError::Rejected(rejected)) => assert!(rejected.retry_after().is_some()),
        _ => panic!("it is open"),
    };
    assert_eq!(allocations(rejects), 0, "a future");

    let mut service = breaker.layer().classify(Errors).respond_with(|_: &Rejected| 503).layer(service_fn(echo));
    assert_eq!(allocations(|| assert_eq!(call(&mut service, 1).unwrap(), 503)), 0, "a responder that is a closure");

    let mut service =
        breaker.layer().classify(Errors).fallback(|number: u64, _| Ok::<_, io::Error>(number)).layer(service_fn(echo));
    assert_eq!(allocations(|| assert_eq!(call(&mut service, 7).unwrap(), 7)), 0, "a fallback");

    breaker.force_open("by hand");
    assert_eq!(allocations(|| assert!(breaker.try_acquire().is_err())), 0, "forced open");
}

#[test]
fn a_rejection_as_an_error_is_one_box() {
    let mut service = open().layer().classify(Errors).layer(service_fn(echo));
    assert_eq!(allocations(|| assert!(call::<BoxError, _, _>(&mut service, 1).is_err())), CALLS);
}

#[test]
fn a_rejection_as_a_response_takes_no_more_than_it_did() {
    let serve = |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let mut service = open().layer().respond().layer(service_fn(serve));
    let all = allocations(|| {
        let response = call(&mut service, Request::new(())).unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    });
    let each = all.div_ceil(CALLS);
    println!("a rejection as an HTTP response: {each} allocations");
    assert!(each <= 13, "{each}");
}

// ---- a bulkhead, outside of any runtime

/// Full, and by whom.
fn full(configure: impl FnOnce(BulkheadBuilder<Named>) -> BulkheadBuilder<Named>) -> (Bulkhead, bulkhead::Permit) {
    let bulkhead = configure(Bulkhead::builder("full").max_concurrent_calls(1)).build().unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    (bulkhead, permit)
}

#[test]
fn a_rejection_by_a_bulkhead_takes_no_timer_and_allocates_nothing() {
    let (bulkhead, _permit) = full(|builder| builder);
    assert_eq!(allocations(|| assert!(bulkhead.try_acquire().is_err())), 0, "a permit");
    assert_eq!(allocations(|| assert!(bulkhead.acquire().now_or_never().unwrap().is_err())), 0, "without a wait");
    let within = || assert!(bulkhead.acquire_within(Duration::ZERO).now_or_never().unwrap().is_err());
    assert_eq!(allocations(within), 0, "within no time");
    assert_eq!(allocations(|| assert!(bulkhead.acquire_blocking(Duration::ZERO).is_err())), 0, "blocking");
    let future = || assert!(bulkhead.call(echo(1)).now_or_never().unwrap().is_err());
    assert_eq!(allocations(future), 0, "a future");
    let mut service = bulkhead.layer().respond_with(|_: &Rejected| 503).layer(service_fn(echo));
    assert_eq!(allocations(|| assert_eq!(call(&mut service, 1).unwrap(), 503)), 0, "a layer that responds");
    let mut service = bulkhead.wrap(service_fn(echo));
    assert_eq!(allocations(|| assert!(call::<BoxError, _, _>(&mut service, 1).is_err())), CALLS, "an error is one box");

    let (bulkhead, _permit) = full(|builder| builder.max_wait(Duration::from_secs(1)).partition("a", 1.0));
    assert_eq!(allocations(|| assert!(bulkhead.try_acquire().is_err())), 0, "though others might wait");
}

#[test]
fn a_call_through_a_bulkhead_allocates_nothing() {
    let plain = Bulkhead::new("plain");
    let timed = Bulkhead::builder("timed").max_hold(Duration::from_secs(3_600)).partition("a", 0.5).build().unwrap();
    for bulkhead in [plain, timed] {
        assert_eq!(allocations(|| drop(bulkhead.try_acquire().unwrap())), 0, "a permit");
        assert_eq!(allocations(|| assert!(bulkhead.call(echo(1)).now_or_never().unwrap().is_ok())), 0, "a future");
        let mut service = bulkhead.wrap(service_fn(echo));
        assert_eq!(allocations(|| assert!(call::<BoxError, _, _>(&mut service, 1).is_ok())), 0, "a layer");
    }
}

// ---- memory

/// What the layer adds to the future of a service.
fn added<S, C, P, R>(layer: &CircuitBreakerLayer<C, P>, service: S, request: R) -> usize
where
    S: Service<R>,
    CircuitBreakerLayer<C, P>: Layer<S, Service: Service<R>>,
{
    let mut service = layer.layer(service);
    let future = service.call(request);
    size_of_val(&future) - size_of::<S::Future>()
}

#[test]
fn a_future_grows_by_at_most_64_bytes() {
    let breaker = CircuitBreaker::new("size");
    let answer = |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())));
    let request = || Request::new(());
    let sizes = [
        ("error", added(&breaker.layer(), service_fn(answer), request())),
        ("respond", added(&breaker.layer().respond(), service_fn(answer), request())),
        (
            "respond_with",
            added(
                &breaker.layer().respond_with(|_: &Rejected| Response::new(Full::<Bytes>::default())),
                service_fn(answer),
                request(),
            ),
        ),
        ("respond_into", {
            let serve = |_: Request<()>| ready(Ok::<_, Infallible>(Response::new(axum::body::Body::empty())));
            added(&breaker.layer().respond_into(|_: &Rejected| "no"), service_fn(serve), request())
        }),
        ("leaked", added(&breaker.clone().leak().layer(), service_fn(answer), request())),
    ];
    println!("a layer adds to a future: {sizes:?} bytes");
    for (name, bytes) in sizes {
        assert!(bytes <= 64, "{name}: {bytes}");
    }
}

/// A recorder without storage of its own.
struct Plain(Arc<Dummy>);

struct Dummy;

impl metrics::CounterFn for Dummy {
    fn increment(&self, _: u64) {}
    fn absolute(&self, _: u64) {}
}

impl metrics::GaugeFn for Dummy {
    fn increment(&self, _: f64) {}
    fn decrement(&self, _: f64) {}
    fn set(&self, _: f64) {}
}

impl Recorder for Plain {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::clone(&self.0))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::clone(&self.0))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn a_breaker_takes_at_most_4_kib() {
    metrics::with_local_recorder(&Plain(Arc::new(Dummy)), || {
        let _first = CircuitBreaker::new("memory"); // its name is kept once
        let mut breaker = None;
        let made = measure(|| breaker = Some(CircuitBreaker::new("memory")));
        let breaker = breaker.unwrap();
        let used = measure(|| {
            (0..WARM_UP)
                .for_each(|i| breaker.try_acquire().unwrap().end(if i.is_multiple_of(3) { FAILURE } else { SUCCESS }));
        });
        let bytes = made.bytes_current + used.bytes_current;
        println!("a breaker takes {bytes} bytes in {} pieces", made.count_current + used.count_current);
        assert!(bytes <= 4_096, "{bytes} bytes: {made:?}, then {used:?}");
    });
}

const FAILURE: backstop::Outcome = backstop::Outcome::Failure;
const SUCCESS: backstop::Outcome = backstop::Outcome::Success;

#[test]
fn holding_a_request_against_the_rules_of_switches_allocates_nothing() {
    use backstop::kill_switch::{CompiledScope, Scope, SwitchId, Target};

    let id = SwitchId::new("recs").unwrap();
    let narrow = Scope::new().route("/recs/*").tenant("acme").region("eu").audience("beta").percent(50.0);
    let rules = [
        CompiledScope::new(&id, &narrow),
        CompiledScope::new(&id, &Scope::all()),
        CompiledScope::new(&id, &Scope::new().percent(1.0)),
    ];
    let target = Target::new().route("/recs/home").tenant("acme").region("eu").audience("beta").key("user-17");
    let counted = measure(|| {
        let mut hash = target.key_hash();
        assert!(rules[1].matches(&target, &mut hash));
        std::hint::black_box(rules.iter().filter(|rule| rule.matches(&target, &mut hash)).count());
    });
    assert_eq!(counted.count_total, 0);
}
