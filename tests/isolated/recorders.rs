//! Whatever recorder there is, and whenever it comes: right figures, and no harm to the calls.

#![expect(clippy::float_cmp, reason = "what is compared are whole numbers, and those are exact")]

#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;

use backstop::CircuitBreaker;
use exposition::{Exporter, Scrape};
use metrics::{Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CALLS: &str = "backstop_circuit_breaker_calls_total";

fn successful(scrape: &Scrape, name: &str) -> f64 {
    scrape.value(CALLS, &[("name", name), ("kind", "successful")])
}

fn succeed(breaker: &CircuitBreaker, calls: u64) {
    (0..calls).for_each(|_| breaker.try_acquire().unwrap().success());
}

// ---- when it is installed

#[test]
fn installed_before_the_breaker_is_made() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let breaker = CircuitBreaker::new("before");
        succeed(&breaker, 7);
        breaker.publish();
        assert_eq!(successful(&exporter.scrape(), "before"), 7.0);
    });
}

#[test]
fn installed_after_the_breaker_has_worked() {
    let breaker = CircuitBreaker::new("after");
    succeed(&breaker, 7);
    breaker.trip("before the recorder");
    breaker.publish();
    breaker.reset("before the recorder");
    let exporter = Exporter::new();
    exporter.run(|| {
        succeed(&breaker, 3);
        breaker.publish();
        let scrape = exporter.scrape();
        assert_eq!(successful(&scrape, "after"), 10.0);
        assert_eq!(
            scrape.value(
                "backstop_circuit_breaker_transitions_total",
                &[("from", "any"), ("to", "open"), ("reason", "manual")]
            ),
            1.0
        );
        assert_eq!(scrape.state("after"), "closed");
    });
}

#[test]
fn installed_after_it_is_heard_without_a_scrape_handler() {
    let breaker = CircuitBreaker::new("after");
    succeed(&breaker, 7);
    let exporter = Exporter::new();
    exporter.run(|| breaker.force_open("a change of state publishes"));
    assert_eq!(successful(&exporter.scrape(), "after"), 7.0);
    assert_eq!(exporter.state("after"), "forced_open");
}

#[test]
fn never_installed() {
    let breaker = CircuitBreaker::new("never");
    succeed(&breaker, 5_000);
    breaker.trip("nobody looks");
    breaker.publish();
    assert_eq!(breaker.totals().successful, 5_000);
}

/// The only test here that sets the process's recorder; the others have their own on their threads.
#[test]
fn installed_for_the_whole_process_all_threads_reach_it() {
    let early = CircuitBreaker::new("early");
    succeed(&early, 5);
    early.publish();
    let handle = PrometheusBuilder::new().install_recorder().unwrap();
    let late = CircuitBreaker::new("late");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                succeed(&early, 5_000);
                succeed(&late, 5_000);
            });
        }
    });
    early.publish();
    late.publish();
    let names = handle.render();
    let line = |name: &str, count: u64| format!("{CALLS}{{name=\"{name}\",kind=\"successful\"}} {count}\n");
    assert!(names.contains(&line("early", 20_005)) && names.contains(&line("late", 20_000)), "{names}");
}

#[test]
fn threads_with_recorders_of_their_own_do_not_count_twice() {
    let breaker = CircuitBreaker::new("shared");
    let (one, two) = (Exporter::new(), Exporter::new());
    for _ in 0..10 {
        succeed(&breaker, 1);
        one.run(|| breaker.publish());
        two.run(|| breaker.publish());
        breaker.publish(); // and none at all
    }
    one.run(|| breaker.publish());
    assert_eq!((successful(&one.scrape(), "shared"), successful(&two.scrape(), "shared")), (10.0, 10.0));
}

#[test]
fn every_new_recorder_hears_the_totals_from_the_beginning() {
    let breaker = CircuitBreaker::new("many");
    let mut exporters = Vec::new();
    for round in 1..=20 {
        succeed(&breaker, 1);
        let exporter = Exporter::new();
        exporter.run(|| breaker.publish());
        assert_eq!(successful(&exporter.scrape(), "many"), f64::from(round));
        exporters.push(exporter); // alive, so that each has an address of its own
    }
}

// ---- what it does

/// A recorder that runs a closure whenever it is told something.
struct Nosy(Arc<dyn Fn() + Send + Sync>);

