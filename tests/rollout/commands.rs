//! The command `backstop rollout`, as people type it.

use crate::http::{access, send};
use crate::ran::Ran;
use crate::scene::{Ticks, plan_text};
use crate::servers::{FakeHaproxy, Fault, Hook, Program, eventually, free_port};
use backstop::rollback::Policy;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

/// A folder with a plan, a fake load balancer and ticks that the test writes.
pub(crate) struct Desk {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) balancer: FakeHaproxy,
    pub(crate) ticks: Ticks,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let balancer = FakeHaproxy::new(folder.path(), &["c1", "s1"]);
        let desk = Self { folder, balancer, ticks: Ticks::default() };
        desk.plan("checkout:1.2.4");
        fs::write(desk.folder.path().join("ticks.jsonl"), "").unwrap();
        desk
    }

    pub(crate) fn plan(&self, artifact: &str) {
        let plan = plan_text(&self.balancer.socket, "").replace("checkout:1.2.4", artifact);
        let plan = plan.replacen("50ms", "20s", 1); // the first stage lasts
        fs::write(self.folder.path().join("plan.toml"), plan).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        command.arg("rollout").args(arguments).current_dir(self.folder.path()).env_clear();
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::by(&mut self.command(arguments))
    }

    pub(crate) fn start(&self, more: &[&str]) -> Program {
        self.ticks.start(self.command(&[]), more)
    }

    /// Starts a rollout, up to the traffic of its first stage.
    pub(crate) fn soaking(&self) -> Program {
        let running = self.start(&["--by", "mira"]);
        self.flow(true);
        self.reaches("soaking");
        running
    }

    pub(crate) fn flow(&self, flows: bool) {
        self.ticks.flow.store(flows, Ordering::Relaxed);
    }

    pub(crate) fn state(&self) -> String {
        let ran = self.run(&["status", "checkout", "--json"]);
        if ran.code == 0 { ran.value()[0]["state"].as_str().unwrap_or_default().to_owned() } else { String::new() }
    }

    pub(crate) fn reaches(&self, state: &str) {
        eventually(state, || (self.state() == state).then_some(()));
    }
}

pub(crate) fn code(mut program: Program) -> i32 {
    eventually("the controller ends", || program.0.try_wait().unwrap()).code().unwrap()
}

#[test]
fn a_rollback_of_a_service_without_a_rollout_is_no_operation_with_a_code_of_its_own() {
    let desk = Desk::new();
    for _ in 0..2 {
        desk.run(&["rollback", "checkout", "--reason", "r", "--by", "bo"]).fails(4, "has no rollout of checkout");
    }
    assert_eq!(desk.balancer.sets.lock().unwrap().len(), 0);
    assert_eq!(desk.run(&["list"]).succeeds().stdout, "no rollouts in backstop-state\n");
    for (unit, state) in [("/none/a:/none/b", "/none/a"), ("", "backstop-state")] {
        let ran = Ran::by(desk.command(&["list"]).env("STATE_DIRECTORY", unit));
        assert_eq!(ran.succeeds().stdout, format!("no rollouts in {state}\n"));
    }
    desk.run(&["report", "checkout"]).fails(4, "checkout has no rollouts in");
    desk.run(&["status", "../x"]).fails(2, "service: \"../x\" is not allowed");
    desk.run(&["rollback", "checkout"]).fails(2, "--reason");
}

#[test]
fn commands_reach_the_controller_and_a_second_one_is_refused_by_name() {
    let desk = Desk::new();
    let running = desk.start(&["--by", "mira"]);
    desk.reaches("checking");
    desk.run(&["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"])
        .fails(1, "of mira (rollout start checkout:1.2.4");
    let said = desk.run(&["pause", "checkout", "--reason", "lunch", "--by", "bo"]).succeeds().stdout;
    assert_eq!(said, "paused at 0 %; a verdict still rolls back\n");
    let text = desk.run(&["status"]).succeeds().stdout;
    assert!(text.contains("checkout: checkout:1.2.4, before checkout:1.2.3 (rollout 0001)"), "{text}");
    assert!(text.contains("paused by bo: lunch") && text.contains("controller: process"), "{text}");
    desk.run(&["disable", "checkout", "--for", "8d", "--reason", "r", "--by", "bo"]).fails(2, "must be 1s to 7d");
    desk.run(&["enable", "checkout", "--reason", "r", "--by", "bo"]).fails(1, "automation is not disabled");
    desk.run(&["resume", "checkout", "--reason", "r", "--by", "bo"]).succeeds();
    desk.flow(true);
    desk.reaches("soaking");
    let said = desk.run(&["rollback", "checkout", "--break-glass", "--reason", "r", "--by", "bo"]).succeeds().stdout;
    assert_eq!(said, "rolling back from 5 %\n");
    eventually("weight 0", || desk.balancer.is_at(0).then_some(()));
    desk.reaches("rolled_back");
    assert_eq!(code(running), 20);
}

