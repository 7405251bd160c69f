//! Reports of rollouts: their values, what they never repeat, and the page in a real browser.

use crate::played::{HOSTILE, Played};
use crate::ran::Ran;
use backstop::rollout::report::{Cause, Report};
use backstop::rollout::stages::{Ask, Event};
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

/// Rolled back at 50 % by the verdict: payments fail from second 111 on. Persons and commands speak of secrets.
fn rolled_back() -> Played {
    let mut played = Played::new();
    played.until(100.0).ask(Ask::Pause, "lunch").until(110.0).ask(Ask::Resume, "see https://u:sesame@wiki/x?t=sesame");
    played.fault = 0.2;
    played.until(122.0).failures = vec!["kubectl said: Authorization: Bearer sesame"];
    played.until(170.0).fault = 0.0;
    played.until(220.0).written();
    played
}

fn value(folder: &Path) -> Value {
    serde_json::to_value(Report::read(folder)).unwrap()
}

/// A value by its path.
#[track_caller]
fn of<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or_else(|| panic!("no {path} in {value:#}"))
}

/// Plays a rollout, and checks its state, whether it is open, its weights, its status text, and the number of parts missing.
#[track_caller]
fn ends(play: impl FnOnce(&mut Played), state: &str, is_open: bool, weights: &[u64], says: &str, lacks: usize) {
    let mut played = Played::new();
    play(&mut played);
    let report = value(&played.written().folder);
    let traffic = of(&report, "/traffic").as_array().unwrap().iter().map(|of| of["weight"].as_u64().unwrap());
    assert_eq!(traffic.collect::<Vec<_>>(), weights);
    assert_eq!((of(&report, "/state"), of(&report, "/is_open")), (&state.into(), &is_open.into()));
    let text = Report::read(&played.folder).status_text();
    assert!(text.contains(says), "{text}");
    assert_eq!(text.matches(". ").count(), 2, "three sentences: {text}");
    assert!(!text.contains("canary") && !text.contains("checkout:"), "no internals: {text}");
    let missing = of(&report, "/missing").as_array().unwrap();
    assert_eq!(missing.len(), lacks, "{missing:?}");
}

#[test]
fn each_end_of_a_rollout_has_its_values() {
    let all = [0, 5, 50, 100];
    let back = [0, 5, 50, 0];
    let calls = |played: &mut Played| {
        played.until(80.0).ask(Ask::Rollback { cut: true }, "support calls");
    };
    ends(|played| _ = played.until(300.0), "promoted", false, &all, "No more requests failed than usual", 0);
    let supersede = |played: &mut Played| {
        played.until(80.0).ask(Ask::Supersede { artifact: "1.2.5".to_owned() }, "next").until(90.0);
    };
    ends(supersede, "superseded", false, &back, "ended early", 0);
    let reject = |played: &mut Played| {
        played.is_watched = false;
        played.until(5.0).ask(Ask::Reject, "wrong artifact").until(10.0);
    };
    ends(reject, "aborted", false, &[0], "No user was served by it", 2);
    let cut = |played: &mut Played| {
        calls(played);
        played.until(120.0);
    };
    ends(cut, "rolled_back", true, &back, "has worked as before since 2026-11-28 10:13 UTC", 0);
    let fail = |played: &mut Played| {
        calls(played);
        played.until(81.5).failures = vec!["no answer"];
        played.until(90.0);
    };
    ends(fail, "escalated", false, &back, "we are watching", 1);
    ends(|played| _ = played.until(30.0), "soaking", false, &[0, 5], "is being released", 1);
}