struct NosyHandle(Arc<dyn Fn() + Send + Sync>);

impl Recorder for Nosy {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        (self.0)();
    }

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {
        (self.0)();
    }

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        (self.0)();
        Counter::from_arc(Arc::new(NosyHandle(Arc::clone(&self.0))))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        (self.0)();
        Gauge::from_arc(Arc::new(NosyHandle(Arc::clone(&self.0))))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl CounterFn for NosyHandle {
    fn increment(&self, _: u64) {
        (self.0)();
    }

    fn absolute(&self, _: u64) {
        (self.0)();
    }
}

impl GaugeFn for NosyHandle {
    fn increment(&self, _: f64) {
        (self.0)();
    }

    fn decrement(&self, _: f64) {
        (self.0)();
    }

    fn set(&self, _: f64) {
        (self.0)();
    }
}

/// Fails instead of hanging.
fn within_a_minute(work: impl FnOnce() + Send + 'static) {
    let (done, waits) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    let waited = waits.recv_timeout(Duration::from_secs(60));
    assert_ne!(waited, Err(std::sync::mpsc::RecvTimeoutError::Timeout), "it hangs");
    worker.join().unwrap();
}

#[test]
fn a_recorder_may_use_the_breaker_that_it_hears_of() {
    within_a_minute(|| {
        let breaker = CircuitBreaker::new("nosy");
        let (inside, again) = (breaker.clone(), AtomicU64::new(0));
        let recorder = Nosy(Arc::new(move || {
            inside.totals();
            inside.state();
            inside.publish();
            if let Ok(permit) = inside.try_acquire() {
                permit.success();
            }
            if again.fetch_add(1, Ordering::Relaxed) == 100 {
                inside.trip("by the recorder");
            }
        }));
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..5_000 {
                if let Ok(permit) = breaker.try_acquire() {
                    permit.success();
                }
            }
            breaker.publish();
        });
        assert_eq!(breaker.state().as_str(), "open");
    });
}

#[test]
fn a_scrape_that_holds_the_recorders_lock_and_publishes_does_not_deadlock() {
    within_a_minute(|| {
        let lock = Arc::new(Mutex::new(()));
        let inside = Arc::clone(&lock);
        let recorder = Nosy(Arc::new(move || drop(inside.lock().unwrap())));
        let breaker = CircuitBreaker::new("locked");
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _scrape = lock.lock().unwrap();
                    // Another recorder on this thread: it is the breaker's own locks that are looked at.
                    breaker.publish();
                }
            });
            metrics::with_local_recorder(&recorder, || {
                for _ in 0..2_000 {
                    succeed(&breaker, 1);
                    breaker.trip("now and then");
                    breaker.reset("now and then");
                }
            });
            is_over.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn a_panic_in_the_recorder_does_not_reach_the_call_and_is_made_up_for() {
    let is_bad = Arc::new(AtomicBool::new(true));
    let bad = Arc::clone(&is_bad);
    let heard = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&heard);
    let recorder = Nosy(Arc::new(move || {
        assert!(!bad.load(Ordering::Relaxed), "the recorder is broken");
        counter.fetch_add(1, Ordering::Relaxed);
    }));
    metrics::with_local_recorder(&recorder, || {
        let breaker = CircuitBreaker::new("panicking");
        succeed(&breaker, 2_000);
        breaker.force_open("with a broken recorder");
        breaker.reset("with a broken recorder");
        assert_eq!(breaker.totals().successful, 2_000);
        is_bad.store(false, Ordering::Relaxed);
        breaker.publish();
        assert!(heard.load(Ordering::Relaxed) > 60, "registered and published now");
    });
}

#[test]
fn a_panic_in_the_recorder_while_a_call_unwinds_does_not_abort() {
    let recorder = Nosy(Arc::new(|| panic!("the recorder is broken")));
    metrics::with_local_recorder(&recorder, || {
        let breaker = CircuitBreaker::builder("unwinding").consecutive_failures_threshold(1).build().unwrap();
        let call = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _permit = breaker.try_acquire().unwrap();
            panic!("the call is broken");
        }));
        assert!(call.is_err());
        assert_eq!((breaker.state().as_str(), breaker.totals().failed), ("open", 1));
    });
}
