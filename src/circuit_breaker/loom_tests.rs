//! Models of two or three threads, one property each: every order of their steps, up to a bound, is tried.
//!
//! `RUSTFLAGS="--cfg backstop_loom" cargo test --lib --release loom` runs them. Time is moved by hand and is no
//! part of the model: a clock that is read twice may have moved in between, and no more than that.

use super::tally::Tally;
use super::{
    CircuitBreaker, CircuitBreakerBuilder, CircuitBreakerConfig, Event, Named, OpenTime, Permit, SlidingWindow, State,
    Totals,
};
use crate::clock::{Clock, ManualClock};
use crate::outcome::Settle;
use crate::sync::{Arc, Mutex};
use loom::thread;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const OPEN_TIME: Duration = Duration::from_secs(1);
const WIDTH: Duration = Duration::from_secs(10);

/// Runs a model with so many switches of threads that are not forced.
fn model(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 100_000;
    let orders = Arc::new(AtomicU64::new(0));
    let tried = Arc::clone(&orders);
    builder.check(move || {
        tried.fetch_add(1, Ordering::Relaxed);
        run();
    });
    println!("{} orders", orders.load(Ordering::Relaxed));
}

/// A breaker that needs one call as evidence, so that the next success is counted without the lock.
fn breaker(
    window: SlidingWindow,
    settle: impl FnOnce(CircuitBreakerBuilder<Named>) -> CircuitBreakerBuilder<Named>,
) -> (CircuitBreaker, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder("loom").clock(clock).window(window).minimum_calls(1).open_time(OPEN_TIME);
    (settle(builder.half_open_max_calls(1)).build().expect("valid settings"), time)
}

/// A breaker that has seen one success.
fn warm(window: SlidingWindow, failure_rate: f64) -> (CircuitBreaker, ManualClock) {
    let (breaker, time) = breaker(window, |builder| builder.failure_rate_threshold(failure_rate));
    admitted(&breaker).success();
    (breaker, time)
}

/// A breaker whose open time is just over.
fn about_to_probe(places: u32) -> (CircuitBreaker, ManualClock) {
    let (breaker, time) = breaker(SlidingWindow::count(1), |builder| builder.half_open_max_calls(places));
    breaker.trip("model");
    time.advance(OPEN_TIME);
    (breaker, time)
}

fn admitted(breaker: &CircuitBreaker) -> Permit {
    breaker.try_acquire().expect("it is closed")
}

fn spawn<T: 'static>(
    breaker: &CircuitBreaker,
    run: impl FnOnce(&CircuitBreaker) -> T + 'static,
) -> thread::JoinHandle<T> {
    let breaker = breaker.clone();
    thread::spawn(move || run(&breaker))
}

fn join<T>(threads: impl IntoIterator<Item = thread::JoinHandle<T>>) -> Vec<T> {
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

/// Makes a call; the result is whether it was admitted.
fn call(breaker: &CircuitBreaker, end: fn(Permit)) -> u64 {
    breaker.try_acquire().map_or(0, |permit| {
        end(permit);
        1
    })
}

fn ended(totals: &Totals) -> u64 {
    totals.successful + totals.failed + totals.ignored + totals.abandoned + totals.stale
}

/// Everything that listeners heard.
fn listen(breaker: &CircuitBreaker) -> Arc<std::sync::Mutex<Vec<Event>>> {
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = Arc::clone(&told);
    breaker.subscribe(move |event| log.lock().expect("no panic in it").push(event.clone())).forever();
    told
}

/// The states form a path to the one that is, and the numbers have no gap.
fn path(told: &std::sync::Mutex<Vec<Event>>, breaker: &CircuitBreaker) -> Vec<State> {
    let mut path = vec![State::Closed];
    for (event, sequence) in told.lock().expect("no panic in it").iter().zip(1..) {
        let details = event.details();
        assert_eq!((details.sequence(), details.from()), (sequence, *path.last().expect("never empty")));
        path.push(details.to());
    }
    assert_eq!(path.last(), Some(&breaker.state()));
    path
}

// ---- no outcome is lost

#[test]
fn loom_successes_beside_a_trip_are_all_counted() {
    model(4, || {
        let (breaker, _time) = warm(SlidingWindow::count(1), 1.0);
        let good = spawn(&breaker, |breaker| call(breaker, Permit::success) + call(breaker, Permit::success));
        let bad = spawn(&breaker, |breaker| call(breaker, Permit::failure));
        let admitted = 1 + good.join().unwrap() + bad.join().unwrap();
        let totals = breaker.totals();
        assert_eq!((ended(&totals), totals.not_permitted), (admitted, 4 - admitted));
    });
}

#[test]
fn loom_successes_beside_a_reset_are_all_counted_and_none_leaks_into_the_new_window() {
    model(3, || {
        let (breaker, _time) = warm(SlidingWindow::count(10), 1.0);
        let (first, second) = (admitted(&breaker), admitted(&breaker));
        let threads = [
            spawn(&breaker, |_| first.success()),  // on a line of its own
            spawn(&breaker, |_| second.success()), // on the shared line
            spawn(&breaker, |breaker| breaker.reset("model")),
        ];
        join(threads);
        assert_eq!(breaker.snapshot().calls(), 0);
        let totals = breaker.totals();
        assert_eq!((totals.successful + totals.stale, totals.failed), (3, 0));
        for calls in 1..=2 {
            admitted(&breaker).success();
            assert_eq!(breaker.snapshot().calls(), calls);
        }
    });
}

#[test]
fn loom_rejections_beside_a_reset_are_all_counted() {
    model(2, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
        breaker.trip("model");
        let threads = [(); 2].map(|()| spawn(&breaker, |breaker| call(breaker, Permit::success)));
        breaker.reset("model");
        let admitted = join(threads).iter().sum::<u64>();
        let totals = breaker.totals();
        assert_eq!((ended(&totals), totals.not_permitted), (admitted, 2 - admitted));
    });
}

