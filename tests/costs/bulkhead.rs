//! What a call through a bulkhead takes from the allocator, and how much larger the layer makes a future.

use crate::{CALLS, allocations};

use backstop::bulkhead::BulkheadLayer;
use backstop::{BoxError, Bulkhead, CallError, Rejected};
use futures_util::FutureExt;
use std::future::{Ready, ready};
use std::io;
use std::time::Duration;
use tower::{Layer, Service, ServiceExt, service_fn};

fn echo(number: u64) -> Ready<Result<u64, io::Error>> {
    ready(Ok(number))
}

/// One call through a layer, as a server makes it. There is no runtime: a timer would panic.
fn call<L, S>(service: &mut S, request: u64) -> Result<u64, L>
where
    S: Service<u64, Response = u64, Error = L>,
{
    let called = service.ready().now_or_never().expect("it is ready at once").map_err(|_| ());
    let Ok(service) = called else { panic!("it is not ready") };
    service.call(request).now_or_never().expect("it answers at once")
}

/// One whose permit is held.
fn full() -> (Bulkhead, backstop::bulkhead::Permit) {
    let bulkhead = Bulkhead::builder("full").max_concurrent_calls(1).build().unwrap();
    let held = bulkhead.try_acquire().unwrap();
    (bulkhead, held)
}

#[test]
fn a_call_that_finds_a_permit_allocates_nothing_with_a_queue_or_without() {
    let waits = Bulkhead::builder("waits").max_wait(Duration::from_secs(1)).build().unwrap();
    for bulkhead in [Bulkhead::new("none"), waits, Bulkhead::new("leaked").leak()] {
        let mut service = bulkhead.layer().layer(service_fn(echo));
        assert_eq!(allocations(|| assert!(call::<BoxError, _>(&mut service, 1).is_ok())), 0, "a layer");
        assert_eq!(allocations(|| drop(bulkhead.try_acquire().unwrap())), 0, "a permit");
        assert_eq!(allocations(|| assert!(bulkhead.call(echo(1)).now_or_never().unwrap().is_ok())), 0, "a future");
        let blocking = || assert!(bulkhead.call_blocking(|| Ok::<_, io::Error>(1)).is_ok());
        assert_eq!(allocations(blocking), 0, "a blocking call");
    }
}

#[test]
fn timed_calls_allocate_nothing_either() {
    let builder = Bulkhead::builder("timed").max_hold(Duration::from_secs(1)).partition("live", 0.5);
    let live = builder.build().unwrap().partition("live").unwrap();
    assert_eq!(allocations(|| drop(live.try_acquire().unwrap())), 0);
}

#[test]
fn a_rejection_allocates_nothing_and_needs_no_timer() {
    let (bulkhead, _held) = full();
    assert_eq!(allocations(|| assert!(bulkhead.try_acquire().is_err())), 0, "a permit");
    let rejects = || assert!(matches!(bulkhead.call(echo(1)).now_or_never().unwrap(), Err(CallError::Rejected(_))));
    assert_eq!(allocations(rejects), 0, "a future");
    let mut service = bulkhead.layer().respond_with(|_: &Rejected| 503).layer(service_fn(echo));
    assert_eq!(allocations(|| assert_eq!(call(&mut service, 1).unwrap(), 503)), 0, "a responder that is a closure");
    let fallback = bulkhead.layer().fallback(|number: u64, _| Ok::<_, io::Error>(number));
    let mut service = fallback.layer(service_fn(echo));
    assert_eq!(allocations(|| assert_eq!(call(&mut service, 7).unwrap(), 7)), 0, "a fallback");
    let mut service = bulkhead.layer().layer(service_fn(echo));
    assert_eq!(
        allocations(|| assert!(call::<BoxError, _>(&mut service, 1).is_err())),
        CALLS,
        "as an error it is one box"
    );
}

/// What the layer adds to the future of a service.
fn added<H, C, P>(layer: &BulkheadLayer<Bulkhead, H, C, P>) -> usize
where
    BulkheadLayer<Bulkhead, H, C, P>: Layer<Echo, Service: Service<u64>>,
{
    let future = layer.layer(Echo).call(1);
    size_of_val(&future) - size_of::<Ready<Result<u64, io::Error>>>()
}

#[derive(Clone)]
struct Echo;

impl Service<u64> for Echo {
    type Response = u64;
    type Error = io::Error;
    type Future = Ready<Result<u64, io::Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), io::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        echo(request)
    }
}

#[test]
fn a_future_grows_by_at_most_48_bytes() {
    let bulkhead = Bulkhead::new("size");
    let sizes = [
        ("error", added(&bulkhead.layer())),
        ("respond_with", added(&bulkhead.layer().respond_with(|_: &Rejected| 0))),
        ("leaked", added(&bulkhead.clone().leak().layer())),
    ];
    println!("a layer adds to a future: {sizes:?} bytes");
    for (name, bytes) in sizes {
        assert!(bytes <= 48, "{name}: {bytes}");
    }
}

#[test]
fn a_future_of_several_mechanisms_grows_by_at_most_96_bytes() {
    let (breaker, bulkhead) = (backstop::CircuitBreaker::new("size"), Bulkhead::new("size"));
    let layer = backstop::protect().circuit_breaker(&breaker).bulkhead(&bulkhead).classify(backstop::classify::Errors);
    let own = size_of::<Ready<Result<u64, io::Error>>>();
    let added = size_of_val(&layer.layer(Echo).call(1)) - own;
    println!("protect() adds to a future: {added} bytes");
    assert!(added <= 96, "{added}");
}

#[test]
fn a_call_without_tower_holds_its_future_once() {
    let bulkhead = Bulkhead::new("large");
    let breaker = backstop::CircuitBreaker::new("large");
    let large = || async {
        let held = [0_u8; 4_096];
        std::future::ready(()).await;
        Ok::<_, io::Error>(held.len())
    };
    let own = size_of_val(&large());
    let sizes = [
        ("breaker", size_of_val(&breaker.call(large()))),
        ("bulkhead", size_of_val(&bulkhead.call(large()))),
        ("bulkhead round breaker", size_of_val(&bulkhead.call(breaker.call(large())))),
    ];
    println!("{own} bytes alone; {sizes:?}");
    assert!(sizes.iter().all(|(_, bytes)| *bytes < own + 400), "{own} bytes alone; {sizes:?}");
}
