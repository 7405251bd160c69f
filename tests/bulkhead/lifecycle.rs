//! What can go wrong round a bulkhead: groups A and B of the fault catalogue.
//!
//! Not here: real servers and clients (B8, B10) in `http.rs`; threads, panics and runtimes that go down (A1,
//! A9, A11) in `storm.rs`; events in any order (A9, A10) in `model.rs`; limits, queues and listeners
//! (C, D, E) in `limit_faults.rs`.

use crate::common;
use crate::scene;

use backstop::bulkhead::BulkheadBuilder;
use backstop::clock::{Clock, ManualClock};
use backstop::config::Named;
use backstop::reject::RejectReason;
use backstop::{Bulkhead, CallError, Rejected};
use common::soon;
use futures_util::FutureExt;
use scene::{Bell, Dependency, Do, Failure, MILLISECOND, call, is_ready, panics, poll_once, rejection, try_now};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;
use tokio::task::yield_now;
use tower::{Service, ServiceExt};
use tower_test::mock;

const SECOND: Duration = Duration::from_secs(1);

/// One call at a time, none waits; `configure` says what else the test is about.
fn bulkhead(configure: impl FnOnce(BulkheadBuilder<Named>) -> BulkheadBuilder<Named>) -> (Bulkhead, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("scene").clock(clock).max_concurrent_calls(1);
    (configure(builder).build().expect("the settings of the test are allowed"), time)
}

/// One call at a time, the others wait for a second.
fn waiting() -> (Bulkhead, ManualClock) {
    bulkhead(|builder| builder.max_wait(SECOND))
}

/// Moves the bulkhead's clock and the runtime's along.
async fn pass(time: &ManualClock, by: Duration) {
    time.advance(by);
    tokio::time::advance(by).await;
}

/// Calls in flight, and in line.
fn state(bulkhead: &Bulkhead) -> (u32, u32) {
    let snapshot = bulkhead.snapshot();
    (snapshot.in_flight, snapshot.queue_depth)
}

// ---- A: the life of a future

#[test]
fn a2_a_call_that_is_never_polled_gives_its_permit_back() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let mut service = bulkhead.wrap(Dependency::default());
    let never_polled = call(&mut service, Do::Answer);
    assert_eq!(state(&bulkhead), (1, 0));
    drop(never_polled);
    assert_eq!((state(&bulkhead), bulkhead.totals().abandoned), ((0, 0), 1));
    drop(bulkhead.call(async { Ok::<_, io::Error>(()) }));
    assert_eq!(bulkhead.totals().permitted, 1, "a future without Tower takes its permit when it is polled");
}

#[tokio::test(start_paused = true)]
async fn a2_a_call_that_was_put_in_the_queue_and_is_never_polled_leaves_it() {
    let (bulkhead, _) = waiting();
    let permit = bulkhead.try_acquire().unwrap();
    let mut service = bulkhead.wrap(Dependency::default());
    let queued = [call(&mut service, Do::Answer), call(&mut service, Do::Answer)];
    assert_eq!(state(&bulkhead), (1, 2));
    drop(permit);
    assert_eq!(state(&bulkhead), (1, 1), "the first was handed the permit and does not know yet");
    drop(queued);
    assert_eq!((state(&bulkhead), service.get_ref().arrived()), ((0, 0), 0));
}

#[test]
fn a3_a_permit_that_is_forgotten_is_seen_and_can_be_taken_back() {
    let (bulkhead, time) = bulkhead(|builder| builder.max_hold(SECOND));
    std::mem::forget(bulkhead.try_acquire().unwrap());
    time.advance(999 * MILLISECOND);
    assert_eq!(bulkhead.oldest_call(), Some(999 * MILLISECOND));
    assert!(bulkhead.try_acquire().is_err());
    time.advance(MILLISECOND);
    let mut service = bulkhead.wrap(Dependency::default());
    let mut hangs = call(&mut service, Do::Hang);
    assert!(poll_once(&mut hangs).is_pending());
    std::mem::forget(hangs);
    bulkhead.reset_in_flight("test");
    assert_eq!((state(&bulkhead), bulkhead.totals().revoked, bulkhead.oldest_call()), ((0, 0), 2, None));
}

