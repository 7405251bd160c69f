//! Limits, queues and listeners of a bulkhead: groups C, D and E of the fault catalogue.
//!
//! Not here: bodies (D1 to D5) in `http.rs`; waits that end while permits come free (D7), and limits below
//! what is in flight (D8), in any order, in `model.rs`.

use crate::common;
use crate::scene;

use backstop::bulkhead::limit::Aimd;
use backstop::bulkhead::{BulkheadBuilder, BulkheadConfig, Event, Permit, Shedding};
use backstop::clock::{Clock, ManualClock};
use backstop::config::Named;
use backstop::reject::RejectReason;
use backstop::{Bulkhead, Outcome};
use common::soon;
use futures_util::FutureExt;
use scene::{MILLISECOND, poll_once, quiet_panic};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;
use tokio::task::yield_now;

const SECOND: Duration = Duration::from_secs(1);

/// One call at a time, the others wait for a second; `configure` says what else the test is about.
fn waiting(configure: impl FnOnce(BulkheadBuilder<Named>) -> BulkheadBuilder<Named>) -> (Bulkhead, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("scene").clock(clock).max_concurrent_calls(1).max_wait(SECOND);
    (configure(builder).build().expect("the settings of the test are allowed"), time)
}

/// Calls in flight, and in line.
fn state(bulkhead: &Bulkhead) -> (u32, u32) {
    let snapshot = bulkhead.snapshot();
    (snapshot.in_flight, snapshot.queue_depth)
}

// ---- C: settings that cannot be meant

#[test]
fn c9_c11_limits_that_are_too_small_or_too_large_are_refused_by_name() {
    type Set = fn(BulkheadBuilder<Named>) -> BulkheadBuilder<Named>;
    let nonsense: [(&str, Set); 14] = [
        ("max_concurrent_calls", |b| b.max_concurrent_calls(0)),
        ("max_concurrent_calls", |b| b.max_concurrent_calls(500_001)),
        ("max_concurrent_calls", |b| b.max_concurrent_calls(u32::MAX)),
        ("max_wait", |b| b.max_wait(Duration::MAX)),
        ("max_queue", |b| b.max_wait(SECOND).max_queue(0)),
        ("max_queue", |b| b.max_queue(u32::MAX)),
        ("max_hold", |b| b.max_hold(Duration::ZERO)),
        ("max_hold", |b| b.max_hold(Duration::MAX)),
        ("shedding.target", |b| b.max_wait(SECOND).shedding(Shedding::new().target(Duration::ZERO))),
        ("shedding.interval", |b| b.max_wait(SECOND).shedding(Shedding::new().interval(MILLISECOND))),
        ("partitions.share", |b| b.partition("a", f64::NAN)),
        ("partitions.share", |b| b.partition("a", -0.1)),
        ("partitions.share", |b| b.partition("a", 0.9).partition("b", 0.2)),
        ("adaptive.max", |b| b.adaptive(Aimd::new().max(u32::MAX))),
    ];
    for (field, set) in nonsense {
        let error = set(Bulkhead::builder("scene")).build().expect_err(field);
        assert!(error.problems().iter().any(|problem| problem.field() == field), "{field}: {error}");
    }
    let (bulkhead, _) = waiting(|builder| builder);
    for limit in [0, 500_001, u32::MAX] {
        assert!(bulkhead.resize(limit, "test").is_err());
    }
    assert_eq!(bulkhead.snapshot().limit, 1);
}

#[test]
fn c11_the_largest_limit_can_be_reached_and_no_more() {
    const LIMIT: u32 = 500_000;
    for is_timed in [false, true] {
        let timed = is_timed.then_some(Duration::from_secs(3_600));
        let bulkhead = Bulkhead::builder("huge").max_concurrent_calls(LIMIT).max_hold(timed).build().unwrap();
        let permits: Vec<Permit> = (0..LIMIT).map(|_| bulkhead.try_acquire().unwrap()).collect();
        assert!(bulkhead.try_acquire().is_err());
        bulkhead.resize(1, "test").unwrap();
        assert_eq!((state(&bulkhead), bulkhead.snapshot().available()), ((LIMIT, 0), 0));
        drop(permits);
        assert_eq!((state(&bulkhead), bulkhead.snapshot().available()), ((0, 0), 1));
        assert_eq!(bulkhead.totals().permitted, u64::from(LIMIT));
    }
}

#[tokio::test(start_paused = true)]
async fn c10_c15_the_end_of_time_and_waits_without_an_end_do_no_harm() {
    let (bulkhead, time) = waiting(|builder| builder.max_hold(SECOND).shedding(Shedding::new()));
    time.advance(Duration::MAX);
    let _permit = bulkhead.try_acquire().unwrap();
    for wait in [Duration::MAX, Duration::from_nanos(1)] {
        let mut waits = Box::pin(bulkhead.acquire_within(wait));
        assert!(poll_once(&mut waits).is_pending());
        drop(waits);
    }
    assert_eq!(state(&bulkhead), (1, 0));
}