#[test]
fn loom_new_settings_lose_no_success() {
    model(5, || {
        let (breaker, _time) = warm(SlidingWindow::count(10), 1.0);
        let threads = [
            spawn(&breaker, |breaker| admitted(breaker).success()),
            spawn(&breaker, |breaker| {
                let builder = CircuitBreakerConfig::builder().window(SlidingWindow::count(5));
                breaker.reconfigure(builder.minimum_calls(1).build().expect("valid settings"));
                admitted(breaker).success();
            }),
        ];
        join(threads);
        assert_eq!((breaker.snapshot().calls(), breaker.totals().successful), (3, 3));
    });
}

#[test]
fn loom_a_window_has_every_success_of_its_generation() {
    model(3, || {
        let (breaker, _time) = warm(SlidingWindow::count(10), 1.0);
        let success = spawn(&breaker, |breaker| admitted(breaker).success());
        let failure = spawn(&breaker, |breaker| admitted(breaker).failure());
        let seen = breaker.snapshot();
        assert!(seen.calls() >= 1 && seen.calls() <= 3 && seen.failed() <= 1);
        success.join().unwrap();
        failure.join().unwrap();
        let seen = breaker.snapshot();
        assert_eq!((seen.calls(), seen.failed()), (3, 1));
    });
}

#[test]
fn loom_the_edge_of_a_bucket_loses_no_success() {
    model(4, || {
        let (breaker, time) = warm(SlidingWindow::time(WIDTH * 2, 2), 1.0);
        let early = spawn(&breaker, |breaker| admitted(breaker).success());
        let late = spawn(&breaker, move |breaker| {
            time.advance(WIDTH);
            admitted(breaker).success();
        });
        early.join().unwrap();
        late.join().unwrap();
        assert_eq!(breaker.snapshot().calls(), 3);
        assert_eq!(breaker.totals().successful, 3);
    });
}

#[test]
fn loom_a_line_shared_or_handed_on_keeps_its_counts() {
    model(5, || {
        let tally = Arc::new(Tally::new());
        tally.succeed(1); // this thread and the first have lines of their own
        let threads = [1, 1, 2].map(|generation| {
            let tally = Arc::clone(&tally);
            thread::spawn(move || tally.succeed(generation))
        });
        join(threads);
        tally.succeed(2);
        assert_eq!((tally.successes_of(2), tally.totals().0), (2, 5));
    });
}

