//! Rollbacks without a controller, or with one that hangs, and what is left of them.

use crate::commands::{Desk, code};
use crate::servers::{Hook, eventually};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const ROLLBACK: [&str; 6] = ["rollback", "checkout", "--reason", "r", "--by", "bo"];
const CUT: [&str; 7] = ["rollback", "checkout", "--break-glass", "--reason", "r", "--by", "bo"];

/// A release with traffic, whose controller was killed.
fn killed() -> Desk {
    let desk = Desk::new();
    drop(desk.soaking());
    assert!(desk.balancer.share() > 4.0);
    desk
}

fn folder(desk: &Desk) -> PathBuf {
    desk.folder.path().join("backstop-state/checkout/rollouts/0001")
}

fn sets(desk: &Desk) -> usize {
    desk.balancer.sets.lock().unwrap().len()
}

#[test]
fn a_second_rollback_is_no_operation_with_a_code_of_its_own_unless_traffic_is_back() {
    let desk = killed();
    desk.run(&ROLLBACK).succeeds();
    let before = sets(&desk);
    for again in [&ROLLBACK[..], &CUT] {
        desk.run(again).fails(4, "checkout:1.2.4 is rolled back already and has no traffic: nothing to do");
    }
    assert_eq!(sets(&desk), before);
    for again in [&ROLLBACK[..], &CUT] {
        desk.balancer.set_share(50);
        desk.run(again).succeeds();
        assert!(desk.balancer.is_at(0));
    }
}

#[test]
fn a_rollback_acts_from_the_plan_alone_where_the_journal_is_damaged() {
    for (is_folder, command) in [(false, &CUT[..]), (true, &CUT), (false, &ROLLBACK)] {
        let desk = killed();
        let journal = folder(&desk).join("journal.jsonl");
        let text = fs::read_to_string(&journal).unwrap();
        if is_folder {
            fs::remove_file(&journal).unwrap();
            fs::create_dir(&journal).unwrap();
        } else {
            fs::write(&journal, text.replacen("mira", "eve", 1)).unwrap();
        }
        let says = if is_folder { "cannot be read" } else { "was changed" };
        desk.run(&["status", "checkout"]).fails(3, says);
        let list = desk.run(&["list"]).succeeds().stdout;
        assert!(list.starts_with("checkout ") && list.contains(says), "{list}");
        let ran = desk.run(command);
        assert_eq!((ran.code, desk.balancer.is_at(0)), (0, true), "{ran:?}");
        assert!(ran.stderr.contains(says) && ran.stderr.contains("it is kept as"), "{ran:?}");
        let log = fs::read_to_string(desk.folder.path().join("log")).unwrap();
        assert_eq!(log, "switched\nevidence\ndown\n", "each step of the plan");
        let aside = fs::read_dir(folder(&desk)).unwrap().flatten();
        let aside = aside.filter(|entry| entry.file_name().to_string_lossy().starts_with("journal-damaged-"));
        assert_eq!(aside.count(), 1);
        assert!(!fs::read_to_string(&journal).unwrap().contains("\"kind\":\"started\""), "it is not built on");
        assert_eq!(desk.state(), "recovering");
        desk.run(command).fails(4, "nothing to do");
    }
}

#[test]
fn a_rollback_after_one_that_lost_the_journal_knows_that_it_is_lost() {
    let desk = killed();
    let journal = folder(&desk).join("journal.jsonl");
    fs::rename(&journal, journal.with_file_name("journal-damaged-1.jsonl")).unwrap(); // killed before its first record
    let ran = desk.run(&ROLLBACK);
    assert_eq!((ran.code, desk.balancer.is_at(0)), (0, true), "{ran:?}");
    assert!(ran.stderr.contains("was put aside by a rollback before this one"), "{ran:?}");
    let log = fs::read_to_string(desk.folder.path().join("log")).unwrap();
    assert_eq!(log, "switched\nevidence\ndown\n", "each step of the plan");
}

