//! Rules of Prometheus: promtool's opinion, a case for each alert, and a changed number that fails its case.

use crate::files::{all, deploy, documents, text};
use backstop::telemetry::{METRICS, Metric};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

const TESTS: [&str; 2] = ["prometheus/alerts_test.yaml", "prometheus/hours_test.yaml"];

fn promtool(arguments: &[&str], folder: &Path) -> (bool, String) {
    let output = Command::new("promtool").args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|error| panic!("promtool cannot be run: {error}"));
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn rules(path: &str) -> Vec<Value> {
    let groups = documents(path)[0]["groups"].as_array().unwrap().clone();
    groups.into_iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

/// Whether a case of a test is about an alert or a recorded ratio.
fn is_about(case: &Value, name: &str) -> bool {
    let expression = case["expr"].as_str().unwrap();
    expression.contains(&format!("\"{name}\"")) || expression.contains(&format!("({name}"))
}

fn cases(test: &Value) -> &Vec<Value> {
    test["promql_expr_test"].as_array().unwrap()
}

#[test]
#[ignore = "needs promtool: scripts/test.sh"]
fn promtool_accepts_the_rules_and_their_cases() {
    let folder = deploy().join("prometheus");
    for arguments in
        [["check", "rules", "rules.yaml", "alerts.yaml"], ["test", "rules", "alerts_test.yaml", "hours_test.yaml"]]
    {
        let (is_ok, said) = promtool(&arguments, &folder);
        assert!(is_ok, "{said}");
    }
}

#[test]
fn every_alert_has_a_level_a_text_a_case_that_fires_and_one_that_is_silent() {
    let tests: Vec<_> = TESTS.iter().flat_map(|path| documents(path)[0]["tests"].as_array().unwrap().clone()).collect();
    let alerts = rules("prometheus/alerts.yaml");
    assert!(alerts.len() >= 15);
    for alert in alerts {
        let name = alert["alert"].as_str().unwrap();
        assert!(["page", "notify", "info"].contains(&alert["labels"]["level"].as_str().unwrap()), "{name}");
        assert!(["summary", "action"].iter().all(|text| alert["annotations"][text].is_string()), "{name}");
        let of_it = |test: &&Value| cases(test).iter().any(|case| is_about(case, name));
        let cases: Vec<_> = tests.iter().flat_map(cases).filter(|case| is_about(case, name)).collect();
        assert!(cases.iter().any(|case| case["exp_samples"].is_array()), "{name}: no case fires");
        // Silent: before `for` has passed, or another series of the same case, which the expected samples leave out.
        let is_silent = cases.iter().any(|case| case["exp_samples"].is_null());
        let series = tests.iter().filter(of_it).map(|test| test["input_series"].as_array().unwrap().len());
        assert!(is_silent || series.max() > Some(1), "{name}: no case is silent");
    }
}

/// A number of a rule, or its `for`, and what it is changed to.
struct Mutant {
    /// Names that tests of the rule ask for.
    names: Vec<String>,
    file: &'static str,
    rule: usize,
    field: &'static str,
    value: String,
}

/// Byte ranges of the numbers of an expression: not those in names, texts and ranges of time.
fn numbers(expression: &str) -> Vec<std::ops::Range<usize>> {
    let (mut found, mut quoted, mut bracket, mut at) = (Vec::new(), false, false, 0);
    let bytes = expression.as_bytes();
    while at < bytes.len() {
        match bytes[at] {
            b'"' => quoted = !quoted,
            b'[' => bracket = true,
            b']' => bracket = false,
            byte if byte.is_ascii_digit() && !quoted && !bracket => {
                let end =
                    (at..bytes.len()).find(|i| !bytes[*i].is_ascii_digit() && bytes[*i] != b'.').unwrap_or(bytes.len());
                let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
                if !is_word(bytes[at - 1]) && !bytes.get(end).copied().is_some_and(is_word) {
                    found.push(at..end);
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

fn mutants() -> Vec<Mutant> {
    let alerts = rules("prometheus/alerts.yaml");
    let mut mutants = Vec::new();
    for file in ["prometheus/rules.yaml", "prometheus/alerts.yaml"] {
        for (rule, content) in rules(file).iter().enumerate() {
            let name = content["alert"].as_str().or(content["record"].as_str()).unwrap().to_owned();
            let users = alerts.iter().filter(|alert| alert["expr"].as_str().unwrap().contains(&name));
            let names: Vec<_> =
                users.map(|alert| alert["alert"].as_str().unwrap().to_owned()).chain([name.clone()]).collect();
            let mut push = |field, value| mutants.push(Mutant { names: names.clone(), file, rule, field, value });
            let expression = content["expr"].as_str().unwrap();
            for range in numbers(expression) {
                let number: f64 = expression[range.clone()].parse().unwrap();
                for changed in if number == 0.0 { [10.0, -1.0] } else { [number * 1.5, number / 1.5] } {
                    push("expr", format!("{}{changed}{}", &expression[..range.start], &expression[range.end..]));
                }
            }
            if let Some(time) = content["for"].as_str() {
                let (amount, unit) = time.split_at(time.len() - 1);
                push("for", format!("{}{unit}", amount.parse::<u64>().unwrap() * 2));
                push("for", "0s".to_owned());
            }
        }
    }
    mutants
}

/// Runs only the tests that ask for the rule; returns promtool's complaint.
fn complaint(mutant: &Mutant) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    for file in ["prometheus/rules.yaml", "prometheus/alerts.yaml"] {
        let mut content = documents(file).remove(0);
        let mut rule = 0;
        for group in content["groups"].as_array_mut().unwrap() {
            for changed in group["rules"].as_array_mut().unwrap() {
                if file == mutant.file && rule == mutant.rule {
                    changed[mutant.field] = json!(mutant.value);
                }
                rule += 1;
            }
            // The other alerts only cost time.
            let is_wanted = |rule: &Value| {
                rule["alert"].as_str().is_none_or(|name| mutant.names.iter().any(|wanted| wanted == name))
            };
            group["rules"].as_array_mut().unwrap().retain(is_wanted);
        }
        // JSON is YAML.
        std::fs::write(folder.path().join(Path::new(file).file_name().unwrap()), content.to_string()).unwrap();
    }
    for path in TESTS {
        let mut tests = documents(path).remove(0);
        let is_wanted = |case: &Value| mutant.names.iter().any(|name| is_about(case, name));
        for test in tests["tests"].as_array_mut().unwrap() {
            test["promql_expr_test"].as_array_mut().unwrap().retain(is_wanted);
        }
        tests["tests"].as_array_mut().unwrap().retain(|test| !cases(test).is_empty());
        if tests["tests"].as_array().unwrap().is_empty() {
            continue;
        }
        std::fs::write(folder.path().join("test.yaml"), tests.to_string()).unwrap();
        let (is_ok, said) = promtool(&["test", "rules", "test.yaml"], folder.path());
        if !is_ok {
            return Some(said);
        }
    }
    None
}

#[test]
#[ignore = "needs promtool: scripts/test.sh"]
fn promtool_refuses_every_rule_with_a_changed_number() {
    let unchanged =
        Mutant { names: vec!["BackstopRollback".into()], file: "", rule: 0, field: "", value: String::new() };
    assert_eq!(complaint(&unchanged), None, "the rules as they are");
    let mutants = mutants();
    assert!(mutants.len() >= 70, "{}", mutants.len());
    let (first, second) = mutants.split_at(mutants.len() / 2);
    let survivors = |mutants: &[Mutant]| {
        let survivors = mutants.iter().filter(|mutant| match complaint(mutant) {
            Some(said) => {
                assert!(said.contains("got"), "not a case that fails: {said}");
                false
            }
            None => true,
        });
        survivors
            .map(|mutant| format!("{}: {}: {}", mutant.names.last().unwrap(), mutant.field, mutant.value))
            .collect::<Vec<_>>()
    };
    let survived = std::thread::scope(|scope| {
        let other = scope.spawn(|| survivors(second));
        [survivors(first), other.join().unwrap()].concat()
    });
    assert!(survived.is_empty(), "no case notices: {survived:#?}");
}

#[test]
fn every_metric_that_the_files_name_exists() {
    let yaml = ["argo-rollouts", "flagger", "prometheus"].iter().flat_map(|folder| all(folder, ".yaml"));
    let mut named = 0;
    for path in yaml.chain(["grafana/dashboard.json".to_owned()]) {
        let text = text(&path);
        for (at, _) in text.match_indices("backstop_") {
            let rest = &text[at..];
            let name = rest.split(|c: char| !c.is_ascii_lowercase() && c != '_').next().unwrap();
            let is_known = |metric: &Metric| metric.name == name || format!("{}_bucket", metric.name) == name;
            assert!(METRICS.iter().any(is_known), "{path}: {name}");
            named += 1;
        }
    }
    assert!(named > 100, "{named}");
}

#[test]
fn alertmanager_routes_every_level_to_a_receiver_of_its_name() {
    let config = &documents("alertmanager/alertmanager.yaml")[0];
    let receivers: Vec<_> =
        config["receivers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let routes = config["route"]["routes"].as_array().unwrap();
    for level in ["page", "notify", "info"] {
        let is_of = |route: &&Value| route["matchers"] == json!([format!("level = {level}")]);
        let route = routes.iter().find(is_of).unwrap_or_else(|| panic!("no route for {level}"));
        assert_eq!(route["receiver"], level);
        assert!(receivers.contains(&level));
    }
    assert!(receivers.contains(&config["route"]["receiver"].as_str().unwrap()), "alerts without a level");
    let known =
        ["receiver", "matchers", "group_by", "group_wait", "group_interval", "repeat_interval", "routes", "continue"];
    for route in routes.iter().chain([&config["route"]]) {
        assert!(route.as_object().unwrap().keys().all(|field| known.contains(&field.as_str())), "{route}");
    }
    assert!(text("alertmanager/alertmanager.yaml").contains("inhibit_rules"));
}

#[test]
#[ignore = "needs amtool: scripts/test.sh"]
fn amtool_accepts_the_routes() {
    let folder = deploy().join("alertmanager");
    let output = Command::new("amtool").args(["check-config", "alertmanager.yaml"]).current_dir(&folder).output();
    let output = output.unwrap_or_else(|error| panic!("amtool cannot be run: {error}"));
    assert!(output.status.success(), "{output:?}");
    for (labels, receiver) in [("level=page", "page"), ("level=info", "info"), ("severity=odd", "notify")] {
        let route = ["config", "routes", "test", "--config.file=alertmanager.yaml", labels];
        let output = Command::new("amtool").args(route).current_dir(&folder).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), receiver, "{labels}");
    }
}
