//! The defects of other circuit breakers, each as a test that this one does not have it.
//!
//! Found in their code, their issues, or by running them. Bulkheads are in `bulkhead/field_defects.rs`, probes in
//! `half_open.rs`, series and gauges in `telemetry/`, gRPC and rejections as responses in `stack/`.

use crate::scene;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{HalfOpenDecision, OpenTime, Reason, SlidingWindow, State, Throttle};
use backstop::classify::Errors;
use backstop::reject::RejectReason;
use backstop::{CallError, CircuitBreaker};
use scene::{
    Do, JUST_OPEN, MILLISECOND, OPEN_TIME, PROBE_TIME, about_to_probe, breaker, ended, events, fail, guarded, is_ready,
    panics, path, rejection, succeed, try_now,
};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

// ---- windows

/// tower-resilience, circuitbreaker-rs: after 10,000 successes it took 10,000 failures to open.
#[test]
fn a_count_window_slides_so_old_successes_do_not_outvote_new_failures() {
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(100)));
    succeed(&breaker, 10_000);
    fail(&breaker, 49);
    assert_eq!((breaker.state(), breaker.snapshot().failure_rate), (State::Closed, Some(0.49)));
    fail(&breaker, 1);
    assert_eq!((breaker.state(), breaker.snapshot().failure_rate), (State::Open, Some(0.5)));
}

/// tower-resilience: permits that were forgotten counted as calls while old successes expired, and the rate was
/// never evaluated again.
#[test]
fn a_time_window_with_forgotten_permits_still_trips() {
    let window = SlidingWindow::time(Duration::from_secs(10), 10);
    let (breaker, time) = breaker(|builder| builder.window(window).minimum_calls(4));
    succeed(&breaker, 100);
    (0..100).for_each(|_| std::mem::forget(breaker.try_acquire()));
    time.advance(Duration::from_secs(11));
    assert_eq!(breaker.snapshot().calls, 0);
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Open);
}

// ---- what is seen at all

/// tower-resilience: a handler that panics was no failure.
#[test]
fn a_dependency_that_only_panics_opens_the_circuit() {
    for request in [Do::Panic, Do::PanicInCall] {
        let (breaker, _) = breaker(|builder| builder);
        let mut service = guarded(&breaker);
        assert!(panics(|| try_now(&mut service, request)) && panics(|| try_now(&mut service, request)));
        assert_eq!((breaker.state(), breaker.totals().failed), (State::Open, 2));
    }
}

/// tower-resilience: a timeout outside the breaker drops the call, and a dead dependency was never seen.
#[tokio::test(start_paused = true)]
async fn a_dead_dependency_behind_an_outer_timeout_opens_the_circuit() {
    let (breaker, time) = breaker(|builder| builder.window(SlidingWindow::count(20)).minimum_calls(10));
    let told = events(&breaker);
    let mut service =
        ServiceBuilder::new().timeout(Duration::from_secs(1)).layer_fn(|()| guarded(&breaker)).service(());
    let mut timeouts = 0;
    while breaker.state() == State::Closed {
        let call = service.ready().await.unwrap().call(Do::Hang);
        let (result, ()) = tokio::join!(call, async { time.advance(Duration::from_secs(1)) });
        assert!(result.unwrap_err().is::<tower::timeout::error::Elapsed>());
        timeouts += 1;
    }
    assert_eq!((timeouts, breaker.totals().abandoned), (10, 10));
    assert_eq!(path(&told), [(State::Closed, State::Open, Reason::NoAnswer)]);
    let rejected = service.ready().await.unwrap().call(Do::Hang).await;
    assert!(rejection(&rejected).is_some());
}

/// Found by the simulated day: failures come at once, and made each caller that left a little later one without answer.
#[test]
fn quick_failures_do_not_shorten_the_time_that_an_answer_may_take() {
    let (breaker, time) =
        breaker(|builder| builder.window(SlidingWindow::count(100)).minimum_calls(5).failure_rate_threshold(1.0));
    let leave_after = |wait: Duration| {
        let permit = breaker.try_acquire().unwrap();
        time.advance(wait);
        permit
    };
    leave_after(OPEN_TIME).success();
    (0..50).for_each(|_| leave_after(MILLISECOND).failure());
    (0..5).for_each(|_| drop(leave_after(OPEN_TIME / 2)));
    assert_eq!((breaker.state(), breaker.snapshot().unanswered), (State::Closed, 0));
    (0..5).for_each(|_| drop(leave_after(4 * OPEN_TIME)));
    assert_eq!(breaker.state(), State::Open);
}

