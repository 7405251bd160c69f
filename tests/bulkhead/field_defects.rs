//! The defects of other bulkheads, each as a test that this one does not have it.
//!
//! Found in their code, their issues, or by running them. Idle keep-alive connections and `NamedService` are in
//! `http.rs` with real ones; that a rejection allocates nothing in `costs/`.

use crate::exposition;
use crate::scene;

use backstop::bulkhead::BulkheadBuilder;
use backstop::clock::{Clock, ManualClock};
use backstop::config::Named;
use backstop::reject::{Mechanism, RejectReason};
use backstop::{BoxError, Bulkhead, CallError};
use exposition::Exporter;
use futures_util::FutureExt;
use scene::{Dependency, Do, call, is_ready, panics, poll_once, rejection, try_now};
use std::io;
use std::time::Duration;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// One call at a time, none waits; `configure` says what else the test is about.
fn bulkhead(configure: impl FnOnce(BulkheadBuilder<Named>) -> BulkheadBuilder<Named>) -> (Bulkhead, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("scene").clock(clock).max_concurrent_calls(1);
    (configure(builder).build().expect("the settings of the test are allowed"), time)
}

/// tower-resilience: a full bulkhead waited for a timer of no time, 1.09 ms, and said that the call had timed out.
/// Without a runtime a timer would panic here.
#[test]
fn a_rejection_takes_no_timer_and_says_that_it_is_full() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let _permit = bulkhead.try_acquire().unwrap();
    let direct = bulkhead.call(async { Ok::<_, io::Error>(()) }).now_or_never().expect("it does not wait");
    let Err(CallError::Rejected(direct)) = direct else { panic!("{direct:?}") };
    let acquired = bulkhead.acquire().now_or_never().expect("it does not wait").unwrap_err();
    let layered = try_now(&mut bulkhead.wrap(Dependency::default()), Do::Answer).expect("it does not wait");
    for rejected in [&direct, &acquired, rejection(&layered).unwrap()] {
        assert_eq!((rejected.by(), rejected.reason()), (Mechanism::Bulkhead, RejectReason::Full));
        assert_eq!(
            (rejected.to_string().as_str(), rejected.retry_after()),
            ("bulkhead scene rejected the call: full", None)
        );
    }
    assert_eq!((bulkhead.totals().rejected_full, bulkhead.totals().timed_out), (3, 0));
}

/// The other way round: who did wait is told that, and who found the queue full.
#[tokio::test(start_paused = true)]
async fn each_way_of_being_rejected_has_its_own_reason() {
    let (bulkhead, time) = bulkhead(|builder| builder.max_wait(SECOND).max_queue(1));
    let _permit = bulkhead.try_acquire().unwrap();
    let mut waits = Box::pin(bulkhead.acquire());
    assert!(poll_once(&mut waits).is_pending());
    assert_eq!(bulkhead.acquire().now_or_never().unwrap().unwrap_err().reason(), RejectReason::QueueFull);
    time.advance(SECOND);
    tokio::time::advance(SECOND).await;
    assert_eq!(waits.now_or_never().unwrap().unwrap_err().reason(), RejectReason::WaitTimeout);
    let totals = bulkhead.totals();
    assert_eq!((totals.rejected_full, totals.timed_out), (1, 1));
}

/// tower-resilience: the gauge went down where a call ended, and a cancelled call did not.
#[tokio::test(start_paused = true)]
async fn the_gauges_are_right_when_calls_were_cancelled_in_flight_and_in_line() {
    let exporter = Exporter::new();
    let (bulkhead, _) = exporter.run(|| bulkhead(|builder| builder.max_wait(SECOND)));
    let gauges = || {
        exporter.run(|| bulkhead.publish());
        let scrape = exporter.scrape();
        ["backstop_bulkhead_in_flight_calls", "backstop_bulkhead_queue_depth"]
            .map(|gauge| scrape.value(gauge, &[("name", "scene")]).to_string())
    };
    let mut service = bulkhead.wrap(Dependency::default());
    let (mut in_flight, mut in_line) = (call(&mut service, Do::Hang), call(&mut service, Do::Hang));
    assert!(poll_once(&mut in_flight).is_pending() && poll_once(&mut in_line).is_pending());
    assert_eq!(gauges(), ["1", "1"]);
    drop(in_line);
    assert_eq!(gauges(), ["1", "0"]);
    drop(in_flight);
    assert_eq!(gauges(), ["0", "0"]);
    for request in [Do::Panic, Do::PanicInCall, Do::Fail] {
        panics(|| try_now(&mut service, request));
    }
    assert_eq!(gauges(), ["0", "0"]);
}

