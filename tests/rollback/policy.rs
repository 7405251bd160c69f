//! Policy files: every setting has a range, belongs to its kinds, and is documented with its default.

use backstop::rollback::Policy;

const SOURCE: &str = include_str!("../../src/rollback/policy/file.rs");
const GUIDE: &str = include_str!("../../src/guide/a_rollback_policy.rs");
const KINDS: [&str; 6] = ["errors", "kpi", "latency", "gauge", "readiness", "breakers"];

/// Settings with their kinds, from the source.
fn settings() -> Vec<(String, Vec<String>)> {
    let block = SOURCE.split_once("\ntrigger_file! {\n").unwrap().1.split_once("\n}\n").unwrap().0;
    let lines = block.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let settings = lines.map(|line| {
        let (name, kinds) = line.split_once(": ").unwrap();
        let kinds = kinds.split_once('[').unwrap().1.trim_end_matches("],");
        (name.trim_start_matches("r#").to_owned(), kinds.split(' ').map(str::to_lowercase).collect())
    });
    let settings: Vec<_> = settings.collect();
    assert!(settings.len() > 25, "{settings:?}");
    settings
}

/// The least that a trigger of this kind needs.
fn needed(kind: &str) -> &'static str {
    match kind {
        "kpi" => "kpi = \"checkout\"\n",
        "gauge" => "gauge = \"cpu\"\nratio = 1.5\n",
        _ => "",
    }
}

fn trigger(kind: &str, more: &str) -> String {
    // A setting that is needed and given is given once.
    let lines = needed(kind).split_inclusive('\n');
    let needed: String = lines.filter(|line| !more.starts_with(line.split(' ').next().unwrap())).collect();
    format!("[[trigger]]\nname = \"a\"\nkind = \"{kind}\"\n{needed}{more}")
}

fn sample(setting: &str) -> &'static str {
    match setting {
        "class" => "\"client\"",
        "kpi" | "gauge" => "\"name\"",
        "breakers" => "[\"payments\"]",
        "warm_up" | "within" | "for" | "deadline" => "\"1m\"",
        "tolerated_ratio" | "borderline" | "margin" | "late_margin" | "ratio" | "warm_up_ratio" | "above" | "below" => {
            "1.5"
        }
        "minimum_requests" | "minimum_distinct_seconds" | "without_baseline_requests" | "look_once" => "10",
        _ => "0.1",
    }
}

#[test]
fn the_default_file_has_the_defaults_of_what_is_left_out() {
    let mut short = String::new();
    for line in Policy::DEFAULT.lines() {
        let name = line.split(" = ").next().unwrap();
        if line.starts_with("[[") || ["name", "kind", "acts", "required", "class", "gauge", "ratio"].contains(&name) {
            short.push_str(line);
            short.push('\n');
        }
    }
    // Of `[no_data]`, nothing is left but what it does.
    let short = short.replacen("acts = \"pause\"\n", "", 1);
    assert_eq!(Policy::parse(&short).unwrap(), Policy::default(), "{short}");
    assert_eq!(Policy::parse(Policy::DEFAULT).unwrap().warnings(), [""; 0]);
}

#[test]
fn every_setting_is_documented() {
    let shared = [
        "name",
        "kind",
        "acts",
        "weight",
        "required",
        "ignore_first",
        "horizon",
        "after",
        "require",
        "rollback",
        "pause",
    ];
    for setting in settings().iter().map(|(name, _)| name.as_str()).chain(shared) {
        assert!(GUIDE.contains(&format!("`{setting}`")), "{setting} is not in the guide");
    }
    // Settings with a default of their own are in the default file, with the value.
    for (setting, _) in settings() {
        let has_none = ["added", "limit", "look_once", "within", "quantile", "above", "below", "breakers", "kpi"]
            .contains(&&*setting);
        assert!(
            has_none || Policy::DEFAULT.contains(&format!("\n{setting} = ")),
            "{setting} is not in the default file"
        );
    }
}

#[test]
fn a_setting_of_another_kind_is_refused_by_name() {
    for (setting, kinds) in settings() {
        for kind in KINDS {
            let parsed = Policy::parse(&trigger(kind, &format!("{setting} = {}\n", sample(&setting))));
            if kinds.contains(&kind.to_owned()) {
                // `quantile` alone says nothing.
                assert!(parsed.is_ok() || setting == "quantile", "{setting} of {kind}: {parsed:?}");
            } else {
                let message = parsed.unwrap_err().to_string();
                let expected = format!("trigger[0].{setting}: a value is not allowed, must be absent in kind {kind}");
                assert!(message.contains(&expected), "{message}");
            }
        }
    }
}