#[test]
fn a_new_release_takes_the_place_of_one_that_runs_or_was_killed() {
    let desk = Desk::new();
    let running = desk.soaking();
    desk.plan("checkout:1.2.5");
    let next = desk.start(&["--by", "bo"]);
    assert_eq!(code(running), 21, "superseded");
    eventually("the next one begins", || (desk.run(&["list"]).stdout.contains("checkout:1.2.5")).then_some(()));
    desk.flow(true);
    desk.reaches("soaking");
    drop(next); // killed
    desk.plan("checkout:1.2.6");
    let last = desk.start(&["--by", "bo"]);
    eventually("the last one begins", || desk.run(&["list"]).stdout.contains("checkout:1.2.6").then_some(()));
    drop(last);
    let folder = desk.folder.path().join("backstop-state/checkout/rollouts");
    for number in ["0001", "0002"] {
        let journal = fs::read_to_string(folder.join(number).join("journal.jsonl")).unwrap();
        assert!(journal.lines().last().unwrap().contains("\"state\":\"superseded\""), "{number}");
        assert!(folder.join(number).join("evidence/ticks.jsonl").exists(), "evidence is kept");
    }
}

#[test]
fn a_release_that_was_rolled_back_is_tried_again_with_a_reason_only() {
    let desk = Desk::new();
    let running = desk.soaking();
    desk.ticks.is_bad.store(true, Ordering::Relaxed);
    desk.reaches("rolled_back");
    assert_eq!(code(running), 20);
    let start = ["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"];
    let ran = desk.run(&start);
    assert_eq!((ran.code, &*ran.stdout), (20, "checkout:1.2.4: rolled back\n"), "{ran:?}");
    assert!(ran.stderr.contains("rollout 0001 of this plan has ended: add --reason to try it again"), "{ran:?}");
    let plan = desk.folder.path().join("plan.toml");
    fs::write(&plan, format!("# edited\n{}", fs::read_to_string(&plan).unwrap())).unwrap();
    desk.run(&start).fails(1, "checkout:1.2.4 was rolled back before (rollout 0001): add --reason");
    desk.run(&["rollback", "checkout", "--reason", "r", "--by", "bo"]).fails(4, "has ended: rolled back");
    let again = desk.start(&["--by", "bo", "--reason", "config fixed"]);
    eventually("it begins", || desk.run(&["status"]).stdout.contains("rollout 0002").then_some(()));
    drop(again);
}

#[test]
fn without_a_controller_a_rollback_acts_itself_and_other_commands_say_how_to_go_on() {
    let desk = Desk::new();
    let running = desk.soaking();
    drop(running); // killed
    assert!(desk.balancer.share() > 4.0);
    desk.run(&["pause", "checkout", "--reason", "r", "--by", "bo"]).fails(3, "no controller runs for checkout");
    let text = desk.run(&["status"]).succeeds().stdout;
    assert!(text.contains("no controller runs: `backstop rollout start` with the same plan goes on"), "{text}");
    let said = desk.run(&["rollback", "checkout", "--reason", "r", "--by", "bo"]).succeeds().stdout;
    assert!(said.starts_with("checkout:1.2.4 has no traffic. Nothing here sees"), "{said}");
    assert!(desk.balancer.is_at(0));
    desk.reaches("recovering");
}

