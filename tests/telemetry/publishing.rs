//! When values are published, by whom, and when they end.

#![expect(clippy::float_cmp, reason = "what is compared are whole numbers, and those are exact")]

use crate::exposition::{Exporter, Scrape};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use backstop::circuit_breaker::{CircuitBreakerBuilder, Permit, RetryAfterPolicy, State};
use backstop::clock::Clock;
use backstop::config::Named;
use backstop::{Bulkhead, CircuitBreaker, Registry, protect};
use futures_util::FutureExt;
use metrics::{Counter, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::ServiceExt;

const CALLS: &str = "backstop_circuit_breaker_calls_total";
const STATE: &str = "backstop_circuit_breaker_state";
const TRANSITIONS: &str = "backstop_circuit_breaker_transitions_total";
const SECOND: Duration = Duration::from_secs(1);

fn successful(scrape: &Scrape, name: &str) -> f64 {
    scrape.value(CALLS, &[("name", name), ("kind", "successful")])
}

fn is_state(scrape: &Scrape, name: &str, state: &str) -> f64 {
    scrape.value(STATE, &[("name", name), ("state", state)])
}

fn in_flight(scrape: &Scrape, name: &str) -> f64 {
    scrape.value("backstop_bulkhead_in_flight_calls", &[("name", name)])
}

// ---- by time

#[test]
fn calls_publish_once_a_second_through_the_recorder_of_their_thread() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (clock, time) = Clock::manual();
        let breaker = CircuitBreaker::builder("timed").clock(clock.clone()).build().unwrap();
        let bulkhead = Bulkhead::builder("timed").clock(clock).build().unwrap();
        let call = || {
            breaker.try_acquire().unwrap().success();
            drop(bulkhead.try_acquire().unwrap());
        };
        let permitted = |scrape: &Scrape| scrape.value("backstop_bulkhead_calls_total", &[("kind", "permitted")]);
        (0..5).for_each(|_| call());
        assert_eq!((successful(&exporter.scrape(), "timed"), permitted(&exporter.scrape())), (0.0, 0.0));
        time.advance(SECOND);
        call();
        assert_eq!((successful(&exporter.scrape(), "timed"), permitted(&exporter.scrape())), (6.0, 6.0));
        (0..10_000).for_each(|_| call());
        time.advance(SECOND);
        (0..64).for_each(|_| call());
        assert!(successful(&exporter.scrape(), "timed") >= 10_006.0 && permitted(&exporter.scrape()) >= 10_006.0);
    });
}

// ---- the last value

/// A recorder that does something when it hears of the first few states.
struct Meddler(Arc<Meddling>);

struct Meddling {
    left: AtomicU64,
    meddle: Box<dyn Fn(u64) + Send + Sync>,
    gauges: Mutex<BTreeMap<String, f64>>,
}

struct MeddlerGauge(String, Arc<Meddling>);

impl Recorder for Meddler {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(Arc::new(MeddlerGauge(key.to_string(), Arc::clone(&self.0))))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

impl GaugeFn for MeddlerGauge {
    fn increment(&self, _: f64) {}

    fn decrement(&self, _: f64) {}

    fn set(&self, value: f64) {
        self.1.gauges.lock().unwrap().insert(self.0.clone(), value);
        if value != 1.0 || !self.0.contains("state") {
            return;
        }
        if let Ok(before) = self.1.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            (self.1.meddle)(before);
        }
    }
}

#[test]
fn the_last_of_many_changes_during_a_publication_is_published() {
    let breaker = CircuitBreaker::new("meddled");
    let inside = breaker.clone();
    let meddle = move |left: u64| if left.is_multiple_of(2) { inside.reset("on") } else { inside.force_open("off") };
    let meddling = Meddling { left: AtomicU64::new(101), meddle: Box::new(meddle), gauges: Mutex::default() };
    let meddling = Arc::new(meddling);
    metrics::with_local_recorder(&Meddler(Arc::clone(&meddling)), || breaker.publish());
    assert_eq!(breaker.state(), State::ForcedOpen);
    let gauges = meddling.gauges.lock().unwrap();
    let hot: Vec<_> = gauges.iter().filter(|(_, value)| **value == 1.0).map(|(key, _)| key).collect();
    assert!(hot.len() == 1 && hot[0].contains("forced_open"), "{hot:?}");
}

// ---- the end

