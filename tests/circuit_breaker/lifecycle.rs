//! What can happen to the future or permit of a call: group A of the fault catalogue.
//!
//! Not here: A6, `panic = "abort"`, is a build of the whole suite; loom looks at every order of A1, A8 and A10.

use crate::scene;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{AbandonedPolicy, PanicPolicy, Reason, SlidingWindow, State, Totals};
use backstop::classify::Errors;
use futures_util::FutureExt;
use scene::{
    Bell, Builder, Do, MILLISECOND, about_to_probe, breaker, call, ended, events, fail, guarded, panics, path,
    poll_once, quiet_panic, succeed, try_now,
};
use std::cell::Cell;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{Layer, Service, ServiceExt};
use tower_test::mock;

// ---- A1: dropped while it runs

#[test]
fn a1_a_call_dropped_midway_ends_as_abandoned_once_within_the_drop() {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    let mut service = guarded(&breaker);
    let mut probe = call(&mut service, Do::Hang);
    assert!(poll_once(&mut probe).is_pending());
    assert_eq!(breaker.totals().abandoned, 0);
    drop(probe);
    assert_eq!((breaker.totals().abandoned, breaker.state()), (1, State::HalfOpen));
    assert!(breaker.try_acquire().is_ok(), "its place is free");
}

#[test]
fn a1_nothing_but_abandoned_calls_opens_the_circuit_unless_they_are_to_count_as_nothing() {
    type Set = fn(Builder) -> Builder;
    let slow = Duration::from_secs(1);
    let rules: [(Set, Option<Reason>); 5] = [
        (|builder| builder, Some(Reason::NoAnswer)),
        (|builder| builder.unanswered_after(Duration::from_secs(2)), None),
        (|builder| builder.slow_call_duration_threshold(Duration::from_secs(1)), Some(Reason::NoAnswer)),
        (|builder| builder.on_abandoned(AbandonedPolicy::Failure), Some(Reason::FailureRate)),
        (|builder| builder.on_abandoned(AbandonedPolicy::Ignore), None),
    ];
    for (set, reason) in rules {
        let (breaker, time) = breaker(set);
        let told = events(&breaker);
        for _ in 0..2 {
            let permit = breaker.try_acquire().unwrap();
            time.advance(slow + MILLISECOND);
            drop(permit);
        }
        assert_eq!(path(&told).first().map(|(_, _, reason)| *reason), reason);
        let Totals { abandoned, failed, .. } = breaker.totals();
        let is_failure = reason == Some(Reason::FailureRate);
        assert_eq!((abandoned, failed), if is_failure { (0, 2) } else { (2, 0) }, "totals and evidence agree");
    }
}

// ---- A2: never polled

#[test]
fn a2_a_call_owns_its_place_from_the_call_on_and_gives_it_back_unpolled() {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    let mut service = guarded(&breaker);
    breaker.probe("so that the service is asked whether it is ready");
    let unpolled = call(&mut service, Do::Answer);
    assert!(breaker.try_acquire().is_err());
    drop(unpolled);
    assert_eq!(breaker.totals().abandoned, 1);
    assert!(breaker.try_acquire().is_ok());
}

#[test]
fn a2_a_call_without_tower_that_is_never_polled_never_began() {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    drop(breaker.call(pending::<Result<(), std::io::Error>>()));
    assert_eq!((breaker.totals().abandoned, breaker.state()), (0, State::Open));
}

// ---- A3: forgotten

#[test]
fn a3_forgotten_calls_cost_a_closed_circuit_nothing() {
    let (breaker, _) = breaker(|builder| builder);
    let mut service = guarded(&breaker);
    for _ in 0..1_000 {
        std::mem::forget(breaker.try_acquire());
        std::mem::forget(call(&mut service, Do::Answer));
    }
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a3_a_new_round_by_hand_fences_off_what_comes_back_late() {
    let (breaker, _) = breaker(|builder| builder);
    breaker.probe("test");
    let lost = breaker.try_acquire().unwrap();
    breaker.probe("give it up");
    let probe = breaker.try_acquire().unwrap();
    drop(lost);
    assert!(breaker.try_acquire().is_err(), "the late one gives back no place of the new round");
    probe.success();
    assert_eq!((breaker.state(), breaker.totals().stale), (State::Closed, 1));
}

// ---- A4, A5: panics

#[test]
fn a4_a5_a_panic_is_one_failure_and_goes_on_to_the_caller_unchanged() {
    for request in [Do::Panic, Do::PanicInCall] {
        let (breaker, _) = breaker(|builder| builder);
        let mut service = guarded(&breaker);
        let panic = catch_unwind(AssertUnwindSafe(|| try_now(&mut service, request))).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"told to"));
        assert_eq!((breaker.totals().failed, ended(&breaker)), (1, 1));
        assert!(try_now(&mut service, Do::Answer).unwrap().is_ok(), "nothing is poisoned");
    }
}

