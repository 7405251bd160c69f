//! What a controller reads: names, labels, types and help as public API, and figures that are right after any history.

#![expect(clippy::float_cmp, reason = "what is compared are whole numbers, and those are exact")]

use crate::exposition;

use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{CircuitBreakerConfig, Event, Reason, State};
use backstop::clock::{Clock, ManualClock};
use backstop::{CircuitBreaker, Outcome, Registry};
use exposition::{Exporter, Scrape};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CALLS: &str = "backstop_circuit_breaker_calls_total";
const SLOW_CALLS: &str = "backstop_circuit_breaker_slow_calls_total";
const TRANSITIONS: &str = "backstop_circuit_breaker_transitions_total";
const OPEN_SECONDS: &str = "backstop_circuit_breaker_open_seconds_total";
const WOULD_REJECT: &str = "backstop_circuit_breaker_would_reject_total";
const KINDS: [&str; 6] = ["successful", "failed", "ignored", "abandoned", "not_permitted", "stale"];

// ---- figures

fn manual(name: &str) -> (CircuitBreaker, ManualClock) {
    let (clock, time) = Clock::manual();
    let builder = CircuitBreaker::builder(name).clock(clock).minimum_calls(10).open_time(Duration::from_secs(5));
    let builder = builder.slow_call_duration_threshold(Duration::from_secs(1)).slow_call_rate_threshold(0.9);
    (builder.half_open_max_calls(3).build().unwrap(), time)
}

#[test]
fn every_series_is_there_at_zero_before_the_first_call() {
    let exporter = Exporter::new();
    let _breaker = exporter.run(|| CircuitBreaker::new("example"));
    let scrape = exporter.scrape();
    for (series, value) in &scrape.series {
        let is_state = series.labels.get("state").is_some_and(|state| state == "closed");
        assert!(*value == f64::from(u8::from(is_state)), "{series:?} begins at {value}");
    }
    for kind in KINDS {
        scrape.value(CALLS, &[("kind", kind)]);
    }
    let all: usize = scrape.series.keys().filter(|series| series.name == TRANSITIONS).count();
    assert_eq!(all, 2 + 4 + 6, "two reasons to open with the defaults, four other changes, and each state by hand");
}

#[test]
fn a_trip_needs_no_scrape_handler_to_be_seen() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (breaker, _time) = manual("example");
        for _ in 0..10 {
            breaker.try_acquire().unwrap().failure();
        }
        let scrape = exporter.scrape();
        assert_eq!(scrape.state("example"), "open");
        assert_eq!(scrape.value(CALLS, &[("kind", "failed")]), 10.0);
        assert_eq!(scrape.value("backstop_circuit_breaker_failure_rate", &[]), 1.0);
        assert_eq!(scrape.value(TRANSITIONS, &[("from", "closed"), ("reason", "failure_rate")]), 1.0);
    });
}

#[test]
fn a_counter_tells_of_an_opening_between_two_scrapes() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (breaker, time) = manual("example");
        let before = exporter.scrape();
        breaker.trip("a short outage");
        time.advance(Duration::from_secs(6));
        for _ in 0..3 {
            breaker.try_acquire().unwrap().success();
        }
        let after = exporter.scrape();
        assert_eq!((before.state("example").as_str(), after.state("example").as_str()), ("closed", "closed"));
        let opened = |scrape: &Scrape| scrape.sum(TRANSITIONS, &[("to", "open")]);
        assert_eq!((opened(&before), opened(&after)), (0.0, 1.0));
        assert_eq!(after.value(TRANSITIONS, &[("to", "closed"), ("reason", "probes_succeeded")]), 1.0);
    });
}

#[test]
fn open_seconds_grow_while_open_and_are_those_of_the_clock() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (breaker, time) = manual("example");
        let seconds = || {
            breaker.publish();
            exporter.scrape().value(OPEN_SECONDS, &[])
        };
        time.advance(Duration::from_secs(100));
        assert_eq!(seconds(), 0.0);
        breaker.trip_for(Duration::from_secs(3_600), "outage");
        time.advance(Duration::from_millis(2_700));
        assert_eq!(seconds(), 2.0);
        breaker.force_open("still"); // forced open is open: the stretch goes on
        time.advance(Duration::from_millis(700));
        assert_eq!(seconds(), 3.0);
        breaker.reset("over");
        time.advance(Duration::from_secs(100));
        assert_eq!(seconds(), 3.0);
        breaker.trip("again");
        time.advance(Duration::from_millis(700)); // 3.4 s and 0.7 s: the parts are not cut one by one
        assert_eq!(seconds(), 4.0);
        assert!(breaker.open_time() == Duration::from_millis(4_100));
    });
}

