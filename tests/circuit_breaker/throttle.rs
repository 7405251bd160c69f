//! Adaptive throttling through the public API.

use backstop::CircuitBreaker;
use backstop::circuit_breaker::{CircuitBreakerConfig, Permit, SlidingWindow, Throttle};
use backstop::clock::{Clock, ManualClock};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn throttled(throttle: Throttle) -> (CircuitBreaker, ManualClock) {
    let (clock, time) = Clock::manual();
    (CircuitBreaker::builder("throttle").clock(clock).throttle(throttle).build().unwrap(), time)
}

/// Calls that pass of so many, each ended at once.
fn admitted(breaker: &CircuitBreaker, calls: usize, end: fn(Permit)) -> usize {
    (0..calls).filter_map(|_| breaker.try_acquire().ok()).map(end).count()
}

#[test]
fn calls_in_flight_are_no_refusals() {
    let (breaker, time) = throttled(Throttle::new());
    for _ in 0..20 {
        let burst: Vec<_> = (0..200).map(|_| breaker.try_acquire().expect("healthy")).collect();
        time.advance(Duration::from_millis(50));
        burst.into_iter().for_each(Permit::success);
    }
    assert_eq!(breaker.totals().not_permitted, 0);
}

#[test]
fn a_failing_dependency_is_throttled_once_its_calls_have_ended() {
    let (breaker, time) = throttled(Throttle::new());
    let burst: Vec<_> = (0..100).map(|_| breaker.try_acquire().unwrap()).collect();
    time.advance(SECOND);
    burst.into_iter().for_each(Permit::failure);
    let passed = admitted(&breaker, 1_000, Permit::failure);
    assert!((60..160).contains(&passed), "about a tenth: {passed}");
}

#[test]
fn calls_that_end_without_a_verdict_are_no_refusals() {
    let (breaker, _time) = throttled(Throttle::new());
    for _ in 0..100 {
        admitted(&breaker, 10, Permit::ignore);
        admitted(&breaker, 5, drop); // callers that left
        admitted(&breaker, 2, Permit::success);
    }
    assert_eq!(breaker.totals().not_permitted, 0);
}

#[test]
fn a_dependency_that_answers_nobody_is_throttled() {
    let (breaker, time) = throttled(Throttle::new());
    for _ in 0..100 {
        let call = breaker.try_acquire();
        time.advance(Duration::from_millis(100));
        drop(call); // its caller's deadline
    }
    assert!(breaker.totals().not_permitted > 50, "{:?}", breaker.totals());
    let first = std::iter::repeat_with(|| breaker.try_acquire()).find_map(Result::ok).unwrap();
    first.success();
    assert!(admitted(&breaker, 100, Permit::success) > 0, "it answers again");
}

#[test]
fn another_window_starts_the_traffic_anew() {
    let (breaker, time) = throttled(Throttle::new().window(60 * SECOND));
    time.advance(30 * 86_400 * SECOND);
    admitted(&breaker, 10_000, Permit::failure);
    assert!(admitted(&breaker, 100, Permit::success) < 50);
    let throttle = Throttle::new().window(120 * SECOND);
    breaker.reconfigure(CircuitBreakerConfig::builder().throttle(throttle.clone()).build().unwrap());
    assert_eq!(admitted(&breaker, 100, Permit::success), 100);
    admitted(&breaker, 10_000, Permit::failure);
    breaker.reconfigure(CircuitBreakerConfig::builder().throttle(throttle.aggression(1.1)).build().unwrap());
    assert!(admitted(&breaker, 100, Permit::success) < 50, "the window is as it was");
    time.advance(121 * SECOND);
    assert_eq!(admitted(&breaker, 100, Permit::success), 100, "and ends in its own time");
}

#[test]
fn a_reset_forgets_the_traffic() {
    let (breaker, _time) = throttled(Throttle::new());
    admitted(&breaker, 1_000, Permit::failure);
    assert!(admitted(&breaker, 100, Permit::success) < 50);
    breaker.reset("the outage is over");
    assert_eq!(admitted(&breaker, 100, Permit::success), 100);
}

#[test]
fn a_throttle_in_shadow_counts_each_call_once() {
    let (clock, _time) = Clock::manual();
    let builder = CircuitBreaker::builder("shadow").clock(clock).window(SlidingWindow::count(10));
    let breaker = builder.throttle(Throttle::new()).build().unwrap();
    breaker.shadow("try it out");
    admitted(&breaker, 1_000, Permit::failure);
    let failing = breaker.totals().would_reject;
    assert!((700..950).contains(&failing), "{failing}");
    admitted(&breaker, 1_000, Permit::success);
    admitted(&breaker, 1_000, Permit::success);
    let healthy = breaker.totals().would_reject;
    admitted(&breaker, 1_000, Permit::success);
    assert_eq!(breaker.totals().would_reject, healthy, "half of the calls are accepted");
}
