//! Settings: new ones while the circuit runs, wrong ones, and the longest: C7 to C11 of the fault catalogue.

use crate::scene;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{
    CircuitBreakerBuilder, CircuitBreakerConfig, OpenTime, RetryAfterPolicy, SlidingWindow, State, Throttle,
};
use backstop::config::ConfigError;
use backstop::config::ConfigOnly;
use backstop::outcome::Classification;
use backstop::{CircuitBreaker, Outcome};
use scene::{Builder, MILLISECOND, OPEN_TIME, breaker, ended, fail, quiet_panic, succeed};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

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

/// The same check stands behind the builders, a file, and whatever `reconfigure` takes.
#[test]
fn c8_c9_c11_wrong_numbers_are_refused_by_every_entry() {
    let texts = [
        ("failure_rate_threshold", "failure_rate_threshold = nan"),
        ("failure_rate_threshold", "failure_rate_threshold = -0.1"),
        ("failure_rate_threshold", "failure_rate_threshold = 1.1"),
        ("failure_rate_threshold", "failure_rate_threshold = inf"),
        ("open_time_jitter", "open_time_jitter = nan"),
        ("unanswered_after", "unanswered_after = '0s'"),
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
    breaker.try_acquire().unwrap().end(Classification::new(Outcome::Failure).with_retry_after(Duration::MAX));
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
        breaker.try_acquire().unwrap().end(Classification::new(Outcome::Failure).with_retry_after(asked));
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

/// A round goes on: not shorter than its calls take, and with as many places as the new settings have.
#[test]
fn new_settings_reach_a_half_open_round() {
    let (breaker, time) = breaker(|builder| builder.unanswered_after(OPEN_TIME * 100).half_open_max_calls(5));
    let with_places = |calls| {
        let long = |builder: Settings| builder.unanswered_after(OPEN_TIME * 100).half_open_early_decision(false);
        breaker.reconfigure(config(|builder| long(builder).half_open_max_calls(calls)));
    };
    breaker.probe("test");
    let probes: Vec<_> = (0..2).map(|_| breaker.try_acquire().unwrap()).collect();
    with_places(3);
    let more: Vec<_> = (0..5).filter_map(|_| breaker.try_acquire().ok()).collect();
    assert_eq!(more.len(), 1, "three places, of which two were taken");
    time.advance(OPEN_TIME * 99);
    assert_eq!(breaker.state(), State::HalfOpen, "its calls last longer than a round");
    drop(more);
    probes.into_iter().for_each(Permit::success);
    assert_eq!(breaker.state(), State::HalfOpen);
    with_places(2);
    assert_eq!(breaker.state(), State::Closed, "no place is left for a third result");
}

#[test]
fn a_round_under_new_settings_without_a_wait_for_answers_lasts_no_longer_than_theirs() {
    let (breaker, time) = breaker(|builder| builder.unanswered_after(OPEN_TIME * 100));
    breaker.probe("test");
    let _probe = breaker.try_acquire().unwrap();
    breaker.reconfigure(config(|builder| builder.half_open_timeout(OPEN_TIME)));
    time.advance(OPEN_TIME);
    assert_eq!(breaker.state(), State::Open);
}