#[test]
fn two_breakers_are_told_apart() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let registry = Registry::new();
        let (one, two) = (manual("one").0, manual("two").0);
        registry.add(one.clone()).unwrap();
        registry.add(two.clone()).unwrap();
        one.try_acquire().unwrap().success();
        two.force_open("two");
        assert!(two.try_acquire().is_err());
        registry.publish();
        let scrape = exporter.scrape();
        assert_eq!((scrape.state("one").as_str(), scrape.state("two").as_str()), ("closed", "forced_open"));
        let calls = |name, kind| scrape.value(CALLS, &[("name", name), ("kind", kind)]);
        assert_eq!((calls("one", "successful"), calls("one", "not_permitted")), (1.0, 0.0));
        assert_eq!((calls("two", "successful"), calls("two", "not_permitted")), (0.0, 1.0));
    });
}

#[test]
fn each_kind_of_call_has_its_counter() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (breaker, time) = manual("example");
        let begin = || breaker.try_acquire().unwrap();
        begin().success();
        begin().failure();
        begin().end(Outcome::Panicked);
        begin().ignore();
        drop(begin());
        let (slow, slower, stale) = (begin(), begin(), begin());
        time.advance(Duration::from_secs(2));
        slow.success();
        slower.failure();
        breaker.force_open("maintenance");
        stale.success();
        assert!(breaker.try_acquire().is_err());
        let (value, fallbacks) =
            block_on(breaker.call_or(async { Ok::<_, ()>(1) }, |_| Ok(2))).map(|v| (v, 1.0)).unwrap();
        assert_eq!(value, 2);
        breaker.publish();
        let scrape = exporter.scrape();
        let calls = KINDS.map(|kind| scrape.value(CALLS, &[("kind", kind)]));
        assert_eq!(calls, [2.0, 3.0, 1.0, 1.0, 2.0, 1.0]);
        assert_eq!((scrape.value(SLOW_CALLS, &[]), scrape.value(WOULD_REJECT, &[])), (2.0, 0.0));
        assert_eq!(scrape.value("backstop_circuit_breaker_fallbacks_total", &[]), fallbacks);
    });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

// ---- any history

