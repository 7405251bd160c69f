//! Where rules of a bulkhead meet: settings that change under load, time limits, shares, executors without timers.

use crate::exposition;

use backstop::bulkhead::keyed::KeyedBulkhead;
use backstop::bulkhead::limit::{Aimd, Vegas};
use backstop::bulkhead::{BulkheadConfig, Event, Permit};
use backstop::clock::{Clock, ManualClock};
use backstop::{Bulkhead, Outcome};
use bytes::Bytes;
use exposition::Exporter;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use tower::{Layer, Service, ServiceExt, service_fn};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn adaptive() -> (Bulkhead, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("adaptive").clock(clock).max_concurrent_calls(20);
    (builder.adaptive(Aimd::new().window(1)).build().unwrap(), time)
}

fn all(bulkhead: &Bulkhead) -> Vec<Permit> {
    std::iter::from_fn(|| bulkhead.try_acquire().ok()).collect()
}

// ---- limits that adapt

#[test]
fn settings_that_change_elsewhere_keep_what_a_limit_has_learned() {
    let (clock, time) = Clock::manual();
    let config = |max_wait| {
        let builder = BulkheadConfig::builder().max_concurrent_calls(20).max_wait(ms(max_wait));
        builder.adaptive(Vegas::new().probe_interval(0)).build().unwrap()
    };
    let bulkhead = Bulkhead::builder("learned").clock(clock).build().unwrap();
    bulkhead.reconfigure(config(1)).unwrap();
    let round = |lasts| {
        let permits = all(&bulkhead);
        time.advance(ms(lasts));
        for permit in permits {
            permit.end(Outcome::Success);
        }
    };
    (0..2).for_each(|_| round(10));
    let before = bulkhead.snapshot().limit;
    bulkhead.reconfigure(config(2)).unwrap();
    (0..6).for_each(|_| round(50));
    assert!(bulkhead.snapshot().limit <= before, "calls take five times as long, and it grew");
}

#[test]
fn permits_that_are_taken_away_are_drops_for_the_limit() {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("hang").clock(clock).max_concurrent_calls(20).max_hold(ms(10_000));
    let bulkhead = builder.adaptive(Aimd::new().window(1)).build().unwrap();
    let mut hung = Vec::new();
    for _ in 0..5 {
        hung.extend(all(&bulkhead));
        time.advance(ms(11_000));
    }
    assert!(bulkhead.snapshot().limit < 10, "{:?}", bulkhead.snapshot());
}

#[test]
fn a_caller_that_leaves_before_calls_usually_end_and_a_panic_say_nothing() {
    let (bulkhead, time) = adaptive();
    let call = |lasts, outcome: Outcome| {
        let permit = bulkhead.try_acquire().unwrap();
        time.advance(ms(lasts));
        permit.end(outcome);
    };
    call(100, Outcome::Success);
    (0..5).for_each(|_| call(20, Outcome::Abandoned));
    call(900, Outcome::Panicked);
    let panics = async {
        time.advance(ms(900));
        panic!("in the call")
    };
    let mut panics = Box::pin(bulkhead.call::<(), ()>(panics));
    let mut poll = || panics.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(catch_unwind(AssertUnwindSafe(|| poll().is_ready())).is_err());
    drop(panics);
    drop(bulkhead.try_acquire().unwrap()); // nobody said how it went
    assert_eq!((bulkhead.snapshot().limit, bulkhead.snapshot().in_flight), (20, 0));
    call(201, Outcome::Abandoned);
    assert!(bulkhead.snapshot().limit < 20);
}

#[test]
fn a_panic_before_the_future_exists_says_nothing_either() {
    let (bulkhead, time) = adaptive();
    let call = |lasts, outcome: Outcome| {
        let permit = bulkhead.try_acquire().unwrap();
        time.advance(ms(lasts));
        permit.end(outcome);
    };
    call(100, Outcome::Success);
    let mut service = bulkhead.wrap(tower::service_fn(|()| -> std::future::Ready<std::io::Result<()>> {
        time.advance(ms(900));
        panic!("in the call")
    }));
    for _ in 0..5 {
        let call = catch_unwind(AssertUnwindSafe(|| drop(tower::Service::call(&mut service, ()))));
        assert!(call.is_err());
    }
    assert_eq!((bulkhead.snapshot().limit, bulkhead.snapshot().in_flight), (20, 0));
    call(900, Outcome::Abandoned);
    assert!(bulkhead.snapshot().limit < 20);
}

