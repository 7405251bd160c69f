//! Models of two or three threads, one property each: every order of their steps, up to a bound, is tried.
//!
//! `cargo test --manifest-path loom/Cargo.toml loom_` runs them; `LOOM_MAX_PREEMPTIONS` overrules the bound. Time is
//! moved by hand and is not part of a model.

mod changes;
mod counting;
mod keyed;
mod probes;

use super::config::builder::CircuitBreakerBuilder;
use super::event::Event;
use super::handle::CircuitBreaker;
use super::permit::Permit;
use super::state::State;
use super::totals::Totals;
use super::window::kind::SlidingWindow;
use crate::clock::{Clock, ManualClock};
use crate::config::Named;
use crate::sync::Arc;
use loom::thread;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const OPEN_TIME: Duration = Duration::from_secs(1);

/// Runs a model with at most `preemptions` preemptions.
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
        assert_eq!((details.sequence, details.from), (sequence, *path.last().expect("never empty")));
        path.push(details.to);
    }
    assert_eq!(path.last(), Some(&breaker.state()));
    path
}
