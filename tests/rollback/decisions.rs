//! Every scenario ends as it says, and its twin otherwise.

use crate::scenario::{Scenario, all};
use backstop::rollback::{Judge, Policy, TickReader, Verdict};
use std::collections::BTreeSet;

fn policy(scenario: &Scenario) -> Policy {
    let parse = |text: String| Policy::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
    scenario.policy().map(parse).unwrap_or_default()
}

fn verdicts(scenario: &Scenario) -> Vec<Verdict> {
    let (mut judge, mut ticks) = (Judge::new(policy(scenario)), TickReader::new());
    let read = |line: String| ticks.read(&line).unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
    let mut verdicts: Vec<_> = scenario.lines().into_iter().filter_map(read).map(|tick| judge.observe(tick)).collect();
    verdicts.extend(judge.finish());
    verdicts
}

/// What is wrong with how it ended; nothing if all is as expected.
fn problems(scenario: &Scenario) -> Vec<String> {
    let mut problems = Vec::new();
    let expect = &scenario.expect;
    let verdicts = verdicts(scenario);
    let last = verdicts.last().expect("a verdict");
    let first = verdicts.iter().find(|verdict| verdict.decision.as_str() == expect.decision).map(|first| first.at);
    if last.decision.as_str() != expect.decision {
        let changes = verdicts.windows(2).filter(|pair| pair[0].decision != pair[1].decision);
        let changes: Vec<_> = changes.map(|pair| format!("{} at {}", pair[1].decision.as_str(), pair[1].at)).collect();
        problems.push(format!("it ends with {}: {} (changes: {changes:?})", last.decision.as_str(), last.sentence));
    }
    if !first.is_some_and(|first| (expect.within[0]..=expect.within[1]).contains(&first)) {
        problems.push(format!("{} first at {first:?}, expected within {:?}", expect.decision, expect.within));
    }
    if !last.sentence.contains(&expect.says) {
        problems.push(format!("{:?} is not in the sentence: {}", expect.says, last.sentence));
    }
    let warnings = last.warnings.join("; ");
    if if expect.warns.is_empty() { !warnings.is_empty() } else { !warnings.contains(&expect.warns) } {
        problems.push(format!("expected to warn {:?}, and it warns {warnings:?}", expect.warns));
    }
    let twin = verdicts_of_twin(scenario);
    if twin.decision.as_str() != scenario.twin.decision {
        problems.push(format!("its twin ends with {}: {}", twin.decision.as_str(), twin.sentence));
    }
    if !twin.sentence.contains(&scenario.twin.says) {
        problems.push(format!("{:?} is not in the twin's sentence: {}", scenario.twin.says, twin.sentence));
    }
    if twin.decision == last.decision && twin.warnings.is_empty() == last.warnings.is_empty() {
        problems.push("its twin is judged alike".to_owned());
    }
    problems
}

fn verdicts_of_twin(scenario: &Scenario) -> Verdict {
    verdicts(&scenario.twin()).pop().expect("a verdict")
}

#[test]
fn every_scenario_ends_as_it_says_and_its_twin_otherwise() {
    let scenarios = all();
    assert!(scenarios.len() >= 40, "{} scenarios", scenarios.len());
    let problems = scenarios
        .iter()
        .flat_map(|scenario| problems(scenario).into_iter().map(|problem| format!("\n{}: {problem}", scenario.name)));
    let problems: Vec<_> = problems.collect();
    assert!(problems.is_empty(), "{}", problems.concat());
}

#[test]
fn every_scenario_has_a_name_of_its_own_and_teaches_something() {
    let scenarios = all();
    let names: BTreeSet<_> = scenarios.iter().map(|scenario| &scenario.name).collect();
    assert_eq!(names.len(), scenarios.len());
    for Scenario { name, teaches, .. } in &scenarios {
        assert!(teaches.len() > 30 && teaches.ends_with('.'), "{name}: {teaches}");
    }
}

/// The same ticks, verdict for verdict: the judge has no clock and no chance in it.
#[test]
fn a_judge_is_a_function_of_its_ticks() {
    for scenario in all().iter().take(10) {
        assert_eq!(verdicts(scenario), verdicts(scenario), "{}", scenario.name);
    }
}

/// Lines that every reader of the output has, in this form.
#[test]
fn a_verdict_is_json_with_a_decision_and_every_trigger() {
    let scenarios = all();
    let scenario = scenarios.iter().find(|scenario| scenario.name == "ten percent fail").expect("the scenario");
    let verdict = serde_json::to_value(verdicts(scenario).pop()).unwrap();
    assert_eq!((&verdict["decision"], &verdict["code"]), (&"rollback".into(), &3.into()));
    let triggers = verdict["triggers"].as_array().unwrap();
    assert_eq!(triggers.len(), Policy::default().triggers().count());
    for field in ["name", "kind", "state", "canary", "baseline", "ratio", "samples", "sentence"] {
        assert!(triggers.iter().all(|trigger| trigger.get(field).is_some()), "{field}: {triggers:#?}");
    }
    assert!(verdict["override"].is_null());
}