#[test]
fn loom_a_reader_never_sees_a_success_twice_or_in_a_later_generation() {
    model(5, || {
        let tally = Arc::new(Tally::new());
        let generation = Arc::new(Mutex::new(1));
        let count = {
            let (tally, generation) = (Arc::clone(&tally), Arc::clone(&generation));
            thread::spawn(move || {
                tally.succeed(1);
                tally.succeed(1);
                let now = *generation.lock();
                tally.succeed(now);
                now
            })
        };
        let mut now = generation.lock();
        let before = tally.successes_of(1);
        assert!(before <= tally.successes_of(1) && before <= 3);
        *now = 2;
        assert_eq!(tally.successes_of(2), 0);
        drop(now);
        let now = generation.lock();
        assert!(tally.successes_of(2) <= 1, "those before belong to the first generation");
        drop(now);
        let last = count.join().unwrap();
        assert_eq!(tally.successes_of(last), if last == 1 { 3 } else { 1 });
        assert_eq!(tally.totals().0, 3);
    });
}

// ---- one transition for one cause, in order

#[test]
fn loom_two_failures_that_race_trip_once() {
    model(5, || {
        let (breaker, _time) = warm(SlidingWindow::count(2), 0.5);
        let told = listen(&breaker);
        let threads = [admitted(&breaker), admitted(&breaker)].map(|permit| thread::spawn(move || permit.failure()));
        join(threads);
        assert_eq!(path(&told, &breaker), [State::Closed, State::Open]);
        let totals = breaker.totals();
        assert_eq!((totals.failed, totals.stale), (1, 1));
    });
}

#[test]
fn loom_an_operator_wins_over_a_trip() {
    model(4, || {
        let (breaker, _time) = warm(SlidingWindow::count(1), 1.0);
        let told = listen(&breaker);
        let trip = spawn(&breaker, |breaker| call(breaker, Permit::failure));
        let operator = spawn(&breaker, |breaker| breaker.force_open("model"));
        trip.join().unwrap();
        operator.join().unwrap();
        assert_eq!(breaker.state(), State::ForcedOpen);
        assert!(breaker.try_acquire().is_err());
        path(&told, &breaker);
    });
}

#[test]
fn loom_events_come_in_the_order_of_the_states() {
    model(3, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
        let told = listen(&breaker);
        let first = spawn(&breaker, |breaker| {
            breaker.force_open("model");
            breaker.reset("model");
        });
        let second = spawn(&breaker, |breaker| breaker.disable("model"));
        first.join().unwrap();
        second.join().unwrap();
        let path = path(&told, &breaker);
        assert_eq!(path.len(), 4);
    });
}

#[test]
fn loom_a_listener_may_use_the_breaker_while_another_thread_does() {
    model(2, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
        let handle = breaker.clone();
        let subscription = breaker.subscribe(move |event| {
            if event.details().to() == State::Open {
                handle.reset("model");
            }
        });
        let trip = spawn(&breaker, |breaker| breaker.trip("model"));
        let call = spawn(&breaker, |breaker| call(breaker, Permit::success));
        trip.join().unwrap();
        call.join().unwrap();
        assert_eq!(breaker.state(), State::Closed);
        drop(subscription);
    });
}

#[test]
fn loom_the_open_time_is_asked_for_and_answered() {
    model(5, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| {
            builder.open_time(OpenTime::from_fn(|trips, _| OPEN_TIME * trips))
        });
        let trip = spawn(&breaker, |breaker| call(breaker, Permit::failure));
        let look = spawn(&breaker, |breaker| breaker.retry_after().is_none_or(|after| after == OPEN_TIME));
        trip.join().unwrap();
        assert!(look.join().unwrap());
        assert_eq!(breaker.retry_after(), Some(OPEN_TIME));
    });
}

// ---- probes

#[test]
fn loom_no_more_probes_than_places_when_the_open_time_ends() {
    model(2, || {
        let (breaker, _time) = about_to_probe(2);
        let told = listen(&breaker);
        let threads = [(); 2].map(|()| spawn(&breaker, |breaker| breaker.try_acquire().ok()));
        let mut probes = vec![breaker.try_acquire().ok()];
        probes.extend(join(threads));
        assert_eq!(probes.iter().flatten().count(), 2);
        assert_eq!(told.lock().unwrap().len(), 1, "one transition, whoever came first");
    });
}