#[test]
fn a4_every_way_to_call_sees_the_panic() {
    type Never = Result<(), std::io::Error>;
    let (breaker, _) = breaker(|builder| builder.on_panic(PanicPolicy::Ignore));
    assert!(panics(|| breaker.call_blocking(|| -> Never { quiet_panic() })));
    assert!(panics(|| breaker.call(async { quiet_panic() as Never }).now_or_never()));
    assert!(panics(|| {
        let _permit = breaker.try_acquire().unwrap();
        quiet_panic()
    }));
    assert_eq!((breaker.totals().ignored, ended(&breaker), breaker.state()), (3, 3, State::Closed));
}

/// The thread panics, but not in this call: its future is dropped because somebody else's code unwinds.
#[test]
fn a4_a_future_dropped_by_a_panic_elsewhere_is_abandoned_not_failed() {
    let (breaker, _) = breaker(|builder| builder);
    let mut service = guarded(&breaker);
    let mut bystander = call(&mut service, Do::Hang);
    assert!(poll_once(&mut bystander).is_pending());
    assert!(panics(move || {
        let _bystander = bystander;
        quiet_panic()
    }));
    assert_eq!((breaker.totals().abandoned, breaker.totals().failed), (1, 0));
}

// ---- A7: polled after the end

#[test]
fn a7_polling_on_after_the_end_panics_and_counts_nothing_twice() {
    let (breaker, _) = breaker(|builder| builder);
    let mut service = guarded(&breaker);
    let mut answered = call(&mut service, Do::Answer);
    assert!(poll_once(&mut answered).is_ready());
    // The dependency's future decides what happens; an async block panics, and that is not the call's outcome.
    assert!(panics(|| poll_once(&mut answered)));
    drop(answered);
    assert_eq!((breaker.totals().successful, ended(&breaker)), (1, 1));

    breaker.force_open("test");
    let mut refused = call(&mut service, Do::Answer);
    assert!(poll_once(&mut refused).is_ready());
    let panic = catch_unwind(AssertUnwindSafe(|| drop(poll_once(&mut refused)))).unwrap_err();
    assert_eq!(panic.downcast_ref::<String>().unwrap(), "polled after it was ready");
    assert_eq!(breaker.totals().not_permitted, 1);
}

// ---- A8: moved between tasks

#[tokio::test]
async fn a8_the_latest_waker_is_the_one_that_is_woken() {
    let (breaker, _) = breaker(|builder| builder);
    let (service, mut handle) = mock::pair::<(), ()>();
    let mut service = breaker.layer().classify(Errors).layer(service);
    handle.allow(1);
    let mut response = service.ready().await.unwrap().call(());
    let ((), answer) = handle.next_request().await.unwrap();
    let (first, second) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let mut poll_with = |bell: &Arc<Bell>| {
        let waker = Waker::from(Arc::clone(bell));
        response.poll_unpin(&mut Context::from_waker(&waker)).is_ready()
    };
    assert!(!poll_with(&first));
    let moved = std::thread::scope(|scope| scope.spawn(|| poll_with(&second)).join().unwrap());
    assert!(!moved);
    answer.send_response(());
    assert_eq!((first.rung(), second.rung()), (0, 1));
    assert!(poll_with(&second));
    assert_eq!(breaker.totals().successful, 1);
}

// ---- A9: given up in the moment that it would have got on

