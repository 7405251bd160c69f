//! The defects of other circuit breakers, each as a test that this one does not have it.
//!
//! Found in their code, their issues, or by running them. Bulkheads are in `field_defects_bulkhead.rs`, series and
//! gauges in `metrics.rs`, gRPC's trailers and `NamedService` in `grpc.rs`, rejections as responses in `rejections.rs`.

use crate::scene;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{HalfOpenDecision, OpenTime, ProbeLimit, Reason, SlidingWindow, State, Throttle};
use backstop::classify::Errors;
use backstop::reject::RejectReason;
use backstop::{CallError, CircuitBreaker};
use scene::{
    Do, JUST_OPEN, MILLISECOND, OPEN_TIME, PROBE_TIME, about_to_probe, breaker, call, ended, events, fail, guarded,
    is_ready, panics, path, poll_once, rejection, succeed, try_now,
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

// ---- results of another time

/// Resilience4j, Polly, tower-resilience, linkerd, failsafe-go: a call begun before the trip closed the circuit,
/// or opened it again.
#[test]
fn a_result_from_before_the_trip_decides_nothing_in_half_open() {
    let (breaker, time) = breaker(|builder| builder);
    let early: [Permit; 3] = std::array::from_fn(|_| breaker.try_acquire().unwrap());
    about_to_probe(&breaker, &time);
    let probe = breaker.try_acquire().unwrap();
    let [success, failure, neutral] = early;
    success.success();
    failure.failure();
    neutral.ignore();
    assert_eq!((breaker.state(), breaker.totals().stale), (State::HalfOpen, 3));
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

/// Resilience4j: a late result that counts as nothing gave back a place that it had never taken.
#[test]
fn a_late_neutral_result_mints_no_probe() {
    let (breaker, time) = breaker(|builder| builder);
    let (early, dropped) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    about_to_probe(&breaker, &time);
    let _probe = breaker.try_acquire().unwrap();
    early.ignore();
    drop(dropped);
    assert_eq!(breaker.try_acquire().unwrap_err().reason(), RejectReason::HalfOpen);
}

// ---- probes that come to nothing: Polly, Resilience4j, Hystrix, Sentinel, linkerd, tower-resilience

/// Makes the only probe come to nothing, as `waste` does, and lets `after` pass: the next call must be a probe
/// again, and close the circuit.
fn recovers<T>(waste: impl FnOnce(&mut scene::Guarded) -> T, after: Duration) {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    let mut service = guarded(&breaker);
    let _kept = waste(&mut service);
    time.advance(after);
    let result = try_now(&mut service, Do::Answer).expect("it is over at once");
    assert!(result.is_ok(), "{result:?} in {:?}", breaker.state());
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_cancelled_probe_frees_its_place_at_once() {
    recovers(|service| assert!(try_now(service, Do::Hang).is_none()), Duration::ZERO);
}

#[test]
fn a_probe_that_is_never_polled_frees_its_place_when_it_is_dropped() {
    recovers(|service| drop(call(service, Do::Answer)), Duration::ZERO);
}

#[test]
fn a_probe_that_counts_as_nothing_frees_its_place_at_once() {
    recovers(|service| assert!(try_now(service, Do::Refuse).unwrap().is_err()), Duration::ZERO);
}

#[test]
fn a_probe_that_panics_has_failed_and_the_next_round_probes_again() {
    for request in [Do::Panic, Do::PanicInCall] {
        recovers(|service| assert!(panics(|| try_now(service, request))), OPEN_TIME);
    }
}

#[test]
fn a_probe_that_hangs_for_ever_holds_up_its_own_round_only() {
    let hang = |service: &mut scene::Guarded| {
        let mut probe = call(service, Do::Hang);
        assert!(poll_once(&mut probe).is_pending());
        probe
    };
    recovers(hang, PROBE_TIME + OPEN_TIME);
}

#[test]
fn a_probe_that_is_kept_and_never_polled_holds_up_its_own_round_only() {
    recovers(|service| call(service, Do::Answer), PROBE_TIME + OPEN_TIME);
}

#[test]
fn a_probe_that_is_forgotten_holds_up_its_own_round_only() {
    recovers(|service| std::mem::forget(call(service, Do::Answer)), PROBE_TIME + OPEN_TIME);
}

/// As Resilience4j in production: 49,607 rejections over six days, because one probe never ended.
#[test]
fn six_days_with_hung_probes_never_reject_for_longer_than_a_round_and_its_open_time() {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    let (mut hung, mut rejected_in_a_row) = (Vec::new(), 0);
    let step = Duration::from_secs(5);
    for _ in 0..6 * 24 * 60 * 60 / step.as_secs() {
        match breaker.try_acquire() {
            Ok(probe) => {
                hung.push(probe);
                rejected_in_a_row = 0;
            }
            Err(_) => rejected_in_a_row += 1,
        }
        assert!(step * rejected_in_a_row < OPEN_TIME + PROBE_TIME);
        time.advance(step);
    }
    time.advance(OPEN_TIME + PROBE_TIME);
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

/// Polly, Resilience4j, tower-resilience; recloser and failsafe let all of them through.
#[test]
fn no_more_than_n_probes_pass_however_many_threads_wait_for_the_instant_of_expiry() {
    const PROBES: usize = 3;
    const THREADS: usize = 16;
    for limit in [ProbeLimit::PerRound, ProbeLimit::InFlight] {
        let (breaker, time) = breaker(|builder| builder.half_open_max_calls(3).half_open_limit(limit));
        for _ in 0..50 {
            breaker.trip("test");
            time.advance(OPEN_TIME);
            let start = Barrier::new(THREADS);
            let contend = || {
                start.wait();
                breaker.try_acquire().ok()
            };
            let admitted: Vec<Permit> = thread::scope(|scope| {
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(contend)).collect();
                threads.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(admitted.len(), PROBES, "{limit:?}");
        }
    }
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
    let (breaker, _) = breaker(|builder| builder.window(SlidingWindow::count(20)).minimum_calls(10));
    let told = events(&breaker);
    let mut service =
        ServiceBuilder::new().timeout(Duration::from_secs(1)).layer_fn(|()| guarded(&breaker)).service(());
    let mut timeouts = 0;
    while breaker.state() == State::Closed {
        let result = service.ready().await.unwrap().call(Do::Hang).await;
        assert!(result.unwrap_err().is::<tower::timeout::error::Elapsed>());
        timeouts += 1;
    }
    assert_eq!((timeouts, breaker.totals().abandoned), (10, 10));
    assert_eq!(path(&told), [(State::Closed, State::Open, Reason::AbandonedRate)]);
    let rejected = service.ready().await.unwrap().call(Do::Hang).await;
    assert!(rejection(&rejected).is_some());
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

/// vector#26457: keep-alive connections that had only polled ready held all permits of `ConcurrencyLimit`.
#[test]
fn a_hundred_idle_connections_that_polled_ready_hold_no_probe() {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    breaker.probe("test");
    let service = guarded(&breaker);
    let mut idle: Vec<_> = (0..100).map(|_| service.clone()).collect();
    for connection in &mut idle {
        assert!(is_ready(connection));
    }
    let mut late = service.clone();
    assert!(try_now(&mut late, Do::Answer).unwrap().is_ok());
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

/// Many: a probe that succeeded slowly closed a circuit that slowness had opened, and it opened again: flapping.
#[test]
fn a_slow_probe_does_not_close_a_circuit_that_slowness_opened() {
    let decisions = [
        HalfOpenDecision::Rate { calls: 1 },
        HalfOpenDecision::ConsecutiveSuccesses { calls: 1 },
        HalfOpenDecision::Successes { successes: 1, of: 1 },
    ];
    let slow = Duration::from_secs(1);
    for decision in decisions {
        let (breaker, time) = breaker(|builder| {
            let rules = builder.slow_call_duration_threshold(slow).slow_call_rate_threshold(0.5);
            rules.half_open_decision(decision)
        });
        let succeed_slowly = || {
            let permit = breaker.try_acquire().unwrap();
            time.advance(slow + MILLISECOND);
            permit.success();
        };
        succeed_slowly();
        succeed_slowly();
        assert_eq!((breaker.state(), breaker.snapshot().slow), (State::Open, 2));
        time.advance(OPEN_TIME);
        succeed_slowly();
        assert_eq!(breaker.state(), State::Open, "{decision:?}");
        time.advance(OPEN_TIME);
        succeed(&breaker, 1);
        assert_eq!(breaker.state(), State::Closed, "{decision:?}");
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
