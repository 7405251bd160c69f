//! The commands `judge serve` and `baseline record`, with real instances.

use crate::kit::{Instance, http, list, until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

fn backstop(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

struct Served {
    child: Child,
    address: SocketAddr,
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Served {
    fn start(canary: &[Instance], baseline: &[Instance], state: Option<&Path>) -> Self {
        let (canary, baseline) = (list(canary), list(baseline));
        let mut command =
            backstop(&["judge", "serve", "--service", "shop", "--source", "scrape", "--listen", "127.0.0.1:0"]);
        command.args(["--canary", &canary, "--baseline", &baseline]);
        if let Some(state) = state {
            command.arg("--state").arg(state);
        }
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").expect(&line).parse().unwrap();
        Self { child, address }
    }

    fn verdict(&self) -> Value {
        http("GET", self.address, "/v1/verdict?service=shop", "").1.parse().unwrap()
    }

    fn until(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(what, || Some(self.verdict()).filter(|verdict| is_so(verdict)))
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").arg(name).arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

/// Traffic until it is dropped.
struct Traffic(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Traffic {
    fn start(canary: &Instance, baseline: &Instance, errors: u64) -> Self {
        let is_on = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
        let (canary, baseline, on) = (canary.clone(), baseline.clone(), std::sync::Arc::clone(&is_on));
        std::thread::spawn(move || {
            while on.load(std::sync::atomic::Ordering::Relaxed) {
                canary.count(20 - errors, errors);
                baseline.count(380, 0);
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        });
        Self(is_on)
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.0.store(false, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn a_killed_process_goes_on_with_its_state_and_is_restarted_without() {
    let (canary, baseline) = (Instance::start(), Instance::start());
    let (canary, baseline) = ([canary], [baseline]);
    let folder = tempfile::tempdir().unwrap();
    for state in [Some(folder.path()), None] {
        let traffic = Traffic::start(&canary[0], &baseline[0], 10);
        let mut first = Served::start(&canary, &baseline, state);
        let before = first.until("it rolls back", |verdict| verdict["decision"] == "rollback");
        drop(traffic);
        signal(&first.child, "-KILL");
        first.child.wait().unwrap();
        let second = Served::start(&canary, &baseline, state);
        let after = second.verdict();
        if state.is_some() {
            assert_eq!((&after["decision"], &after["sentence"]), (&before["decision"], &before["sentence"]), "{after}");
            assert_eq!(after["override"], Value::Null);
        } else {
            assert_eq!((&after["decision"], &after["data"]), (&"collecting".into(), &"restarted".into()), "{after}");
        }
    }
}

#[test]
fn it_ends_cleanly_when_it_is_told_to() {
    let (canary, baseline) = ([Instance::start()], [Instance::start()]);
    for name in ["-TERM", "-INT"] {
        let mut served = Served::start(&canary, &baseline, None);
        signal(&served.child, name);
        assert_eq!(served.child.wait().unwrap().code(), Some(0), "{name}");
    }
}

fn run(args: &[&str]) -> Output {
    backstop(args).output().unwrap()
}

#[test]
fn mistakes_of_usage_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let short = folder.path().join("token");
    std::fs::write(&short, "short").unwrap();
    let short = short.to_str().unwrap();
    let base = ["judge", "serve", "--service", "shop"];
    for (args, code, says) in [
        (&["--source", "nowhere"][..], 2, "must be scrape, prometheus:URL, ticks:FILE or ticks:-"),
        (&["--source", "scrape"], 2, "--canary is required"),
        (&["--source", "scrape", "--canary", "ftp://a"], 2, "--canary: invalid configuration: targets: \"ftp://a\""),
        (&["--source", "prometheus:http://a", "--canary", "", "--kpi", "x"], 2, "must be NAME=GOOD;TOTAL"),
        (&["--source", "scrape", "--canary", "a:1", "--kpi", "x=a;b"], 2, "--kpi is for --source prometheus:URL"),
        (&["--source", "scrape", "--canary", "a:1", "--ca-file", "/no/such/file"], 2, "/no/such/file cannot be read"),
        (&["--source", "ticks:-", "--bearer-token-file", short], 2, "--ca-file are for servers"),
        (
            &["--source", "scrape", "--canary", "a:1", "--bearer-token-file", short, "--basic-auth-file", short],
            2,
            "cannot be used with",
        ),
        (
            &["--source", "prometheus:http://a", "--canary", "", "--basic-auth-file", short],
            2,
            "must hold a line user:password",
        ),
        (&["--source", "ticks:/no/such/file"], 2, "/no/such/file cannot be read"),
        (&["--source", "ticks:a.jsonl", "--state", "b"], 2, "--state: not allowed with --source ticks:FILE"),
        (&["--source", "scrape", "--canary", "a:1", "--policy", "/no/such/file"], 2, "/no/such/file cannot be read"),
        (&["--source", "scrape", "--canary", "a:1", "--recorded", "/no/such/file"], 2, "/no/such/file cannot be read"),
        (
            &["--source", "scrape", "--canary", "a:1", "--token-file", short],
            2,
            "5 bytes is not allowed, must be 16 to 1000 bytes",
        ),
        (
            &["--source", "scrape", "--canary", "a:1", "--listen", "0.0.0.0:0"],
            2,
            "give hooks a token with --token-file",
        ),
        (
            &["--source", "scrape", "--canary", "a:1", "--no-token", "--token-file", short],
            2,
            "'--no-token' cannot be used with '--token-file",
        ),
        (&["--source", "scrape", "--canary", "a:1", "--listen", "nowhere"], 3, "cannot listen at nowhere"),
        (
            &["--source", "scrape", "--canary", "a:1", "--state", "/proc/none"],
            3,
            "the state in /proc/none: cannot be made",
        ),
    ] {
        let output = run(&[&base, args].concat());
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && stderr.contains(says), "{args:?}: {stderr}");
    }
    let help = String::from_utf8(run(&["judge", "serve", "--help"]).stdout).unwrap();
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
}

#[test]
fn a_baseline_is_recorded_and_used() {
    let (canary, folder) = (Instance::start(), tempfile::tempdir().unwrap());
    let path = folder.path().join("shop.json");
    let file = path.to_str().unwrap();
    let address = list(std::slice::from_ref(&canary));
    let source = ["--service", "shop", "--source", "scrape", "--canary", &address];
    let traffic = Traffic::start(&canary, &Instance::start(), 0);
    let mut child = backstop(&[&["baseline", "record", "--file", file], &source[..]].concat()).spawn().unwrap();
    // Without a baseline the verdict needs 1,000 requests; then 1,000 more make an hour.
    let counted = || canary.success();
    let begun = counted();
    until("there is an hour", || (counted() > begun + 4_000).then_some(()));
    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(traffic);
    let recorded: Value = std::fs::read_to_string(&path).unwrap().parse().unwrap();
    let hours = recorded["hours"].as_object().unwrap();
    assert!(hours.values().all(|hour| hour["error_rate"] == 0.0) && (1..=2).contains(&hours.len()), "{recorded}");

    let command = [&["judge", "serve", "--listen", "127.0.0.1:0", "--recorded", file], &source[..]].concat();
    let mut child = backstop(&command).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on http://").expect(&line).parse().unwrap();
    // Half a percent: the policy alone tolerates 1 %, twice what was recorded is 0.1 %.
    let traffic = Traffic::start(&canary, &Instance::start(), 0);
    let verdict = until("it rolls back", || {
        canary.count(0, 1);
        std::thread::sleep(std::time::Duration::from_millis(300));
        let verdict: Value = http("GET", address, "/v1/verdict", "").1.parse().unwrap();
        (verdict["decision"] == "rollback").then_some(verdict)
    });
    drop(traffic);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(verdict["sentence"].as_str().unwrap().starts_with("errors: "), "{verdict}");
}