#[test]
fn a_rollback_has_its_steps_its_impact_and_its_evidence() {
    let played = rolled_back();
    let report = value(&played.folder);
    let step = |name: &str| {
        let steps = of(&report, "/steps").as_array().unwrap();
        let step = steps.iter().find(|step| step["name"] == name).unwrap();
        (step["at"].as_f64().unwrap(), step["took"].as_f64())
    };
    assert_eq!(step("fault seen"), (111.0, None));
    let (detected, took) = step("detect");
    assert_eq!(took, Some(detected - 111.0));
    assert_eq!(step("decide"), (detected, Some(0.0)));
    assert_eq!(step("move"), (detected + 2.0, Some(2.0)), "the kill switch failed once");
    assert_eq!(step("verify").1, of(&report, "/recovered_in").as_f64().map(|all| all - 2.0));

    let impact = of(&report, "/impact");
    let [requests, failed, beyond] = ["requests", "failed", "beyond"].map(|name| impact[name].as_f64().unwrap());
    let seconds = detected + 2.0 - 111.0;
    assert_eq!((requests, failed), (200.0 * seconds, 20.0 * seconds), "from the fault to the weight 0");
    assert!(beyond < failed && beyond > 0.95 * failed, "{beyond} of {failed}");
    let affected = impact["segments"].as_array().unwrap().iter().filter(|segment| segment["is_affected"] == true);
    assert_eq!(affected.map(|segment| segment["name"].as_str().unwrap()).collect::<Vec<_>>(), ["pay"]);
    assert!(impact["p99"].as_f64() > impact["usual_p99"].as_f64());

    let finding = of(&report, "/findings/0");
    assert_eq!((&finding["trigger"], &finding["state"]), (&"errors".into(), &"fired".into()));
    assert!(finding["canary"].as_f64() > finding["baseline"].as_f64());
    assert!(finding["log_e"].as_f64() > finding["log_threshold"].as_f64());
    let action = of(&report, "/actions").as_array().unwrap().iter().find(|action| action["attempts"] == 2).unwrap();
    assert_eq!(
        (&action["name"], &action["outcome"]),
        (&"rollback[0] (kill_switch), program true".into(), &"done".into())
    );
    let people: Vec<_> =
        of(&report, "/people").as_array().unwrap().iter().map(|person| person["command"].as_str().unwrap()).collect();
    assert_eq!(people, ["start", "pause", "resume"]);
    let deliveries = "{\"receiver\": 0, \"kind\": \"slack\", \"outcome\": \"sent\"}\n".repeat(2)
        + "{\"receiver\": 0, \"kind\": \"slack\", \"outcome\": \"failed\"}\n";
    std::fs::write(played.folder.join("evidence/alerts.jsonl"), deliveries).unwrap();
    let text = Report::read(&played.folder).markdown();
    assert!(text.contains("- Alert[0] (slack): 2 arrived, 1 did not.\n"), "{text}");
}

#[test]
fn a_release_that_is_slow_has_the_rise_of_the_evidence_as_its_fault() {
    let mut played = Played::new();
    played.until(75.0).slow = 8.0;
    let report = value(&played.until(260.0).written().folder);
    assert_eq!((of(&report, "/state"), of(&report, "/findings/0/trigger")), (&"rolled_back".into(), &"latency".into()));
    let [seen, detected] = [0, 1].map(|i| of(&report, &format!("/steps/{i}/at")).as_f64().unwrap());
    assert!(seen >= 75.0 && detected >= seen && detected < 200.0, "{seen} {detected}");
    assert_eq!(of(&report, "/steps/0/text"), "first rise of the evidence of latency");
    let impact = of(&report, "/impact");
    assert!(impact["p99"].as_f64() > impact["usual_p99"].as_f64());
    assert!(impact["segments"].as_array().unwrap().iter().all(|segment| segment["is_affected"] == false));
}

#[test]
fn a_controller_that_was_killed_in_the_middle_is_told_and_what_it_did_not_finish() {
    let mut played = Played::new();
    played.until(80.0).ask(Ask::Rollback { cut: true }, "support calls").written();
    let mut journal = std::fs::OpenOptions::new().append(true).open(played.folder.join("journal.jsonl")).unwrap();
    journal.write_all(b"{\"seq\":99,\"at\":\"20").unwrap();
    let report = value(&played.folder);
    assert_eq!(of(&report, "/state"), "rolling_back");
    let last = of(&report, "/actions").as_array().unwrap().last().unwrap();
    assert_eq!((&last["outcome"], &last["ended"]), (&"not known to have ended".into(), &Value::Null));
    let missing = of(&report, "/missing").to_string();
    assert!(missing.contains("the last, is incomplete") && missing.contains("its controller was ended"), "{missing}");

    let mut played = Played::new();
    played.until(80.0).ask(Ask::Rollback { cut: true }, "support calls").until(80.2);
    played.take(&Event::Resumed);
    let report = value(&played.until(120.0).written().folder);
    assert_eq!(of(&report, "/state"), "rolled_back");
    let cut = of(&report, "/actions").as_array().unwrap().iter().find(|action| action["attempts"] == 2).unwrap();
    assert_eq!(cut["outcome"], "done");
    assert!(of(&report, "/timeline").to_string().contains("went on from its journal"));
}