#[test]
fn a_limit_beyond_the_bounds_of_an_adaptive_one_is_refused() {
    let bulkhead = Bulkhead::builder("bounds").adaptive(Aimd::new().max(100)).build().unwrap();
    let error = bulkhead.resize(400, "more").unwrap_err();
    assert_eq!(error.problems()[0].to_string(), "max_concurrent_calls: 400 is not allowed, must be from 1 to 100");
}

// ---- time limits

#[test]
fn a_late_permit_takes_no_place_of_another_however_often_it_was_used_since() {
    let (clock, time) = Clock::manual();
    let builder = Bulkhead::builder("late").clock(clock).max_concurrent_calls(1);
    let bulkhead = builder.max_hold(ms(1_000)).build().unwrap();
    let late = bulkhead.try_acquire().unwrap();
    time.advance(ms(2_000));
    for _ in 0..(1 << 17) {
        drop(bulkhead.try_acquire().unwrap());
        assert!(!late.is_held());
    }
    let other = bulkhead.try_acquire().unwrap();
    drop(late);
    assert!(other.is_held() && bulkhead.try_acquire().is_err());
}

#[test]
fn as_many_resets_as_you_like_and_a_late_permit_leave_nobody_in_flight() {
    let bulkhead = Bulkhead::builder("watchdog").max_concurrent_calls(2).build().unwrap();
    let late = bulkhead.try_acquire().unwrap();
    (0..4_096).for_each(|_| bulkhead.reset_in_flight("every minute"));
    drop(late);
    assert_eq!((bulkhead.snapshot().in_flight, all(&bulkhead).len()), (0, 2));
}

fn of_frames(frames: usize) -> StreamBody<impl futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>>> {
    let frame = || Ok(Frame::data(Bytes::from_static(b"x")));
    StreamBody::new(futures_util::stream::iter((0..frames).map(move |_| frame())))
}

#[tokio::test(start_paused = true)]
async fn a_body_that_has_ended_is_not_broken_afterwards() {
    let bulkhead = Bulkhead::builder("ended").max_hold(ms(100)).build().unwrap();
    let inner = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"all of it"))))
    });
    let mut service = bulkhead.layer().until_body_end().layer(inner);
    let mut body = service.ready().await.unwrap().call(Request::new(())).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    assert_eq!(bulkhead.snapshot().in_flight, 0);
    tokio::time::sleep(ms(200)).await;
    assert!(body.frame().await.is_none());
}

/// The clock is the system's here, and so is the time of the body's timer.
#[tokio::test]
async fn a_body_hears_of_a_longer_hold_and_gives_nothing_once_it_is_broken() {
    let config = |hold| BulkheadConfig::builder().max_hold(ms(hold)).build().unwrap();
    let bulkhead = Bulkhead::from_config("longer", config(20)).unwrap();
    let inner = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(of_frames(9))) });
    let mut service = bulkhead.layer().until_body_end().layer(inner);
    let mut body = service.ready().await.unwrap().call(Request::new(())).await.unwrap().into_body();
    assert!(body.frame().await.unwrap().is_ok());
    bulkhead.reconfigure(config(3_600_000)).unwrap();
    tokio::time::sleep(ms(30)).await;
    assert!(body.frame().await.unwrap().is_ok(), "it may take an hour now");
    bulkhead.reconfigure(config(20)).unwrap();
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the response took longer than its bulkhead allows");
    assert!(body.frame().await.is_none());
    assert_eq!((bulkhead.snapshot().in_flight, bulkhead.totals().abandoned), (0, 1));
}

// ---- shares

