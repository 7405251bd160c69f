//! What other layers and services may do to a breaker between them: group B of the fault catalogue.
//!
//! Not here: B12, which needs two limits that wait; B8 against axum, tonic, hyper and reqwest, which `stack/http.rs`,
//! `stack/grpc.rs` and `stack/clients.rs` cover with the real ones.

use crate::scene;

use backstop::circuit_breaker::{Reason, SlidingWindow, State};
use backstop::classify::Errors;
use backstop::reject::RejectReason;
use backstop::{BoxError, CallError, CircuitBreaker, Outcome, Rejected};
use futures_util::FutureExt;
use futures_util::future::join_all;
use scene::{
    Bell, Do, Failure, MILLISECOND, OPEN_TIME, about_to_probe, breaker, call, ended, events, fail, guarded, is_ready,
    path, rejection, try_now,
};
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, Ready, pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::limit::ConcurrencyLimit;
use tower::load_shed::LoadShed;
use tower::retry::{Policy, Retry};
use tower::timeout::Timeout;
use tower::util::BoxCloneService;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

// ---- B1, B2, B3, B4: readiness

#[test]
fn b1_a_call_without_poll_ready_is_passed_on_to_a_service_that_allows_it() {
    let (breaker, _) = breaker(|builder| builder);
    let mut service = breaker.layer().classify(Errors).layer(service_fn(async |()| Ok::<_, std::io::Error>(())));
    for _ in 0..3 {
        assert!(service.call(()).now_or_never().unwrap().is_ok());
    }
    assert_eq!(breaker.totals().successful, 3);
}

/// While open the service is not asked whether it is ready; then it must not be called either.
#[test]
fn b1_a_service_that_was_not_asked_is_not_called_when_the_circuit_lets_calls_through_in_between() {
    type Admit = fn(&CircuitBreaker, &backstop::clock::ManualClock);
    let in_between: [Admit; 4] = [
        |_, time| time.advance(OPEN_TIME),
        |breaker, _| breaker.probe("test"),
        |breaker, _| breaker.reset("test"),
        |breaker, _| breaker.disable("test"),
    ];
    for admit in in_between {
        let (breaker, time) = breaker(|builder| builder);
        fail(&breaker, 2);
        let mut service = guarded(&breaker);
        assert!(is_ready(&mut service));
        admit(&breaker, &time);
        let result = service.call(Do::Answer).now_or_never().unwrap();
        assert_eq!(rejection(&result).map(Rejected::reason), Some(RejectReason::NotReady));
        assert_eq!((service.get_ref().arrived(), breaker.totals().not_permitted), (0, 1));
        assert!(try_now(&mut service, Do::Answer).unwrap().is_ok(), "and no probe's place was lost by it");
    }
}

#[test]
fn b2_b3_readiness_reserves_nothing_however_often_it_is_asked_for_and_whatever_becomes_of_it() {
    let (breaker, _) = breaker(|builder| builder);
    breaker.probe("test");
    let service = guarded(&breaker);
    let (mut dropped, mut idle, mut called) = (service.clone(), service.clone(), service);
    for _ in 0..10 {
        assert!(is_ready(&mut dropped) && is_ready(&mut idle) && is_ready(&mut called));
    }
    drop(dropped);
    assert!(called.call(Do::Answer).now_or_never().unwrap().is_ok());
    assert_eq!((breaker.state(), ended(&breaker)), (State::Closed, 1));
    drop(idle);
}

#[test]
fn b4_the_instance_that_was_asked_is_the_one_that_is_called() {
    let (breaker, _) = breaker(|builder| builder);
    let mut service = guarded(&breaker);
    assert!(is_ready(&mut service));
    let clone = service.clone();
    let mut asked = std::mem::replace(&mut service, clone);
    assert!(asked.call(Do::Answer).now_or_never().unwrap().is_ok(), "its clone took nothing with it");
    assert!(try_now(&mut service, Do::Answer).unwrap().is_ok());
}

// ---- B5, B6, B7: a service that is not ready

#[tokio::test]
async fn b5_a_service_that_is_finished_says_so_and_has_failed() {
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(1)));
    let told = events(&breaker);
    let (service, mut handle) = mock::pair::<(), ()>();
    let mut service = breaker.layer().classify(Errors).layer(service);
    handle.send_error("finished");
    let error = service.ready().await.map(|_| ()).expect_err("the service is finished");
    assert_eq!(error.to_string(), "finished");
    assert_eq!((breaker.totals().failed, ended(&breaker)), (1, 1));
    assert_eq!(path(&told), [(State::Closed, State::Open, Reason::FailureRate)]);
}