#[test]
fn missing_and_damaged_evidence_is_listed_and_never_ends_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let missing = of(&value(folder.path()), "/missing").as_array().unwrap().len();
    assert_eq!(missing, 6, "plan, journal, policy, before, verdicts, ticks");
    let played = rolled_back();
    let whole = value(&played.folder);
    for (name, text, says) in [
        ("plan.toml", "service = 7", "plan.toml: damaged"),
        ("policy.toml", "", ""),
        ("evidence/before.json", "{", "before.json: no such file, or damaged"),
        ("evidence/ticks.jsonl", "{\"at\": -1}\n\u{0}\n\n{}", "ticks.jsonl: 3 of 3 lines cannot be read"),
        ("evidence/verdicts.jsonl", "", "verdicts.jsonl: empty"),
        ("cause.json", "[", "cause.json: damaged"),
        ("journal.jsonl", "{}\n{}\n", "journal.jsonl: damaged or changed in line 1"),
    ] {
        let path = played.folder.join(name);
        let before = std::fs::read(&path).unwrap_or_default();
        std::fs::write(&path, text).unwrap();
        let report = Report::read(&played.folder);
        assert!(report.markdown().contains(says), "{name}: {}", report.markdown());
        assert!(report.html().contains(says) && !report.status_text().is_empty(), "{name}");
        let report = serde_json::to_value(&report).unwrap();
        assert_eq!(
            of(&report, "/missing").as_array().unwrap().len(),
            usize::from(!says.is_empty()),
            "{name}: {report:#}"
        );
        if name != "journal.jsonl" {
            assert_eq!(report["state"], whole["state"], "{name}");
        }
        std::fs::write(&path, before).unwrap();
        if name == "cause.json" {
            std::fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn names_are_text_and_secrets_are_not_repeated() {
    let mut played = rolled_back();
    played.ask(Ask::Approve, &format!("{HOSTILE} [a](javascript:alert) `*_ \u{202e}"));
    let report = Report::read(&played.folder);
    let (page, text) = (report.html(), report.markdown());
    for all in [&page, &text, &report.status_text(), &serde_json::to_string(&report).unwrap()] {
        assert!(!all.contains("sesame"), "{all}");
    }
    assert!(!page.contains("<img") && !page.contains("<script") && !page.contains('\u{202e}'), "{page}");
    assert!(!text.contains("<img") && !text.contains("a](javascript") && !text.contains('\u{202e}'), "{text}");
    let table: Vec<_> = text.lines().filter(|line| line.starts_with("| ") && line.contains("onerror")).collect();
    assert_eq!(table.len(), 2, "in the timeline and beside the person: {text}");
    assert!(table.iter().all(|line| line.contains("&gt;\\|")), "a bar is no new cell: {table:?}");
}

#[test]
fn the_files_of_weeks_are_thinned() {
    let played = rolled_back();
    let mut ticks = std::fs::File::create(played.folder.join("evidence/ticks.jsonl")).unwrap();
    for at in 0..20_000 {
        let arm = r#"{"segments": {"a": {"requests": 10, "server_errors": 0}}}"#;
        writeln!(ticks, r#"{{"elapsed": {}, "canary": {arm}, "baseline": {arm}}}"#, at * 60).unwrap();
    }
    let page = Report::read(&played.folder).html();
    let points = |line: &str| line.split('"').next().unwrap().matches(['M', 'L']).count();
    let most = page.split(r#"<path class="line canary" d=""#).skip(1).map(points).max();
    assert!(most.is_some_and(|most| (200..=600).contains(&most)), "{most:?}");
}

fn backstop(played: &Played) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.args(["rollout", "report", "checkout", "--state"]).arg(played.state.path());
    command
}

#[test]
fn a_rollback_is_open_until_a_person_records_the_cause() {
    let played = rolled_back();
    let file = played.state.path().join("report.md");
    let ran = Ran::by(backstop(&played).arg("--markdown").arg(&file)).succeeds();
    assert!(ran.stdout.contains("The rollback is open"), "{}", ran.stdout);
    assert!(std::fs::read_to_string(&file).unwrap().contains("--number 7 --cause TEXT --by NAME"));
    Ran::by(backstop(&played).args(["--cause", " ", "--by", "mira"])).fails(2, "cause: must be a text");
    Ran::by(backstop(&played).args(["--number", "8"])).fails(2, "checkout has rollouts 7 to 7");
    for cause in ["no timeout", "and no limit"] {
        let ran = Ran::by(backstop(&played).args(["--number", "7", "--cause", cause, "--by", "mira"])).succeeds();
        assert!(ran.stdout.contains("The cause is recorded."), "{}", ran.stdout);
    }
    let causes: Vec<_> = Cause::read(&played.folder).into_iter().map(|cause| (cause.by, cause.text)).collect();
    assert_eq!(
        causes,
        [("mira", "no timeout"), ("mira", "and no limit")].map(|(by, text)| (by.to_owned(), text.to_owned()))
    );
    let value = Ran::by(backstop(&played).arg("--json")).succeeds().value();
    assert_eq!((&value["is_open"], &value["causes"][1]["by"]), (&false.into(), &"mira".into()));
    let text = Ran::by(&mut backstop(&played)).succeeds().stdout;
    assert!(text.contains("Status: closed: mira recorded a cause"), "{text}");
    let status = Ran::by(backstop(&played).arg("--status-text")).succeeds().stdout;
    assert!(status.contains("the cause has been found"), "{status}");
}

#[test]
fn the_page_has_every_point_and_every_sentence_and_no_script() {
    let played = rolled_back();
    let (page, report) = (Report::read(&played.folder).html(), value(&played.folder));
    for row in of(&report, "/timeline").as_array().unwrap() {
        let text = row["text"].as_str().unwrap().replace('&', "&amp;").replace('\'', "&#39;");
        assert!(page.contains(&text), "{text}");
    }
    assert!(!page.contains("<script") && !page.contains("http://") && !page.contains("src="));
    let series = |style: &str| page.matches(&format!(r#"<path class="line {style}""#)).count();
    // Error rates, latencies and rates of both; the evidence of errors, latency and client errors.
    assert_eq!(["canary", "baseline", "weight", "evidence", "threshold"].map(series), [3, 3, 1, 3, 3]);
}

fn chromium(folder: &Path, page: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("chromium");
    command.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"]);
    command.args(["--enable-logging=stderr", "--log-level=0"]).args(arguments);
    command.arg(format!("--user-data-dir={}", folder.join("profile").display()));
    let output = command.arg(format!("file://{}", page.display())).output().expect("chromium is installed");
    assert!(output.status.success(), "{output:?}");
    output
}

/// With `BACKSTOP_PAGE` set, the page and its pictures stay in that folder.
#[test]
#[ignore = "needs Chromium: scripts/test.sh"]
fn chromium_draws_the_report_in_both_colour_schemes_and_prints_it() {
    let played = rolled_back();
    let temporary = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("BACKSTOP_PAGE").map(std::path::PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    let page = folder.join("rollout.html");
    Ran::by(backstop(&played).arg("--html").arg(&page)).succeeds();
    let console = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect::<Vec<_>>()
    };
    let dumped = chromium(temporary.path(), &page, &["--dump-dom"]);
    assert_eq!(console(&dumped), [""; 0]);
    let dom = String::from_utf8(dumped.stdout).unwrap();
    assert!(!dom.contains("<img"), "a name became a tag");
    assert_eq!(dom.matches("<figure").count(), 7);
    let rows = of(&value(&played.folder), "/timeline").as_array().unwrap().len();
    let timeline = dom.split("<h2>Timeline</h2>").nth(1).and_then(|rest| rest.split("</table>").next()).unwrap();
    assert_eq!(timeline.matches("<tr").count(), rows + 1);

    let blank = folder.join("blank.html");
    std::fs::write(&blank, "<!doctype html><link rel=icon href='data:,'>").unwrap();
    let picture = |page: &Path, name: &str, arguments: &[&str]| {
        let picture = folder.join(name);
        let screenshot = format!("--screenshot={}", picture.display());
        let output = chromium(temporary.path(), page, &[&[&*screenshot], arguments].concat());
        assert_eq!(console(&output), [""; 0]);
        std::fs::metadata(&picture).unwrap().len()
    };
    let none = picture(&blank, "blank.png", &["--window-size=1200,3600"]);
    let light = picture(&page, "rollout-light.png", &["--window-size=1200,3600"]);
    let dark =
        picture(&page, "rollout-dark.png", &["--window-size=1200,3600", "--blink-settings=preferredColorScheme=0"]);
    let narrow = picture(&page, "rollout-narrow.png", &["--window-size=500,6000"]);
    for size in [light, dark, narrow] {
        assert!(size > 5 * none, "{size} bytes, a blank one has {none}");
    }
    let pictures = ["light", "dark"].map(|name| std::fs::read(folder.join(format!("rollout-{name}.png"))).unwrap());
    assert_ne!(pictures[0], pictures[1], "both schemes look the same");
    let printed = folder.join("rollout.pdf");
    chromium(temporary.path(), &page, &[&format!("--print-to-pdf={}", printed.display())]);
    assert!(std::fs::metadata(&printed).unwrap().len() > 20_000);
}
