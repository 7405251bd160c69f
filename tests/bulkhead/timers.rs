//! Waits on every kind of runtime and clock.

use backstop::bulkhead::{BulkheadConfig, Permit};
use backstop::clock::Clock;
use backstop::{Bulkhead, CallError, reject::RejectReason};
use bytes::Bytes;
use futures_util::{FutureExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::convert::Infallible;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use tower::{Layer, Service, service_fn};

const WAIT: Duration = Duration::from_millis(50);

fn full(clock: Clock) -> (Bulkhead, Permit) {
    let builder = Bulkhead::builder("timers").clock(clock).max_concurrent_calls(1).max_wait(WAIT);
    let bulkhead = builder.build().unwrap();
    let permit = bulkhead.try_acquire().unwrap();
    (bulkhead, permit)
}

#[test]
fn a_runtime_without_a_time_driver_answers_in_time_and_prints_no_panic() {
    let (bulkhead, _permit) = full(Clock::system());
    let runtime = Builder::new_current_thread().build().unwrap();
    let begin = Instant::now();
    let results = runtime.block_on(futures_util::future::join_all((0..20).map(|_| bulkhead.acquire())));
    assert!(results.into_iter().all(|result| result.unwrap_err().reason() == RejectReason::WaitTimeout));
    assert!((WAIT..20 * WAIT).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}

#[test]
fn a_body_is_broken_after_its_longest_hold_without_a_time_driver() {
    let bulkhead = Bulkhead::builder("holds").max_concurrent_calls(1).max_hold(WAIT).build().unwrap();
    let stalls = service_fn(async |()| {
        let body = StreamBody::new(stream::pending::<Result<Frame<Bytes>, Infallible>>());
        Ok::<_, Infallible>(http::Response::new(body))
    });
    let mut service = bulkhead.layer().until_body_end().layer(stalls);
    let body = service.call(()).now_or_never().unwrap().unwrap().into_body();
    let runtime = Builder::new_current_thread().build().unwrap();
    assert!(runtime.block_on(body.collect()).is_err());
}

/// Polls of a call that waits, in paused time.
async fn polls(bulkhead: &Bulkhead) -> (usize, Result<(), CallError<()>>) {
    let mut polls = 0;
    let mut call = std::pin::pin!(bulkhead.call(async { Ok(()) }));
    let result = std::future::poll_fn(|cx| {
        polls += 1;
        call.as_mut().poll(cx)
    })
    .await;
    (polls, result)
}

#[tokio::test(start_paused = true)]
async fn in_paused_time_a_wait_takes_its_time_on_tokios_clock() {
    let (bulkhead, _permit) = full(Clock::tokio());
    let (real, begin) = (Instant::now(), tokio::time::Instant::now());
    let (polls, result) = polls(&bulkhead).await;
    assert!(matches!(result, Err(CallError::Rejected(rejected)) if rejected.reason() == RejectReason::WaitTimeout));
    assert!((WAIT..WAIT * 2).contains(&begin.elapsed()), "{:?}", begin.elapsed());
    assert!(polls < 5 && real.elapsed() < 20 * WAIT, "{polls} polls");
}

#[tokio::test(start_paused = true)]
async fn in_paused_time_the_systems_clock_is_no_busy_loop() {
    let (bulkhead, _permit) = full(Clock::system());
    let (real, begin) = (Instant::now(), tokio::time::Instant::now());
    let (polls, result) = polls(&bulkhead).await;
    assert!(result.is_err() && polls < 5, "{polls} polls");
    assert!(real.elapsed() >= WAIT && begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn in_paused_time_a_clock_that_nobody_moves_is_no_busy_loop() {
    let (clock, _time) = Clock::manual();
    let (bulkhead, permit) = full(clock);
    let gives_back = std::thread::spawn(move || {
        std::thread::sleep(4 * WAIT); // a thread of its own: nothing in this test moves the clock
        drop(permit);
    });
    let begin = tokio::time::Instant::now();
    let (polls, result) = polls(&bulkhead).await;
    assert!(result.is_ok() && polls < 20, "{polls} polls");
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    gives_back.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn settings_from_elsewhere_take_a_clock() {
    let config = BulkheadConfig::builder().max_concurrent_calls(1).max_wait(WAIT).build().unwrap();
    let bulkhead = Bulkhead::from_config_with_clock("elsewhere", config, Clock::tokio()).unwrap();
    let _permit = bulkhead.try_acquire().unwrap();
    let begin = tokio::time::Instant::now();
    assert!(bulkhead.acquire().await.is_err());
    assert!((WAIT..WAIT * 2).contains(&begin.elapsed()), "{:?}", begin.elapsed());
}
