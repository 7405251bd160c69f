//! What a controller reads of bulkheads: names as public API, figures that are right after any history.

#![expect(clippy::float_cmp, reason = "what is compared are whole numbers, and those are exact")]

use crate::{exposition, promtool};

use backstop::bulkhead::keyed::KeyedBulkhead;
use backstop::bulkhead::{BulkheadConfig, Snapshot, Totals};
use backstop::clock::Clock;
use backstop::telemetry::METRICS;
use backstop::{Bulkhead, CircuitBreaker, Registry};
use exposition::{Exporter, Scrape};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

const CALLS: &str = "backstop_bulkhead_calls_total";
const WAIT: &str = "backstop_bulkhead_wait_seconds";
const KINDS: [&str; 6] = ["permitted", "rejected_full", "timed_out", "shed", "left_queue", "bypassed"];

/// With buckets, so that the histogram is one.
fn exporter() -> Exporter {
    Exporter::of(PrometheusBuilder::new().set_buckets(&[0.01, 0.1, 1.0]).unwrap())
}

fn gauge(scrape: &Scrape, name: &str, what: &str) -> f64 {
    scrape.value(&format!("backstop_bulkhead_{what}"), &[("name", name)])
}

/// That a scrape says what the bulkhead says of itself.
fn assert_same(scrape: &Scrape, name: &str, snapshot: Snapshot, totals: Totals) {
    let Totals { permitted, rejected_full, timed_out, shed, abandoned, left_queue, bypassed, .. } = totals;
    let counted = [permitted, rejected_full, timed_out, shed, left_queue, bypassed];
    for (kind, total) in KINDS.into_iter().zip(counted) {
        #[expect(clippy::cast_precision_loss, reason = "they are small")]
        let total = total as f64;
        assert_eq!(scrape.value(CALLS, &[("name", name), ("kind", kind)]), total, "{kind}");
    }
    assert_eq!(gauge(scrape, name, "abandoned_total"), abandoned as f64);
    assert_eq!(gauge(scrape, name, "max_concurrent_calls"), f64::from(snapshot.limit));
    assert_eq!(gauge(scrape, name, "in_flight_calls"), f64::from(snapshot.in_flight));
    assert_eq!(gauge(scrape, name, "queue_depth"), f64::from(snapshot.queue_depth));
}

