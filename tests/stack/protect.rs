//! Several mechanisms as one layer: each is asked at its place, and every permit comes back.

use backstop::bulkhead::BulkheadConfig;
use backstop::circuit_breaker::State;
use backstop::classify::Errors;
use backstop::clock::{Clock, ManualClock, Timestamp};
use backstop::kill_switch::Anyone;
use backstop::kill_switch::store::MemoryStore;
use backstop::kill_switch::{
    Author, Change, Definition, Engage, KillSwitch, KillSwitches, OnUnknown, Scope, SwitchId, Target,
};
use backstop::{BoxError, Bulkhead, CircuitBreaker, Protect, Rejected, protect};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

struct Scene {
    breaker: CircuitBreaker,
    bulkhead: Bulkhead,
    time: ManualClock,
}

/// A circuit that knows slow calls, and room for one call while one waits.
fn scene() -> Scene {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("scene").clock(clock.clone()).minimum_calls(2).half_open_max_calls(1);
    let breaker = builder.slow_call_duration_threshold(SECOND).slow_call_rate_threshold(0.5).build().unwrap();
    let builder = Bulkhead::builder("scene").clock(clock).max_concurrent_calls(1).max_queue(1);
    Scene { breaker, bulkhead: builder.max_wait(60 * SECOND).build().unwrap(), time }
}

impl Scene {
    fn layer(&self) -> Protect<Anyone, Errors> {
        protect().bulkhead(&self.bulkhead).circuit_breaker(&self.breaker).classify(Errors)
    }
}

/// Waiting needs a runtime's timers.
pub(crate) fn on_a_runtime(run: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    run();
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    future.poll_unpin(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_open_circuit_rejects_before_the_queue() {
    on_a_runtime(|| {
        let scene = scene();
        let mut service = scene.layer().layer(service_fn(|(): ()| pending::<Result<(), io::Error>>()));
        let mut inside = Box::pin(service.call(()));
        assert!(poll(&mut inside).is_pending());
        scene.breaker.force_open("test");
        let error = service.call(()).now_or_never().expect("it does not wait").unwrap_err();
        assert_eq!(
            Rejected::find(&*error).unwrap().to_string(),
            "circuit breaker scene rejected the call: forced open"
        );
        assert_eq!((scene.bulkhead.snapshot().queue_depth, scene.bulkhead.totals().permitted), (0, 1));
        assert_eq!(scene.breaker.totals().not_permitted, 1);
    });
}

#[test]
fn time_in_the_queue_is_no_slowness_of_the_dependency() {
    on_a_runtime(|| {
        let scene = scene();
        let mut service = scene.layer().layer(service_fn(|(): ()| ready(Ok::<_, io::Error>(()))));
        for _ in 0..3 {
            let held = scene.bulkhead.try_acquire().unwrap();
            let mut waits = Box::pin(service.call(()));
            assert!(poll(&mut waits).is_pending());
            scene.time.advance(30 * SECOND);
            drop(held);
            assert!(matches!(poll(&mut waits), Poll::Ready(Ok(()))));
        }
        assert_eq!((scene.breaker.snapshot().slow, scene.breaker.state()), (0, State::Closed));
    });
}

#[test]
fn a_circuit_that_opens_while_a_call_waits_rejects_it_before_it_is_made() {
    on_a_runtime(|| {
        let scene = scene();
        let made = Rc::new(Cell::new(0));
        let count = Rc::clone(&made);
        let mut service = scene.layer().respond_with(|_: &Rejected| 503).layer(service_fn(move |(): ()| {
            count.set(count.get() + 1);
            ready(Ok::<_, io::Error>(200))
        }));
        let held = scene.bulkhead.try_acquire().unwrap();
        let mut waits = Box::pin(service.call(()));
        assert!(poll(&mut waits).is_pending());
        scene.breaker.trip("test");
        drop(held);
        assert!(matches!(poll(&mut waits), Poll::Ready(Ok(503))));
        assert_eq!((made.get(), scene.bulkhead.snapshot().in_flight), (0, 0));
    });
}

#[test]
fn a_probe_that_finds_the_bulkhead_full_leaves_its_place_to_another() {
    let scene = scene();
    scene.breaker.trip_for(SECOND, "test");
    scene.time.advance(SECOND);
    let mut service = scene.layer().layer(service_fn(|(): ()| ready(Ok::<_, io::Error>(()))));
    let held = scene.bulkhead.try_acquire().unwrap();
    assert!(service.call(()).now_or_never().unwrap().is_err(), "there is no runtime to wait on");
    assert_ne!(scene.breaker.state(), State::Closed);
    drop(held);
    assert!(service.call(()).now_or_never().unwrap().is_ok(), "the probe's place is free");
    assert_eq!(scene.breaker.state(), State::Closed);
}

#[test]
fn one_responder_answers_for_both_and_each_counts_its_own_fallbacks() {
    let scene = scene();
    let fallback = scene.layer().fallback(|(): (), rejected: Rejected| Ok::<_, io::Error>(rejected.by().as_str()));
    let mut service = fallback.layer(service_fn(|(): ()| ready(Ok::<_, io::Error>("made"))));
    assert_eq!(service.call(()).now_or_never().unwrap().unwrap(), "made");
    let held = scene.bulkhead.try_acquire().unwrap();
    assert_eq!(service.call(()).now_or_never().unwrap().unwrap(), "bulkhead");
    drop(held);
    scene.breaker.force_open("test");
    assert_eq!(service.call(()).now_or_never().unwrap().unwrap(), "circuit breaker");
    assert_eq!((scene.bulkhead.totals().fallbacks, scene.breaker.totals().fallbacks), (1, 1));
}

#[test]
fn each_mechanism_may_be_alone_or_missing() {
    let scene = scene();
    let works = || service_fn(|(): ()| ready(Ok::<_, io::Error>(())));
    for layer in [
        protect().classify(Errors),
        protect().circuit_breaker(&scene.breaker).classify(Errors),
        protect().bulkhead(&scene.bulkhead).classify(Errors),
    ] {
        assert!(layer.layer(works()).call(()).now_or_never().unwrap().is_ok());
    }
    assert_eq!((scene.breaker.totals().successful, scene.bulkhead.totals().permitted), (1, 1));
}

#[derive(Clone)]
struct Finished;
impl Service<()> for Finished {
    type Response = ();
    type Error = io::Error;
    type Future = std::future::Ready<Result<(), io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Err(io::Error::other("finished")))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        unreachable!("it is not ready")
    }
}

