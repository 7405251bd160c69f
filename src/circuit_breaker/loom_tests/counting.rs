//! No outcome is lost, counted twice or counted in the wrong generation.

use super::{admitted, breaker, call, ended, join, model, spawn, warm};
use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::thread_counters::ThreadCounters;
use crate::circuit_breaker::window::kind::SlidingWindow;
use crate::sync::{Arc, Mutex};
use loom::thread;
use std::time::Duration;

const WIDTH: Duration = Duration::from_secs(10);

#[test]
fn successes_beside_a_trip_are_all_counted() {
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
fn successes_beside_a_reset_are_all_counted_and_none_leaks_into_the_new_window() {
    model(3, || {
        let (breaker, _time) = warm(SlidingWindow::count(10), 1.0);
        let (first, second) = (admitted(&breaker), admitted(&breaker));
        let threads = [
            spawn(&breaker, |_| first.success()),  // on a line of its own
            spawn(&breaker, |_| second.success()), // on the shared line
        ];
        breaker.reset("model");
        join(threads);
        assert_eq!(breaker.snapshot().calls, 0);
        let totals = breaker.totals();
        assert_eq!((totals.successful + totals.stale, totals.failed), (3, 0));
        for calls in 1..=2 {
            admitted(&breaker).success();
            assert_eq!(breaker.snapshot().calls, calls);
        }
    });
}

#[test]
fn rejections_beside_a_reset_are_all_counted() {
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
fn new_settings_lose_no_success() {
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
        assert_eq!((breaker.snapshot().calls, breaker.totals().successful), (3, 3));
    });
}

#[test]
fn a_window_has_every_success_of_its_generation() {
    model(3, || {
        let (breaker, _time) = warm(SlidingWindow::count(10), 1.0);
        let success = spawn(&breaker, |breaker| admitted(breaker).success());
        let failure = spawn(&breaker, |breaker| admitted(breaker).failure());
        let seen = breaker.snapshot();
        assert!(seen.calls >= 1 && seen.calls <= 3 && seen.failed <= 1);
        success.join().unwrap();
        failure.join().unwrap();
        let seen = breaker.snapshot();
        assert_eq!((seen.calls, seen.failed), (3, 1));
    });
}

#[test]
fn the_edge_of_a_bucket_loses_no_success() {
    model(4, || {
        let (breaker, time) = warm(SlidingWindow::time(WIDTH * 2, 2), 1.0);
        let early = spawn(&breaker, |breaker| admitted(breaker).success());
        let late = spawn(&breaker, move |breaker| {
            time.advance(WIDTH);
            admitted(breaker).success();
        });
        early.join().unwrap();
        late.join().unwrap();
        assert_eq!(breaker.snapshot().calls, 3);
        assert_eq!(breaker.totals().successful, 3);
    });
}

#[test]
fn a_line_shared_or_handed_on_keeps_its_counts() {
    model(4, || {
        let thread_counters = Arc::new(ThreadCounters::new());
        thread_counters.succeed(1); // this thread and the first have lines of their own
        let threads = [1, 1, 2].map(|generation| {
            let thread_counters = Arc::clone(&thread_counters);
            thread::spawn(move || thread_counters.succeed(generation))
        });
        join(threads);
        thread_counters.succeed(2);
        assert_eq!((thread_counters.successes_of(2), thread_counters.totals().0), (2, 5));
    });
}

#[test]
fn a_reader_never_sees_a_success_twice_or_in_a_later_generation() {
    model(5, || {
        let thread_counters = Arc::new(ThreadCounters::new());
        let generation = Arc::new(Mutex::new(1));
        let count = {
            let (thread_counters, generation) = (Arc::clone(&thread_counters), Arc::clone(&generation));
            thread::spawn(move || {
                thread_counters.succeed(1);
                thread_counters.succeed(1);
                let now = *generation.lock();
                thread_counters.succeed(now);
                now
            })
        };
        let mut now = generation.lock();
        let before = thread_counters.successes_of(1);
        assert!(before <= thread_counters.successes_of(1) && before <= 3);
        *now = 2;
        assert_eq!(thread_counters.successes_of(2), 0);
        drop(now);
        let now = generation.lock();
        assert!(thread_counters.successes_of(2) <= 1, "those before belong to the first generation");
        drop(now);
        let last = count.join().unwrap();
        assert_eq!(thread_counters.successes_of(last), if last == 1 { 3 } else { 1 });
        assert_eq!(thread_counters.totals().0, 3);
    });
}
