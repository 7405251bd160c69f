//! What can go wrong with a circuit's state, its settings and its time: group C of the fault catalogue.
//!
//! Not here: C12 and C13, sums and counters near their ends, which the windows' own tests and the comparison with
//! a naive model look at; C15, time that seems to go back between threads, is inside of the machine; C16 is said
//! in the documentation of `clock`.

use crate::scene;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{HalfOpenDecision, Reason, SlidingWindow, State};
use backstop::classify::Errors;
use backstop::clock::Clock;
use backstop::{BoxError, CircuitBreaker, Outcome, Rejected};
use futures_util::FutureExt;
use scene::{
    Failure, MILLISECOND, OPEN_TIME, about_to_probe, breaker, ended, events, fail, panics, path, quiet_panic, succeed,
    try_now,
};
use std::future::{Ready, ready};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use tower::retry::{Policy, RetryLayer};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};

// ---- C4, C5, C6: races

/// The instants at which two threads may trip: by a rule, by a failed probe, by the end of half-open.
#[test]
fn c4_whatever_races_to_open_there_is_one_transition_one_event_and_one_count() {
    for _ in 0..100 {
        let (breaker, time) = breaker(|builder| {
            builder.half_open_max_calls(4).half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 4 })
        });
        about_to_probe(&breaker, &time);
        let probes: Vec<Permit> = (0..4).map(|_| breaker.try_acquire().unwrap()).collect();
        let told = events(&breaker);
        let start = Barrier::new(5);
        thread::scope(|scope| {
            for probe in probes {
                scope.spawn(|| {
                    start.wait();
                    probe.failure();
                });
            }
            start.wait();
            breaker.state();
        });
        assert_eq!(path(&told), [(State::HalfOpen, State::Open, Reason::ProbesFailed)]);
    }
}

#[test]
fn c5_a_success_from_before_the_trip_does_not_close_while_open() {
    let (breaker, time) = breaker(|builder| builder);
    let early: Vec<Permit> = (0..50).map(|_| breaker.try_acquire().unwrap()).collect();
    fail(&breaker, 2);
    time.advance(OPEN_TIME / 2);
    early.into_iter().for_each(Permit::success);
    assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, Some(OPEN_TIME / 2)));
}

#[test]
fn c6_the_operator_wins_against_failures_that_race() {
    type Set = fn(&CircuitBreaker);
    let by_hand: [(Set, State); 3] = [
        (|breaker| breaker.force_open("test"), State::ForcedOpen),
        (|breaker| breaker.disable("test"), State::Disabled),
        (|breaker| breaker.shadow("test"), State::Shadow),
    ];
    for (set, state) in by_hand.into_iter().cycle().take(60) {
        let (breaker, time) = breaker(|builder| builder.open_time(MILLISECOND).automatic_half_open(true));
        let told = events(&breaker);
        let fail_or_wait = || match breaker.try_acquire() {
            Ok(permit) => permit.failure(),
            Err(_) => time.advance(MILLISECOND),
        };
        let (start, is_set) = (Barrier::new(3), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    while !is_set.load(Ordering::Acquire) {
                        fail_or_wait();
                    }
                    (0..10).for_each(|_| fail_or_wait());
                });
            }
            start.wait();
            set(&breaker);
            is_set.store(true, Ordering::Release);
            assert_eq!(breaker.state(), state);
        });
        assert_eq!(breaker.state(), state);
        let (_, to, reason) = *path(&told).last().unwrap();
        assert_eq!((to, reason), (state, Reason::Manual), "and nothing came after it");
    }
}

// ---- C14: time jumps

/// C15 as far as it can be seen from outside: readings that do not move on.
#[test]
fn c15_a_clock_that_stands_still_breaks_nothing() {
    let (clock, _) = Clock::manual();
    let builder = CircuitBreaker::builder("still").clock(clock).window(SlidingWindow::time(OPEN_TIME, 10));
    let slow = builder.slow_call_duration_threshold(Duration::from_nanos(1)).slow_call_rate_threshold(0.1);
    let breaker = slow.minimum_calls(10).ramp(OPEN_TIME).build().unwrap();
    succeed(&breaker, 100);
    assert_eq!((breaker.snapshot().calls, breaker.snapshot().slow), (100, 0));
    fail(&breaker, 100);
    assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, Some(Duration::from_secs(60))));
}

// ---- C17, C18: what a call is

#[test]
fn c17_a_slow_failure_is_one_call_in_both_rates_and_a_call_without_length_is_not_slow() {
    let (breaker, time) = breaker(|builder| {
        let window = builder.window(SlidingWindow::count(100));
        window.slow_call_duration_threshold(Duration::from_nanos(1)).slow_call_rate_threshold(0.9)
    });
    fail(&breaker, 1);
    let slow = breaker.try_acquire().unwrap();
    time.advance(Duration::MAX);
    slow.failure();
    let (snapshot, totals) = (breaker.snapshot(), breaker.totals());
    assert_eq!((snapshot.calls, snapshot.failed, snapshot.slow), (2, 2, 1));
    assert_eq!((totals.failed, totals.slow_failed, totals.slow_successful), (2, 1, 0));
}

