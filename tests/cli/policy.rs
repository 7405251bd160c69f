//! `backstop policy`: shows, checks and explains policies.
#![cfg(feature = "cli")]

use crate::ran::Ran;
use std::fs;
use std::process::Command;

fn run(arguments: &[&str]) -> Ran {
    Ran::by(Command::new(env!("CARGO_BIN_EXE_backstop")).arg("policy").args(arguments).env_clear())
}

const TRAFFIC: [&str; 7] = ["explain", "--canary-rps", "100", "--baseline-rps", "1900", "--base-error", "0.1%"];

fn explain(more: &[&str]) -> Ran {
    run(&[&TRAFFIC[..], more].concat())
}

#[test]
fn the_policy_shown_is_one_that_passes_the_check() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let shown = run(&["show"]).succeeds().stdout;
    assert!(shown.contains("simulated false rollbacks"), "{shown}");
    fs::write(&file, shown).unwrap();
    let said = run(&["check", file.to_str().unwrap()]).succeeds().stdout;
    assert!(said.contains("errors, latency, readiness, breakers, client errors, cpu, memory"), "{said}");
}

#[test]
fn every_problem_of_a_policy_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    fs::write(&file, "horizon = \"1s\"\n[[trigger]]\nname = \"a\"\nkind = \"errors\"\nalpha = 2.0\nshare = 0.1\n")
        .unwrap();
    let ran = run(&["check", file.to_str().unwrap()]);
    for problem in ["horizon: \"1s\"", "trigger[0].alpha: 2", "trigger[0].share"] {
        ran.fails(2, problem);
    }
    run(&["check", "/does/not/exist"]).fails(2, "cannot be read");
}

#[test]
fn more_than_three_kpis_that_act_alone_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let trigger = |name| format!("[[trigger]]\nname = \"{name}\"\nkind = \"kpi\"\nkpi = \"{name}\"\n");
    fs::write(&file, ["a", "b", "c", "d"].map(trigger).concat()).unwrap();
    let ran = run(&["check", file.to_str().unwrap()]);
    assert!(ran.code == 0 && ran.stderr.contains("keep at most 3"), "{ran:?}");
}

#[test]
fn larger_weights_find_a_fault_sooner_and_let_more_requests_fail() {
    let value =
        Ran { stderr: String::new(), ..explain(&["--reps", "4", "--stage-minutes", "2", "--json"]) }.succeeds().value();
    let weights = value["weights"].as_array().unwrap();
    let of = |weight: usize, fault: usize, field: &str| weights[weight]["faults"][fault][field].as_f64();
    assert_eq!(weights.len(), 4);
    // 10 % errors, at 1 % and at 50 % of the traffic.
    assert_eq!(weights[0]["faults"][3]["fault"], "10 % errors");
    assert!(of(0, 3, "median_seconds") >= of(3, 3, "median_seconds"), "{value}");
    assert!(of(0, 3, "failed_requests") < of(3, 3, "failed_requests"), "{value}");
    assert_eq!(of(3, 3, "found_within_stage"), Some(1.0), "{value}");
    assert!(weights[1]["clean"]["rolled_back"]["upper"].as_f64() > Some(0.0), "{value}");
}

#[test]
fn it_says_in_words_what_happens_and_where_a_stage_is_too_short() {
    let ran = explain(&["--reps", "3", "--stage-minutes", "1"]);
    for words in
        ["With 5 % of the traffic in the canary (100 of 2000 requests a second)", "10 % errors: found half", "50 %"]
    {
        assert!(ran.stdout.contains(words), "{words}: {ran:?}");
    }
    assert!(ran.code == 0 && ran.stderr.contains("a stage of 1 min is too short for 1 % of this traffic"), "{ran:?}");
    assert!(ran.stderr.contains("a stage of 60 s is over before the warm-up of errors"), "{ran:?}");
    explain(&["--base-error", "70%"]).fails(2, "cannot be used multiple times");
    run(&["explain", "--canary-rps", "1", "--baseline-rps", "1", "--base-error", "70%"]).fails(2, "50%");
}
