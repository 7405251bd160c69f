//! Callers that wait for the inner service to be ready.

use backstop::bulkhead::BulkheadConfig;
use backstop::classify::Errors;
use backstop::{Bulkhead, CircuitBreaker, Rejected, protect};
use futures_util::FutureExt;
use futures_util::task::ArcWake;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, service_fn};

/// A service that is never ready.
#[derive(Clone)]
struct Busy;

impl Service<()> for Busy {
    type Response = ();
    type Error = io::Error;
    type Future = std::future::Ready<Result<(), io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        unreachable!("it is never ready")
    }
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl ArcWake for Bell {
    fn wake_by_ref(bell: &Arc<Self>) {
        bell.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Lets callers wait for readiness while the circuit opens: each is woken once and then rejected.
fn told<S>(breaker: &CircuitBreaker, service: impl Fn() -> S)
where
    S: Service<(), Response = (), Error = backstop::BoxError>,
{
    let bells: Vec<_> = (0..20).map(|_| Arc::new(Bell::default())).collect();
    let mut waiting: Vec<_> = bells.iter().map(|_| service()).collect();
    for (service, bell) in waiting.iter_mut().zip(&bells) {
        let waker = futures_util::task::waker_ref(bell);
        assert!(service.poll_ready(&mut Context::from_waker(&waker)).is_pending());
        assert!(service.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(waiting.pop());
    breaker.force_open("maintenance");
    let rung: Vec<_> = bells.iter().map(|bell| bell.0.load(Ordering::Relaxed)).collect();
    assert_eq!(rung[..19], [1; 19]);
    assert_eq!(rung[19], 0, "it had left");
    for service in &mut waiting {
        assert!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())).is_ready());
        let error = service.call(()).now_or_never().expect("at once").unwrap_err();
        assert!(Rejected::find(&*error).is_some());
    }
    breaker.reset("over");
    assert_eq!(bells[0].0.load(Ordering::Relaxed), 1, "who does not wait is not woken");
}

#[test]
fn callers_that_wait_for_readiness_are_told_when_the_circuit_opens() {
    let breaker = CircuitBreaker::new("told");
    told(&breaker, || breaker.layer().classify(Errors).layer(Busy));
}

#[test]
fn callers_that_wait_behind_several_mechanisms_are_told_when_the_circuit_opens() {
    let (breaker, bulkhead) = (CircuitBreaker::new("told"), Bulkhead::new("told"));
    told(&breaker, || protect().circuit_breaker(&breaker).bulkhead(&bulkhead).classify(Errors).layer(Busy));
}

/// The service was not asked before its call, which holds a permit of the bulkhead and waits for it.
#[test]
fn a_call_that_waits_for_readiness_is_told_when_the_circuit_opens() {
    let (breaker, config) = (CircuitBreaker::new("told"), BulkheadConfig::builder().max_concurrent_calls(1).build());
    let bulkhead = Bulkhead::from_config("told", config.unwrap()).unwrap();
    let mut service = protect().circuit_breaker(&breaker).bulkhead(&bulkhead).classify(Errors).layer(Busy);
    let permit = bulkhead.try_acquire().unwrap();
    assert!(service.poll_ready(&mut Context::from_waker(std::task::Waker::noop())).is_ready(), "full");
    drop(permit);
    let bell = Arc::new(Bell::default());
    let waker = futures_util::task::waker_ref(&bell);
    let mut call = std::pin::pin!(service.call(()));
    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    breaker.force_open("maintenance");
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_ready());
    assert_eq!(bulkhead.snapshot().in_flight, 0);
}

/// The recipe of the guide's chapter on layer order: the limit outside, or a bulkhead instead of it.
#[test]
fn idle_workers_over_a_concurrency_limit_do_not_keep_a_circuit_from_probing() {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let (clock, time) = backstop::clock::Clock::manual();
    let breaker = CircuitBreaker::builder("probes").clock(clock).build().unwrap();
    let limit = breaker.layer().classify(Errors).layer(service_fn(async |()| Ok::<_, io::Error>(())));
    let limit = ConcurrencyLimit::new(limit, 2);
    let mut idle = [limit.clone(), limit.clone()];
    for worker in &mut idle {
        assert!(worker.poll_ready(&mut cx).is_ready());
    }
    breaker.trip("test");
    for worker in &mut idle {
        assert!(worker.call(()).now_or_never().unwrap().is_err());
    }
    time.advance(Duration::from_secs(3_600));
    let mut prober = limit;
    assert!(prober.poll_ready(&mut cx).is_ready());
    assert!(prober.call(()).now_or_never().unwrap().is_ok());
}

/// A runtime without timers.
#[test]
fn a_balancers_endpoint_wakes_after_the_open_time_without_a_time_driver() {
    let breaker = CircuitBreaker::builder("endpoint").open_time(Duration::from_millis(50)).build().unwrap();
    breaker.trip("test");
    let mut service =
        breaker.layer().classify(Errors).pending_while_open().layer(service_fn(async |()| Ok::<_, io::Error>(())));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(std::future::poll_fn(|cx| service.poll_ready(cx))).unwrap();
    assert!(service.call(()).now_or_never().unwrap().is_ok());
    breaker.trip("and without a runtime");
    futures_util::future::poll_fn(|cx| service.poll_ready(cx)).now_or_never();
}
