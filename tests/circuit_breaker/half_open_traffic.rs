//! Half-open with little traffic, long calls, streams and callers that leave: the round decides by what is there.

use crate::scene;

use backstop::circuit_breaker::{OpenTime, Permit, Reason, State};
use backstop::outcome::Settle;
use backstop::{CircuitBreaker, Outcome};
use scene::{MILLISECOND, events, fail, path};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A breaker with the default settings, just before its first probe.
fn by_default() -> (CircuitBreaker, backstop::clock::ManualClock) {
    let (clock, time) = backstop::clock::Clock::manual();
    let breaker = CircuitBreaker::builder("default").clock(clock).build().unwrap();
    fail(&breaker, 100);
    assert_eq!(breaker.state(), State::Open);
    time.advance(60 * SECOND);
    (breaker, time)
}

#[test]
fn little_traffic_that_succeeds_closes_at_the_limit() {
    for every in [12, 30, 61, 300, 6 * 3_600] {
        let (breaker, time) = by_default();
        for _ in 0..8 {
            if let Ok(permit) = breaker.try_acquire() {
                permit.success();
            }
            time.advance(every * SECOND);
        }
        assert_eq!(breaker.state(), State::Closed, "one call every {every} s");
    }
}

#[test]
fn a_round_that_nothing_begins_in_stays_silently() {
    let (breaker, time) = by_default();
    let told = events(&breaker);
    breaker.try_acquire().unwrap().ignore(); // begins the round, and says nothing
    for _ in 0..1_000 {
        time.advance(61 * SECOND);
        assert_eq!(breaker.state(), State::HalfOpen);
    }
    assert_eq!(path(&told), [(State::Open, State::HalfOpen, Reason::OpenTimeElapsed)]);
}

#[test]
fn failures_at_the_limit_decide_by_their_rate() {
    for (failed, state) in [(1, State::Closed), (2, State::Open)] {
        let (breaker, time) = by_default();
        for i in 0..4 {
            let permit = breaker.try_acquire().unwrap();
            permit.end(if i < failed { Outcome::Failure } else { Outcome::Success });
        }
        time.advance(60 * SECOND);
        assert_eq!(breaker.state(), state, "{failed} of 4");
    }
}

#[test]
fn back_off_grows_only_after_a_probe_that_failed_or_hung() {
    let (clock, time) = backstop::clock::Clock::manual();
    let grows = OpenTime::exponential(5 * SECOND, 2.0, 3_600 * SECOND);
    let builder = CircuitBreaker::builder("night").clock(clock).open_time(grows).automatic_half_open(true);
    let breaker = builder.build().unwrap();
    fail(&breaker, 100);
    time.advance(10 * 3_600 * SECOND); // a night without calls
    breaker.try_acquire().expect("the first call of the morning is a probe").failure();
    (0..4).for_each(|_| breaker.try_acquire().unwrap().failure());
    assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, Some(10 * SECOND)));
    time.advance(10 * SECOND);
    let _hung = breaker.try_acquire().unwrap();
    time.advance(60 * SECOND);
    breaker.state();
    assert_eq!(breaker.retry_after(), Some(20 * SECOND), "one that hung counts as one that failed");
}

/// The permit of a probe whose response flows.
fn flowing(breaker: &CircuitBreaker) -> Permit {
    let mut permit = breaker.try_acquire().unwrap();
    permit.answered();
    permit.streams();
    permit
}