#[tokio::test]
async fn b6_an_open_circuit_rejects_although_the_service_is_never_ready() {
    let (breaker, _) = breaker(|builder| builder);
    let (service, mut handle) = mock::pair::<(), ()>();
    handle.allow(0);
    let mut service = breaker.layer().classify(Errors).layer(service);
    assert!(!is_ready(&mut service), "a closed circuit passes on that it is not");
    for open in [CircuitBreaker::trip, CircuitBreaker::force_open] {
        open(&breaker, "test");
        let result = service.ready().await.unwrap().call(()).await;
        assert!(rejection(&result).is_some());
    }
    assert!(handle.next_request().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn b7_nothing_wakes_while_nothing_happens() {
    let (breaker, time) = breaker(|builder| builder);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);

    let (service, mut handle) = mock::pair::<(), ()>();
    handle.allow(0);
    let mut waits_for_service = breaker.layer().classify(Errors).layer(service);
    assert!(waits_for_service.poll_ready(&mut cx).is_pending());
    let open = service_fn(async |()| Ok::<_, BoxError>(()));
    let mut waits_for_circuit = breaker.layer().classify(Errors).pending_while_open().layer(open);
    breaker.force_open("test");
    assert_eq!(bell.rung(), 1, "the circuit that opens is told to who waits for the service");
    assert!(waits_for_circuit.poll_ready(&mut cx).is_pending());

    time.advance(Duration::from_secs(3_600));
    tokio::time::sleep(Duration::from_secs(3_600)).await; // an hour of the paused clock
    assert_eq!(bell.rung(), 1);
    handle.allow(1);
    assert_eq!(bell.rung(), 2);
    breaker.reset("test");
    assert_eq!(bell.rung(), 3);
}

// ---- B8: errors of any kind

#[test]
fn b8_errors_that_are_neither_clone_nor_sync_nor_an_error_go_through() {
    #[derive(Debug, PartialEq)]
    struct Odd(Cell<u8>);

    let (breaker, _) = breaker(|builder| builder);
    let odd = || service_fn(|()| ready(Err::<u8, _>(Odd(Cell::new(7)))));
    let answered = breaker.layer().classify(Errors).respond_with(|_| 1_u8);
    let mut service = answered.layer(odd());
    assert_eq!(try_now(&mut service, ()).unwrap(), Err(Odd(Cell::new(7))));
    let replaced = breaker.layer().classify(Errors).fallback(|(), _| Ok::<_, Odd>(2_u8));
    let mut service = replaced.layer(odd());
    assert_eq!(try_now(&mut service, ()).unwrap(), Err(Odd(Cell::new(7))));
    assert_eq!((try_now(&mut service, ()).unwrap(), breaker.state()), (Ok(2), State::Open));
    let direct = breaker.call_blocking(|| Err::<(), _>(Odd(Cell::new(7))));
    assert!(matches!(direct, Err(CallError::Rejected(_))));
}

#[test]
fn b8_a_service_that_has_no_errors_is_judged_by_its_responses() {
    let (breaker, _) = breaker(|builder| builder);
    let by_response = |result: &Result<u16, Infallible>| match result {
        Ok(200) => Outcome::Success,
        _ => Outcome::Failure,
    };
    let layer = breaker.layer().classify(by_response).respond_with(|rejected| match rejected.reason() {
        RejectReason::Open => 503,
        _ => 500,
    });
    let mut service = layer.layer(service_fn(|status: u16| ready(Ok::<_, Infallible>(status))));
    let Ok(statuses) = [200, 502, 502].map(|status| try_now(&mut service, status).unwrap()).into_iter().collect();
    let _: Vec<u16> = statuses;
    assert_eq!(try_now(&mut service, 200), Some(Ok(503)));
}

// ---- B9: every order of layers

/// Counts the calls that pass it.
#[derive(Clone)]
struct Gauge {
    passed: Arc<AtomicU64>,
    inner: Stack,
}

type Stack = BoxCloneService<Do, (), BoxError>;

impl Gauge {
    fn layer(passed: &Arc<AtomicU64>, inner: Stack) -> Stack {
        Stack::new(Self { passed: Arc::clone(passed), inner })
    }
}

impl Service<Do> for Gauge {
    type Response = ();
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Do) -> Self::Future {
        self.passed.fetch_add(1, Ordering::Relaxed);
        self.inner.call(request)
    }
}

/// Two more attempts, unless the call was rejected.
#[derive(Clone)]
struct TwoMore(u32);

impl Policy<Do, (), BoxError> for TwoMore {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Do, result: &mut Result<(), BoxError>) -> Option<Ready<()>> {
        let error = result.as_ref().err()?;
        self.0 = self.0.checked_sub(1).filter(|_| Rejected::find(error.as_ref()).is_none())?;
        Some(ready(()))
    }

    fn clone_request(&mut self, request: &Do) -> Option<Do> {
        Some(*request)
    }
}