#[test]
fn loom_a_probe_without_a_result_gives_its_place_back_once() {
    let ends: [fn(Permit); 3] = [drop, Permit::ignore, |mut permit| permit.enter()];
    for end in ends {
        model(5, move || {
            let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| {
                builder.on_panic(crate::circuit_breaker::PanicPolicy::Ignore)
            });
            breaker.probe("model");
            let probe = admitted(&breaker);
            let gives_back = thread::spawn(move || end(probe));
            let takes = spawn(&breaker, |breaker| breaker.try_acquire().ok());
            gives_back.join().unwrap();
            let taken = takes.join().unwrap();
            let more: Vec<_> = (0..2).filter_map(|_| breaker.try_acquire().ok()).collect();
            assert_eq!(usize::from(taken.is_some()) + more.len(), 1);
        });
    }
}

#[test]
fn loom_a_probe_of_an_earlier_round_frees_no_place_of_this_one() {
    model(5, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
        breaker.probe("model");
        let stale = admitted(&breaker);
        let gives_back = thread::spawn(move || drop(stale));
        let begins = spawn(&breaker, |breaker| {
            breaker.probe("model");
            breaker.try_acquire()
        });
        gives_back.join().unwrap();
        let probe = begins.join().unwrap();
        assert!(probe.is_ok());
        assert!(breaker.try_acquire().is_err(), "the round has one place, and it is taken");
    });
}

#[test]
fn loom_one_decision_ends_a_round() {
    model(5, || {
        let (breaker, _time) = about_to_probe(2);
        let told = listen(&breaker);
        let probes = [admitted(&breaker), admitted(&breaker)];
        let threads = probes.map(|probe| thread::spawn(move || probe.failure()));
        join(threads);
        let states: Vec<_> = told.lock().unwrap().iter().map(|event| event.details().to()).collect();
        assert_eq!(states, [State::HalfOpen, State::Open]);
    });
}

#[test]
fn loom_the_time_in_half_open_ends_once() {
    model(2, || {
        let (breaker, time) = about_to_probe(1);
        let hung = admitted(&breaker);
        let told = listen(&breaker);
        time.advance(Duration::from_secs(60)); // the default
        let threads = [
            spawn(&breaker, |breaker| assert_ne!(breaker.state(), State::HalfOpen)),
            spawn(&breaker, |breaker| drop(breaker.try_acquire())),
            thread::spawn(move || hung.success()),
        ];
        join(threads);
        let states: Vec<_> = told.lock().unwrap().iter().map(|event| event.details().to()).collect();
        assert_eq!(states, [State::Open]);
        assert_eq!(breaker.totals().stale, 1);
    });
}

// ---- who waits

#[cfg(feature = "tokio")]
#[test]
fn loom_a_waiter_sees_the_change_or_is_woken() {
    use std::sync::atomic::AtomicBool;

    struct Woken(AtomicBool);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    model(5, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
        breaker.force_open("model");
        let woken = Arc::new(Woken(AtomicBool::new(false)));
        let waker = Arc::clone(&woken).into();
        // As in `Wait::poll`: register first and look again.
        let waiter = spawn(&breaker, move |breaker| {
            breaker.shared.permits().is_ok() || {
                breaker.shared.waiters.wake_later(1, &waker);
                breaker.shared.permits().is_ok()
            }
        });
        let operator = spawn(&breaker, |breaker| breaker.reset("model"));
        operator.join().unwrap();
        assert!(waiter.join().unwrap() || woken.0.load(Ordering::SeqCst));
    });
}

// ---- what is published

#[cfg(feature = "metrics")]
#[test]
fn loom_the_last_state_is_published() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = Arc::new(DebuggingRecorder::new());
    let published = Arc::clone(&recorder);
    // All threads of a model run on this one, so a recorder for this thread is theirs as well.
    metrics::with_local_recorder(&*recorder, || {
        model(4, move || {
            let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
            let first = spawn(&breaker, |breaker| breaker.force_open("model"));
            let second = spawn(&breaker, |breaker| breaker.disable("model"));
            first.join().unwrap();
            second.join().unwrap();
            let is_set = |value: &DebugValue| matches!(value, DebugValue::Gauge(value) if value.0 == 1.0);
            let series = published.snapshotter().snapshot().into_vec();
            let states: Vec<_> = series
                .iter()
                .filter(|(key, _, _, value)| key.key().name() == "backstop_circuit_breaker_state" && is_set(value))
                .filter_map(|(key, ..)| key.key().labels().find(|label| label.key() == "state"))
                .map(|label| label.value().to_owned())
                .collect();
            assert_eq!(states, [breaker.state().as_str()]);
        });
    });
}