/// The other side of it: a client that goes away now and then says nothing about the dependency.
#[test]
fn stray_disconnects_do_not_open_the_circuit() {
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(20)).minimum_calls(10));
    let mut service = guarded(&breaker);
    for _ in 0..100 {
        assert!(try_now(&mut service, Do::Answer).is_some());
        assert!(try_now(&mut service, Do::Answer).is_some());
        assert!(try_now(&mut service, Do::Hang).is_none());
    }
    assert_eq!((breaker.state(), breaker.totals().abandoned), (State::Closed, 100));
}

/// Every breaker that has no marker for its own rejections: an open inner one opened the outer ones.
#[test]
fn an_outer_breaker_does_not_count_what_an_inner_one_rejects() {
    let (inner, _) = breaker(|builder| builder);
    let (outer, _) = breaker(|builder| builder);
    inner.force_open("test");
    let mut service = outer.layer().classify(Errors).layer(guarded(&inner));
    for _ in 0..10 {
        let result = try_now(&mut service, Do::Answer).unwrap();
        assert_eq!(rejection(&result).unwrap().reason(), RejectReason::ForcedOpen);
        let nested = outer.call_blocking(|| inner.call_blocking(|| std::fs::read("unread")));
        assert!(matches!(nested, Err(CallError::Inner(CallError::Rejected(_)))));
    }
    assert_eq!((outer.state(), outer.totals().failed, outer.totals().ignored), (State::Closed, 0, 20));
}

// ---- layers

/// tower-resilience: each `layer()` made a circuit of its own, so a service made per request never opened.
#[test]
fn every_service_that_a_layer_makes_shares_the_circuit() {
    let (breaker, _) = breaker(|builder| builder);
    for _ in 0..2 {
        assert!(try_now(&mut guarded(&breaker), Do::Fail).unwrap().is_err());
    }
    let result = try_now(&mut guarded(&breaker), Do::Answer).unwrap();
    assert_eq!(rejection(&result).unwrap().reason(), RejectReason::Open);
}

