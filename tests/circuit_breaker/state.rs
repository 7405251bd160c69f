//! What can go wrong with a circuit's state, its settings and its time: group C of the fault catalogue.
//!
//! Not here: C12 and C13, sums and counters near their ends, which the windows' own tests and the comparison with
//! a naive model look at; C15, time that seems to go back between threads, is inside of the machine; C16 is said
//! in the documentation of `clock`.

use crate::scene;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{
    CircuitBreakerBuilder, CircuitBreakerConfig, HalfOpenDecision, OpenTime, Reason, RetryAfterPolicy, SlidingWindow,
    State, Throttle,
};
use backstop::classify::Errors;
use backstop::clock::Clock;
use backstop::config::ConfigError;
use backstop::config::ConfigOnly;
use backstop::outcome::Classification;
use backstop::{BoxError, CircuitBreaker, Outcome, Rejected};
use futures_util::FutureExt;
use scene::{
    Builder, Failure, MILLISECOND, OPEN_TIME, about_to_probe, breaker, ended, events, fail, panics, path, quiet_panic,
    succeed, try_now,
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

// ---- C7: new settings

type Settings = CircuitBreakerBuilder<ConfigOnly>;

pub(crate) fn config(configure: impl FnOnce(Settings) -> Settings) -> CircuitBreakerConfig {
    configure(CircuitBreakerConfig::builder()).build().unwrap()
}

#[test]
fn c7_new_settings_keep_the_evidence_and_are_looked_at_with_the_next_call() {
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(10)).minimum_calls(10));
    fail(&breaker, 3);
    succeed(&breaker, 3);
    let in_flight = breaker.try_acquire().unwrap();
    breaker.reconfigure(config(|builder| builder.window(SlidingWindow::count(4)).minimum_calls(4)));
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.calls, snapshot.failed, breaker.state()), (4, 1, State::Closed), "the newest four");
    in_flight.failure();
    assert_eq!((breaker.snapshot().failed, breaker.totals().stale), (1, 0), "f s s s f: one left as one came");
    fail(&breaker, 1);
    assert_eq!((breaker.state(), breaker.snapshot().failure_rate), (State::Open, Some(0.5)));
}

#[test]
fn c7_settings_swapped_under_load_lose_no_call() {
    const CALLS: u64 = 20_000;
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(100)));
    let kinds = [
        config(|builder| builder.window(SlidingWindow::count(10)).minimum_calls(10)),
        config(|builder| builder.window(SlidingWindow::time(OPEN_TIME, 10)).minimum_calls(1_000)),
        config(|builder| builder.slow_call_duration_threshold(MILLISECOND).detect_slow_calls_in_flight(true)),
        config(|builder| builder.throttle(Throttle::new())),
    ];
    let is_over = AtomicBool::new(false);
    let is_rejected = |i: &u64| {
        let admitted = breaker.try_acquire();
        let rejected = admitted.is_err();
        let end = if i.is_multiple_of(10) { Permit::failure } else { Permit::success };
        admitted.into_iter().for_each(end);
        rejected
    };
    let calls = || (0..CALLS).filter(is_rejected).count() as u64;
    let rejected: u64 = thread::scope(|scope| {
        scope.spawn(|| {
            for kind in kinds.iter().cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                breaker.reconfigure(kind.clone());
                let snapshot = breaker.snapshot();
                assert!(snapshot.failed <= snapshot.calls && snapshot.slow <= snapshot.calls);
            }
        });
        let threads = [scope.spawn(calls), scope.spawn(calls)];
        let rejected = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        is_over.store(true, Ordering::Relaxed);
        rejected
    });
    assert_eq!((ended(&breaker), breaker.totals().not_permitted), (2 * CALLS - rejected, rejected));
}

// ---- C8, C9, C10, C11: numbers that are none

