//! A pause ends when ticks say that the canary is good again, or by a person: not with a stage, a warm-up or missing data.

use backstop::rollback::{Decision, Judge, Policy, TickReader};
use serde_json::{Value, json};

/// Whole seconds after the first, with their ticks.
struct Run {
    judge: Judge,
    reader: TickReader,
    at: u32,
}

impl Run {
    fn new(policy: &Value) -> Self {
        Self { judge: Judge::new(Policy::parse(&policy.to_string()).unwrap()), reader: TickReader::new(), at: 0 }
    }

    /// Feeds seconds of the same tick; returns the decisions.
    fn add(&mut self, seconds: u32, stage: u32, canary: &Value, baseline: Option<&Value>) -> Vec<Decision> {
        (0..seconds)
            .map(|_| {
                self.at += 1;
                let mut line = json!({ "at": self.at, "stage": stage, "canary": canary });
                if let Some(baseline) = baseline {
                    line["baseline"] = baseline.clone();
                }
                self.judge.observe(self.reader.read(&line.to_string()).unwrap().unwrap()).decision
            })
            .collect()
    }
}

fn one(trigger: &Value) -> Value {
    json!({ "trigger": [trigger] })
}

fn requests(requests: u32, errors: u32) -> Value {
    json!({ "segments": { "default": { "requests": requests, "server_errors": errors } } })
}

#[track_caller]
fn all_pause(decisions: &[Decision]) {
    let other = decisions.iter().position(|decision| *decision != Decision::Pause);
    assert_eq!(other.map(|at| (at, decisions[at])), None, "not a pause");
}

#[track_caller]
fn ends_with(decisions: &[Decision], decision: Decision) {
    assert_eq!(decisions.last(), Some(&decision));
}

#[test]
fn neither_the_end_of_a_warm_up_nor_a_stage_ends_a_pause() {
    let policy = one(&json!({ "name": "errors", "kind": "errors", "acts": "pause", "ignore_first": "5s" }));
    let usual = requests(1900, 2);
    // The fault may be over before the warm-up is: what it was is still an open question for a while.
    for (errors, until) in [(10, 300), (10, 20), (1, 300)] {
        let mut run = Run::new(&policy);
        run.add(10, 5, &requests(100, 10), Some(&usual));
        ends_with(&run.add(until - 10, 5, &requests(100, errors), Some(&usual)), Decision::Pause);
        all_pause(&run.add(60, 5, &requests(100, 1), Some(&usual)));
        all_pause(&run.add(100, 20, &requests(100, 1), Some(&usual)));
        let good = run.add(1_800, 20, &requests(100, 0), Some(&usual));
        let end = good.iter().position(|decision| *decision != Decision::Pause).expect("it ends by evidence");
        assert!(good[end..].iter().all(|decision| *decision == Decision::Continue), "and once: {errors} {until}");
    }
}

#[test]
fn a_lost_baseline_ends_no_pause_of_errors() {
    let policy = one(&json!({ "name": "errors", "kind": "errors", "acts": "pause" }));
    let usual = requests(1900, 2);
    let mut run = Run::new(&policy);
    ends_with(&run.add(100, 5, &requests(100, 10), Some(&usual)), Decision::Pause);
    all_pause(&run.add(100, 5, &requests(100, 10), None));
    all_pause(&run.add(100, 5, &requests(0, 0), None));
    all_pause(&run.add(100, 5, &requests(100, 10), Some(&usual)));
}

#[test]
fn a_gauge_that_cannot_be_compared_stays_paused() {
    let policy =
        one(&json!({ "name": "cpu", "kind": "gauge", "gauge": "cpu", "acts": "pause", "ratio": 1.5, "above": 0.95 }));
    let (high, usual) = (json!({ "gauges": { "cpu": 0.8 } }), json!({ "gauges": { "cpu": 0.4 } }));
    let mut run = Run::new(&policy);
    ends_with(&run.add(62, 5, &high, Some(&usual)), Decision::Pause);
    all_pause(&run.add(30, 5, &high, Some(&json!({}))));
    all_pause(&run.add(30, 20, &high, None));
    all_pause(&run.add(100, 20, &json!({}), Some(&usual)));
    ends_with(&run.add(2, 20, &usual, Some(&usual)), Decision::Continue);
}

#[test]
fn a_ratio_of_one_is_not_broken_by_the_same_value() {
    let policy = one(&json!({ "name": "cpu", "kind": "gauge", "gauge": "cpu", "acts": "pause", "ratio": 1.0 }));
    let cpu = |value: f64| json!({ "gauges": { "cpu": value } });
    let mut run = Run::new(&policy);
    ends_with(&run.add(100, 5, &cpu(0.4), Some(&cpu(0.4))), Decision::Continue);
    ends_with(&run.add(100, 5, &cpu(0.41), Some(&cpu(0.4))), Decision::Pause);
}

#[test]
fn readiness_stays_paused_over_a_hole_and_a_new_stage() {
    let policy = one(&json!({ "name": "readiness", "kind": "readiness", "acts": "pause" }));
    let ready = |not_ready: u32| json!({ "instances": { "total": 4, "not_ready": not_ready } });
    let mut run = Run::new(&policy);
    run.add(10, 5, &ready(0), None);
    ends_with(&run.add(130, 5, &ready(2), None), Decision::Pause);
    all_pause(&run.add(100, 5, &json!({}), None));
    all_pause(&run.add(10, 5, &ready(2), None));
    all_pause(&run.add(100, 20, &ready(2), None));
    ends_with(&run.add(1, 20, &ready(0), None), Decision::Continue);
}

#[test]
fn a_circuit_that_is_not_reported_for_a_while_stays_paused() {
    let policy = json!({ "trigger": [
        { "name": "breakers", "kind": "breakers", "acts": "pause", "breakers": ["payments"], "within": "1m" },
    ] });
    let circuit = |name: &str, state: &str| json!({ "breakers": { name: state } });
    let mut run = Run::new(&policy);
    ends_with(&run.add(5, 5, &circuit("payments", "open"), None), Decision::Pause);
    all_pause(&run.add(100, 5, &circuit("search", "closed"), None));
    all_pause(&run.add(5, 5, &circuit("payments", "open"), None));
    ends_with(&run.add(1, 5, &circuit("payments", "closed"), None), Decision::Continue);
}

#[test]
fn other_buckets_end_no_pause_of_latencies() {
    let policy = one(&json!({ "name": "latency", "kind": "latency", "acts": "pause" }));
    let arm = |le: [f64; 3], counts: [u32; 4]| json!({ "segments": { "default": { "latency": { "success": { "le": le, "counts": counts } } } } });
    let (le, other) = ([0.1, 0.2, 0.4], [0.1, 0.25, 0.5]);
    let (slow, usual) = ([10, 20, 50, 20], [1000, 700, 180, 20]);
    let mut run = Run::new(&policy);
    ends_with(&run.add(60, 5, &arm(le, slow), Some(&arm(le, usual))), Decision::Pause);
    all_pause(&run.add(60, 5, &arm(other, slow), Some(&arm(other, usual))));
    all_pause(&run.add(60, 20, &arm(le, slow), None));
    all_pause(&run.add(60, 20, &arm(le, slow), Some(&arm(le, usual))));
    ends_with(&run.add(1_200, 20, &arm(le, [52, 37, 10, 1]), Some(&arm(le, usual))), Decision::Continue);
}