#[test]
fn streams_that_flow_are_successes_at_the_limit_and_do_not_hang() {
    let (breaker, time) = by_default();
    let streams: Vec<Permit> = (0..20).map(|_| flowing(&breaker)).collect();
    assert!(breaker.try_acquire().is_err(), "each place twice");
    time.advance(Duration::from_millis(59_999));
    assert_eq!(breaker.state(), State::HalfOpen);
    time.advance(MILLISECOND);
    assert_eq!(breaker.state(), State::Closed);
    drop(streams);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn streams_that_flow_leave_places_for_calls_beside_them() {
    let (breaker, time) = by_default();
    let _streams: Vec<Permit> = (0..10).map(|_| flowing(&breaker)).collect();
    (0..10).for_each(|_| breaker.try_acquire().unwrap().success());
    assert_eq!(breaker.state(), State::Closed);
    let (breaker, _time) = by_default();
    let _streams: Vec<Permit> = (0..10).map(|_| flowing(&breaker)).collect();
    (0..5).for_each(|_| breaker.try_acquire().unwrap().failure());
    assert_eq!(breaker.state(), State::Open, "half of the results that decide are certain to be failures");
    time.advance(60 * SECOND);
}

#[test]
fn calls_that_hang_beside_streams_that_flow_leave_the_decision_to_the_limit() {
    let (breaker, time) = by_default();
    let streams: Vec<Permit> = (0..10).map(|_| flowing(&breaker)).collect();
    for _ in 0..10 {
        let hung = breaker.try_acquire().unwrap();
        time.advance(100 * MILLISECOND);
        drop(hung);
    }
    assert_eq!(breaker.state(), State::HalfOpen);
    streams.into_iter().for_each(Permit::failure);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_stream_that_breaks_before_the_limit_is_a_failure() {
    let (breaker, time) = by_default();
    let mut streams: Vec<Permit> = (0..2).map(|_| flowing(&breaker)).collect();
    streams.pop().unwrap().failure();
    time.advance(60 * SECOND);
    assert_eq!(breaker.state(), State::Open, "one of two");
}

#[test]
fn streams_that_readers_leave_close_a_round_that_has_no_place_left() {
    let (breaker, _time) = by_default();
    for _ in 0..10 {
        flowing(&breaker).ignore();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_dependency_that_hangs_behind_deadlines_gets_as_many_probes_as_there_are_places() {
    let (breaker, time) = by_default();
    let told = events(&breaker);
    let mut probes = 0;
    while let Ok(permit) = breaker.try_acquire() {
        time.advance(100 * MILLISECOND); // its caller's deadline
        drop(permit);
        probes += 1;
    }
    assert_eq!((probes, breaker.state()), (10, State::Open));
    assert_eq!(path(&told).last().unwrap().2, Reason::NoAnswer);
}

#[test]
fn callers_that_leave_at_once_neither_flood_nor_grow_the_wait() {
    let (breaker, time) = by_default();
    let mut probes = 0;
    while let Ok(permit) = breaker.try_acquire() {
        time.advance(MILLISECOND);
        drop(permit);
        probes += 1;
    }
    assert_eq!((probes, breaker.state()), (20, State::Open), "each place twice");
    assert_eq!(breaker.retry_after(), Some(60 * SECOND));
}

#[test]
fn calls_that_last_longer_than_a_round_close_it_once_their_time_is_known() {
    let (breaker, time) = by_default();
    let slow = breaker.try_acquire().unwrap();
    time.advance(600 * SECOND); // ten minutes, in a round of one
    assert_eq!(breaker.state(), State::Open);
    slow.success(); // late, and too late for its round; but now it is known how long answers take
    time.advance(60 * SECOND);
    let next = breaker.try_acquire().unwrap();
    time.advance(600 * SECOND);
    assert_eq!(breaker.state(), State::HalfOpen);
    next.success();
    time.advance(2_400 * SECOND);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn after_days_of_silence_the_first_call_is_a_probe_also_with_an_open_time_of_the_users() {
    let (clock, time) = backstop::clock::Clock::manual();
    let asked = OpenTime::from_fn(|trips, _| trips * 60 * SECOND);
    let breaker = CircuitBreaker::builder("silent").clock(clock).open_time(asked).automatic_half_open(true);
    let breaker = breaker.build().unwrap();
    breaker
        .subscribe({
            let breaker = breaker.clone();
            move |_| {
                let _ = breaker.snapshot(); // which a listener may do, and replays nothing
            }
        })
        .forever();
    fail(&breaker, 100);
    time.advance(60 * 3_600 * SECOND);
    breaker.try_acquire().expect("a probe").success();
    assert_eq!((breaker.state(), breaker.totals().not_permitted), (State::HalfOpen, 0));
}
