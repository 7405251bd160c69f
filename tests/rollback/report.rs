//! The command `judge`: exit codes, and the page in a real browser.

use crate::ran::Ran;
use crate::scenario::all;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

fn judge() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.arg("judge");
    command
}

/// The ticks of a scenario in a file.
fn ticks(folder: &Path, name: &str) -> std::path::PathBuf {
    let scenarios = all();
    let scenario = scenarios.iter().find(|scenario| scenario.name == name).expect(name);
    let path = folder.join("ticks.jsonl");
    std::fs::write(&path, scenario.lines().join("\n")).unwrap();
    path
}

#[test]
fn the_exit_code_is_that_of_the_last_verdict() {
    let folder = tempfile::tempdir().unwrap();
    for (name, code, decision) in [
        ("another mix of traffic is no regression", 0, "continue"),
        ("no traffic is no success", 5, "collecting"),
        ("client errors hold the release", 10, "pause"),
        ("ten percent fail", 20, "rollback"),
    ] {
        let path = ticks(folder.path(), name);
        let ran = Ran::by(judge().arg("--ticks").arg(&path));
        assert_eq!((ran.code, ran.stderr.as_str()), (code, ""), "{name}");
        let lines: Vec<serde_json::Value> = ran.stdout.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(lines.len(), std::fs::read_to_string(&path).unwrap().lines().count());
        assert_eq!(lines.last().unwrap()["decision"], decision);
    }
}

#[test]
fn what_is_left_of_a_second_at_the_end_has_a_line_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = ticks(folder.path(), "a file that ends within a second");
    let policy = folder.path().join("policy.json");
    let scenarios = all();
    let scenario = scenarios.iter().find(|scenario| scenario.name == "a file that ends within a second").unwrap();
    std::fs::write(&policy, scenario.policy().unwrap()).unwrap();
    let ran = Ran::by(judge().arg("--ticks").arg(&path).arg("--policy").arg(&policy));
    let lines: Vec<serde_json::Value> = ran.stdout.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!((ran.code, lines.len()), (20, 1 + scenario.lines().len()));
    assert_eq!((&lines[9]["decision"], &lines[10]["decision"]), (&"continue".into(), &"rollback".into()));
    assert_eq!(lines[9]["at"], lines[10]["at"]);
}

#[test]
fn an_empty_file_is_no_data_and_no_file_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.jsonl");
    std::fs::write(&path, "\n\n").unwrap();
    let ran = Ran::by(judge().arg("--ticks").arg(&path).arg("--report").arg(folder.path().join("page.html")));
    assert_eq!((ran.code, &*ran.stdout, &*ran.stderr), (5, "", ""));
    assert!(std::fs::read_to_string(folder.path().join("page.html")).unwrap().contains("No data"));
    Ran::by(judge().arg("--ticks").arg(folder.path().join("none"))).fails(2, "cannot be read");
    Ran::by(&mut judge()).fails(2, "--ticks");
    std::fs::write(folder.path().join("policy.toml"), "[[trigger]]\nname = \"e\"\nkind = \"errors\"\nalpha = 2")
        .unwrap();
    let ran = Ran::by(judge().arg("--ticks").arg(&path).arg("--policy").arg(folder.path().join("policy.toml")));
    ran.fails(2, "trigger[0].alpha: 2 is not allowed");
}

#[test]
fn a_dash_reads_standard_input_and_the_help_has_the_exit_codes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.jsonl");
    std::fs::write(&path, r#"{"at": 1, "canary": {"segments": {"default": {"requests": 10}}}}"#).unwrap();
    let ran = Ran::by(judge().args(["--ticks", "-"]).stdin(std::fs::File::open(&path).unwrap()));
    assert_eq!((ran.code, &ran.value()["decision"]), (5, &"collecting".into()));
    let help = Ran::by(judge().arg("--help")).succeeds().stdout;
    for code in ["0  continue", "5  collecting", "10  pause", "20  rollback", "2  bad usage"] {
        assert!(help.contains(code), "{help}");
    }
}

#[test]
fn a_line_that_is_no_tick_ends_it_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ticks.jsonl");
    let good = r#"{"at": 1, "canary": {"segments": {"default": {"requests": 100}}}}"#;
    let long = " ".repeat((16 << 20) + 100);
    for (bad, says) in [
        (&b"{\"at\": 2, \"canry\": {}}"[..], "line 2: canry: unknown field `canry`"),
        (b"{\"at\": 2, \"canary\": {\"switches_engaged\": [\"\xff\"]}}", "line 2: not UTF-8"),
        (long.as_bytes(), "line 2: longer than 16 MiB"),
        (b"{\"at\": 2", "line 2: EOF while parsing an object (column 8)"),
    ] {
        let text = [good.as_bytes(), b"\n", bad, b"\n", good.as_bytes()].concat();
        std::fs::write(&path, text).unwrap();
        let ran = Ran::by(judge().arg("--ticks").arg(&path));
        assert_eq!((ran.code, ran.stdout.lines().count()), (2, 1), "{says}: {ran:?}");
        assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
    }
}