#[test]
fn c18_a_classifier_that_panics_has_seen_a_failure_and_the_result_arrives() {
    let (breaker, _) = breaker(|builder| builder);
    let confused = |result: &Result<u8, Failure>| match result {
        Ok(7) => Outcome::Success,
        _ => quiet_panic(),
    };
    let mut service = breaker.layer().classify(confused).layer(service_fn(async |n: u8| Ok::<_, Failure>(n)));
    assert_eq!([7, 8].map(|n| try_now(&mut service, n).unwrap().unwrap()), [7, 8]);
    assert_eq!((breaker.totals().successful, breaker.totals().failed), (1, 1));
    assert_eq!(breaker.state(), State::Open, "half of two");
}

// ---- C19, C20, C21: herds, retries, flapping

#[test]
fn c19_after_closing_the_share_of_calls_grows_step_by_step_to_all() {
    let (breaker, time) = breaker(|builder| builder.ramp(Duration::from_secs(10)));
    about_to_probe(&breaker, &time);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed);
    let admitted_in = |seconds: u64| {
        time.advance(Duration::from_secs(seconds));
        (0..100)
            .filter(|_| {
                breaker.try_acquire().is_ok_and(|permit| {
                    permit.success();
                    true
                })
            })
            .count()
    };
    let shares: Vec<usize> = (0..10).map(|_| admitted_in(1)).collect();
    assert!(shares.is_sorted(), "{shares:?}");
    assert!((8..=12).contains(&shares[0]) && (48..=52).contains(&shares[4]) && shares[9] == 100, "{shares:?}");
}

/// A budget of one retry a call: the dependency never sees more than twice the calls, and none while open.
#[test]
fn c20_retries_do_not_multiply_over_an_open_circuit() {
    #[derive(Clone)]
    struct Once(bool);
    impl Policy<(), (), BoxError> for Once {
        type Future = Ready<()>;
        fn retry(&mut self, (): &mut (), result: &mut Result<(), BoxError>) -> Option<Self::Future> {
            let error = result.as_ref().err()?;
            let retries = std::mem::take(&mut self.0) && Rejected::find(error.as_ref()).is_none();
            retries.then(|| ready(()))
        }
        fn clone_request(&mut self, (): &()) -> Option<()> {
            Some(())
        }
    }
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(10)));
    let arrived = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&arrived);
    let down = service_fn(move |()| {
        counter.fetch_add(1, Ordering::Relaxed);
        ready(Err::<(), _>(Failure::Broken))
    });
    let stack =
        ServiceBuilder::new().layer(RetryLayer::new(Once(true))).layer(breaker.layer().classify(Errors)).service(down);
    for _ in 0..1_000 {
        let result = stack.clone().oneshot(()).now_or_never();
        assert!(result.unwrap().is_err());
    }
    assert_eq!((arrived.load(Ordering::Relaxed), breaker.totals().failed), (10, 10));
    assert_eq!(breaker.totals().not_permitted, 1_000 - 5, "one rejection for each call after the first five");
}

// ---- the laws, over threads

/// Laws 1, 2, 6 and 7: nothing is lost, the path of states has no gap, and each step is told once.
#[test]
fn laws_hold_over_threads_that_do_everything_at_once() {
    const CALLS: u64 = 5_000;
    const THREADS: u64 = 4;
    let (breaker, time) = breaker(|builder| {
        let window = builder.window(SlidingWindow::count(20)).half_open_max_calls(2);
        window.slow_call_duration_threshold(MILLISECOND * 3).slow_call_rate_threshold(0.9)
    });
    let told = events(&breaker);
    let rejected = AtomicU64::new(0);
    let work = |thread: u64| {
        let mut random = thread + 1;
        for _ in 0..CALLS {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let Ok(permit) = breaker.try_acquire() else {
                rejected.fetch_add(1, Ordering::Relaxed);
                time.advance(MILLISECOND * 50);
                continue;
            };
            match random >> 60 {
                0..=7 => permit.success(),
                8..=10 => permit.failure(),
                11 => permit.ignore(),
                12 => drop(permit),
                13 => assert!(panics(move || {
                    let _permit = permit;
                    quiet_panic()
                })),
                14 => {
                    time.advance(MILLISECOND * 5);
                    permit.success();
                }
                _ => {
                    permit.failure();
                    breaker.snapshot();
                }
            }
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|thread| drop(scope.spawn(move || work(thread)))));
    let (totals, rejected) = (breaker.totals(), rejected.into_inner());
    assert_eq!(totals.not_permitted, rejected);
    assert_eq!(ended(&breaker) + rejected, THREADS * CALLS, "{totals:?}");
    let events = told.lock().unwrap();
    let mut state = State::Closed;
    for (event, number) in events.iter().zip(1..) {
        let details = event.details();
        assert_eq!((details.from, details.sequence), (state, number));
        state = details.to;
        let evidence = details.snapshot;
        assert!(evidence.failed <= evidence.calls && evidence.calls <= 20);
    }
    assert_eq!(state, breaker.state());
    assert!(events.len() > 10, "it did trip and recover: {}", events.len());
}