/// tower-resilience: 19,999 calls in line, each with its request in memory.
#[tokio::test(start_paused = true)]
async fn the_queue_has_a_bound_by_default() {
    let (bulkhead, _) = bulkhead(|builder| builder.max_wait(SECOND));
    let mut service = bulkhead.wrap(Dependency::default());
    let mut calls: Vec<_> = (0..20_000).map(|_| call(&mut service, Do::Hang)).collect();
    assert_eq!((bulkhead.snapshot().in_flight, bulkhead.snapshot().queue_depth), (1, 100));
    let rejected = calls.split_off(101).into_iter().map(|call| call.now_or_never().expect("it does not wait"));
    assert!(rejected.into_iter().all(|result| rejection(&result).unwrap().reason() == RejectReason::QueueFull));
    assert_eq!(bulkhead.totals().rejected_full, 19_899);
}

/// Resilience4j: two stray releases on a limit of 1 let three calls in. Whatever ends a call twice, or ends it late,
/// its place comes back once.
#[tokio::test(start_paused = true)]
async fn no_way_of_ending_a_call_twice_makes_another_place() {
    for hold in [None, Some(SECOND)] {
        let (bulkhead, time) = bulkhead(|builder| builder.max_hold(hold));
        let fills = |bulkhead: &Bulkhead| {
            let first = bulkhead.try_acquire();
            assert!(first.is_ok() && bulkhead.try_acquire().is_err(), "one place, and not two");
        };
        let permit = bulkhead.try_acquire().unwrap();
        bulkhead.reset_in_flight("the first end");
        permit.end(backstop::Outcome::Success);
        fills(&bulkhead);
        let mut service = bulkhead.wrap(Dependency::default());
        let mut hangs = call(&mut service, Do::Hang);
        assert!(poll_once(&mut hangs).is_pending());
        time.advance(SECOND);
        if hold.is_some() {
            fills(&bulkhead); // its permit was taken away, and it still hangs
        }
        drop(hangs);
        fills(&bulkhead);
        let mut answered = call(&mut service, Do::Answer);
        assert!(poll_once(&mut answered).is_ready());
        drop(answered);
        fills(&bulkhead);
    }
}

/// failsafe#393: each caller that had gone away while it waited took a permit with it, for ever.
#[tokio::test(start_paused = true)]
async fn callers_that_gave_up_waiting_eat_no_permits() {
    let (bulkhead, time) = bulkhead(|builder| builder.max_concurrent_calls(8).max_wait(SECOND));
    for round in 0..10_u32 {
        let held: Vec<_> = (0..8).map(|_| bulkhead.try_acquire().unwrap()).collect();
        let mut line: Vec<_> = (0..50).map(|_| Box::pin(bulkhead.acquire())).collect();
        assert!(line.iter_mut().all(|call| poll_once(call).is_pending()));
        match round % 3 {
            0 => time.advance(SECOND), // all of them are out of time, and nobody has looked
            1 => drop(line.drain(..25)),
            _ => {}
        }
        drop(held);
        drop(line); // eight of them may have a permit, and have not looked
        assert_eq!(bulkhead.snapshot().available(), 8, "round {round}");
    }
}

/// Resilience4j: whoever lowered the limit was blocked until calls ended; here none ever does.
#[test]
fn shrinking_below_what_is_in_flight_blocks_nobody() {
    let (bulkhead, _) = bulkhead(|builder| builder.max_concurrent_calls(10));
    (0..10).for_each(|_| std::mem::forget(bulkhead.try_acquire().unwrap()));
    bulkhead.resize(2, "test").unwrap();
    assert_eq!((bulkhead.snapshot().limit, bulkhead.snapshot().in_flight), (2, 10));
    bulkhead.reconfigure(backstop::bulkhead::BulkheadConfig::default()).unwrap();
    assert_eq!(bulkhead.snapshot().available(), 15);
}

/// `LoadShed` in front of a limit that reserves in `poll_ready` shed calls with nothing in flight.
#[test]
fn nothing_is_shed_while_nothing_is_in_flight() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let mut service = ServiceBuilder::new().load_shed().layer(bulkhead.layer()).service(Dependency::default());
    let mut idle: Vec<_> = (0..100).map(|_| service.clone()).collect();
    assert!(idle.iter_mut().all(is_ready));
    for _ in 0..3 {
        assert!(try_now(&mut service, Do::Answer).unwrap().is_ok());
    }
    assert_eq!((bulkhead.totals().permitted, bulkhead.totals().rejected_full), (3, 0));
}

/// tower-resilience, acton-service#44: each `layer()` made permits of its own, so a service made per request had as
/// many as it liked.
#[tokio::test]
async fn every_service_that_a_layer_makes_shares_the_permits() {
    let (bulkhead, _) = bulkhead(|builder| builder);
    let layer = bulkhead.layer();
    let hang = || layer.layer(service_fn(async |()| std::future::pending::<Result<(), BoxError>>().await));
    let mut first = Box::pin(hang().oneshot(()));
    assert!(poll_once(&mut first).is_pending());
    let second = hang().oneshot(()).now_or_never().expect("it does not wait");
    assert_eq!(rejection(&second).unwrap().reason(), RejectReason::Full);
    let again = bulkhead.clone().wrap(Dependency::default()).oneshot(Do::Answer).now_or_never();
    assert!(again.unwrap().is_err());
}