#[test]
fn a_plan_or_source_that_is_not_valid_starts_nothing() {
    let desk = Desk::new();
    let start = ["start", "plan.toml", "--by", "bo", "--source"];
    let run = |source: &str| desk.run(&[&start[..], &[source]].concat());
    run("ticks:none.jsonl").fails(2, "none.jsonl cannot be read");
    let plan = fs::read_to_string(desk.folder.path().join("plan.toml")).unwrap();
    fs::write(desk.folder.path().join("plan.toml"), plan.replace("2099", "2019")).unwrap();
    run("ticks:ticks.jsonl").fails(2, "expires: 2019-01-31T00:00:00Z is not allowed, must be after now");
    let lines: Vec<_> = plan.lines().filter(|line| !line.starts_with("traffic =")).collect();
    fs::write(desk.folder.path().join("plan.toml"), lines.join("\n")).unwrap();
    run("ticks:ticks.jsonl").fails(2, "traffic: required, as this controller moves it");
    assert_eq!(desk.balancer.sets.lock().unwrap().len(), 0);
}

#[test]
fn a_new_release_starts_after_one_that_was_rolled_back_and_its_open_cause_is_said() {
    let desk = Desk::new();
    let running = desk.soaking();
    desk.run(&["reject", "checkout", "--reason", "r", "--by", "bo"]).succeeds();
    desk.reaches("rolled_back");
    assert_eq!(code(running), 20);
    desk.plan("checkout:1.2.5");
    let mut command = desk.command(&["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"]);
    let mut next = Program(command.stderr(Stdio::piped()).spawn().unwrap());
    let mut said = String::new();
    BufReader::new(next.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said, "warning: checkout:1.2.4 was rolled back, and its cause may still be there\n");
    eventually("it begins", || desk.run(&["status"]).stdout.contains("rollout 0002").then_some(()));
}

#[test]
fn a_plan_that_is_refused_alerts_its_receivers() {
    let desk = Desk::new();
    let hook = Hook::new(|_| (200, String::new()));
    let path = desk.folder.path().join("plan.toml");
    let alert = format!("budget = \"2s\"\nalert = [{{ kind = \"slack\", url = \"{}\" }}]", hook.url);
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("budget = \"2m\"", &alert)).unwrap();
    let ran = desk.run(&["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"]);
    ran.fails(2, "at least the sum of the timeouts");
    let sent = hook.requests.lock().unwrap();
    assert!(sent.len() == 1 && sent[0].contains("was not started: plan.toml has 1 problem"), "{sent:?}");
    drop(sent);
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("budget = \"2s\"", "budget = \"2m\"")).unwrap();
    fs::write(desk.folder.path().join("policy.toml"), "x = 1").unwrap();
    desk.run(&["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"]).fails(2, "policy.toml");
    let sent = hook.requests.lock().unwrap();
    assert!(sent.len() == 2 && sent[1].contains("policy.toml has 2 problems"), "{sent:?}");
}

