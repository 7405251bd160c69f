//! The phase of one measurement, for every answer.

use super::measure::{Answer, Phase, measure};
use crate::answers::verdict;
use crate::files::named;
use Phase::{Error, Failed, Inconclusive, Successful};
use serde_json::Value;

const BACKGROUND: (&str, &str) = ("argo-rollouts/analysis-background.yaml", "backstop-background");
const GATE: (&str, &str) = ("argo-rollouts/analysis-gate.yaml", "backstop-gate");
const OLD_GATE: (&str, &str) = ("argo-rollouts/analysis-gate-before-1.8.yaml", "backstop-gate");
const PROMETHEUS: &str = "argo-rollouts/analysis-prometheus.yaml";

fn metric((path, name): (&str, &str), metric: &str) -> Value {
    let template = named(path, name);
    let metrics = template["spec"]["metrics"].as_array().unwrap();
    metrics.iter().find(|found| found["name"] == metric).unwrap_or_else(|| panic!("{name}: no {metric}")).clone()
}

#[test]
fn every_answer_of_the_judge_has_the_intended_phase() {
    let table = [
        // the answer, and its phase in the background, at the gate, at the gate before 1.8
        ("continue", Answer::Http(200, verdict("continue")), [Successful, Successful, Successful]),
        ("collecting", Answer::Http(200, verdict("collecting")), [Successful, Inconclusive, Error]),
        ("pause", Answer::Http(200, verdict("pause")), [Successful, Inconclusive, Error]),
        ("rollback", Answer::Http(200, verdict("rollback")), [Failed, Failed, Failed]),
        ("no decision", Answer::Http(200, "{}".into()), [Inconclusive, Inconclusive, Error]),
        ("a new word", Answer::Http(200, verdict("proceed")), [Inconclusive, Inconclusive, Error]),
        ("a number", Answer::Http(200, verdict("0")), [Inconclusive, Inconclusive, Error]),
        ("null", Answer::Http(200, r#"{"decision":null}"#.into()), [Inconclusive, Inconclusive, Error]),
        ("a list", Answer::Http(200, "[]".into()), [Error, Error, Error]),
        ("no JSON", Answer::Http(200, "<html>".into()), [Error, Error, Error]),
        ("unknown service", Answer::Http(404, verdict("continue")), [Error, Error, Error]),
        ("broken", Answer::Http(503, verdict("continue")), [Error, Error, Error]),
        ("timeout", Answer::Timeout, [Error, Error, Error]),
    ];
    for (name, answer, phases) in table {
        let got = [BACKGROUND, GATE, OLD_GATE].map(|template| measure(&metric(template, "verdict"), &answer));
        assert_eq!(got, phases, "{name}");
    }
}

#[test]
fn no_answer_but_continue_opens_a_gate() {
    let answers = ["collecting", "pause", "rollback", "", "CONTINUE"].map(verdict);
    for answer in answers.into_iter().chain(["{}".into(), "null".into(), "0".into(), "\"continue\"".into()]) {
        for gate in [GATE, OLD_GATE] {
            let phase = measure(&metric(gate, "verdict"), &Answer::Http(200, answer.clone()));
            assert_ne!(phase, Successful, "{answer}");
        }
    }
}

#[test]
fn every_result_of_prometheus_has_the_intended_phase() {
    let gate = metric((PROMETHEUS, "backstop-prometheus-gate"), "verdict");
    let background = metric((PROMETHEUS, "backstop-prometheus-background"), "verdict");
    let table = [
        ("continue", vec![0.0], [Successful, Successful]),
        ("collecting", vec![1.0], [Successful, Inconclusive]),
        ("pause", vec![2.0], [Successful, Inconclusive]),
        ("rollback", vec![3.0], [Failed, Failed]),
        ("no series", vec![], [Successful, Inconclusive]),
        ("NaN", vec![f64::NAN], [Successful, Inconclusive]),
        ("two series", vec![0.0, 3.0], [Successful, Inconclusive]),
    ];
    for (name, values, phases) in table {
        let answer = Answer::Vector(values);
        assert_eq!([&background, &gate].map(|metric| measure(metric, &answer)), phases, "{name}");
    }
    assert_eq!(measure(&gate, &Answer::Timeout), Error);
}

#[test]
fn breakers_and_error_seconds_fail_on_a_value_and_not_on_an_empty_result() {
    let of = |name: &str| metric((PROMETHEUS, "backstop-prometheus-background"), name);
    for (name, good, bad) in [("breakers", 0.0, 1.0), ("error-seconds", 0.049, 0.051)] {
        let phase = |values: &[f64]| measure(&of(name), &Answer::Vector(values.to_vec()));
        assert_eq!(
            [phase(&[]), phase(&[good]), phase(&[f64::NAN]), phase(&[bad])],
            [Successful, Successful, Successful, Failed]
        );
    }
}

/// Two services in one vector would be one service's verdict for the other: the queries add everything up.
#[test]
fn every_query_returns_one_series_at_most() {
    for template in crate::files::documents(PROMETHEUS) {
        for metric in template["spec"]["metrics"].as_array().unwrap() {
            let query = metric["provider"]["prometheus"]["query"].as_str().unwrap().trim_start();
            assert!(["max(", "count(", "sum("].iter().any(|aggregate| query.starts_with(aggregate)), "{query}");
        }
    }
}