/// How often each change of state was heard of: from, to, reason.
type Changes = HashMap<(&'static str, State, String), u64>;

/// What a test saw itself.
#[derive(Default)]
struct Seen {
    ended: AtomicU64,
    rejected: AtomicU64,
}

/// One random thing that can happen to a breaker.
fn step(breaker: &CircuitBreaker, rng: &mut fastrand::Rng, held: &mut Vec<Permit>, seen: &Seen, advance: impl Fn(u64)) {
    match rng.u32(0..100) {
        0 => breaker.force_open("random"),
        1 => breaker.disable("random"),
        2 => breaker.shadow("random"),
        3..6 => breaker.reset("random"),
        6 => breaker.trip("random"),
        7 => breaker.probe("random"),
        8 => {
            let config = CircuitBreakerConfig::builder().minimum_calls(rng.u32(1..20)).build().unwrap();
            breaker.reconfigure(config);
        }
        9..20 => advance(rng.u64(0..2_000)),
        20..60 => match breaker.try_acquire() {
            Ok(permit) => held.push(permit),
            Err(_) => drop(seen.rejected.fetch_add(1, Ordering::Relaxed)),
        },
        _ if held.is_empty() => {}
        _ => {
            let permit = held.swap_remove(rng.usize(0..held.len()));
            match rng.u32(0..10) {
                0 => drop(permit),
                1 => permit.ignore(),
                2 => permit.end(Outcome::Panicked),
                3..6 => permit.failure(),
                _ => permit.success(),
            }
            seen.ended.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The exporter, the breaker's own totals and what the test saw are the same.
fn assert_same(scrape: &Scrape, breaker: &CircuitBreaker, seen: &Seen, transitions: &Changes) {
    let name = breaker.name();
    let totals = breaker.totals();
    let counted =
        [totals.successful, totals.failed, totals.ignored, totals.abandoned, totals.not_permitted, totals.stale];
    let scraped = KINDS.map(|kind| scrape.value(CALLS, &[("name", name), ("kind", kind)]));
    assert_eq!(scraped, counted.map(|count| count as f64));
    let ended = totals.successful + totals.failed + totals.ignored + totals.abandoned + totals.stale;
    assert_eq!(ended, seen.ended.load(Ordering::Relaxed), "every call has one end: {totals:?}");
    assert_eq!(totals.not_permitted, seen.rejected.load(Ordering::Relaxed));
    let slow = totals.slow_successful + totals.slow_failed;
    assert_eq!(scrape.value(SLOW_CALLS, &[("name", name)]), slow as f64);
    assert_eq!(scrape.value(WOULD_REJECT, &[("name", name)]), totals.would_reject as f64);
    let told: u64 = transitions.values().sum();
    assert_eq!(scrape.sum(TRANSITIONS, &[("name", name)]), told as f64);
    for ((from, to, reason), count) in transitions {
        let labels = [("name", name), ("from", *from), ("to", to.as_str()), ("reason", reason)];
        assert_eq!(scrape.value(TRANSITIONS, &labels), *count as f64, "{labels:?}");
    }
}

/// Counts the transitions that a listener hears.
fn count_transitions(breaker: &CircuitBreaker) -> Arc<Mutex<Changes>> {
    let heard = Arc::<Mutex<Changes>>::default();
    let log = Arc::clone(&heard);
    let listener = move |event: &Event| {
        if let Event::Transition(change) = event {
            let by_hand = change.reason == Reason::Manual;
            let from = if by_hand || change.reason == Reason::NoAnswer { "any" } else { change.from.as_str() };
            let change = (from, change.to, change.reason.to_string());
            *log.lock().unwrap().entry(change).or_default() += 1;
        }
    };
    breaker.subscribe(listener).forever();
    heard
}

#[test]
fn after_any_history_one_state_is_hot_and_the_counters_are_the_totals() {
    for seed in 0..4 {
        let exporter = Exporter::new();
        exporter.run(|| {
            let (breaker, time) = manual("example");
            let (mut rng, mut held, seen) = (fastrand::Rng::with_seed(seed), Vec::new(), Seen::default());
            let transitions = count_transitions(&breaker);
            for _ in 0..400 {
                for _ in 0..rng.u32(1..6) {
                    step(&breaker, &mut rng, &mut held, &seen, |millis| time.advance(Duration::from_millis(millis)));
                }
                exporter.scrape().state("example"); // one is hot, whatever has not been published yet
                let state = breaker.state();
                assert_eq!(exporter.scrape().state("example"), state.as_str(), "seed {seed}");
            }
            seen.ended.fetch_add(held.len() as u64, Ordering::Relaxed);
            held.clear();
            breaker.publish();
            assert_same(&exporter.scrape(), &breaker, &seen, &transitions.lock().unwrap());
        });
    }
}

#[test]
fn after_any_history_of_several_threads_too() {
    for seed in 0..8 {
        let exporter = Exporter::new();
        let (breaker, time) = exporter.run(|| manual("example"));
        let (seen, transitions) = (Seen::default(), count_transitions(&breaker));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (exporter, breaker, time, seen) = (&exporter, &breaker, &time, &seen);
                scope.spawn(move || {
                    exporter.run(|| {
                        let (mut rng, mut held) = (fastrand::Rng::with_seed(seed * 100 + thread), Vec::new());
                        for _ in 0..5_000 {
                            step(breaker, &mut rng, &mut held, seen, |millis| {
                                time.advance(Duration::from_millis(millis));
                            });
                        }
                        seen.ended.fetch_add(held.len() as u64, Ordering::Relaxed);
                    });
                });
            }
        });
        exporter.run(|| {
            let state = breaker.state();
            breaker.publish();
            let scrape = exporter.scrape();
            assert_eq!(scrape.state("example"), state.as_str(), "seed {seed}");
            assert_same(&scrape, &breaker, &seen, &transitions.lock().unwrap());
        });
    }
}