/// acton-service#44: axum makes the service anew for each request, and the breaker was silently inert.
#[test]
fn a_layer_on_an_axum_router_is_one_circuit_over_all_requests() {
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use futures_util::FutureExt;

    let (breaker, _) = breaker(|builder| builder);
    let router = axum::Router::new()
        .route("/", axum::routing::get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .layer(breaker.layer().respond());
    let get = || {
        let response = router.clone().oneshot(Request::new(Body::empty())).now_or_never();
        response.expect("the handler does not wait").unwrap().status()
    };
    assert_eq!([get(), get()], [StatusCode::INTERNAL_SERVER_ERROR; 2]);
    assert_eq!((get(), breaker.totals().not_permitted), (StatusCode::SERVICE_UNAVAILABLE, 1));
}

/// tower-resilience: rejecting took a timer of tokio's, and panicked outside of its runtime.
#[test]
fn a_whole_life_needs_no_runtime() {
    let (breaker, time) = breaker(|builder| builder.automatic_half_open(true));
    let mut service = guarded(&breaker);
    for request in [Do::Fail, Do::Fail, Do::Answer] {
        assert!(try_now(&mut service, request).unwrap().is_err());
    }
    assert_eq!(breaker.state(), State::Open);
    time.advance(OPEN_TIME);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert!(try_now(&mut service, Do::Hang).is_none());
    assert!(try_now(&mut service, Do::Answer).unwrap().is_ok());
    assert_eq!(breaker.state(), State::Closed);
}

/// `LoadShed` in front of a limit that reserves in `poll_ready` shed calls with nothing in flight.
#[test]
fn load_shed_outside_sheds_nothing_while_nothing_is_in_flight() {
    let (breaker, _) = breaker(|builder| builder);
    let mut service = ServiceBuilder::new().load_shed().layer_fn(|()| guarded(&breaker)).service(());
    let mut idle = service.clone();
    assert!(is_ready(&mut idle));
    for _ in 0..3 {
        assert!(try_now(&mut service, Do::Answer).unwrap().is_ok());
    }
    assert_eq!(breaker.totals().successful, 3);
}

// ---- listeners and states

/// gobreaker#37, tower-resilience: a listener that asked the breaker anything waited for itself.
#[test]
fn a_listener_may_do_anything_with_the_breaker() {
    let (breaker, time) = breaker(|builder| builder);
    let (handle, seen) = (breaker.clone(), Arc::new(Mutex::new(Vec::new())));
    let log = Arc::clone(&seen);
    breaker
        .subscribe(move |event| {
            log.lock().unwrap().push((handle.state(), handle.snapshot().calls, handle.totals().failed));
            handle.subscribe(|_| {}).forever();
            handle.publish();
            drop(handle.try_acquire());
            handle.reconfigure((*handle.config()).clone());
            if event.details().to == State::HalfOpen {
                handle.disable("the listener says so");
            }
        })
        .forever();
    about_to_probe(&breaker, &time);
    drop(breaker.try_acquire());
    assert_eq!(breaker.state(), State::Disabled);
    assert_eq!(*seen.lock().unwrap(), [(State::Open, 2, 2), (State::HalfOpen, 0, 2), (State::Disabled, 0, 2)]);
}

/// Resilience4j#991, #1039, tower-resilience: a timer set by an earlier opening ended a forced state.
#[test]
fn what_was_set_by_hand_stays_whatever_was_pending() {
    type Set = fn(&CircuitBreaker);
    let by_hand: [(Set, State); 4] = [
        (|breaker| breaker.force_open("test"), State::ForcedOpen),
        (|breaker| breaker.disable("test"), State::Disabled),
        (|breaker| breaker.shadow("test"), State::Shadow),
        (|breaker| breaker.reset("test"), State::Closed),
    ];
    for (set, state) in by_hand {
        let (breaker, time) = breaker(|builder| builder.automatic_half_open(true));
        let early = breaker.try_acquire().unwrap();
        about_to_probe(&breaker, &time); // the automatic transition is due, and nobody has looked
        let told = events(&breaker);
        set(&breaker);
        early.failure();
        for _ in 0..3 {
            time.advance(OPEN_TIME + PROBE_TIME);
            assert_eq!(breaker.state(), state);
        }
        let (from, to, reason) = *path(&told).last().unwrap();
        assert_eq!((from, to, reason), (State::HalfOpen, state, Reason::Manual));
    }
}

/// Resilience4j, Polly, failsafe-go: a wall clock set back kept the circuit open, or emptied its window.
///
/// A test cannot set the wall clock, so this one sees to it that nobody reads it but for a date in `Retry-After`.
#[test]
fn the_wall_clock_is_read_for_nothing_but_a_date_that_a_peer_sent() {
    fn sources(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let readers = |word: &str| -> Vec<String> {
        let reads = |file: &&std::path::PathBuf| std::fs::read_to_string(file).unwrap().contains(word);
        let name = |file: &std::path::PathBuf| file.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        files.iter().filter(reads).map(name).collect()
    };
    assert_eq!(readers("SystemTime"), ["clock.rs"]);
    assert_eq!(readers("clock::wall"), ["classify/http.rs"]);
}

/// Several peers: results that came while open changed the rate that the opening was explained by.
#[test]
fn the_rate_that_tripped_is_frozen_while_open() {
    let (breaker, time) = breaker(|builder| builder.window(SlidingWindow::time(OPEN_TIME / 2, 5)).minimum_calls(4));
    let late: Vec<_> = (0..10).map(|_| breaker.try_acquire().unwrap()).collect();
    succeed(&breaker, 1);
    fail(&breaker, 3);
    let tripped_by = breaker.snapshot();
    assert_eq!((breaker.state(), tripped_by.calls, tripped_by.failure_rate), (State::Open, 4, Some(0.75)));
    late.into_iter().for_each(Permit::success);
    time.advance(JUST_OPEN);
    assert_eq!((breaker.state(), breaker.snapshot()), (State::Open, tripped_by));
}

/// Resilience4j#646 and others: failures that raced opened the circuit twice, or announced it twice.
#[test]
fn failures_that_race_open_the_circuit_once() {
    const THREADS: usize = 8;
    for _ in 0..100 {
        let (breaker, time) = breaker(|builder| builder);
        let told = events(&breaker);
        let start = Barrier::new(THREADS);
        let race = || {
            let permit = breaker.try_acquire().unwrap();
            start.wait();
            permit.failure();
        };
        thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(race))));
        assert_eq!(path(&told), [(State::Closed, State::Open, Reason::FailureRate)]);
        let totals = breaker.totals();
        assert_eq!((totals.failed, totals.stale), (2, THREADS as u64 - 2));
        time.advance(MILLISECOND);
        assert_eq!(breaker.retry_after(), Some(JUST_OPEN), "nor did they extend the wait");
    }
}

