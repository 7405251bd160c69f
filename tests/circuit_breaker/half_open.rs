//! Half-open: how many probes, for how long, and what becomes of those that are late, cancelled, hung or forgotten. A
//! name that begins with a letter and a number has its row in the field cases; the others are defects of 0.1 or of
//! peers.

use crate::scene;
use crate::settings::config;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{
    Event, HalfOpenDecision, OpenTime, ProbeLimit, Reason, SlidingWindow, State, TimeoutTo,
};
use backstop::classify::Errors;
use backstop::reject::RejectReason;
use scene::{
    Do, Failure, JUST_PROBING, MILLISECOND, OPEN_TIME, PROBE_TIME, about_to_probe, breaker, call, ended, events, fail,
    guarded, is_ready, panics, path, poll_once, succeed, try_now,
};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tower::{Layer, ServiceExt};
use tower_test::mock;

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

#[test]
fn c1_ten_thousand_tasks_at_the_instant_of_expiry_are_never_more_than_n_probes_at_once() {
    const TASKS: usize = 10_000;
    let (breaker, time) = breaker(|builder| {
        let limited = builder.half_open_max_calls(3).half_open_limit(ProbeLimit::InFlight);
        limited.half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 9_000 })
    });
    about_to_probe(&breaker, &time);
    let (now, peak) = (AtomicU64::new(0), AtomicU64::new(0));
    let probe = async || {
        peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        now.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, Failure>(())
    };
    let runtimes: Vec<_> = (0..4).map(|_| tokio::runtime::Builder::new_current_thread().build().unwrap()).collect();
    let start = Barrier::new(runtimes.len());
    let batch = |runtime: &tokio::runtime::Runtime| {
        start.wait();
        let tasks = (0..TASKS / 4).map(|_| breaker.call(probe()));
        runtime.block_on(futures_util::future::join_all(tasks));
    };
    thread::scope(|scope| runtimes.iter().for_each(|runtime| drop(scope.spawn(|| batch(runtime)))));
    assert!((1..=3).contains(&peak.load(Ordering::SeqCst)), "{peak:?}");
    assert_eq!(ended(&breaker) + breaker.totals().not_permitted, TASKS as u64 + 2);
}

#[test]
fn c2_c3_half_open_lasts_no_longer_than_its_limit_and_without_traffic_for_as_long_as_there_is_none() {
    use State::{Closed, HalfOpen, Open};
    for (to, after) in [(TimeoutTo::Open, [HalfOpen, Open]), (TimeoutTo::Closed, [Closed, Closed])] {
        for (probes, state) in after.into_iter().enumerate() {
            let (breaker, time) = breaker(|builder| builder.half_open_timeout_to(to));
            breaker.probe("test");
            let _hung: Vec<Permit> = (0..probes).map(|_| breaker.try_acquire().unwrap()).collect();
            time.advance(JUST_PROBING);
            assert_eq!(breaker.state(), State::HalfOpen);
            time.advance(MILLISECOND);
            assert_eq!(breaker.state(), state);
        }
    }
}

#[test]
fn c3_without_a_limit_half_open_waits_for_traffic_for_ever() {
    let (breaker, time) = breaker(|builder| builder.half_open_timeout(Duration::MAX));
    breaker.probe("test");
    time.advance(Duration::from_secs(100 * 365 * 24 * 60 * 60));
    assert_eq!(breaker.state(), State::HalfOpen);
    succeed(&breaker, 1);
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn c7_new_settings_keep_the_time_that_is_left_and_the_probes_in_flight() {
    let (breaker, time) = breaker(|builder| builder);
    fail(&breaker, 2);
    time.advance(OPEN_TIME / 4);
    breaker.reconfigure(config(|builder| builder.open_time(OPEN_TIME * 100).half_open_max_calls(1)));
    assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, Some(OPEN_TIME * 3 / 4)));
    time.advance(OPEN_TIME * 3 / 4);
    let probe = breaker.try_acquire().unwrap();
    breaker.reconfigure(config(|builder| builder.half_open_max_calls(1)));
    assert!(breaker.try_acquire().is_err(), "no second probe by new settings");
    probe.success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn c14_hours_at_once_empty_the_window_and_begin_one_half_open_round() {
    let (breaker, time) = breaker(|builder| builder.window(SlidingWindow::time(OPEN_TIME, 10)).minimum_calls(3));
    fail(&breaker, 2);
    time.advance(Duration::from_secs(36_000));
    fail(&breaker, 1);
    assert_eq!((breaker.state(), breaker.snapshot().calls), (State::Closed, 1));
    fail(&breaker, 2);
    let told = events(&breaker);
    time.advance(Duration::from_secs(36_000));
    let admitted = (0..100).filter_map(|_| breaker.try_acquire().ok()).collect::<Vec<_>>();
    assert_eq!(admitted.len(), 1);
    assert_eq!(path(&told), [(State::Open, State::HalfOpen, Reason::OpenTimeElapsed)]);
}