#[tokio::test(start_paused = true)]
async fn a9_a_waiter_that_leaves_as_a_place_is_freed_takes_it_from_nobody() {
    let (breaker, _) = breaker(|builder| builder);
    breaker.probe("test");
    let probe = breaker.try_acquire().unwrap();
    let layer = breaker.layer().classify(Errors).pending_while_open();
    let waiting = || layer.layer(tower::service_fn(async |()| Ok::<_, std::io::Error>(())));
    let (mut leaver, mut stayer) = (waiting(), waiting());
    let (first, second) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    let (wakes_first, wakes_second) = (Waker::from(Arc::clone(&first)), Waker::from(Arc::clone(&second)));
    assert!(leaver.poll_ready(&mut Context::from_waker(&wakes_first)).is_pending());
    assert!(stayer.poll_ready(&mut Context::from_waker(&wakes_second)).is_pending());

    drop(probe); // the place is free, and both know
    assert_eq!((first.rung(), second.rung()), (1, 1));
    assert!(leaver.poll_ready(&mut Context::from_waker(&wakes_first)).is_ready());
    drop(leaver);
    assert!(stayer.poll_ready(&mut Context::from_waker(&wakes_second)).is_ready());
    assert!(stayer.call(()).now_or_never().unwrap().is_ok());
    assert_eq!(breaker.state(), State::Closed);
}

// ---- A10: from another generation

#[test]
fn a10_no_end_of_a_stale_call_has_an_effect_and_every_one_is_counted() {
    let endings: [fn(Permit); 5] = [Permit::success, Permit::failure, Permit::ignore, drop, |permit| {
        assert!(panics(move || {
            let _permit = permit;
            quiet_panic()
        }));
    }];
    for end in endings {
        let (breaker, time) = breaker(|builder| builder);
        let stale = || -> [Permit; 2] { std::array::from_fn(|_| breaker.try_acquire().unwrap()) };
        let (while_open, while_half_open) = (stale(), stale());
        let again_closed = stale();
        about_to_probe(&breaker, &time);

        while_open.into_iter().for_each(end);
        assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, Some(Duration::ZERO)));
        let probe = breaker.try_acquire().unwrap();
        while_half_open.into_iter().for_each(end);
        assert_eq!(breaker.state(), State::HalfOpen);
        assert!(breaker.try_acquire().is_err());
        probe.success();
        again_closed.into_iter().for_each(end);
        let (snapshot, totals) = (breaker.snapshot(), breaker.totals());
        assert_eq!((breaker.state(), snapshot.calls, snapshot.unanswered), (State::Closed, 0, 0));
        assert_eq!((totals.stale, totals.successful, totals.failed), (6, 1, 2));
    }
}

// ---- A11: the runtime goes first

#[test]
fn a11_calls_that_a_runtime_drops_as_it_shuts_down_are_abandoned() {
    let (breaker, _) = breaker(|builder| builder.on_abandoned(AbandonedPolicy::Ignore));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    let mut service = guarded(&breaker);
    let mut outlives = call(&mut service, Do::Hang);
    runtime.block_on(async {
        for _ in 0..10 {
            let mut service = service.clone();
            tokio::spawn(async move { service.ready().await.unwrap().call(Do::Hang).await });
        }
        while service.get_ref().arrived() < 11 {
            tokio::task::yield_now().await;
        }
        assert!(poll_once(&mut outlives).is_pending());
    });
    assert_eq!(ended(&breaker), 0);
    drop(runtime);
    assert_eq!((ended(&breaker), breaker.totals().abandoned), (10, 10));
    drop(outlives); // no runtime around
    assert_eq!((ended(&breaker), breaker.totals().abandoned), (11, 11));
    succeed(&breaker, 1);
}

// ---- A12: other executors

#[test]
fn a12_a_local_set_may_run_calls_that_are_not_send() {
    let (breaker, _) = breaker(|builder| builder);
    let counted = Rc::new(Cell::new(0));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let local = tokio::task::LocalSet::new();
    for _ in 0..3 {
        let (breaker, counted) = (breaker.clone(), Rc::clone(&counted));
        local.spawn_local(async move {
            let work = async {
                tokio::task::yield_now().await;
                counted.set(counted.get() + 1);
                Ok::<_, std::io::Error>(())
            };
            breaker.call(work).await.unwrap();
        });
    }
    runtime.block_on(local);
    assert_eq!((counted.get(), breaker.totals().successful), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a12_blocking_calls_work_inside_of_a_runtime() {
    let (breaker, _) = breaker(|builder| builder);
    let answer = tokio::task::block_in_place(|| breaker.call_blocking(|| Ok::<_, std::io::Error>(7)));
    assert_eq!(answer.unwrap(), 7);
}

#[test]
fn a12_an_executor_of_ones_own_is_enough() {
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(1)));
    let mut answer = pin!(breaker.call(async { Err::<(), _>(std::io::Error::other("no")) }));
    let polled = answer.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))));
    assert_eq!(breaker.state(), State::Open);
}