#[test]
fn a_dropped_call_a_panic_and_a_service_that_is_finished_give_everything_back() {
    let scene = scene();
    let mut service = scene.layer().layer(service_fn(|(): ()| pending::<Result<(), io::Error>>()));
    drop(service.call(()));
    let mut panics =
        scene.layer().layer(service_fn(|(): ()| -> std::future::Ready<Result<(), io::Error>> { panic!("in call") }));
    let call = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(panics.call(()))));
    assert!(call.is_err());
    let totals = scene.breaker.totals();
    assert_eq!((totals.abandoned, totals.failed), (1, 1), "{totals:?}");
    let totals = scene.bulkhead.totals();
    assert_eq!((scene.bulkhead.snapshot().in_flight, totals.permitted, totals.abandoned), (0, 2, 2));

    scene.breaker.reset("the panic tripped it");
    let failed = scene.breaker.totals().failed;
    let polled = Service::<()>::poll_ready(&mut scene.layer().layer(Finished), &mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))));
    assert_eq!(scene.breaker.totals().failed, failed + 1);
}

#[test]
fn responses_of_http_are_answered_in_their_protocol_and_bodies_hold_what_is_asked() {
    let scene = scene();
    let inner = || {
        service_fn(|_: Request<()>| {
            let response = Response::new(Full::new(Bytes::from_static(b"here")));
            ready(Ok::<_, Infallible>(response))
        })
    };
    let layer = || protect().circuit_breaker(&scene.breaker).bulkhead(&scene.bulkhead);
    let mut service = layer().until_body_end().respond().layer(inner());
    let first = service.call(Request::new(())).now_or_never().unwrap().unwrap();
    assert_eq!((scene.bulkhead.snapshot().in_flight, scene.breaker.totals().successful), (1, 0), "the body goes on");
    let rejected = service.call(Request::new(())).now_or_never().unwrap().unwrap();
    assert_eq!(rejected.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(rejected.extensions().get::<Rejected>().is_some());
    assert_eq!(first.into_body().collect().now_or_never().unwrap().unwrap().to_bytes(), "here");
    assert_eq!((scene.bulkhead.snapshot().in_flight, scene.breaker.totals().successful), (0, 1));

    let mut service = layer().respond().layer(inner());
    let first = service.call(Request::new(())).now_or_never().unwrap().unwrap();
    assert_eq!(scene.bulkhead.snapshot().in_flight, 0, "its head is there");
    drop(first);
}

/// FAULTS B9: whatever the order, nothing is lost and nothing is counted twice.
#[test]
fn conservation_holds_in_one_layer_and_in_every_order_of_separate_ones() {
    on_a_runtime(|| {
        // One layer, then all orders of three, the outermost first: circuit, bulkhead, switch.
        for (seed, order) in ["", "cbs", "csb", "bcs", "bsc", "scb", "sbc"].into_iter().enumerate() {
            let scene = scene();
            let (switches, hand) = KillSwitches::manual();
            let switch = switches.switch("recs", OnUnknown::Allow).unwrap();
            let config = BulkheadConfig::builder().max_concurrent_calls(2).max_queue(2).max_wait(2 * SECOND);
            scene.bulkhead.reconfigure(config.build().unwrap()).unwrap();
            let mut rng = fastrand::Rng::with_seed(seed as u64);
            let script = Arc::new(AtomicU8::new(0));
            let next = Arc::clone(&script);
            let inner = service_fn(move |(): ()| {
                let how = next.load(Ordering::Relaxed);
                async move {
                    match how {
                        0 => pending().await,
                        1 => Err(io::Error::other("failed")),
                        _ => Ok(()),
                    }
                }
            });
            let all = scene.layer().kill_switch(&switch);
            let mut service = BoxCloneService::new(inner.map_err(BoxError::from));
            for layer in order.chars().rev() {
                service = match layer {
                    'c' => BoxCloneService::new(scene.breaker.layer().classify(Errors).layer(service)),
                    'b' => BoxCloneService::new(scene.bulkhead.layer().layer(service)),
                    _ => BoxCloneService::new(switch.layer().as_error().layer(service)),
                };
            }
            if order.is_empty() {
                service = BoxCloneService::new(all.layer(service));
            }
            let (mut offered, mut flying) = (0, Vec::new());
            for _ in 0..8_000 {
                script.store(rng.u8(..8), Ordering::Relaxed);
                match rng.u8(..10) {
                    0..5 => {
                        offered += 1;
                        flying.push(service.clone().call(()));
                    }
                    5 if !flying.is_empty() => drop(flying.swap_remove(rng.usize(..flying.len()))),
                    6 => scene.breaker.trip_for(SECOND, "test"),
                    7 => scene.breaker.reset("test"),
                    8 if rng.u8(..20) == 0 => hand.engage("recs"),
                    8 if rng.u8(..5) == 0 => hand.release("recs"),
                    _ => scene.time.advance(Duration::from_millis(rng.u64(..900))),
                }
                // Again, for those that were given a permit by one that ended after they were polled.
                (0..5).for_each(|_| flying.retain_mut(|call| poll(call).is_pending()));
            }
            flying.clear();
            let (breaker, bulkhead) = (scene.breaker.totals(), scene.bulkhead.totals());
            assert_eq!((scene.bulkhead.snapshot().in_flight, scene.bulkhead.snapshot().queue_depth), (0, 0));
            let refused = bulkhead.rejected_full + bulkhead.timed_out + bulkhead.left_queue;
            let judged = breaker.successful + breaker.failed + breaker.ignored + breaker.abandoned + breaker.stale;
            let told = format!("order {order:?}: {breaker:?} {bulkhead:?} {}", switch.blocked());
            // What each lets through is what the next is offered.
            let mut left = offered;
            for layer in order.chars() {
                left = match layer {
                    'c' => {
                        assert_eq!(left, breaker.not_permitted + judged, "{told}");
                        judged
                    }
                    'b' => {
                        assert_eq!(left, refused + bulkhead.permitted, "{told}");
                        bulkhead.permitted
                    }
                    _ => left - switch.blocked(),
                };
            }
            if order.is_empty() {
                assert_eq!(offered, switch.blocked() + breaker.not_permitted + refused + judged, "{told}");
            }
            assert!(judged > 100 && refused > 10 && breaker.not_permitted > 10 && switch.blocked() > 10, "{told}");
        }
    });
}

#[test]
fn outcomes_reach_both() {
    let scene = scene();
    let mut service = scene.layer().layer(service_fn(|(): ()| ready(Err::<(), _>(io::Error::other("failed")))));
    assert!(service.call(()).now_or_never().unwrap().is_err());
    assert_eq!((scene.breaker.totals().failed, scene.bulkhead.totals().abandoned), (1, 0));
    assert_eq!(scene.bulkhead.snapshot().in_flight, 0);
}

/// A switch that a document knows, and a way to engage it.
pub(crate) fn switch() -> (KillSwitch, impl Fn(Scope)) {
    let switches = KillSwitches::builder("protect").store(MemoryStore::new()).build().unwrap();
    let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
    let (by, id) = (Author::person("ana", Timestamp::now()).because("test"), SwitchId::new("recs").unwrap());
    let definition = Definition::new("team", "recommendations", Timestamp::MAX, OnUnknown::Allow);
    switches.change(&Change::Define { switch: id.clone(), definition }, &by).unwrap();
    let engage = move |scope| {
        switches.change(&Change::Engage(Engage::new(id.clone(), scope)), &by).unwrap();
    };
    (recs, engage)
}

#[test]
fn a_service_that_finishes_while_a_call_waits_has_failed_it() {
    on_a_runtime(|| {
        let scene = scene();
        let holds = scene.bulkhead.try_acquire().unwrap();
        let mut service = scene.layer().layer(Finished);
        assert!(Service::<()>::poll_ready(&mut service, &mut Context::from_waker(Waker::noop())).is_ready());
        let mut call = Box::pin(service.call(()));
        assert!(poll(&mut call).is_pending());
        drop(holds);
        assert!(matches!(poll(&mut call), Poll::Ready(Err(_))));
        let (failed, totals) = (scene.breaker.totals().failed, scene.bulkhead.totals());
        assert_eq!((failed, totals.permitted, scene.bulkhead.snapshot().in_flight), (1, 2, 0), "{totals:?}");
    });
}

#[test]
fn a_switch_that_is_engaged_for_all_waits_for_nothing_and_stops_what_waits() {
    on_a_runtime(|| {
        let (recs, engage) = switch();
        let scene = scene();
        let calls = Rc::new(Cell::new(0));
        let count = Rc::clone(&calls);
        let inner = service_fn(move |_: u32| {
            count.set(count.get() + 1);
            ready(Ok::<_, io::Error>("made"))
        });
        let layer = protect().kill_switch(&recs).bulkhead(&scene.bulkhead).circuit_breaker(&scene.breaker);
        let layer =
            layer.classify(Errors).fallback(|_: u32, rejected: Rejected| Ok::<_, io::Error>(rejected.by().as_str()));
        let holds = scene.bulkhead.try_acquire().unwrap();
        let mut service = layer.layer(inner);
        let mut waits = Box::pin(service.call(1));
        assert!(poll(&mut waits).is_pending());
        engage(Scope::all());
        drop(holds);
        assert!(matches!(poll(&mut waits), Poll::Ready(Ok("kill switch"))));
        assert_eq!((calls.get(), recs.blocked(), scene.bulkhead.snapshot().in_flight), (0, 1, 0));

        let mut hangs = layer.layer(tower::limit::ConcurrencyLimit::new(service.into_inner(), 0));
        assert!(hangs.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready(), "what is off may hang");
        assert_eq!(hangs.call(1).now_or_never().unwrap().unwrap(), "kill switch");
    });
}

#[test]
fn an_engaged_switch_comes_before_everything() {
    let scene = scene();
    let (recs, engage) = switch();
    let layer = protect().circuit_breaker(&scene.breaker).kill_switch(&recs).bulkhead(&scene.bulkhead).classify(Errors);
    let layer = layer.target(|tenant: &&'static str| Target::new().tenant(tenant));
    let fallback = layer.fallback(|_: &'static str, rejected: Rejected| Ok::<_, io::Error>(rejected.by().as_str()));
    let mut service = fallback.layer(service_fn(|_: &'static str| ready(Ok::<_, io::Error>("made"))));
    let mut ask = |tenant| service.call(tenant).now_or_never().unwrap().unwrap();
    assert_eq!(ask("acme"), "made");
    engage(Scope::new().tenant("acme"));
    scene.breaker.force_open("test");
    assert_eq!((ask("acme"), ask("other")), ("kill switch", "circuit breaker"));
    assert_eq!((recs.blocked(), scene.breaker.totals().not_permitted), (1, 1));
}
