//! One transition for one cause, in order for listeners, waiters and metrics.

use super::{OPEN_TIME, admitted, breaker, call, join, listen, model, path, spawn, warm};
use crate::circuit_breaker::open_time::OpenTime;
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::window::kind::SlidingWindow;
use loom::thread;

#[test]
fn two_failures_that_race_trip_once() {
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
fn an_operator_wins_over_a_trip() {
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
fn events_come_in_the_order_of_the_states() {
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
fn a_listener_may_use_the_breaker_while_another_thread_does() {
    model(2, || {
        let (breaker, _time) = breaker(SlidingWindow::count(1), |builder| builder);
        let handle = breaker.clone();
        let subscription = breaker.subscribe(move |event| {
            if event.details().to == State::Open {
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
fn the_open_time_is_asked_for_and_answered() {
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

#[cfg(feature = "tokio")]
#[test]
fn a_waiter_sees_the_change_or_is_woken() {
    use std::sync::atomic::{AtomicBool, Ordering};

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
            let mut place = crate::circuit_breaker::Place::default();
            let is_permitted = breaker.shared.permits().is_ok() || {
                breaker.shared.waiters.wake_later(&mut place, &waker);
                breaker.shared.permits().is_ok()
            };
            (is_permitted, place)
        });
        let operator = spawn(&breaker, |breaker| breaker.reset("model"));
        operator.join().unwrap();
        let (is_permitted, _place) = waiter.join().unwrap();
        assert!(is_permitted || woken.0.load(Ordering::SeqCst));
    });
}

#[cfg(feature = "metrics")]
#[test]
fn the_last_state_is_published() {
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
            let is_set = |value: &DebugValue| matches!(value, DebugValue::Gauge(value) if value.0 > 0.0);
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
