//! Endpoints of a balancer: one whose circuit is open is not ready, and becomes ready by itself.

use crate::common;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::{Router, routing};
use backstop::circuit_breaker::{CircuitBreakerService, State};
use backstop::classify::Errors;
use backstop::clock::Clock;
use backstop::{BoxError, CircuitBreaker};
use common::{counted, eventually, get, hyper_client, serve, soon};
use futures_util::future::BoxFuture;
use std::convert::Infallible;
use std::future::{Pending, pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll, Wake};
use std::time::Duration;
use tower::balance::p2c::Balance;
use tower::discover::ServiceList;
use tower::load::{CompleteOnResponse, PendingRequests};
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};

/// A server with a switch, and a client that knows where it is.
struct Endpoint {
    is_sick: Arc<AtomicBool>,
    asked: Arc<AtomicU32>,
    client: BoxCloneService<(), Response<Body>, BoxError>,
}

impl Endpoint {
    async fn start() -> Self {
        let (is_sick, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (switch, counter) = (Arc::clone(&is_sick), Arc::clone(&asked));
        let handler = async move || {
            counter.fetch_add(1, Ordering::Relaxed);
            if switch.load(Ordering::Relaxed) { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK }
        };
        let address = serve(Router::new().route("/", routing::get(handler))).await;
        let client = hyper_client()
            .map_request(move |()| get(address, "/"))
            .map_response(|response| response.map(Body::new))
            .map_err(BoxError::from);
        Self { is_sick, asked, client: BoxCloneService::new(client) }
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_balancer_uses_the_other_endpoint_while_one_is_open_and_returns_to_it() {
    let [healthy, sick] = [Endpoint::start().await, Endpoint::start().await];
    sick.is_sick.store(true, Ordering::Relaxed);
    let breakers = ["healthy", "sick"].map(|name| {
        let builder = CircuitBreaker::builder(name).consecutive_failures_threshold(3).half_open_max_calls(2);
        builder.open_time(Duration::from_millis(300)).build().unwrap()
    });
    let endpoints = [&healthy, &sick].into_iter().zip(&breakers).map(|(endpoint, breaker)| {
        let service = breaker.layer().pending_while_open().layer(endpoint.client.clone());
        PendingRequests::new(service, CompleteOnResponse::default())
    });
    let mut balance = Balance::new(ServiceList::new::<()>(endpoints.collect::<Vec<_>>()));
    let breaker = &breakers[1];
    let mut call = async || {
        let balance = soon("an endpoint is ready", balance.ready()).await.unwrap();
        soon("the call", balance.call(())).await.map(|response| response.status())
    };

    while breaker.state() != State::Open {
        call().await.expect("no endpoint rejects");
    }
    let (asked, before) = (sick.asked(), healthy.asked());
    let mut calls = 0;
    while breaker.state() == State::Open && calls < 50 {
        assert_eq!(call().await.expect("the healthy endpoint takes it"), StatusCode::OK);
        calls += 1;
    }
    // The last of them may have been the probe.
    assert!(sick.asked() <= asked + 1, "an open circuit lets nothing through");
    assert!(healthy.asked() >= before + calls - 1);

    sick.is_sick.store(false, Ordering::Relaxed);
    let recovered = async {
        while breaker.state() != State::Closed {
            call().await.expect("no endpoint rejects");
        }
    };
    soon("the endpoint is found well by calls alone", recovered).await;
    assert_eq!(breakers.each_ref().map(|breaker| counted(breaker)[4]), [0, 0], "nothing was ever rejected");
}

type Answering = CircuitBreakerService<tower::util::BoxCloneSyncService<(), (), BoxError>, Errors>;

/// A service that answers at once, in load-balancer mode.
fn endpoint(breaker: &CircuitBreaker) -> Answering {
    let inner = tower::util::BoxCloneSyncService::new(service_fn(async |()| Ok::<_, BoxError>(())));
    breaker.layer().classify(Errors).pending_while_open().layer(inner)
}

fn short(open_time: Duration) -> CircuitBreaker {
    CircuitBreaker::builder("endpoint").open_time(open_time).half_open_max_calls(1).build().unwrap()
}

#[tokio::test]
async fn an_open_endpoint_is_pending_and_wakes_at_half_open_without_being_polled_in_between() {
    let breaker = short(Duration::from_millis(200));
    breaker.trip("test");
    let mut endpoint = endpoint(&breaker);
    // A task of its own, that nothing but its own wakers polls.
    let waiting = tokio::spawn(async move {
        let mut polls = 0;
        let ready = poll_fn(|cx| {
            polls += 1;
            endpoint.poll_ready(cx)
        });
        ready.await.unwrap();
        (endpoint, polls)
    });
    let (mut endpoint, polls) = soon("the end of the open time wakes it", waiting).await.unwrap();
    // One poll to register, one at the end; the coarse clock may need a few milliseconds more to get there.
    assert!(polls <= 30, "polled {polls} times in 200 ms");
    endpoint.call(()).await.unwrap();
    assert_eq!((breaker.state(), counted(&breaker)), (State::Closed, [1, 0, 0, 0, 0]));
}

#[tokio::test]
async fn a_change_by_hand_wakes_what_waits_without_a_deadline() {
    let breaker = short(Duration::from_secs(600));
    breaker.force_open("test");
    let waiting = {
        let mut endpoint = endpoint(&breaker);
        tokio::spawn(async move { endpoint.ready().await.unwrap().call(()).await })
    };
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    breaker.reset("test");
    soon("the reset wakes it", waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_open_time_that_is_shortened_wakes_earlier() {
    let breaker = short(Duration::from_secs(600));
    breaker.trip("test");
    let waiting = {
        let mut endpoint = endpoint(&breaker);
        tokio::spawn(async move { endpoint.ready().await.map(drop) })
    };
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    breaker.trip_for(Duration::from_millis(20), "test");
    soon("the new open time ends", waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_probes_end_wakes_what_waits_for_its_place() {
    let breaker = short(Duration::from_secs(600));
    breaker.probe("test");
    let probe = breaker.try_acquire().unwrap();
    let waiting = {
        let mut endpoint = endpoint(&breaker);
        tokio::spawn(async move { endpoint.ready().await.unwrap().call(()).await })
    };
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(probe);
    soon("the free place wakes it", waiting).await.unwrap().unwrap();
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn a_hung_probe_does_not_keep_an_endpoint_pending_for_ever() {
    let breaker = CircuitBreaker::builder("endpoint")
        .open_time(Duration::from_millis(20))
        .half_open_timeout(Duration::from_millis(50))
        .half_open_max_calls(1)
        .build()
        .unwrap();
    breaker.probe("test");
    let hung = breaker.try_acquire().unwrap();
    // Nobody else calls or reads: the end of the half-open time has to wake it, and then that of the open time.
    let mut endpoint = endpoint(&breaker);
    let waiting = tokio::spawn(async move { endpoint.ready().await.map(drop) });
    soon("the half-open time ends", waiting).await.unwrap().unwrap();
    drop(hung);
}

struct Counter(AtomicU32);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn services_that_gave_up_waiting_leave_nothing_behind() {
    let breaker = short(Duration::from_secs(600));
    breaker.force_open("test");
    let counters: Vec<_> = (0..100).map(|_| Arc::new(Counter(AtomicU32::new(0)))).collect();
    for counter in &counters {
        let waker = Arc::clone(counter).into();
        assert!(endpoint(&breaker).poll_ready(&mut Context::from_waker(&waker)).is_pending());
    }
    let kept = counters.iter().filter(|counter| Arc::strong_count(counter) > 1).count();
    assert_eq!(kept, 0, "wakers of services that are gone");
}

#[tokio::test]
async fn every_service_that_waits_is_woken() {
    let breaker = short(Duration::from_secs(600));
    breaker.force_open("test");
    let mut waiting: Vec<_> = (0..100).map(|_| (Arc::new(Counter(AtomicU32::new(0))), endpoint(&breaker))).collect();
    for (counter, endpoint) in &mut waiting {
        let waker = Arc::clone(counter).into();
        assert!(endpoint.poll_ready(&mut Context::from_waker(&waker)).is_pending());
    }
    breaker.reset("test");
    assert!(waiting.iter().all(|(counter, _)| counter.0.load(Ordering::Relaxed) > 0));
}

/// A service that is never ready and does not expect to be asked.
#[derive(Clone)]
struct Unasked;

impl Service<()> for Unasked {
    type Response = ();
    type Error = Infallible;
    type Future = Pending<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        panic!("an open circuit polls nothing");
    }

    fn call(&mut self, (): ()) -> Self::Future {
        pending()
    }
}

#[tokio::test]
async fn an_open_endpoint_does_not_poll_what_is_behind_it() {
    let breaker = short(Duration::from_secs(600));
    breaker.trip("test");
    let classify = |_: &Result<(), Infallible>| backstop::Outcome::Success;
    let mut endpoint = breaker.layer().classify(classify).pending_while_open().layer(Unasked);
    let waker = std::task::Waker::noop();
    assert!(endpoint.poll_ready(&mut Context::from_waker(waker)).is_pending());
}

#[tokio::test]
async fn the_default_is_ready_and_rejects_in_call() {
    let (clock, _) = Clock::manual();
    let breaker = CircuitBreaker::builder("endpoint").clock(clock).build().unwrap();
    breaker.trip("test");
    let inner =
        service_fn(|()| -> BoxFuture<'static, Result<(), BoxError>> { panic!("an open circuit calls nothing") });
    let mut endpoint = breaker.layer().classify(Errors).layer(inner);
    endpoint.ready().await.unwrap().call(()).await.unwrap_err();
    eventually("it is counted", || counted(&breaker) == [0, 0, 0, 0, 1]).await;
}
