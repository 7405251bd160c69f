//! Callers that leave: a dependency is blamed only if nobody was answered at all.

use crate::common;

use axum::Router;
use axum::routing::get;
use backstop::circuit_breaker::{Reason, State};
use backstop::clock::{Clock, ManualClock};
use backstop::{CircuitBreaker, Outcome};
use common::{counted, eventually, hyper_client, serve};
use futures_util::FutureExt;
use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MILLISECOND: Duration = Duration::from_millis(1);

fn manual(name: &str) -> (CircuitBreaker, ManualClock) {
    let (clock, time) = Clock::manual();
    (CircuitBreaker::builder(name).clock(clock).build().unwrap(), time)
}

/// A call whose caller leaves after `after`.
fn left(breaker: &CircuitBreaker, time: &ManualClock, after: Duration) {
    let mut call = Box::pin(breaker.call(pending::<Result<(), Infallible>>()));
    assert!(call.as_mut().now_or_never().is_none());
    time.advance(after);
}

/// A call that is answered after `after`.
fn answered(breaker: &CircuitBreaker, time: &ManualClock, after: Duration) {
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let mut call = Box::pin(breaker.call(receive));
    assert!(call.as_mut().now_or_never().is_none());
    time.advance(after);
    send.send(()).unwrap();
    call.now_or_never().unwrap().unwrap();
}

#[tokio::test]
async fn a_route_is_never_opened_by_clients_that_leave() {
    let handlers = CircuitBreaker::new("handlers");
    let begun = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&begun);
    let slow = move || {
        counts.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(200 * MILLISECOND)
    };
    let address = serve(Router::new().route("/", get(slow)).layer(handlers.layer().respond())).await;
    let client = hyper_client();
    let leave = |_| tokio::time::timeout(50 * MILLISECOND, client.request(common::get(address, "/")));
    // On a busy machine all of a round may leave before the server has read a request.
    while begun.load(Ordering::Relaxed) == 0 {
        let left = futures_util::future::join_all((0..100).map(leave)).await;
        assert!(left.iter().filter(|left| left.is_err()).count() > 50, "most of them leave, on a busy machine too");
    }
    drop(client);
    let all = || counted(&handlers).iter().sum::<u64>() == begun.load(Ordering::Relaxed);
    eventually("the server has seen all of them leave", all).await;
    assert_eq!((handlers.state(), handlers.snapshot().unanswered), (State::Closed, 0));
    assert_eq!(hyper_client().request(common::get(address, "/")).await.unwrap().status(), 200);
}

#[test]
fn losers_of_races_say_nothing_while_winners_are_answered() {
    let (breaker, time) = manual("hedged");
    for _ in 0..200 {
        let mut loser = Box::pin(breaker.call(pending::<Result<(), Infallible>>()));
        assert!(loser.as_mut().now_or_never().is_none());
        answered(&breaker, &time, 500 * MILLISECOND);
        drop(loser);
    }
    assert_eq!(breaker.state(), State::Closed);
    assert_eq!(counted(&breaker), [200, 0, 0, 200, 0]);
}

#[test]
fn calls_that_are_left_before_their_usual_time_say_nothing() {
    let (breaker, time) = manual("impatient");
    for i in 0..1_000 {
        match i % 5 {
            0..3 => left(&breaker, &time, MILLISECOND),
            _ => answered(&breaker, &time, 4 * MILLISECOND),
        }
    }
    answered(&breaker, &time, Duration::from_secs(30)); // a long poll
    (0..1_000).for_each(|_| left(&breaker, &time, 10 * MILLISECOND));
    assert_eq!(breaker.state(), State::Closed);
    let (polls, time) = manual("long polls");
    answered(&polls, &time, Duration::from_secs(30));
    (0..1_000).for_each(|_| left(&polls, &time, 100 * MILLISECOND));
    assert_eq!(polls.state(), State::Closed);
}

#[test]
fn a_dependency_that_hangs_behind_deadlines_opens_within_the_minimum_of_calls() {
    let (breaker, time) = manual("hung");
    answered(&breaker, &time, 4 * MILLISECOND);
    let calls = (1..=1_000).find(|_| {
        left(&breaker, &time, 100 * MILLISECOND);
        breaker.state() == State::Open
    });
    assert_eq!(calls, Some(100));
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.unanswered, snapshot.failed, counted(&breaker)), (100, 0, [1, 0, 0, 100, 0]));
}

/// Two of five answers take 10 s, the others 2 ms. Then it hangs, behind deadlines of 1 s.
#[test]
fn a_dependency_of_which_some_answers_take_long_opens_when_it_hangs() {
    for healthy in 2_000..2_010 {
        let (breaker, time) = manual("two lengths");
        let mut long = std::collections::VecDeque::new();
        for number in 0..healthy {
            let permit = breaker.try_acquire().unwrap();
            time.advance(2 * MILLISECOND);
            if number % 5 < 2 {
                long.push_back((number, permit));
            } else {
                permit.success();
            }
            time.advance(8 * MILLISECOND);
            if let Some((_, permit)) = long.pop_front_if(|(began, _)| *began + 1_000 <= number) {
                permit.success();
            }
        }
        let deadline = Duration::from_secs(1);
        let calls = (1..=200).find(|_| {
            left(&breaker, &time, deadline);
            breaker.state() == State::Open
        });
        assert_eq!(calls, Some(100), "after {healthy} calls");
        drop(long); // in flight all the while
    }
}

#[test]
fn five_in_a_row_is_five_also_for_calls_that_nobody_answers() {
    let (clock, time) = Clock::manual();
    let five = CircuitBreaker::builder("five").clock(clock).consecutive_failures_threshold(5).build().unwrap();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    five.subscribe(move |event| log.lock().unwrap().push(event.details().reason)).forever();
    (0..5).for_each(|_| left(&five, &time, 100 * MILLISECOND));
    assert_eq!((five.state(), told.lock().unwrap().as_slice()), (State::Open, [Reason::NoAnswer].as_slice()));
}

#[test]
fn an_answer_between_them_ends_a_run_whatever_it_was() {
    let (clock, time) = Clock::manual();
    let five = CircuitBreaker::builder("five").clock(clock).consecutive_failures_threshold(5).build().unwrap();
    for _ in 0..50 {
        (0..4).for_each(|_| left(&five, &time, 100 * MILLISECOND));
        let answer = five.call(ready(Err::<(), _>(std::io::Error::other("no")))).now_or_never().unwrap();
        assert!(answer.is_err());
        (0..2).for_each(|_| five.try_acquire().unwrap().end(Outcome::Success));
    }
    assert_eq!(five.state(), State::Closed);
}