/// tower-resilience, recloser, failsafe, circuitbreaker-rs: zeros and NaN were taken, and wedged or panicked later.
#[test]
fn settings_that_could_only_wedge_or_panic_are_refused_by_name() {
    type Set = fn(scene::Builder) -> scene::Builder;
    let nonsense: [(&str, Set); 22] = [
        ("name", |_| CircuitBreaker::builder("")),
        ("window.calls", |b| b.window(SlidingWindow::count(0))),
        ("window.calls", |b| b.window(SlidingWindow::count(u32::MAX))),
        ("window.buckets", |b| b.window(SlidingWindow::time(Duration::from_secs(1), 0))),
        ("window.duration", |b| b.window(SlidingWindow::time(Duration::ZERO, 1))),
        ("window.duration", |b| b.window(SlidingWindow::Tumbling { duration: Duration::ZERO })),
        ("failure_rate_threshold", |b| b.failure_rate_threshold(0.0)),
        ("failure_rate_threshold", |b| b.failure_rate_threshold(f64::NAN)),
        ("failure_rate_threshold", |b| b.failure_rate_threshold(None)),
        ("slow_call_rate_threshold", |b| b.slow_call_rate_threshold(-0.1).slow_call_duration_threshold(MILLISECOND)),
        ("slow_call_duration_threshold", |b| b.slow_call_duration_threshold(Duration::ZERO)),
        ("slow_call_duration_threshold", |b| b.slow_call_rate_threshold(0.5)),
        ("minimum_calls", |b| b.minimum_calls(0)),
        ("minimum_calls", |b| b.minimum_calls(3)),
        ("failure_count_threshold", |b| b.failure_count_threshold(0)),
        ("consecutive_failures_threshold", |b| b.consecutive_failures_threshold(0)),
        ("open_time", |b| b.open_time(Duration::ZERO)),
        ("open_time.multiplier", |b| b.open_time(OpenTime::exponential(MILLISECOND, f64::NAN, OPEN_TIME))),
        ("half_open_max_calls", |b| b.half_open_max_calls(0)),
        ("half_open_decision.calls", |b| b.half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 2 })),
        ("half_open_timeout", |b| b.half_open_timeout(Duration::ZERO)),
        ("throttle.maximum_rejection_rate", |b| b.throttle(Throttle::new().maximum_rejection_rate(0.0))),
    ];
    for (field, set) in nonsense {
        let sensible = CircuitBreaker::builder("scene").window(SlidingWindow::count(2)).half_open_max_calls(1);
        let error = set(sensible).build().expect_err(field);
        assert!(error.problems().iter().any(|problem| problem.field() == field), "{field}: {error}");
    }
}

/// All of the above at once: however a call ends, it is counted once.
#[test]
fn every_call_that_was_let_through_ends_in_one_outcome() {
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(100)));
    let mut service = guarded(&breaker);
    let all = [Do::Answer, Do::Fail, Do::Refuse, Do::Hang, Do::Panic, Do::PanicInCall];
    for request in all.into_iter().cycle().take(600) {
        panics(|| try_now(&mut service, request));
    }
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(service.get_ref().arrived(), ended(&breaker));
    assert_eq!(ended(&breaker) + breaker.totals().not_permitted, 600);
}