/// Nothing runs in the background, so a night without calls is caught up with at once, in bounded steps.
#[test]
fn c14_a_night_of_unwatched_half_open_rounds_is_caught_up_with_in_few_steps() {
    let (breaker, time) = breaker(|builder| builder.automatic_half_open(true));
    fail(&breaker, 2);
    let told = events(&breaker);
    time.advance(Duration::from_secs(12 * 60 * 60));
    let state = breaker.state();
    let path = path(&told);
    assert!(path.len() <= 20, "{} steps", path.len());
    assert!(path.windows(2).all(|pair| pair[0].1 == pair[1].0) && path.last().unwrap().1 == state);
    let times: Vec<_> = told.lock().unwrap().iter().map(|event| event.details().at).collect();
    assert!(times.is_sorted() && *times.last().unwrap() <= breaker.clock().now());
    time.advance(breaker.retry_after().unwrap_or_default());
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn c19_replicas_probe_at_different_times_and_a_seed_makes_that_repeatable() {
    let wait = |seed: u64| {
        let (breaker, _) = breaker(|builder| builder.open_time_jitter(0.5).jitter_seed(seed));
        fail(&breaker, 2);
        breaker.retry_after().unwrap()
    };
    let waits: BTreeSet<Duration> = (0..100).map(wait).collect();
    assert!(waits.len() > 90, "{} different waits of 100", waits.len());
    assert!(waits.iter().all(|wait| (OPEN_TIME..OPEN_TIME * 3 / 2).contains(wait)), "longer, never shorter");
    assert_eq!(wait(7), wait(7));
}

#[test]
fn c21_a_dependency_that_fails_for_hours_is_probed_ever_less_often() {
    let grows = OpenTime::exponential(OPEN_TIME, 2.0, Duration::from_secs(600));
    let (breaker, time) = breaker(|builder| builder.open_time(grows));
    let told = events(&breaker);
    let arrived = (0..24 * 60 * 60).filter(|_| {
        time.advance(Duration::from_secs(1));
        breaker.try_acquire().is_ok_and(|permit| {
            permit.failure();
            true
        })
    });
    let arrived = arrived.count();
    assert!(arrived <= 2 + 8 + 24 * 6, "{arrived} calls reached it in a day");
    let transitions = told.lock().unwrap().iter().filter(|event| matches!(event, Event::Transition(_))).count();
    assert!(transitions <= 2 * arrived);
}

#[test]
fn a3_forgotten_probes_are_replaced_one_by_one_when_their_round_is_over() {
    let (breaker, time) = breaker(|builder| builder.half_open_max_calls(3));
    about_to_probe(&breaker, &time);
    (0..3).for_each(|_| std::mem::forget(breaker.try_acquire().unwrap()));
    assert!(breaker.try_acquire().is_err());
    time.advance(PROBE_TIME + OPEN_TIME);
    for _ in 0..2 {
        let probe = breaker.try_acquire().unwrap();
        assert!(breaker.try_acquire().is_err(), "no second one beside three that hang");
        probe.success();
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[tokio::test]
async fn b5_a_probe_that_finds_the_service_finished_opens_again() {
    let (breaker, time) = breaker(|builder| builder);
    about_to_probe(&breaker, &time);
    let (service, mut handle) = mock::pair::<(), ()>();
    let mut service = breaker.layer().classify(Errors).layer(service);
    handle.send_error("finished");
    assert!(service.ready().await.is_err());
    assert_eq!((breaker.state(), breaker.retry_after()), (State::Open, Some(OPEN_TIME)));
}