/// The same check stands behind the builders, a file, and whatever `reconfigure` takes.
#[test]
fn c8_c9_c11_wrong_numbers_are_refused_by_every_entry() {
    let texts = [
        ("failure_rate_threshold", "failure_rate_threshold = nan"),
        ("failure_rate_threshold", "failure_rate_threshold = -0.1"),
        ("failure_rate_threshold", "failure_rate_threshold = 1.1"),
        ("failure_rate_threshold", "failure_rate_threshold = inf"),
        ("open_time_jitter", "open_time_jitter = nan"),
        ("abandoned_rate_threshold", "abandoned_rate_threshold = 0.0"),
        ("minimum_calls", "minimum_calls = 101"),
        ("half_open_max_calls", "half_open_max_calls = 0"),
        ("half_open_max_calls", "half_open_max_calls = 4294967295"),
        ("open_time", "open_time = '0s'"),
        ("open_time.max", "open_time = { initial = '5s', multiplier = 2.0, max = '4s' }"),
        ("half_open_timeout", "half_open_timeout = '0s'"),
        ("ramp", "ramp = '0s'"),
        ("window.calls", "window = { type = 'count', calls = 0 }"),
        ("window.calls", "window = { type = 'count', calls = 4294967295 }"),
        ("window.buckets", "window = { type = 'time', duration = '1day', buckets = 1000000000 }"),
        ("window.duration", "window = { type = 'time', duration = '9ms', buckets = 10 }"),
        ("slow_call_duration_threshold", "slow_call_rate_threshold = 0.5"),
        ("throttle.accepts_multiplier", "throttle = { accepts_multiplier = nan }"),
    ];
    for (field, text) in texts {
        let error = toml::from_str::<CircuitBreakerConfig>(text).expect_err(text).to_string();
        assert!(error.contains(&format!("{field}: ")), "{text}: {error}");
    }
    let wrong: Result<CircuitBreakerConfig, ConfigError> =
        CircuitBreakerConfig::builder().failure_rate_threshold(f64::NAN).half_open_max_calls(0).build();
    assert_eq!(wrong.unwrap_err().problems().len(), 2, "all at once");
    assert!(CircuitBreaker::from_config("\u{0}", CircuitBreakerConfig::default()).is_err());
}

#[test]
fn c9_the_text_of_a_problem_names_the_field_the_value_and_what_is_allowed() {
    let error = CircuitBreakerConfig::builder().failure_rate_threshold(1.5).build().unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "failure_rate_threshold: 1.5 is not allowed, must be above 0 and at most 1"
    );
}

#[test]
fn c10_the_longest_durations_are_for_ever_and_overflow_nowhere() {
    let forever = |builder: Builder| {
        let slow = builder.slow_call_duration_threshold(Duration::MAX).slow_call_rate_threshold(1.0);
        let open = slow.open_time(Duration::MAX).open_time_jitter(1.0).retry_after_max(Duration::MAX);
        open.half_open_timeout(Duration::MAX).ramp(Duration::MAX).retry_after(RetryAfterPolicy::OpensAtOnce)
    };
    let (breaker, time) = breaker(|builder| forever(builder).window(SlidingWindow::time(Duration::MAX, 1_000)));
    let century = || time.advance(Duration::from_secs(100 * 365 * 24 * 60 * 60));
    century();
    breaker.try_acquire().unwrap().end(Classification::new(Outcome::Failure).retry_after(Duration::MAX));
    assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, None));
    century();
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!((breaker.state(), rejected.retry_after()), (State::Open, None));
    breaker.trip_for(Duration::MAX, "test");
    breaker.probe("test");
    century();
    assert_eq!(breaker.state(), State::HalfOpen);
    (0..7).for_each(|_| century()); // to the end of time
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn c10_a_retry_after_of_any_length_is_cut_to_the_longest_that_is_believed() {
    for asked in [Duration::from_secs(u64::MAX), Duration::MAX, Duration::from_secs(601)] {
        let (breaker, _) = breaker(|builder| builder);
        fail(&breaker, 1);
        breaker.try_acquire().unwrap().end(Classification::new(Outcome::Failure).retry_after(asked));
        assert_eq!(breaker.retry_after(), Some(Duration::from_secs(600)), "{asked:?}");
    }
}

#[test]
fn c10_open_times_of_a_function_may_be_anything() {
    type Function = fn(u32) -> Duration;
    let functions: [(Function, Option<Duration>); 3] = [
        (|_| Duration::MAX, None),
        (|_| Duration::ZERO, Some(Duration::ZERO)),
        (|_| quiet_panic(), Some(Duration::from_secs(60))),
    ];
    for (function, left) in functions {
        let (breaker, _) = breaker(|builder| builder.open_time(OpenTime::from_fn(move |trips, _| function(trips))));
        fail(&breaker, 2);
        assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, left));
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