#[test]
fn every_series_is_there_at_zero_before_the_first_call() {
    let exporter = exporter();
    let bulkhead = exporter.run(|| Bulkhead::new("fresh"));
    let scrape = exporter.scrape();
    assert_same(&scrape, "fresh", bulkhead.snapshot(), Totals::default());
    assert_eq!(gauge(&scrape, "fresh", "oldest_call_seconds"), 0.0);
    assert_eq!(gauge(&scrape, "fresh", "fallbacks_total"), 0.0);
    assert_eq!(scrape.value(&format!("{WAIT}_count"), &[("name", "fresh")]), 0.0);
    for metric in METRICS.iter().filter(|metric| metric.name.starts_with("backstop_bulkhead_")) {
        assert!(scrape.text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
    }
}

#[test]
fn a_rejection_needs_no_scrape_handler_to_be_seen() {
    let exporter = exporter();
    exporter.run(|| {
        let bulkhead = Bulkhead::builder("full").max_concurrent_calls(1).build().unwrap();
        let _held = bulkhead.try_acquire().unwrap();
        assert!(bulkhead.try_acquire().is_err());
        assert_eq!(gauge(&exporter.scrape(), "full", "in_flight_calls"), 1.0, "the first refusal publishes");
    });
}

#[test]
fn after_any_history_a_scrape_says_what_the_bulkhead_says() {
    let exporter = exporter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    exporter.run(|| {
        let registry = Registry::new();
        let (clock, time) = Clock::manual();
        let builder = Bulkhead::builder("history").clock(clock).max_concurrent_calls(3).max_queue(2);
        let bulkhead = registry.add(builder.max_wait(Duration::from_millis(5)).build().unwrap()).unwrap();
        let (mut held, mut waiting) = (Vec::new(), Vec::new());
        let mut rng = fastrand::Rng::with_seed(7);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2_000 {
            match rng.u8(..6) {
                0 => held.extend(bulkhead.try_acquire().ok()),
                1 => waiting.push(Box::pin({
                    let bulkhead = bulkhead.clone();
                    async move { bulkhead.acquire().await }
                })),
                2 if !held.is_empty() => drop(held.swap_remove(rng.usize(..held.len()))),
                3 if !waiting.is_empty() => drop(waiting.swap_remove(rng.usize(..waiting.len()))),
                4 => bulkhead.resize(rng.u32(1..5), "test").unwrap(),
                _ => time.advance(Duration::from_millis(rng.u64(..10))),
            }
            waiting.retain_mut(|call| match call.as_mut().poll(&mut cx) {
                std::task::Poll::Pending => true,
                std::task::Poll::Ready(result) => {
                    held.extend(result.ok());
                    false
                }
            });
            registry.publish();
            assert_same(&exporter.scrape(), "history", bulkhead.snapshot(), bulkhead.totals());
        }
        let totals = bulkhead.totals();
        assert!(totals.permitted > 100 && totals.timed_out > 10 && totals.left_queue > 10, "{totals:?}");
    });
}

#[test]
fn calls_that_waited_are_in_the_histogram_and_others_are_not() {
    let exporter = exporter();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _inside = runtime.enter();
    exporter.run(|| {
        let (clock, time) = Clock::manual();
        let builder = Bulkhead::builder("waits").clock(clock).max_concurrent_calls(1);
        let bulkhead = builder.max_wait(Duration::from_secs(5)).build().unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let held = bulkhead.try_acquire().unwrap();
        let mut call = pin!(bulkhead.acquire());
        assert!(call.as_mut().poll(&mut cx).is_pending());
        time.advance(Duration::from_millis(50));
        drop(held);
        assert!(call.as_mut().poll(&mut cx).is_ready());
    });
    let scrape = exporter.scrape();
    let name = ("name", "waits");
    assert_eq!(scrape.value(&format!("{WAIT}_count"), &[name]), 1.0);
    assert_eq!(scrape.value(&format!("{WAIT}_bucket"), &[name, ("le", "0.01")]), 0.0);
    assert_eq!(scrape.value(&format!("{WAIT}_bucket"), &[name, ("le", "0.1")]), 1.0);
    assert_eq!(scrape.value(CALLS, &[name, ("kind", "permitted")]), 2.0, "published with the last handle");
}

#[test]
fn the_age_of_the_oldest_call_is_told_where_calls_are_timed() {
    let exporter = exporter();
    exporter.run(|| {
        let (clock, time) = Clock::manual();
        let builder = Bulkhead::builder("old").clock(clock).max_hold(Duration::from_secs(60));
        let bulkhead = builder.build().unwrap();
        let _old = bulkhead.try_acquire().unwrap();
        time.advance(Duration::from_secs(7));
        let _new = bulkhead.try_acquire().unwrap();
        bulkhead.publish();
        assert_eq!(gauge(&exporter.scrape(), "old", "oldest_call_seconds"), 7.0);
    });
}

#[test]
fn a_groups_metrics_are_sums_over_its_keys_and_no_key_is_a_label() {
    let exporter = exporter();
    exporter.run(|| {
        let registry = Registry::new();
        let config = BulkheadConfig::builder().max_concurrent_calls(1).build().unwrap();
        let tenants = KeyedBulkhead::<String>::builder("tenants").config(config).build().unwrap();
        let tenants = registry.add(tenants).unwrap();
        let held: Vec<_> = ["a", "b"].map(|key| tenants.key(key).try_acquire().unwrap()).into();
        assert!(tenants.key("a").try_acquire().is_err());
        registry.publish();
        let scrape = exporter.scrape();
        assert_eq!(scrape.value(CALLS, &[("name", "tenants"), ("kind", "permitted")]), 2.0);
        assert_eq!(scrape.value(CALLS, &[("name", "tenants"), ("kind", "rejected_full")]), 1.0);
        assert_eq!(gauge(&scrape, "tenants", "max_concurrent_calls"), 1.0, "that of one key");
        assert_eq!(gauge(&scrape, "tenants", "in_flight_calls"), 2.0);
        assert!(scrape.series.keys().all(|series| series.labels.get("name").is_none_or(|name| name == "tenants")));
        drop(held);
        registry.publish();
        assert_eq!(gauge(&exporter.scrape(), "tenants", "in_flight_calls"), 0.0);
    });
}

#[test]
fn a_bulkhead_may_have_the_name_of_a_breaker_and_not_of_another_bulkhead() {
    let registry = Registry::new();
    registry.add(CircuitBreaker::new("payments")).unwrap();
    let bulkhead = registry.add(Bulkhead::new("payments")).unwrap();
    assert!(registry.get::<Bulkhead>("payments").unwrap().is_same(&bulkhead));
    assert!(registry.add(bulkhead).is_ok(), "the same again");
    assert!(registry.add(Bulkhead::new("payments")).is_err());
    assert!(registry.add(KeyedBulkhead::<u8>::builder("payments").build().unwrap()).is_err());
    assert_eq!(registry.all::<Bulkhead>().len(), 1);
}

#[test]
#[ignore = "needs promtool: scripts/test.sh"]
fn promtool_accepts_the_exposition() {
    let exporter = exporter();
    exporter.run(|| {
        for name in ["say \"hello\"", "заказы 🦀", "back\\slash"] {
            let bulkhead = Bulkhead::builder(name).max_concurrent_calls(1).build().unwrap();
            let _held = bulkhead.try_acquire().unwrap();
            assert!(bulkhead.try_acquire().is_err());
            bulkhead.publish();
        }
    });
    promtool::assert_accepts(&exporter.scrape().text);
}

#[test]
fn the_defaults_are_those_of_the_snapshot() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots/bulkhead_config.txt");
    let now = format!("{:#?}\n", BulkheadConfig::default());
    if std::env::var_os("BACKSTOP_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), now, "the defaults are public API");
}