#[test]
fn a_backlog_of_a_borrower_leaves_the_owner_its_places_in_the_queue() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _inside = runtime.enter();
    let builder = Bulkhead::builder("backlog").max_concurrent_calls(10).max_wait(ms(60_000)).max_queue(10);
    let bulkhead = builder.partition("live", 0.7).partition("batch", 0.3).build().unwrap();
    let (live, batch) = (bulkhead.partition("live").unwrap(), bulkhead.partition("batch").unwrap());
    let mut borrowed = all(&batch);
    assert_eq!(borrowed.len(), 10);
    let mut cx = Context::from_waker(Waker::noop());
    let mut backlog: Vec<_> = (0..10).map(|_| Box::pin(batch.acquire())).collect();
    let waiting = backlog.iter_mut().filter_map(|call| call.as_mut().poll(&mut cx).is_pending().then_some(())).count();
    assert_eq!(waiting, 3);
    let mut owner = pin!(live.acquire());
    assert!(owner.as_mut().poll(&mut cx).is_pending(), "it waits, and is next");
    borrowed.pop();
    assert!(owner.as_mut().poll(&mut cx).is_ready());
}

// ---- executors

#[test]
fn where_there_are_no_timers_no_call_waits_and_none_panics() {
    let bulkhead = Bulkhead::builder("elsewhere").max_concurrent_calls(1).max_wait(ms(50)).build().unwrap();
    let _held = bulkhead.try_acquire().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(bulkhead.acquire()).poll(&mut cx).is_ready());
    assert!(pin!(bulkhead.call(async { Ok::<_, ()>(()) })).poll(&mut cx).is_ready());
    let mut service = bulkhead.layer().layer(service_fn(|(): ()| async { Ok::<_, std::io::Error>(()) }));
    assert!(pin!(service.call(())).poll(&mut cx).is_ready());
    assert_eq!(bulkhead.totals().rejected_full, 3);
}

// ---- what is told

#[test]
fn a_bulkhead_whose_calls_are_timed_publishes_by_itself() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let bulkhead = Bulkhead::builder("timed").max_hold(ms(60_000)).build().unwrap();
        (0..3_000).for_each(|_| drop(bulkhead.try_acquire().unwrap()));
    });
    let permitted = [("name", "timed"), ("kind", "permitted")];
    assert!(exporter.scrape().value("backstop_bulkhead_calls_total", &permitted) > 2_000.0);
}

#[test]
fn a_key_that_makes_room_has_recovered_and_a_bypass_makes_none() {
    let (clock, time) = Clock::manual();
    let config = BulkheadConfig::builder().max_concurrent_calls(1).build().unwrap();
    let keys = KeyedBulkhead::<u32>::builder("keys").config(config).clock(clock).max_keys(1).build().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    keys.subscribe(move |keyed| log.lock().unwrap().push((keyed.key, keyed.event.clone()))).forever();
    {
        let key = keys.key(&1);
        let _held = key.try_acquire().unwrap();
        assert!(key.try_acquire().is_err());
    }
    for _ in 0..3 {
        drop(keys.key(&2).try_acquire()); // the clock's hand spares the first once
    }
    assert_eq!(keys.evicted(), 1);
    time.advance(ms(5_000));
    let heard = heard.lock().unwrap();
    assert!(matches!(heard[..], [(Some(1), Event::Saturated { .. }), (Some(1), Event::Recovered { rejected: 1, .. })]));

    let inner = service_fn(|_: u32| async { Ok::<_, std::io::Error>(()) });
    let mut service = keys.layer(|key: &u32| *key).bypass_when(|_: &u32| true).layer(inner);
    drop(service.call(3));
    assert_eq!((keys.len(), keys.get(&3).is_none(), keys.totals().bypassed), (1, true, 1));
}

/// A key whose clone looks at its own bulkhead.
#[derive(PartialEq, Eq, Hash)]
struct Curious(u32);

static CURIOUS: Mutex<Option<KeyedBulkhead<Curious>>> = Mutex::new(None);

impl Clone for Curious {
    fn clone(&self) -> Self {
        let keys = CURIOUS.lock().unwrap().clone();
        if let Some(key) = keys.and_then(|keys| keys.get(self)) {
            key.snapshot();
        }
        Self(self.0)
    }
}

#[test]
fn a_keys_own_code_runs_without_our_locks() {
    let config = BulkheadConfig::builder().max_concurrent_calls(1).build().unwrap();
    let keys = KeyedBulkhead::builder("curious").config(config).build().unwrap();
    let _held = keys.key(&Curious(1)).try_acquire().unwrap();
    *CURIOUS.lock().unwrap() = Some(keys.clone());
    keys.subscribe(|_| ()).forever();
    assert!(keys.get(&Curious(1)).unwrap().try_acquire().is_err());
    assert_eq!(keys.saturated().len(), 1);
}