/// Ten minutes with noise, two stages and a fault in the second one. Names are as hostile as a file may make them.
fn noisy() -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut around =
        |mean: f64| (mean + mean.sqrt() * (random.f64() + random.f64() + random.f64() - 1.5) * 2.0).max(0.0).round();
    let mut lines = String::new();
    for at in 1..=600 {
        let (stage, canary, baseline) = if at <= 300 { (5, 100.0, 1900.0) } else { (20, 400.0, 1600.0) };
        let errors = around(canary * if at > 420 { 0.004 } else { 0.001 });
        let slower = 1.0 + 0.04 * around(4.0) / 4.0;
        let mut arm = |requests: f64, errors: f64, slower: f64| {
            let requests = around(requests).max(errors);
            let share = [0.55, 0.3, 0.1, 0.047, 0.003];
            let counts: Vec<_> = share
                .iter()
                .enumerate()
                .map(|(i, share)| requests * share * if i > 2 { slower } else { 1.0 })
                .collect();
            let cpu = 0.4 + around(20.0) / 500.0;
            let client_errors = around(requests * 0.02);
            format!(
                r#"{{"segments": {{"<img src=x onerror=alert(1)>": {{"requests": {requests}, "server_errors": {errors}, "client_errors": {client_errors},
                "latency": {{"success": {{"le": [0.05, 0.1, 0.2, 0.4], "counts": {counts:?}}}}}}}}}, "instances": {{"total": 4}},
                "breakers": {{"payments": "closed"}}, "gauges": {{"cpu": {cpu:.3}}}}}"#
            )
            .replace('\n', " ")
        };
        let (own, other) = (arm(canary, errors, slower), arm(baseline, (baseline * 0.001).round(), 1.0));
        writeln!(lines, r#"{{"at": {at}, "stage": {stage}, "canary": {own}, "baseline": {other}}}"#).unwrap();
    }
    lines
}

fn chromium(folder: &Path, page: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
    command.args(["--enable-logging=stderr", "--log-level=0"]).args(arguments);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    let output = command.arg(format!("file://{}", page.display())).output().expect("chromium is installed");
    assert!(output.status.success(), "{output:?}");
    output
}

fn console(output: &std::process::Output) -> Vec<String> {
    String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect()
}

/// With `BACKSTOP_PAGE` set, the page and its pictures stay in that folder.
#[test]
#[ignore = "needs chromium: scripts/test.sh"]
fn chromium_draws_every_point_and_every_sentence_without_an_error() {
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BACKSTOP_PAGE").map(std::path::PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let (path, page) = (folder.join("ticks <1>.jsonl"), folder.join("page.html"));
    std::fs::write(&path, noisy()).unwrap();
    let ran = Ran::by(judge().arg("--ticks").arg(&path).arg("--report").arg(&page));
    assert_eq!(ran.code, 20, "{}", ran.stderr);
    let verdicts: Vec<serde_json::Value> = ran.stdout.lines().map(|line| line.parse().unwrap()).collect();

    let dumped = chromium(temporary.path(), &page, &["--dump-dom"]);
    assert_eq!(console(&dumped), [""; 0]);
    let dom = String::from_utf8(dumped.stdout).unwrap();
    assert!(!dom.contains("<img"), "a name became a tag");
    let lines: Vec<_> = dom.split(r#"<path class="line canary" d=""#).skip(1).collect();
    let points = |line: &str| line.split('"').next().unwrap().matches(['M', 'L']).count();
    // Requests a second, errors, latency, readiness, breakers, client errors and CPU.
    assert_eq!(lines.len(), 7);
    assert_eq!(lines.iter().map(|line| points(line)).collect::<Vec<_>>(), [599, 600, 600, 600, 600, 600, 600]);

    let changes = |key: fn(&serde_json::Value) -> String| {
        verdicts.windows(2).filter(|pair| key(&pair[0]) != key(&pair[1])).count() + 1
    };
    let triggers = verdicts[0]["triggers"].as_array().unwrap().len();
    let mut sentences = changes(|verdict| verdict["decision"].to_string());
    for i in 0..triggers {
        let states =
            verdicts.windows(2).filter(|pair| pair[0]["triggers"][i]["state"] != pair[1]["triggers"][i]["state"]);
        sentences += 1 + states.count();
    }
    assert_eq!(dom.matches(r#"<span class="said">"#).count(), sentences);
    assert!(dom.contains("of the canary's requests fail"));

    // A page with an error is told from one without, and a blank one from one that is drawn.
    let broken = folder.join("broken.html");
    std::fs::write(&broken, "<!doctype html><link rel=icon href='data:,'><script>console.error('broken')</script>")
        .unwrap();
    let picture = |page: &Path, name: &str, arguments: &[&str]| {
        let picture = folder.join(name);
        let screenshot = format!("--screenshot={}", picture.display());
        let arguments = [&[&*screenshot], arguments].concat();
        let output = chromium(temporary.path(), page, &arguments);
        (std::fs::metadata(&picture).unwrap().len(), console(&output))
    };
    let (blank, errors) = picture(&broken, "blank.png", &["--window-size=1200,2200"]);
    assert_eq!(errors.len(), 1, "{errors:?}");
    for (name, arguments) in [
        ("light.png", &["--window-size=1200,2200"][..]),
        ("dark.png", &["--window-size=1200,2200", "--blink-settings=preferredColorScheme=0"]),
        ("narrow.png", &["--window-size=500,3600"]),
    ] {
        let (size, errors) = picture(&page, name, arguments);
        assert_eq!(errors, [""; 0]);
        assert!(size > 5 * blank, "{name}: {size} bytes, a blank one has {blank}");
    }
}