#[test]
fn without_a_journal_the_weight_comes_first_and_what_may_have_been_done_is_not_repeated() {
    let desk = Desk::new();
    let plan = fs::read_to_string(desk.folder.path().join("plan.toml")).unwrap();
    let plan = plan.replace(r#", verify = ["grep", "-q", "switched", "log"]"#, "");
    fs::write(desk.folder.path().join("plan.toml"), plan).unwrap();
    drop(desk.soaking());
    fs::write(folder(&desk).join("journal.jsonl"), "{}\n").unwrap();
    desk.run(&ROLLBACK).fails(6, "rollback[0] (kill_switch) failed: it may have been done");
    assert!(desk.balancer.is_at(0) && !desk.folder.path().join("log").exists());
}

#[test]
fn a_damaged_service_hides_no_other_and_a_plan_that_is_gone_is_said() {
    let desk = killed();
    let state = desk.folder.path().join("backstop-state");
    fs::rename(state.join("checkout"), state.join("billing")).unwrap();
    desk.flow(false);
    let running = desk.start(&["--by", "mira"]);
    desk.reaches("checking");
    drop(running);
    fs::remove_file(state.join("billing/rollouts/0001/plan.toml")).unwrap();
    for command in ["list", "status"] {
        let text = desk.run(&[command]).succeeds().stdout;
        assert!(text.contains("checkout:1.2.4") && text.contains("billing"), "{text}");
        assert!(text.contains("its plan") && text.contains("cannot be read"), "{text}");
    }
    desk.run(&["status", "billing"]).fails(3, "its plan");
    desk.run(&["rollback", "billing", "--reason", "r", "--by", "bo"]).fails(3, "plan.toml cannot be read");
}

#[test]
fn a_controller_that_hangs_is_named_with_what_to_do() {
    let desk = Desk::new();
    let running = desk.soaking();
    let pid = running.0.id().to_string();
    assert!(Command::new("kill").args(["-STOP", &pid]).status().unwrap().success());
    let ran = desk.run(&CUT);
    ran.fails(3, &format!("end it with `kill -9 {pid}`"));
    assert!(ran.stderr.contains("of mira (rollout start checkout:1.2.4, since "), "{ran:?}");
    drop(running); // killed
    desk.run(&CUT).succeeds();
    assert!(desk.balancer.is_at(0));
}

#[test]
fn a_rollback_that_is_in_no_journal_is_not_forgotten() {
    let desk = killed();
    let journal = folder(&desk).join("journal.jsonl");
    let before = fs::read(&journal).unwrap();
    desk.run(&CUT).succeeds();
    fs::write(&journal, before).unwrap();
    let text = desk.run(&["status", "checkout"]).succeeds().stdout;
    assert!(
        text.contains("recovering at 0 %") && text.contains("the journal has no record of this rollback"),
        "{text}"
    );
    let start = ["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"];
    desk.run(&start).fails(1, "its journal has no record of that: add --reason to try it again");
    assert!(desk.balancer.is_at(0));
    let again = desk.start(&["--by", "bo", "--reason", "it was the network"]);
    eventually("it begins anew", || desk.run(&["status"]).stdout.contains("rollout 0002").then_some(()));
    drop(again);
}

#[test]
fn a_controller_that_cannot_go_on_pages_as_its_release_keeps_its_traffic() {
    let (desk, hook) = (Desk::new(), Hook::new(|_| (200, String::new())));
    let path = desk.folder.path().join("plan.toml");
    let alert = format!("alert = [{{ kind = \"generic\", url = \"{}\", level = \"page\" }}]\n", hook.url);
    fs::write(&path, format!("{alert}{}", fs::read_to_string(&path).unwrap())).unwrap();
    drop(desk.soaking());
    fs::write(folder(&desk).join("journal.jsonl"), "{}\n").unwrap();
    let start = ["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"];
    desk.run(&start).fails(3, "was changed");
    let sent = hook.requests.lock().unwrap();
    assert!(sent.len() == 1 && sent[0].contains("its release keeps the traffic that it has: the journal"), "{sent:?}");
}

#[test]
fn a_controller_whose_lock_was_removed_leaves_the_release_to_the_next() {
    let desk = Desk::new();
    let running = desk.soaking();
    fs::remove_file(desk.folder.path().join("backstop-state/checkout/lock")).unwrap();
    desk.run(&ROLLBACK).succeeds();
    assert_eq!(code(running), 6, "a person has to decide");
    assert!(desk.balancer.is_at(0), "what the other did stays");
    desk.run(&["status", "checkout"]).succeeds();
}
