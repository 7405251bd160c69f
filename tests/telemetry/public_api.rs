//! Metrics as public API: names, labels, types, help and defaults, as the snapshots have them.

use crate::{exposition, promtool};

use backstop::CircuitBreaker;
use backstop::circuit_breaker::CircuitBreakerConfig;
use backstop::telemetry::{METRICS, Metric, MetricKind, MetricUnit};
use exposition::{Exporter, Scrape};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

/// Names that a text format could stumble over.
const WEIRD_NAMES: [&str; 6] = ["say \"hello\"", "a,b={c}", "заказы 订单 🦀", "back\\slash", " a ", "# HELP"];

/// Compares with `tests/snapshots/{name}`; with `BACKSTOP_UPDATE_SNAPSHOTS` set, writes it.
fn assert_snapshot(name: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if std::env::var_os("BACKSTOP_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let then = std::fs::read_to_string(&path).unwrap_or_default();
    let count = then.lines().count().max(now.lines().count());
    let mut pairs = (0..count).map(|line| (then.lines().nth(line), now.lines().nth(line)));
    let difference = pairs.find(|(then, now)| then != now);
    assert!(
        then == now,
        "{name} is public API and has changed, first here: {difference:?}. If that is meant, tell it in \
         CHANGELOG.md and run the test once with BACKSTOP_UPDATE_SNAPSHOTS=1. It is now:\n{now}"
    );
}

/// The rows of one mechanism.
fn metrics_of(mechanism: &str) -> impl Iterator<Item = &'static Metric> {
    let prefix = format!("backstop_{mechanism}_");
    METRICS.iter().filter(move |metric| metric.name.starts_with(&prefix))
}

/// The kind in words.
fn kind(metric: &Metric) -> &'static str {
    match metric.kind {
        MetricKind::Counter => "counter",
        MetricKind::Gauge => "gauge",
        MetricKind::Histogram => "histogram",
        other => panic!("{other:?} has no word in Prometheus"),
    }
}

/// A mechanism's part of a scrape in the order of the table, series sorted.
fn sorted(scrape: &Scrape, mechanism: &str) -> String {
    let mut text = String::new();
    for metric in metrics_of(mechanism) {
        for head in ["HELP", "TYPE"] {
            let start = format!("# {head} {} ", metric.name);
            let line = scrape.text.lines().find(|line| line.starts_with(&start));
            writeln!(text, "{}", line.unwrap_or_else(|| panic!("no {head} of {}", metric.name))).unwrap();
        }
        for (series, value) in scrape.series.iter().filter(|(series, _)| series.name == metric.name) {
            let labels: Vec<_> = metric.labels.iter().map(|key| format!("{key}=\"{}\"", series.labels[*key])).collect();
            writeln!(text, "{}{{{}}} {value}", metric.name, labels.join(",")).unwrap();
        }
    }
    text
}

#[test]
fn names_labels_types_and_help_are_those_of_the_snapshot() {
    let exporter = Exporter::new();
    let _breaker = exporter.run(|| CircuitBreaker::new("example"));
    let scrape = exporter.scrape();
    let sorted = sorted(&scrape, "circuit_breaker");
    assert_eq!(sorted.lines().count(), scrape.text.lines().filter(|line| !line.is_empty()).count());
    assert_snapshot("metrics.txt", &sorted);
}

#[test]
fn the_table_is_that_of_the_snapshot() {
    let mut text = String::new();
    for metric in METRICS {
        let Metric { name, labels, unit, help, .. } = metric;
        writeln!(text, "{} {name}{{{}}} {unit:?}: {help}", kind(metric), labels.join(",")).unwrap();
    }
    assert_snapshot("metrics_table.txt", &text);
}