#[test]
fn every_range_is_kept_at_both_ends() {
    for (kind, setting, least, most) in [
        ("errors", "tolerated_ratio", 1.0, 100.0),
        ("errors", "added", 1e-6, 1.0),
        ("errors", "limit", 1e-6, 0.999),
        ("errors", "alpha", 1e-6, 0.5),
        ("kpi", "alpha", 1e-6, 0.5),
        ("latency", "alpha", 1e-6, 0.5),
        ("errors", "borderline", 1.0, 100.0),
        ("errors", "minimum_requests", 1.0, 1e9),
        ("latency", "minimum_requests", 1.0, 1e9),
        ("errors", "minimum_distinct_seconds", 1.0, 60.0),
        ("errors", "warm_up_ratio", 1.0, 100.0),
        ("errors", "warm_up_limit", 1e-6, 0.999),
        ("errors", "warm_up_alpha", 1e-6, 0.5),
        ("errors", "without_baseline", 1e-6, 0.999),
        ("kpi", "without_baseline", 1e-6, 0.999),
        ("errors", "without_baseline_requests", 1.0, 1e9),
        ("latency", "margin", 1.0, 10.0),
        ("latency", "late_margin", 1.18, 10.0),
        ("errors", "look_once", 1.0, 1e12),
        ("gauge", "ratio", 0.01, 100.0),
        ("readiness", "share", 0.001, 1.0),
        ("breakers", "share", 0.001, 1.0),
    ] {
        for good in [least, most] {
            Policy::parse(&trigger(kind, &format!("{setting} = {good:?}\n"))).unwrap();
        }
        for bad in
            [format!("{:?}", least * 0.99), format!("{:?}", most * 1.01), "-1.0".into(), "nan".into(), "inf".into()]
        {
            let message = Policy::parse(&trigger(kind, &format!("{setting} = {bad}\n"))).unwrap_err().to_string();
            assert!(message.contains(&format!("trigger[0].{setting}: ")), "{setting} = {bad}: {message}");
        }
    }
    for (kind, setting, least, most) in [
        ("errors", "ignore_first", "0s", "1d"),
        ("errors", "warm_up", "0s", "1h"),
        ("readiness", "for", "0s", "1d"),
        ("gauge", "for", "0s", "1d"),
        ("readiness", "deadline", "1s", "1d"),
        ("latency", "within", "1us", "1h"),
    ] {
        for good in [least, most] {
            Policy::parse(&trigger(kind, &format!("{setting} = \"{good}\"\n"))).unwrap();
        }
        for bad in [format!("{most} 1s"), "18446744073709551615s".to_owned(), "soon".to_owned()] {
            let message = Policy::parse(&trigger(kind, &format!("{setting} = \"{bad}\"\n"))).unwrap_err().to_string();
            assert!(message.contains(setting), "{setting} = {bad}: {message}");
        }
    }
}

#[track_caller]
fn refused(policy: &str, says: &str) {
    let message = Policy::parse(policy).unwrap_err().to_string();
    assert!(message.contains(says), "{message}\nis expected to say {says}");
}

#[test]
fn the_policy_as_a_whole_is_checked() {
    let one = trigger("errors", "");
    refused("", "trigger: 0 triggers is not allowed");
    refused(&one.repeat(101), "trigger: 101 triggers");
    refused(&one.repeat(2), "trigger[1].name: \"a\" is not allowed, must be a name of its own");
    refused(&one.replace("\"a\"", "\" \""), "trigger[0].name");
    refused(&format!("horizon = \"59s\"\n{one}"), "horizon: 59s is not allowed, must be from 60s to 604800s");
    refused(&format!("horizon = \"18446744073709551615s\"\n{one}"), "horizon: ");
    refused(&format!("[no_data]\nafter = \"0s\"\n{one}"), "no_data.after: 0s");
    refused(
        &format!("[no_data]\nacts = \"continue\"\n{one}"),
        "unknown variant `continue`, expected one of `collecting`",
    );
    refused(&format!("require = [\"b\"]\n{one}"), "require: \"b\" is not allowed");
    refused(&format!("require = [\"a\"]\n{one}acts = \"report\"\n"), "require: \"a\" is not allowed");
    refused(
        &format!("[score]\npause = 20\n{one}"),
        "score.pause: 20 is not allowed, must be from 1 to score.rollback, 15",
    );
    refused(&format!("{one}weight = 5\n"), "weight: 5 is not allowed, must be absent, or [score] present");
    refused(&format!("[score]\n{one}weight = 0\n"), "weight: 0");
    refused(&format!("[score]\n{one}weight = 5\nacts = \"pause\"\n"), "weight: 5");
    refused(&format!("{one}added = 0.1\nlimit = 0.1\n"), "more than one of tolerated_ratio, added and limit");
    refused(&format!("{one}quantil = 0.1\n"), "unknown field `quantil`");
    refused(
        &trigger("latency", "quantile = 0.99\n"),
        "quantile: 0.99 is not allowed, must be absent, or `within` present",
    );
    refused("[[trigger]]\nname = \"a\"\nkind = \"gauge\"\ngauge = \"cpu\"\n", "at least one of above, below and ratio");
    refused("[[trigger]]\nname = \"a\"\nkind = \"kpi\"\n", "trigger[0].kpi: nothing is not allowed, must be a name");
    refused("[[trigger]]\nname = \"a\"\nkind = \"error\"\n", "unknown variant `error`");
    refused("{\"trigger\": [{\"name\": \"a\", \"kind\": \"errors\"}]} {}", "trailing characters");
    // Every problem at once.
    let problems = Policy::parse(&format!("horizon = \"1s\"\n{one}alpha = 2.0\nborderline = 0.0\n")).unwrap_err();
    assert_eq!(problems.problems().len(), 3, "{problems}");
}
