//! A new release behind an old one: it starts, or says what is in its way.

use crate::commands::Desk;
use crate::servers::{Fault, Program};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::Ordering;

#[test]
fn a_new_release_behind_one_that_waits_for_a_person_is_refused_with_what_to_do() {
    let desk = Desk::new();
    let _running = desk.soaking();
    *desk.balancer.fault.lock().unwrap() = Fault::Refuses;
    desk.ticks.is_bad.store(true, Ordering::Relaxed);
    desk.reaches("escalated");
    desk.plan("checkout:1.2.5");
    let ran = desk.run(&["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"]);
    ran.fails(1, "checkout:1.2.4 has not been rolled back to its end: the weight of 0 % could not be set");
    assert!(ran.stderr.contains("`backstop rollout resume checkout` tries again"), "{ran:?}");
}

#[test]
fn a_new_release_says_what_it_waits_for() {
    let desk = Desk::new();
    let path = desk.folder.path().join("plan.toml");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("lasts = \"100ms\"", "lasts = \"1h\"")).unwrap();
    let _running = desk.soaking();
    desk.run(&["rollback", "checkout", "--reason", "r", "--by", "bo"]).succeeds();
    desk.reaches("recovering");
    desk.plan("checkout:1.2.5");
    let mut command = desk.command(&["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"]);
    let mut next = Program(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut said = String::new();
    BufReader::new(next.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let waits = "waiting for at most 120s: rollout 0001 of checkout:1.2.4 is recovering at 0 %, held by process ";
    assert!(said.starts_with(waits), "{said}");
}