#[test]
fn gauges_end_with_the_last_handle_though_calls_are_in_flight() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let registry = Registry::new();
        let breaker = registry.add(CircuitBreaker::new("gone")).unwrap();
        let bulkhead = registry.add(Bulkhead::new("gone")).unwrap();
        let calls: Vec<_> = (0..3).map(|_| (breaker.try_acquire().unwrap(), bulkhead.try_acquire().unwrap())).collect();
        breaker.force_open("outage");
        registry.publish();
        assert_eq!(
            (is_state(&exporter.scrape(), "gone", "forced_open"), in_flight(&exporter.scrape(), "gone")),
            (1.0, 3.0)
        );
        drop((breaker, bulkhead));
        assert_eq!(in_flight(&exporter.scrape(), "gone"), 3.0, "the registry has handles");
        registry.remove("gone");
        let is_zero = |scrape: &Scrape| {
            let is_total = |name: &str| name.ends_with("_total");
            scrape.series.iter().all(|(series, value)| is_total(&series.name) || *value == 0.0)
        };
        assert!(is_zero(&exporter.scrape()), "{}", exporter.scrape().text);
        for (call, permit) in calls {
            call.failure();
            drop(permit);
        }
        assert!(is_zero(&exporter.scrape()), "calls that end later change no gauge");
    });
    assert_eq!(exporter.scrape().value("backstop_bulkhead_calls_total", &[("kind", "permitted")]), 3.0);
}

/// axum clones a service for each connection and each request; those that it was given may go before.
#[test]
fn gauges_end_with_the_last_clone_of_the_services_that_a_router_holds() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let router = || {
            let (alone, breaker) = (CircuitBreaker::new("alone"), CircuitBreaker::new("both"));
            let (bulkhead, both) = (Bulkhead::new("alone"), Bulkhead::new("both"));
            Router::new()
                .route("/", get(async || "ok"))
                .layer(bulkhead.layer().respond())
                .layer(alone.layer().respond())
                .layer(protect().circuit_breaker(&breaker).bulkhead(&both).respond())
        };
        let given = router();
        let served = given.clone().with_state::<()>(());
        drop(given);
        for _ in 0..3 {
            let request = Request::new(Body::empty());
            assert!(served.clone().oneshot(request).now_or_never().unwrap().unwrap().status().is_success());
        }
        let limit = "backstop_bulkhead_max_concurrent_calls";
        for name in ["alone", "both"] {
            assert_eq!(exporter.state(name), "closed");
            assert_ne!(exporter.scrape().value(limit, &[("name", name)]), 0.0, "{name}");
        }
        std::thread::spawn(move || drop(served)).join().unwrap();
        for name in ["alone", "both"] {
            assert_eq!(exporter.scrape().sum(STATE, &[("name", name)]), 0.0, "{name}");
            assert_eq!(exporter.scrape().value(limit, &[("name", name)]), 0.0, "{name}");
        }
    });
}

#[test]
fn gauges_end_in_every_recorder_whichever_thread_drops_the_last_handle() {
    let (one, two) = (Exporter::new(), Exporter::new());
    let breaker = one.run(|| CircuitBreaker::new("elsewhere"));
    two.run(|| breaker.force_open("outage"));
    std::thread::spawn(move || drop(breaker)).join().unwrap();
    assert_eq!(is_state(&one.scrape(), "elsewhere", "closed"), 0.0);
    assert_eq!(is_state(&two.scrape(), "elsewhere", "forced_open"), 0.0);
}

#[test]
fn of_two_handles_of_one_name_the_newest_has_the_gauges_until_it_is_gone() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let old = CircuitBreaker::new("reloaded");
        old.force_open("before the reload");
        let new = CircuitBreaker::new("reloaded");
        assert_eq!(exporter.state("reloaded"), "closed");
        old.trip("it still has calls");
        old.publish();
        assert_eq!(exporter.state("reloaded"), "closed");
        new.disable("the newest wins");
        assert_eq!(exporter.state("reloaded"), "disabled");
        drop(new);
        old.publish();
        assert_eq!(exporter.state("reloaded"), "open", "it is the newest again");
        let new = CircuitBreaker::new("reloaded");
        drop(old);
        assert_eq!(exporter.state("reloaded"), "closed", "the end of the old one changes nothing");
        drop(new);
        assert_eq!(exporter.scrape().sum(STATE, &[("name", "reloaded")]), 0.0);
    });
}

// ---- figures that add up, and not too many