#[test]
fn a_controller_answers_http_where_it_is_told_to_listen() {
    let desk = Desk::new();
    fs::write(desk.folder.path().join("access.json"), access().to_json()).unwrap();
    let start = ["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo", "--listen", "127.0.0.1:0"];
    desk.run(&start).fails(2, "--access-file");
    let mut command = desk.command(&start);
    command.args(["--access-file", "access.json"]).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = Program(command.spawn().unwrap());
    let mut said = String::new();
    BufReader::new(running.0.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let address = said.trim().strip_prefix("listening on ").unwrap();
    desk.reaches("checking");
    let verdict = send(&format!("{address}/v1/verdict?service=checkout"), 9, None);
    assert_eq!((verdict.0, &verdict.1["decision"]), (200, &"collecting".into()), "{verdict:?}");
    let other = send(&format!("{address}/v1/verdict?rollout=other"), 9, None);
    assert_eq!((other.0, &other.1["decision"]), (200, &"collecting".into()), "its judging goes on: {other:?}");
    let hook = send(&format!("{address}/v1/hooks/rollback"), 9, Some(r#"{"name": "checkout"}"#));
    assert_eq!((hook.0, &hook.1["code"]), (403, &"wrong_token".into()), "{hook:?}");
    let answer = send(&format!("{address}/v1/rollouts/checkout/reject"), 1, Some(r#"{"reason": "r"}"#));
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(code(running), 21);
    let shown = desk.run(&["status", "checkout", "--watch"]).succeeds().stdout;
    assert!(shown.contains("aborted at 0 %"), "{shown}");
}

#[test]
fn a_rollout_that_has_begun_goes_on_with_its_own_policy_after_its_plan_has_expired() {
    let desk = Desk::new();
    let (plan, policy) = (desk.folder.path().join("plan.toml"), desk.folder.path().join("limits.toml"));
    fs::write(&policy, Policy::DEFAULT).unwrap();
    fs::write(&plan, format!("{}\npolicy = \"limits.toml\"\n", fs::read_to_string(&plan).unwrap())).unwrap();
    let running = desk.start(&["--by", "mira"]);
    let kept = "backstop-state/checkout/rollouts/0001/plan.toml";
    let journal = desk.folder.path().join(kept).with_file_name("journal.jsonl");
    eventually("it has begun", || fs::metadata(&journal).ok().filter(|journal| journal.len() > 0));
    drop(running); // killed
    fs::remove_file(policy).unwrap();
    let expired = fs::read_to_string(&plan).unwrap().replace("2099", "2019");
    fs::write(&plan, &expired).unwrap();
    fs::write(desk.folder.path().join(kept), &expired).unwrap();
    for (path, command) in [("plan.toml", "pause"), (kept, "reject")] {
        let mut start = desk.command(&["start", path, "--source", "ticks:ticks.jsonl", "--by", "bo"]);
        let mut running = Program(start.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(running.0.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("rollout 0001 of checkout: "), "{path}: {said}");
        desk.run(&[command, "checkout", "--reason", "r", "--by", "bo"]).succeeds();
        if command == "reject" {
            assert_eq!(code(running), 21);
        }
    }
    let again = ["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo", "--reason", "r"];
    let ran = desk.run(&again[..6]);
    assert!(ran.code == 21 && ran.stderr.contains("has ended: add --reason to try it again"), "{ran:?}");
    desk.run(&again).fails(2, "expires: 2019-01-31T00:00:00Z is not allowed, must be after now");
}

#[test]
fn a_file_of_ticks_is_not_read_twice_by_a_controller_that_goes_on() {
    let desk = Desk::new();
    let ticks = desk.folder.path().join("ticks.jsonl");
    let line = |at: u32, errors: u32| {
        let arm = |requests: u32, errors: u32| {
            format!(
                r#"{{"segments": {{"default": {{"requests": {requests}, "server_errors": {errors}}}}}, "instances": {{"total": 2}}}}"#
            )
        };
        format!("{{\"at\": {at}, \"canary\": {}, \"baseline\": {}}}\n", arm(300, errors), arm(1_900, 1))
    };
    let add = |lines: &str| {
        let mut file = fs::OpenOptions::new().append(true).open(&ticks).unwrap();
        std::io::Write::write_all(&mut file, lines.as_bytes()).unwrap();
    };
    let start = || {
        let mut command = desk.command(&["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "mira"]);
        Program(command.args(["--look-every", "0.02"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
    };
    let lines = |name: &str| {
        let kept = desk.folder.path().join("backstop-state/checkout/rollouts/0001").join(name);
        fs::read_to_string(kept).unwrap_or_default().lines().count()
    };
    let seen = || lines("evidence/ticks.jsonl");
    add(&line(1, 0));
    let running = start();
    eventually("it has begun, and was looked at", || (seen() == 1 && lines("journal.jsonl") > 0).then_some(()));
    drop(running); // killed
    add(&(line(2, 0) + &line(3, 0)[..20]));
    let mut running = start();
    let mut said = String::new();
    BufReader::new(running.0.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("the file of ticks is read from its present end on"), "{said}");
    eventually("it goes on", || desk.run(&["status"]).stdout.contains("controller: process").then_some(()));
    add(&line(3, 0)[20..]);
    eventually("the line that was being written", || (seen() == 2).then_some(()));
    drop(running);
}

#[test]
fn a_plan_in_the_folder_of_its_rollout_is_tried_again_with_its_policy_and_its_commands_where_they_were() {
    let desk = Desk::new();
    let (plan, policy) = (desk.folder.path().join("plan.toml"), desk.folder.path().join("limits.toml"));
    fs::write(&policy, Policy::DEFAULT).unwrap();
    fs::write(&plan, format!("{}\npolicy = \"limits.toml\"\n", fs::read_to_string(&plan).unwrap())).unwrap();
    let running = desk.soaking();
    desk.run(&["reject", "checkout", "--reason", "r", "--by", "bo"]).succeeds();
    assert_eq!(code(running), 20);
    let log = desk.folder.path().join("log");
    fs::remove_file(&log).unwrap();
    let kept = "backstop-state/checkout/rollouts/0001/plan.toml";
    let start = ["start", kept, "--source", "ticks:ticks.jsonl", "--by", "bo", "--reason", "again"];
    let running = Program(desk.command(&start).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    eventually("it begins", || desk.run(&["status"]).stdout.contains("rollout 0002").then_some(()));
    drop(running); // killed
    desk.run(&["rollback", "checkout", "--reason", "r", "--by", "bo"]).succeeds();
    let second = desk.folder.path().join("backstop-state/checkout/rollouts/0002");
    let start: serde_json::Value = serde_json::from_slice(&fs::read(second.join("start.json")).unwrap()).unwrap();
    assert_eq!(start["commands_in"], desk.folder.path().canonicalize().unwrap().display().to_string());
    assert_eq!(fs::read_to_string(second.join("policy.toml")).unwrap(), Policy::DEFAULT);
}

#[test]
fn a_source_that_is_not_read_is_named_by_the_status() {
    let desk = Desk::new();
    let source = format!("prometheus:http://127.0.0.1:{}", free_port());
    let arms = ["--canary", "arm=\"canary\"", "--baseline", "arm=\"stable\""];
    let mut command = desk.command(&["start", "plan.toml", "--source", &source, "--look-every", "0.1", "--by", "mira"]);
    command.args(arms).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let _controller = Program(command.spawn().unwrap());
    eventually("the trouble", || {
        let status = desk.run(&["status", "checkout", "--json"]);
        let troubles = (status.code == 0).then(|| status.value()[0]["troubles"].to_string())?;
        troubles.contains("127.0.0.1").then_some(())
    });
}

#[test]
fn a_crashed_controller_finishes_its_rollback_without_its_judge() {
    let desk = Desk::new();
    let judge = desk.folder.path().join("backstop-state/checkout/rollouts/0001/evidence/judge");
    let start = ["start", "plan.toml", "--source", "ticks:ticks.jsonl", "--by", "bo"];
    let running = desk.soaking();
    drop(running); // killed
    let aside = judge.with_extension("aside");
    fs::rename(&judge, &aside).unwrap();
    fs::write(&judge, "").unwrap();
    desk.run(&start).fails(3, "judge");
    assert!(!desk.balancer.is_at(0), "a release with traffic is not left alone");
    fs::remove_file(&judge).unwrap();
    fs::rename(&aside, &judge).unwrap();
    let running = desk.start(&["--by", "mira"]);
    eventually("it goes on", || desk.run(&["status"]).stdout.contains("controller: process").then_some(()));
    *desk.balancer.fault.lock().unwrap() = Fault::Hangs;
    desk.run(&["rollback", "checkout", "--reason", "r", "--by", "bo"]).succeeds();
    drop(running); // killed
    *desk.balancer.fault.lock().unwrap() = Fault::None;
    fs::remove_dir_all(&judge).unwrap();
    fs::write(&judge, "").unwrap();
    let ran = desk.run(&start);
    assert!(ran.stderr.contains("warning: the rollback goes on, and nothing here sees"), "{ran:?}");
    assert_eq!((ran.code, desk.balancer.is_at(0)), (6, true), "{ran:?}");
}

#[test]
fn a_full_disk_keeps_no_rollback_from_its_lock() {
    let desk = Desk::new();
    let running = desk.soaking();
    drop(running); // killed
    let full = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", full, env!("CARGO_BIN_EXE_backstop"), "rollout", "rollback", "checkout", "--break-glass"]);
    command.args(["--reason", "r", "--by", "bo"]).current_dir(desk.folder.path());
    let ran = Ran::by(&mut command);
    assert!(desk.balancer.is_at(0), "{ran:?}");
}