const LAYERS: [&str; 5] = ["breaker", "retry", "timeout", "limit", "shed"];

/// Every order of `rest`, appended to `order`.
fn orders(order: &mut Vec<&'static str>, rest: &[&'static str], visit: &mut impl FnMut(&[&'static str])) {
    if rest.is_empty() {
        visit(order);
    }
    for next in rest {
        let others: Vec<_> = rest.iter().copied().filter(|other| other != next).collect();
        order.push(next);
        orders(order, &others, visit);
        order.pop();
    }
}

/// Law 1: offered = let through + rejected. Law 2: let through = the sum of the outcomes. Law 9: what the
/// dependency saw is what was let through, or less where a layer between them kept it, or more where one repeats.
#[test]
fn b9_in_every_order_of_five_layers_each_call_is_accounted_for() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let mut all = 0;
    orders(&mut Vec::new(), &LAYERS, &mut |order| {
        let (breaker, time) = breaker(|builder| builder.window(SlidingWindow::count(8)).minimum_calls(4));
        let dependency = scene::Dependency::default();
        let (offered, passed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let mut stack = Stack::new(dependency.clone().map_err(BoxError::from));
        for layer in order {
            stack = match *layer {
                "breaker" => {
                    let inside = Gauge::layer(&passed, stack);
                    Gauge::layer(&offered, Stack::new(breaker.layer().classify(Errors).layer(inside)))
                }
                "retry" => Stack::new(Retry::new(TwoMore(2), stack)),
                "timeout" => Stack::new(Timeout::new(stack, Duration::from_secs(1))),
                "limit" => Stack::new(ConcurrencyLimit::new(stack, 2)),
                _ => Stack::new(LoadShed::new(stack)),
            };
        }
        let requests = [Do::Answer, Do::Fail, Do::Hang, Do::Answer, Do::Answer];
        for round in 0..40 {
            let four = (0..4).map(|i| stack.clone().oneshot(requests[(round + i) % requests.len()]));
            drop(runtime.block_on(join_all(four)));
            time.advance(OPEN_TIME / 4);
        }
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (offered, passed) = (count(&offered), count(&passed));
        assert_eq!(offered, passed + breaker.totals().not_permitted, "offered, from the inside: {order:?}");
        assert_eq!(passed, ended(&breaker), "let through: {order:?}");
        let place = |layer| order.iter().position(|known| *known == layer);
        if place("retry") > place("breaker") {
            assert!(dependency.arrived() <= passed, "nothing repeats below the breaker: {order:?}");
        }
        if order[0] == "breaker" {
            assert_eq!(dependency.arrived(), passed, "nothing lies between them: {order:?}");
        }
        assert!(breaker.totals().successful > 0 && breaker.totals().not_permitted > 0, "{order:?}");
        all += 1;
    });
    assert_eq!(all, 120);
}

// ---- B10, B11

#[tokio::test(start_paused = true)]
async fn b10_a_rejection_is_known_again_through_every_layer_that_boxes_it() {
    let (inner, _) = breaker(|builder| builder);
    let (outer, _) = breaker(|builder| builder);
    inner.force_open("test");
    let boxes = LoadShed::new(ConcurrencyLimit::new(Timeout::new(guarded(&inner), OPEN_TIME), 1));
    let wraps = ServiceExt::<Do>::map_err(boxes, std::io::Error::other);
    let mut service = outer.layer().classify(Errors).layer(wraps);
    for _ in 0..10 {
        let result = service.ready().await.unwrap().call(Do::Answer).await;
        assert_eq!(rejection(&result).map(Rejected::reason), Some(RejectReason::ForcedOpen));
    }
    assert_eq!((outer.totals().ignored, outer.totals().failed, outer.state()), (10, 0, State::Closed));
}

#[test]
fn b11_a_call_that_calls_itself_through_the_same_circuit_is_rejected_and_never_stuck() {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    let inner = breaker.clone();
    let recursive = async { inner.call(ready(Ok::<_, Failure>(()))).await };
    let result = breaker.call(recursive).now_or_never().expect("nobody waits for anybody");
    assert!(matches!(result, Err(CallError::Inner(CallError::Rejected(_)))));
    time.advance(OPEN_TIME + MILLISECOND);
    assert!(breaker.call(pending::<Result<(), Failure>>()).now_or_never().is_none());
    let mut service = guarded(&breaker);
    assert!(call(&mut service, Do::Answer).now_or_never().unwrap().is_ok());
}
