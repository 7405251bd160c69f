//! The labels and queries in the docs of `telemetry`, and promtool's opinion of them.

use crate::exposition::Exporter;

use backstop::circuit_breaker::{Reason, State};
use backstop::telemetry::{BUCKETS, METRICS};
use backstop::{Bulkhead, CircuitBreaker};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// The lines of the module's docs.
fn docs() -> Vec<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/telemetry/mod.rs");
    let source = std::fs::read_to_string(source).unwrap();
    source.lines().filter_map(|line| line.strip_prefix("//!")).map(|line| line.trim().to_owned()).collect()
}

/// The values in the row of a label.
fn documented(label: &str) -> BTreeSet<String> {
    let docs = docs();
    let start = format!("| {label} |");
    let row = docs.iter().find(|row| row.starts_with(&start)).unwrap_or_else(|| panic!("no row of {label}"));
    row.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_docs_have_every_value_of_every_label() {
    let exporter = Exporter::new();
    exporter.run(|| {
        let _handles = (CircuitBreaker::new("values"), Bulkhead::new("values"));
        let scrape = exporter.scrape();
        let scraped = |metric: &str, label: &str| -> BTreeSet<String> {
            let of_metric = scrape.series.keys().filter(|series| series.name == metric);
            of_metric.map(|series| series.labels[label].clone()).collect()
        };
        let states: BTreeSet<_> = State::ALL.iter().map(|state| state.as_str().to_owned()).collect();
        assert_eq!(documented("state"), states);
        let reasons = documented("reason");
        assert!(scraped("backstop_circuit_breaker_transitions_total", "reason").is_subset(&reasons));
        assert!(reasons.contains(Reason::ConsecutiveFailures.as_str()));
        let kinds = scraped("backstop_circuit_breaker_calls_total", "kind");
        assert_eq!(documented("kind of a breaker's call"), kinds);
        assert_eq!(documented("kind of a bulkhead's call"), scraped("backstop_bulkhead_calls_total", "kind"));
    });
    for label in METRICS.iter().flat_map(|metric| metric.labels) {
        let has_row = docs().iter().any(|row| {
            let first = row.strip_prefix("| ").and_then(|row| row.split(" |").next());
            first.is_some_and(|first| first.split(", ").any(|known| known.split(' ').next() == Some(label)))
        });
        assert!(has_row, "no row of {label}");
    }
}

#[test]
fn the_buckets_make_a_histogram_of_every_histogram() {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Prefix("backstop_".into()), BUCKETS);
    let exporter = Exporter::of(builder.unwrap());
    exporter.run(|| {
        let _bulkhead = Bulkhead::new("buckets");
        assert!(exporter.text().contains("# TYPE backstop_bulkhead_wait_seconds histogram"));
    });
    assert!(BUCKETS.is_sorted() && BUCKETS[0] > 0.0);
}

/// The queries in the docs, in their order.
fn queries() -> Vec<String> {
    let docs = docs();
    let blocks = docs.split(|line| line.starts_with("```")).skip(1).step_by(2).map(|lines| lines.join(" "));
    let queries: Vec<_> = blocks.filter(|block| block.contains("by (name)")).collect();
    assert_eq!(queries.len(), 3, "{queries:?}");
    queries.into_iter().map(|query| query.replace('"', "\\\"")).collect()
}

/// Runs `promtool test rules` on a series a minute and expectations of the queries after five minutes.
fn assert_promtool(expected: [&[(&str, f64)]; 3]) {
    let state = |version: &str, name: &str, state: &str, value: u8| {
        let labels = format!("name=\"{name}\",state=\"{state}\",version=\"{version}\"");
        format!("      - series: 'backstop_circuit_breaker_state{{{labels}}}'\n        values: '{value}x10'\n")
    };
    let calls = |kind: &str, every: u32| {
        let labels = format!("name=\"both\",kind=\"{kind}\"");
        format!("      - series: 'backstop_circuit_breaker_calls_total{{{labels}}}'\n        values: '0+{every}x10'\n")
    };
    let mut series = String::new();
    for (name, in_baseline) in [("canary only", "closed"), ("both", "open")] {
        for known in ["closed", "open"] {
            series += &state("canary", name, known, u8::from(known == "open"));
            series += &state("baseline", name, known, u8::from(known == in_baseline));
        }
    }
    for (kind, every) in [("successful", 45), ("failed", 15), ("not_permitted", 60)] {
        series += &calls(kind, every);
    }
    let mut tests = String::new();
    for (query, samples) in queries().iter().zip(expected) {
        let _ = write!(tests, "      - expr: \"{query}\"\n        eval_time: 5m\n        exp_samples:\n");
        for (name, value) in samples {
            let _ = write!(tests, "          - labels: '{{name=\"{name}\"}}'\n            value: {value}\n");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yml");
    let text = format!(
        "rule_files: []\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n{series}    promql_expr_test:\n{tests}"
    );
    std::fs::write(&file, &text).unwrap();
    let output = Command::new("promtool").args(["test", "rules"]).arg(&file).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&said));
}

#[test]
#[ignore = "needs promtool: scripts/test.sh"]
fn promtool_finds_the_circuit_that_is_open_in_the_canary_alone_and_shares_of_calls() {
    assert_promtool([&[("canary only", 1.0)], &[("both", 0.25)], &[("both", 0.5)]]);
}