#[test]
fn a4_a5_a_panic_goes_on_to_the_caller_and_its_permit_back() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let mut service = bulkhead.wrap(Dependency::default());
    for request in [Do::Panic, Do::PanicInCall] {
        assert!(panics(|| try_now(&mut service, request)));
        assert_eq!(state(&bulkhead), (0, 0));
        assert!(try_now(&mut service, Do::Answer).unwrap().is_ok(), "nothing is poisoned");
    }
    assert!(panics(|| bulkhead.call(async { scene::quiet_panic() as io::Result<()> }).now_or_never()));
    assert!(panics(|| bulkhead.call_blocking(|| scene::quiet_panic() as io::Result<()>)));
    assert_eq!((state(&bulkhead), bulkhead.totals().permitted, bulkhead.totals().abandoned), ((0, 0), 6, 4));
}

#[tokio::test(start_paused = true)]
async fn a4_a5_a_panic_after_a_wait_hands_the_permit_to_the_next() {
    let (bulkhead, _) = waiting();
    let permit = bulkhead.try_acquire().unwrap();
    let mut service = bulkhead.wrap(Dependency::default());
    let mut line = [Do::Panic, Do::PanicInCall, Do::Answer].map(|request| call(&mut service, request));
    assert!(line.iter_mut().all(|call| poll_once(call).is_pending()));
    drop(permit);
    let [panicking, in_call, answered] = line;
    assert!(panics(|| panicking.now_or_never()) && panics(|| in_call.now_or_never()));
    assert!(answered.now_or_never().unwrap().is_ok());
    assert_eq!(state(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a8_the_last_waker_is_the_one_that_is_woken() {
    let (bulkhead, _) = waiting();
    let permit = bulkhead.try_acquire().unwrap();
    let mut waits = pin!(bulkhead.acquire());
    let bells: [Arc<Bell>; 3] = std::array::from_fn(|_| Arc::new(Bell::default()));
    for bell in &bells {
        let waker = Waker::from(Arc::clone(bell));
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(permit);
    assert_eq!([0, 1, 2].map(|i: usize| bells[i].rung()), [0, 0, 1]);
    assert!(waits.now_or_never().unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a9_a_permit_that_was_handed_to_a_call_which_goes_away_goes_to_the_next() {
    let (bulkhead, _) = waiting();
    let permit = bulkhead.try_acquire().unwrap();
    let mut line: Vec<_> = (0..5).map(|_| Box::pin(bulkhead.acquire())).collect();
    assert!(line.iter_mut().all(|call| poll_once(call).is_pending()));
    drop(permit);
    let last = line.pop().unwrap();
    for granted in line {
        assert_eq!(state(&bulkhead).0, 1);
        drop(granted);
    }
    drop(last.now_or_never().expect("it has come down to the last").unwrap());
    assert_eq!(state(&bulkhead), (0, 0));
}

#[test]
fn a10_a_permit_that_was_taken_away_frees_nobody_elses_place() {
    for is_timed in [false, true] {
        let (bulkhead, _) = bulkhead(|builder| builder.max_hold(is_timed.then_some(SECOND)));
        let stale = bulkhead.try_acquire().unwrap();
        bulkhead.reset_in_flight("test");
        let current = bulkhead.try_acquire().unwrap();
        assert!(!stale.is_held() && current.is_held());
        stale.end(backstop::Outcome::Failure);
        assert_eq!(state(&bulkhead), (1, 0));
        assert!(bulkhead.try_acquire().is_err());
        drop(current);
        assert_eq!(state(&bulkhead), (0, 0));
    }
}

#[test]
fn a11_a_waiting_call_may_be_dropped_where_there_is_no_runtime() {
    let (bulkhead, _) = waiting();
    let permit = bulkhead.try_acquire().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let handle = bulkhead.clone();
    let mut line: Vec<_> = (0..2)
        .map(|_| {
            let handle = handle.clone();
            Box::pin(async move { handle.acquire().await })
        })
        .collect();
    runtime.block_on(async { assert!(line.iter_mut().all(|call| poll_once(call).is_pending())) });
    drop(runtime);
    thread::spawn(move || drop(line)).join().unwrap();
    assert_eq!((state(&bulkhead), bulkhead.totals().left_queue), ((1, 0), 2));
    drop(permit);
    assert_eq!(bulkhead.snapshot().available(), 1);
}

#[test]
fn a12_permits_that_need_no_wait_need_no_runtime() {
    let (bulkhead, _) = waiting();
    assert!(bulkhead.acquire().now_or_never().unwrap().is_ok());
    assert!(bulkhead.call(async { Ok::<_, io::Error>(()) }).now_or_never().unwrap().is_ok());
    assert!(try_now(&mut bulkhead.wrap(Dependency::default()), Do::Answer).unwrap().is_ok());
    let permit = bulkhead.try_acquire().unwrap();
    thread::scope(|scope| {
        let waits = scope.spawn(|| bulkhead.acquire_blocking(Duration::from_secs(3_600)).is_ok());
        while state(&bulkhead) != (1, 1) {
            thread::yield_now();
        }
        drop(permit);
        assert!(waits.join().unwrap());
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a12_a_local_set_and_a_thread_that_blocks_in_place_wait_as_well() {
    let bulkhead = Bulkhead::builder("local").max_concurrent_calls(1).max_wait(SECOND * 60).build().unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    let handle = bulkhead.clone();
    let blocked =
        tokio::spawn(
            async move { tokio::task::block_in_place(|| handle.call_blocking(|| Ok::<_, io::Error>(1)).unwrap()) },
        );
    let handle = bulkhead.clone();
    let local = tokio::task::LocalSet::new();
    let waits = local.spawn_local(async move { handle.call(async { Ok::<_, io::Error>(2) }).await.unwrap() });
    local.run_until(common::eventually("both wait", || state(&bulkhead) == (1, 2))).await;
    drop(permit);
    assert_eq!((soon("the local one", local.run_until(waits)).await.unwrap(), blocked.await.unwrap()), (2, 1));
}

// ---- B: what a service is asked, and by whom

#[test]
fn b1_a_call_without_poll_ready_is_passed_on_to_a_service_that_allows_it() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let mut service = bulkhead.wrap(tower::service_fn(async |()| Ok::<_, Failure>(())));
    for _ in 0..3 {
        assert!(service.call(()).now_or_never().unwrap().is_ok());
    }
    assert_eq!((bulkhead.totals().permitted, state(&bulkhead)), (3, (0, 0)));
}

#[test]
fn b2_b3_readiness_reserves_nothing_however_often_it_is_asked_for() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let service = bulkhead.wrap(Dependency::default());
    let (mut dropped, mut idle, mut called) = (service.clone(), service.clone(), service);
    for _ in 0..10 {
        assert!(is_ready(&mut dropped) && is_ready(&mut idle) && is_ready(&mut called));
    }
    drop(dropped);
    assert_eq!(state(&bulkhead), (0, 0));
    assert!(called.call(Do::Answer).now_or_never().unwrap().is_ok());
    drop(idle);
}

/// The dependency panics when it is called without having been asked.
#[tokio::test(start_paused = true)]
async fn b4_the_instance_that_was_asked_is_the_one_that_is_called_also_after_a_wait() {
    let (bulkhead, _) = waiting();
    let mut service = bulkhead.wrap(Dependency::default());
    assert!(is_ready(&mut service));
    let clone = service.clone();
    let mut asked = std::mem::replace(&mut service, clone);
    let permit = bulkhead.try_acquire().unwrap(); // it was not full when it was asked
    let mut first = asked.call(Do::Answer);
    let mut second = call(&mut asked, Do::Answer); // and now it is
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    drop(permit);
    assert!(first.now_or_never().unwrap().is_ok() && second.now_or_never().unwrap().is_ok());
    assert!(try_now(&mut service, Do::Answer).unwrap().is_ok());
    assert_eq!(service.get_ref().arrived(), 3);
}

#[test]
fn b4_a_service_that_was_not_asked_because_there_was_no_permit_is_asked_before_it_is_called() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let permit = bulkhead.try_acquire().unwrap();
    let mut service = bulkhead.wrap(Dependency::default());
    assert!(is_ready(&mut service));
    drop(permit); // there is one between `poll_ready` and `call`
    assert!(service.call(Do::Answer).now_or_never().unwrap().is_ok());
    assert_eq!(service.get_ref().arrived(), 1);
}

#[tokio::test(start_paused = true)]
async fn b5_a_service_that_is_finished_says_so_and_keeps_no_permit() {
    let (bulkhead, _) = waiting();
    let (inner, mut handle) = mock::pair::<(), ()>();
    let mut service = bulkhead.wrap(inner);
    let permit = bulkhead.try_acquire().unwrap();
    let deferred = ServiceExt::<()>::ready(&mut service).await.unwrap().call(()); // not asked: it is full
    handle.send_error("finished");
    drop(permit);
    assert_eq!(deferred.await.unwrap_err().to_string(), "finished");
    assert_eq!((state(&bulkhead), bulkhead.totals().abandoned), ((0, 0), 1));

    let (inner, mut handle) = mock::pair::<(), ()>();
    handle.send_error("finished");
    let mut service = bulkhead.wrap(inner);
    assert_eq!(ServiceExt::<()>::ready(&mut service).await.map(drop).unwrap_err().to_string(), "finished");
    assert_eq!(state(&bulkhead), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn b6_a_full_bulkhead_answers_although_the_service_is_never_ready() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let (inner, mut handle) = mock::pair::<(), ()>();
    handle.allow(0);
    let mut service = bulkhead.wrap(inner);
    assert!(!is_ready(&mut service), "with a permit to give it passes on that it is not");
    let permit = bulkhead.try_acquire().unwrap();
    let result = service.ready().await.unwrap().call(()).await;
    assert_eq!(rejection(&result).unwrap().reason(), RejectReason::Full);
    drop(permit);
    assert!(!is_ready(&mut service));
    assert_eq!(state(&bulkhead), (0, 0), "who waits for the service holds nothing");
    assert!(handle.next_request().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn b7_who_waits_is_woken_for_a_permit_or_a_deadline_and_nothing_else() {
    let (bulkhead, time) = bulkhead(|builder| builder.max_wait(SECOND * 3_600));
    let permit = bulkhead.try_acquire().unwrap();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let (mut granted, mut late) = (pin!(bulkhead.acquire()), pin!(bulkhead.acquire()));
    assert!(granted.as_mut().poll(&mut cx).is_pending() && late.as_mut().poll(&mut cx).is_pending());
    pass(&time, SECOND * 3_599).await;
    assert_eq!(bell.rung(), 0);
    drop(permit);
    assert_eq!(bell.rung(), 1);
    let _permit = granted.now_or_never().unwrap().unwrap();
    pass(&time, SECOND).await;
    assert_eq!(bell.rung(), 2);
    assert_eq!(late.now_or_never().unwrap().unwrap_err().reason(), RejectReason::WaitTimeout);
}

#[test]
fn b11_a_call_that_needs_a_second_permit_of_its_own_bulkhead_is_told_so() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let nested = bulkhead.call(bulkhead.call(async { Ok::<_, io::Error>(()) })).now_or_never().unwrap();
    assert!(matches!(nested, Err(CallError::Inner(CallError::Rejected(_)))), "{nested:?}");
}

#[tokio::test(start_paused = true)]
async fn b11_where_calls_wait_it_is_told_so_after_the_longest_wait() {
    let (bulkhead, time) = waiting();
    let mut nested = pin!(bulkhead.call(bulkhead.call(async { Ok::<_, io::Error>(()) })));
    assert!(poll_once(&mut nested).is_pending());
    pass(&time, SECOND).await;
    let result = nested.now_or_never().expect("it does not wait for ever");
    let Err(CallError::Inner(CallError::Rejected(rejected))) = result else { panic!("{result:?}") };
    assert_eq!((rejected.reason(), state(&bulkhead)), (RejectReason::WaitTimeout, (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn b12_two_calls_that_wait_for_each_others_bulkhead_get_out_after_the_longest_wait() {
    let ((one, time_of_one), (two, time_of_two)) = (waiting(), waiting());
    let crossed = async |first: &Bulkhead, second: &Bulkhead| {
        let _first = first.acquire().await?;
        yield_now().await;
        second.acquire().await.map(drop)
    };
    let (mut left, mut right) = (Box::pin(crossed(&one, &two)), Box::pin(crossed(&two, &one)));
    for _ in 0..2 {
        assert!(poll_once(&mut left).is_pending() && poll_once(&mut right).is_pending());
    }
    assert_eq!((state(&one), state(&two)), ((1, 1), (1, 1)));
    time_of_one.advance(SECOND);
    pass(&time_of_two, SECOND).await;
    let late = |result: Option<Result<(), Rejected>>| result.unwrap().map_err(|rejected| rejected.reason());
    assert_eq!(late(left.now_or_never()), Err(RejectReason::WaitTimeout));
    assert_eq!(late(right.now_or_never()), Err(RejectReason::WaitTimeout));
    assert_eq!((state(&one), state(&two)), ((0, 0), (0, 0)));
}