#[test]
fn every_kind_label_is_a_partition_of_the_calls() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let (clock, time) = Clock::manual();
        let builder = CircuitBreaker::builder("parts").clock(clock).initial_state(State::Shadow).minimum_calls(4);
        let breaker = builder.slow_call_duration_threshold(SECOND).build().unwrap();
        (0..10).for_each(|_| breaker.try_acquire().unwrap().failure());
        let slow = breaker.try_acquire().unwrap();
        time.advance(2 * SECOND);
        slow.success();
        drop(breaker.try_acquire().unwrap());
        let bulkhead = Bulkhead::builder("parts").max_concurrent_calls(1).build().unwrap();
        let held = bulkhead.try_acquire().unwrap();
        assert!(bulkhead.try_acquire().is_err());
        bulkhead.reset_in_flight("leaked");
        drop(held);
        breaker.publish();
        bulkhead.publish();
        let scrape = exporter.scrape();
        assert_eq!(scrape.sum(CALLS, &[]), 12.0, "{}", scrape.text);
        assert_eq!(scrape.sum("backstop_bulkhead_calls_total", &[]), 2.0, "{}", scrape.text);
        assert!(scrape.value("backstop_circuit_breaker_would_reject_total", &[]) > 0.0);
        assert_eq!(scrape.value("backstop_bulkhead_abandoned_total", &[]), 1.0);
    });
}

type Builder = CircuitBreakerBuilder<Named>;

#[test]
fn no_breaker_has_more_than_32_series_whatever_happens_to_it() {
    let plain: fn(Builder) -> Builder = |builder| builder;
    let all: fn(Builder) -> Builder = |builder| {
        let builder = builder.failure_rate_threshold(0.5).slow_call_duration_threshold(SECOND);
        let builder = builder.slow_call_rate_threshold(0.5).failure_count_threshold(5);
        builder.consecutive_failures_threshold(5).retry_after(RetryAfterPolicy::OpensAtOnce)
    };
    for configure in [plain, all] {
        let exporter = Exporter::new();
        exporter.run(|| {
            let (clock, time) = Clock::manual();
            let breaker = configure(CircuitBreaker::builder("few").clock(clock)).build().unwrap();
            for state in State::ALL {
                match state {
                    State::Closed => breaker.reset("test"),
                    State::Open => breaker.trip("test"),
                    State::HalfOpen => breaker.probe("test"),
                    State::ForcedOpen => breaker.force_open("test"),
                    State::Disabled => breaker.disable("test"),
                    State::Shadow => breaker.shadow("test"),
                }
                (0..200).for_each(|_| drop(breaker.try_acquire().map(Permit::failure)));
                time.advance(100 * SECOND);
                breaker.publish();
            }
            let series = exporter.scrape().series.len();
            assert!(series <= 32, "{series} in\n{}", exporter.scrape().text);
        });
    }
    let exporter = Exporter::new();
    exporter.run(|| {
        let (clock, time) = Clock::manual();
        let breaker = all(CircuitBreaker::builder("all rules").clock(clock)).build().unwrap();
        breaker.probe("test");
        let abandon = |permit: Permit| {
            time.advance(SECOND);
            drop(permit);
        };
        (0..100).map_while(|_| breaker.try_acquire().ok()).for_each(abandon);
        breaker.publish();
        let scrape = exporter.scrape();
        let labels = [("from", "any"), ("to", "open"), ("reason", "no_answer")];
        assert_eq!(scrape.value(TRANSITIONS, &labels), 1.0, "{}", scrape.text);
        assert_eq!(scrape.series.len(), 32, "{}", scrape.text);
    });
}

#[test]
fn ten_thousand_breakers_are_at_most_thirty_megabytes_of_text() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let breakers: Vec<_> =
            (9_000..10_000).map(|i| CircuitBreaker::builder(format!("host-{i}.example")).build().unwrap()).collect();
        breakers.iter().for_each(CircuitBreaker::publish);
        let text = exporter.text();
        let series = text.lines().filter(|line| line.starts_with("backstop_")).count();
        // A tenth of them: rendering takes long without optimization.
        assert!(text.len() <= 3_000_000 && series <= 32_000, "{} bytes, {series} series", text.len());
        let names: BTreeSet<_> =
            text.lines().filter_map(|line| line.split("name=\"").nth(1)?.split('"').next()).collect();
        assert_eq!(names.len(), 1_000);
    });
}
