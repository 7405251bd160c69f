//! Plays the scenario files under `tests/conformance` against the public API.
//!
//! `BACKSTOP_CONFORMANCE=FILE cargo test --test conformance -- --nocapture` plays one more file and shows a
//! line for each scenario.

mod breaker;
mod breaker_settings;
mod bulkhead;
mod limiter;
mod schema;
mod schema_bulkhead;
mod throttle;

use schema::Scenario;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn files() -> Vec<PathBuf> {
    let own = ["scenarios.jsonl", "own.jsonl"].map(|file| PathBuf::from("tests/conformance").join(file));
    own.into_iter().chain(std::env::var_os("BACKSTOP_CONFORMANCE").map(PathBuf::from)).collect()
}

#[test]
fn every_scenario_of_a_mechanism_that_there_is_holds() {
    let mut played = BTreeMap::<String, u32>::new();
    let mut elsewhere = BTreeMap::<String, u32>::new();
    let mut failures = Vec::new();
    for file in files() {
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let value: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
            let play = match value["kind"].as_str() {
                Some("breaker") => breaker::play,
                Some("throttle") => throttle::play,
                Some("bulkhead") => bulkhead::play,
                Some("limiter") => limiter::play,
                kind => {
                    *elsewhere.entry(kind.unwrap_or("none").to_owned()).or_default() += 1;
                    continue;
                }
            };
            let scenario: Scenario = serde_json::from_value(value).expect("each line is a scenario");
            let result = play(&scenario);
            let verdict = if result.is_ok() { "ok  " } else { "FAIL" };
            println!("{verdict} {} {}", scenario.id, scenario.title);
            *played.entry(scenario.kind.clone()).or_default() += 1;
            let problems = result.err().unwrap_or_default();
            failures.extend(problems.into_iter().map(|problem| format!("{}: {problem}", scenario.id)));
        }
    }
    println!("played: {played:?}; of other mechanisms or no scenario: {elsewhere:?}");
    assert!(failures.is_empty(), "{} expectations failed:\n{}", failures.len(), failures.join("\n"));
}
