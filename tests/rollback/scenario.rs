//! Scenarios as data: TOML that expands to the lines of a tick file.
//!
//! A phase is a number of ticks in which `canary` and `baseline` stay as they are; what it does not name is that of
//! `always`. A value may also be
//!
//! - `{ cycle = [1, 0, 0] }`: one after the other, again and again; `"absent"` leaves the field out,
//! - `{ from = 500, by = 10 }`: a counter,
//! - `{ median = 0.05, requests = 100, slow = { share = 0.02, by = 0.3 } }`: a histogram of latencies, in seconds.
//!
//! A name such as `s{1..19}` stands for nineteen. A twin is the same scenario with one value set, at the path that is given.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    scenario: Vec<Value>,
}

/// A scenario as it is written.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) teaches: String,
    pub(crate) expect: Expect,
    pub(crate) twin: Twin,
    #[serde(default)]
    pub(crate) policy: Option<Value>,
    /// The time of second 0, for a file with times instead of seconds.
    #[serde(default)]
    start: Option<jiff::Timestamp>,
    #[serde(default)]
    always: Value,
    phase: Vec<Phase>,
    #[serde(skip)]
    source: Value,
}

/// The decision at the end, and when it was first reached.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    pub(crate) decision: String,
    pub(crate) within: [f64; 2],
    /// In the sentence at the end.
    #[serde(default)]
    pub(crate) says: String,
    /// In a warning at the end; empty if there must be none.
    #[serde(default)]
    pub(crate) warns: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Twin {
    set: BTreeMap<String, Value>,
    pub(crate) decision: String,
    #[serde(default)]
    pub(crate) says: String,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phase {
    ticks: u32,
    #[serde(default = "one")]
    every: f64,
    /// Seconds without a tick before it.
    #[serde(default)]
    skip: f64,
    #[serde(default)]
    stage: Option<f64>,
    #[serde(default)]
    restart_clock: bool,
    #[serde(default)]
    canary: Value,
    #[serde(default)]
    baseline: Value,
}

fn one() -> f64 {
    1.0
}

/// Every scenario of the folder, by file and in its order.
pub(crate) fn all() -> Vec<Scenario> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rollback/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let file: File = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        file.scenario
    };
    paths.iter().flat_map(read).map(Scenario::of).collect()
}

impl Scenario {
    fn of(source: Value) -> Self {
        let mut scenario: Self =
            serde_json::from_value(source.clone()).unwrap_or_else(|error| panic!("{}: {error}", source["name"]));
        scenario.source = source;
        scenario
    }

    /// The same with one value set.
    pub(crate) fn twin(&self) -> Self {
        let (path, value) = self.twin.set.iter().next().expect("a twin sets a value");
        assert_eq!(self.twin.set.len(), 1, "{}: a twin differs in one value", self.name);
        let mut source = self.source.clone();
        let mut place = &mut source;
        for step in path.split('.') {
            place = match step.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[step],
            };
        }
        assert_ne!(place, value, "{}: the twin is the same", self.name);
        *place = value.clone();
        Self::of(source)
    }

    /// The policy, as text.
    pub(crate) fn policy(&self) -> Option<String> {
        self.policy.as_ref().map(Value::to_string)
    }

    /// The lines of its tick file.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut at = if self.start.is_some() { -1.0 } else { 0.0 };
        for phase in &self.phase {
            at = phase.skip + if phase.restart_clock { 0.0 } else { at };
            let mut phase_line = self.always.clone();
            merge(&mut phase_line, &json!({ "canary": phase.canary, "baseline": phase.baseline }));
            if let Some(stage) = phase.stage {
                phase_line["stage"] = json!(stage);
            }
            for i in 0..phase.ticks {
                at += phase.every;
                let mut line = expand(&phase_line, i).expect("a line");
                line["at"] = match self.start {
                    None => json!(at),
                    Some(start) => {
                        let at = std::time::Duration::from_secs_f64(at);
                        json!(start.checked_add(at).unwrap().to_string())
                    }
                };
                lines.push(line.to_string());
            }
        }
        lines
    }
}

/// Sets what `more` has in `value`, at any depth.
fn merge(value: &mut Value, more: &Value) {
    match (value, more) {
        (_, Value::Null) => {}
        (Value::Object(value), Value::Object(more)) => {
            for (name, more) in more {
                merge(value.entry(name.clone()).or_insert(Value::Null), more);
            }
        }
        (value, more) => *value = more.clone(),
    }
}

/// The value in tick `i` of a phase; none where it is absent.
fn expand(value: &Value, i: u32) -> Option<Value> {
    let Value::Object(fields) = value else {
        return (!value.is_null() && value != "absent").then(|| value.clone());
    };
    if let Some(cycle) = fields.get("cycle").and_then(Value::as_array) {
        return expand(&cycle[i as usize % cycle.len()], i);
    }
    let number = |name: &str| fields.get(name).and_then(Value::as_f64);
    if let (Some(from), Some(by)) = (number("from"), number("by")) {
        return Some(json!(from + by * f64::from(i)));
    }
    if let Some(median) = number("median") {
        let slow = &fields.get("slow").cloned().unwrap_or_default();
        let slow = (slow["share"].as_f64().unwrap_or(0.0), slow["by"].as_f64().unwrap_or(0.0));
        return Some(histogram(median, number("requests").expect("requests"), slow));
    }
    let mut expanded = Map::new();
    for (name, value) in fields {
        let Some(value) = expand(value, i) else { continue };
        for name in names(name) {
            expanded.insert(name, value.clone());
        }
    }
    Some(Value::Object(expanded))
}

/// `s{1..3}` is s1, s2 and s3.
fn names(name: &str) -> Vec<String> {
    let Some((before, range)) = name.strip_suffix('}').and_then(|name| name.split_once('{')) else {
        return vec![name.to_owned()];
    };
    let (first, last) = range.split_once("..").expect("a range of numbers");
    let (first, last): (u32, u32) = (first.parse().unwrap(), last.parse().unwrap());
    (first..=last).map(|number| format!("{before}{number}")).collect()
}

/// A log-logistic distribution, whose p99 is 3.2 times its median; a share of it is slower by some seconds.
fn histogram(median: f64, requests: f64, (share, by): (f64, f64)) -> Value {
    let le: Vec<f64> = (0..24).map(|i| (0.001 * 1.5_f64.powi(i) * 1e6).round() / 1e6).collect();
    let below = |latency: f64| if latency <= 0.0 { 0.0 } else { 1.0 / (1.0 + (median / latency).powi(4)) };
    let below = |latency: f64| requests * ((1.0 - share) * below(latency) + share * below(latency - by));
    let edges: Vec<f64> = std::iter::once(0.0).chain(le.iter().map(|edge| below(*edge))).chain([requests]).collect();
    let counts: Vec<f64> = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
    json!({ "le": le, "counts": counts })
}