// ---- D: who waits

/// Waiting calls, polled by hand.
fn in_line(bulkhead: &Bulkhead, calls: usize) -> Vec<Pin<Box<dyn Future<Output = usize> + Send>>> {
    let served = Arc::new(Mutex::new(0_usize));
    let wait = |_| {
        let (bulkhead, served) = (bulkhead.clone(), Arc::clone(&served));
        Box::pin(async move {
            let _permit = bulkhead.acquire().await.expect("it has time");
            let mut served = served.lock().unwrap();
            *served += 1;
            *served
        }) as Pin<Box<dyn Future<Output = usize> + Send>>
    };
    (0..calls).map(wait).collect()
}

#[tokio::test(start_paused = true)]
async fn d6_calls_are_served_in_the_order_of_their_arrival() {
    const CALLS: usize = 200;
    let wait = Duration::from_secs(60);
    let bulkhead = Bulkhead::builder("fair").max_concurrent_calls(1).max_wait(wait).max_queue(200).build().unwrap();
    let first = bulkhead.try_acquire().unwrap();
    let mut line = in_line(&bulkhead, CALLS);
    let mut cx = Context::from_waker(Waker::noop());
    for call in &mut line {
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
    drop(first);
    // Whoever is polled first, each finds its turn: the last is polled first here, in every round.
    let mut turns = vec![0; CALLS];
    let mut waiting: Vec<_> = line.into_iter().enumerate().rev().collect();
    while !waiting.is_empty() {
        waiting.retain_mut(|(number, call)| match call.as_mut().poll(&mut cx) {
            Poll::Ready(turn) => {
                turns[*number] = turn;
                false
            }
            Poll::Pending => {
                assert!(bulkhead.try_acquire().is_err(), "nobody overtakes who waits");
                true
            }
        });
    }
    assert!(turns.into_iter().eq(1..=CALLS));
}

/// The permits of a grown bulkhead go to the front of the line, and a storm of newcomers gets none of them.
#[tokio::test]
async fn d6_newcomers_do_not_starve_who_waits() {
    let bulkhead = Bulkhead::builder("starve")
        .max_concurrent_calls(2)
        .max_wait(Duration::from_secs(3_600))
        .max_queue(10_000)
        .build()
        .unwrap();
    let busy = |_| {
        let bulkhead = bulkhead.clone();
        tokio::spawn(async move {
            loop {
                let permit = bulkhead.acquire().await.expect("it has time");
                yield_now().await;
                drop(permit);
            }
        })
    };
    let greedy: Vec<_> = (0..50).map(busy).collect();
    for _ in 0..100 {
        yield_now().await;
        let before = bulkhead.totals().permitted;
        drop(soon("its turn", bulkhead.acquire()).await.expect("it has time"));
        let overtakers = bulkhead.totals().permitted - before;
        assert!(overtakers <= 54, "{overtakers} calls went first, and 50 were there");
    }
    greedy.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn d7_waits_that_run_out_as_permits_come_free_lose_none() {
    let (bulkhead, time) = waiting(|builder| builder.max_concurrent_calls(8));
    for after in [0, 1, 999, 1_000, 1_001] {
        let mut held: Vec<_> = (0..8).map(|_| bulkhead.try_acquire().unwrap()).collect();
        let mut line: Vec<_> = (0..8).map(|_| Box::pin(bulkhead.acquire())).collect();
        assert!(line.iter_mut().all(|call| poll_once(call).is_pending()));
        held.truncate(4);
        time.advance(MILLISECOND * after);
        drop(held); // half came back before, half at or after the deadline
        drop(line);
        assert_eq!((state(&bulkhead), bulkhead.snapshot().available()), ((0, 0), 8), "after {after} ms");
    }
}

#[test]
fn d8_a_limit_below_what_is_in_flight_lets_nobody_in_until_there_is_room_again() {
    let (bulkhead, _) = waiting(|builder| builder.max_concurrent_calls(10));
    let mut held: Vec<_> = (0..10).map(|_| bulkhead.try_acquire().unwrap()).collect();
    bulkhead.resize(3, "test").unwrap();
    assert_eq!((bulkhead.snapshot().available(), bulkhead.snapshot().saturation() > 3.0), (0, true));
    while held.len() > 3 {
        assert!(bulkhead.try_acquire().is_err());
        held.pop();
    }
    assert!(bulkhead.try_acquire().is_err());
    held.pop();
    assert!(bulkhead.try_acquire().is_ok());
}

/// There is nothing to close: who waits keeps the bulkhead alive, and nobody is let in without a permit.
#[tokio::test(start_paused = true)]
async fn d9_who_waits_is_served_although_every_handle_is_gone() {
    let (bulkhead, _) = waiting(|builder| builder);
    let permit = bulkhead.try_acquire().unwrap();
    let handle = bulkhead.clone();
    let mut waits = Box::pin(async move { handle.acquire().await });
    assert!(poll_once(&mut waits).is_pending());
    drop(bulkhead);
    assert!(poll_once(&mut waits).is_pending());
    drop(permit);
    assert!(waits.now_or_never().unwrap().unwrap().is_held());
}

// ---- E: listeners

#[test]
fn e1_a_listener_may_do_anything_with_the_bulkhead_and_no_lock_is_held_meanwhile() {
    let (bulkhead, time) = waiting(|builder| builder.partition("a", 0.5));
    let (handle, heard) = (bulkhead.clone(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&heard);
    let listener = move |event: &Event| {
        log.lock().unwrap().push(event.clone());
        let other = handle.clone();
        let everything = move || {
            drop((other.try_acquire(), other.snapshot(), other.totals(), other.oldest_call(), other.subscribe(|_| {})));
            drop((other.acquire_blocking(Duration::ZERO), other.partition("a").unwrap().partition_permits()));
            other.publish();
            other.reconfigure((*other.config()).clone()).unwrap();
            other.resize(other.snapshot().limit, "the same").unwrap();
        };
        everything.clone()();
        thread::spawn(everything).join().unwrap();
        if matches!(event, Event::Resized { from: 1, .. }) {
            handle.resize(3, "the listener says so").unwrap();
            handle.reset_in_flight("the listener says so");
        }
    };
    bulkhead.subscribe(listener).forever();
    let permit = bulkhead.try_acquire().unwrap();
    assert!(bulkhead.try_acquire().is_err());
    bulkhead.resize(2, "test").unwrap();
    assert!(!permit.is_held());
    time.advance(SECOND * 2);
    bulkhead.snapshot();
    time.advance(SECOND * 2);
    bulkhead.snapshot();
    let heard = heard.lock().unwrap();
    let [saturated, first, second, reset, recovered] = &heard[..] else { panic!("{heard:?}") };
    assert!(matches!(saturated, Event::Saturated { .. }), "{heard:?}");
    assert!(matches!((first, second), (Event::Resized { from: 1, .. }, Event::Resized { from: 2, .. })), "{heard:?}");
    assert!(matches!(reset, Event::Reset { revoked: 1, .. }), "{heard:?}");
    assert!(matches!(recovered, Event::Recovered { .. }), "{heard:?}");
}

#[test]
fn e3_a_listener_that_panics_is_counted_and_the_others_hear() {
    let (bulkhead, _) = waiting(|builder| builder);
    let heard = Arc::new(Mutex::new(0));
    let log = Arc::clone(&heard);
    bulkhead.subscribe(|_| quiet_panic()).forever();
    bulkhead.subscribe(move |_| *log.lock().unwrap() += 1).forever();
    let _permit = bulkhead.try_acquire().unwrap();
    assert_eq!(bulkhead.try_acquire().unwrap_err().reason(), RejectReason::Full);
    bulkhead.resize(2, "test").unwrap();
    assert!(bulkhead.try_acquire().is_ok());
    assert_eq!((*heard.lock().unwrap(), bulkhead.totals().events_lost), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn e6_a_waker_that_panics_takes_no_permit_and_holds_up_nobody() {
    struct Panics;

    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            quiet_panic()
        }
    }

    let (bulkhead, _) = waiting(|builder| builder.max_concurrent_calls(2));
    let permits = [bulkhead.try_acquire().unwrap(), bulkhead.try_acquire().unwrap()];
    let mut line = [Box::pin(bulkhead.acquire()), Box::pin(bulkhead.acquire())];
    for call in &mut line {
        let waker = Waker::from(Arc::new(Panics));
        assert!(call.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(permits);
    assert_eq!(state(&bulkhead), (2, 0));
    for call in line {
        assert!(call.now_or_never().unwrap().is_ok());
    }
    assert_eq!(state(&bulkhead), (0, 0));
}

/// C7: new settings while an adaptive limit has learned one that they do not allow.
#[test]
fn c7_new_bounds_bring_a_learned_limit_within_them_and_it_goes_on_learning() {
    let (bulkhead, _) = waiting(|builder| builder.adaptive(Aimd::new().max(100).window(1)));
    let config = |max| {
        let aimd = Aimd::new().max(max).window(1);
        BulkheadConfig::builder().max_concurrent_calls(1).max_wait(SECOND).adaptive(aimd).build().unwrap()
    };
    let use_all = |bulkhead: &Bulkhead| {
        let permits: Vec<_> = std::iter::from_fn(|| bulkhead.try_acquire().ok()).collect();
        for permit in permits {
            permit.end(Outcome::Success);
        }
    };
    (0..4).for_each(|_| use_all(&bulkhead));
    assert!(bulkhead.snapshot().limit > 10, "{:?}", bulkhead.snapshot());
    bulkhead.reconfigure(config(5)).unwrap();
    assert_eq!(bulkhead.snapshot().limit, 5);
    let mut permits: Vec<_> = std::iter::from_fn(|| bulkhead.try_acquire().ok()).collect();
    permits.pop().expect("there are five").end(Outcome::Failure);
    assert_eq!(bulkhead.snapshot().limit, 4);
}