#[test]
fn every_metric_is_some_mechanisms_and_named_by_its_kind_and_unit() {
    let signals = ["requests", "request", "active", "error", "in_flight"];
    let rollout = ["verdict", "rollback"];
    let all = ["circuit_breaker", "bulkhead", "kill_switch", "health"].into_iter().chain(signals).chain(rollout);
    let known = all.flat_map(metrics_of).chain(METRICS.iter().filter(|metric| metric.name == "backstop_verdict"));
    assert_eq!(known.count(), METRICS.len(), "a new mechanism is added to the list above, with tests of its own");
    for metric in METRICS {
        assert_eq!(metric.name.ends_with("_total"), metric.kind == MetricKind::Counter, "{}", metric.name);
        assert_eq!(metric.name.contains("_seconds"), metric.unit == MetricUnit::Seconds, "{}", metric.name);
    }
}

#[test]
fn the_defaults_are_those_of_the_snapshot() {
    assert_snapshot("circuit_breaker_config.txt", &format!("{:#?}\n", CircuitBreakerConfig::default()));
}

#[test]
fn the_table_tells_what_is_scraped() {
    let exporter = Exporter::new();
    let _breaker = exporter.run(|| CircuitBreaker::new("example"));
    let scrape = exporter.scrape();
    for metric in metrics_of("circuit_breaker") {
        assert!(scrape.text.contains(&format!("# TYPE {} {}\n", metric.name, kind(metric))), "{}", metric.name);
        assert!(scrape.text.contains(&format!("# HELP {} {}\n", metric.name, metric.help)), "{}", metric.name);
    }
    for series in scrape.series.keys() {
        let metric = METRICS.iter().find(|metric| metric.name == series.name).unwrap();
        let labels: BTreeSet<_> = series.labels.keys().map(String::as_str).collect();
        assert_eq!(labels, metric.labels.iter().copied().collect(), "{}", metric.name);
    }
}

#[test]
fn the_table_in_the_docs_is_the_table() {
    let docs = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/mod.rs")).unwrap();
    let rows: Vec<_> = docs.lines().filter_map(|line| line.strip_prefix("//! | `")).collect();
    assert_eq!(rows.len(), METRICS.len(), "rows of the table in the docs at the head of src/telemetry/mod.rs");
    for (row, metric) in rows.iter().zip(METRICS) {
        let start = format!("{}` | {}", metric.name, kind(metric));
        let end = format!("| {} |", metric.labels.join(", "));
        assert!(row.starts_with(&start) && row.ends_with(&end), "{row}\nis not of\n{metric:?}");
    }
}

#[test]
fn an_exporter_that_corrects_names_finds_nothing_to_correct() {
    let names = |builder: PrometheusBuilder| {
        let exporter = Exporter::of(builder);
        let _breaker = exporter.run(|| CircuitBreaker::new("example"));
        exporter.scrape().series.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names(PrometheusBuilder::new()), names(PrometheusBuilder::new().with_recommended_naming(true)));
}

#[test]
#[ignore = "needs promtool: scripts/test.sh"]
fn promtool_accepts_the_exposition() {
    let exporter = Exporter::new();
    exporter.run(|| {
        for name in WEIRD_NAMES.into_iter().chain(["plain"]) {
            let breaker = CircuitBreaker::builder(name).build().unwrap();
            breaker.try_acquire().unwrap().failure();
            breaker.trip("promtool");
            breaker.publish();
        }
    });
    promtool::assert_accepts(&exporter.scrape().text);
}

#[test]
fn a_name_reaches_the_label_as_it_is_and_a_line_break_is_refused() {
    let exporter = Exporter::new();
    exporter.run(|| {
        for name in WEIRD_NAMES {
            let _breaker = CircuitBreaker::builder(name).build().unwrap();
        }
    });
    let scrape = exporter.scrape();
    let names: BTreeSet<_> = scrape.series.keys().map(|series| series.labels["name"].as_str()).collect();
    assert_eq!(names, WEIRD_NAMES.into_iter().collect());
    for name in ["two\nlines", "a\rb", "tab\t", "\u{7f}", "", " "] {
        assert!(CircuitBreaker::builder(name).build().is_err(), "{name:?}");
    }
}
