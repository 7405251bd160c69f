//! Policy files: every setting has a range, belongs to its kinds, and is documented with its default.

use backstop::rollback::Policy;
use std::collections::BTreeSet;
use std::time::Duration;

const SOURCE: &str = include_str!("../../src/rollback/policy/file.rs");
const GUIDE: &str = include_str!("../../src/guide/a_rollback_policy.rs");
const KINDS: [&str; 6] = ["errors", "kpi", "latency", "gauge", "readiness", "breakers"];

/// Settings with their kinds.
const SETTINGS: [(&str, &[&str]); 27] = [
    ("class", &["errors"]),
    ("kpi", &["kpi"]),
    ("look_once", &["errors", "kpi", "latency"]),
    ("tolerated_ratio", &["errors", "kpi"]),
    ("added", &["errors", "kpi"]),
    ("limit", &["errors", "kpi"]),
    ("alpha", &["errors", "kpi", "latency"]),
    ("borderline", &["errors", "kpi"]),
    ("minimum_requests", &["errors", "kpi", "latency"]),
    ("minimum_distinct_seconds", &["errors", "kpi"]),
    ("warm_up", &["errors", "kpi"]),
    ("warm_up_ratio", &["errors", "kpi"]),
    ("warm_up_limit", &["errors", "kpi"]),
    ("warm_up_alpha", &["errors", "kpi"]),
    ("without_baseline", &["errors", "kpi"]),
    ("without_baseline_requests", &["errors", "kpi"]),
    ("margin", &["latency"]),
    ("late_margin", &["latency"]),
    ("quantile", &["latency"]),
    ("within", &["latency", "breakers"]),
    ("gauge", &["gauge"]),
    ("above", &["gauge"]),
    ("below", &["gauge"]),
    ("ratio", &["gauge"]),
    ("floor", &["gauge"]),
    ("for", &["gauge", "readiness"]),
    ("share", &["readiness", "breakers"]),
];
const OTHERS: [(&str, &[&str]); 2] = [("deadline", &["readiness"]), ("breakers", &["breakers"])];

fn settings() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    SETTINGS.into_iter().chain(OTHERS)
}

#[test]
fn the_settings_of_these_tests_are_those_that_are_read() {
    let of_kinds = SOURCE.split_once("\nfn kind(").unwrap().1;
    let read = of_kinds.split("fields.").skip(1).filter_map(|call| {
        let (method, more) = call.split_once("(\"")?;
        ["number", "seconds", "choice", "texts", "required"].contains(&method).then(|| more.split('"').next().unwrap())
    });
    let read: BTreeSet<_> = read.collect();
    assert_eq!(read, settings().map(|(name, _)| name).collect());
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

/// The header of the file says so: what has another default is marked.
#[test]
fn the_default_file_has_the_defaults_of_what_is_left_out() {
    let mut short = String::new();
    for line in Policy::DEFAULT.lines() {
        let name = line.split(" = ").next().unwrap();
        let is_kept = ["name", "kind", "gauge"].contains(&name) || line.contains("# default: ");
        if line.starts_with("[[") || is_kept {
            short.push_str(line);
            short.push('\n');
        }
    }
    assert_eq!(Policy::parse(&short).unwrap(), Policy::default(), "{short}");
    let marked = Policy::DEFAULT.lines().filter(|line| line.contains("# default: "));
    for line in marked {
        assert_ne!(Policy::parse(&Policy::DEFAULT.replacen(line, "", 1)), Ok(Policy::default()), "{line} is a default");
    }
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
    for setting in settings().map(|(name, _)| name).chain(shared) {
        assert!(GUIDE.contains(&format!("`{setting}`")), "{setting} is not in the guide");
    }
    // Settings with a default of their own are in the default file, with the value.
    for (setting, _) in settings() {
        let has_none = ["added", "limit", "look_once", "within", "quantile", "above", "below", "breakers", "kpi"]
            .contains(&setting);
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
            let parsed = Policy::parse(&trigger(kind, &format!("{setting} = {}\n", sample(setting))));
            if kinds.contains(&kind) {
                // `quantile` alone says nothing.
                assert!(parsed.is_ok() || setting == "quantile", "{setting} of {kind}: {parsed:?}");
            } else {
                let message = parsed.unwrap_err().to_string();
                let expected = format!("trigger[0].{setting}: unknown field of kind {kind}");
                assert!(message.contains(&expected), "{message}");
            }
        }
    }
}

#[test]
fn a_test_for_one_look_refuses_each_setting_that_it_does_not_use() {
    let used = ["look_once", "alpha", "borderline", "class", "kpi"];
    for (setting, kinds) in settings().filter(|(setting, _)| !used.contains(setting)) {
        for kind in kinds.iter().filter(|kind| ["errors", "kpi", "latency"].contains(kind)) {
            let policy = trigger(kind, &format!("{setting} = {}\nlook_once = 1000\n", sample(setting)));
            let message = Policy::parse(&policy).unwrap_err().to_string();
            let expected = format!("trigger[0].{setting}: ");
            assert!(message.contains(&expected) && message.contains("absent beside look_once"), "{message}");
        }
    }
    let many = trigger("errors", "look_once = 1000\nlimit = 0.1\nwarm_up = \"1m\"\nalpha = 0.05\n");
    assert_eq!(Policy::parse(&many).unwrap_err().problems().len(), 2);
    Policy::parse(&trigger("errors", "look_once = 1000\nalpha = 0.05\nborderline = 1.5\nclass = \"all\"\n")).unwrap();
}

#[test]
fn points_that_are_never_reached_and_stages_that_are_too_short_are_warned_of() {
    let scored = |score: &str| format!("{score}\n{}weight = 8\n", trigger("errors", ""));
    let warnings = |policy: &str| Policy::parse(policy).unwrap().warnings().join("\n");
    assert_eq!(warnings(&scored("[score]\nrollback = 8\npause = 4")), "");
    let never = warnings(&scored("[score]"));
    assert!(
        never.contains("rollback = 15 is never reached: all weights together are 8") && never.contains("pause = 10")
    );
    assert!(!warnings(&scored("[score]\nrollback = 15\npause = 8")).contains("pause"));

    let policy = Policy::default();
    let warning = policy.stage_warning(Duration::from_secs(60)).unwrap();
    assert!(warning.contains("warm-up of errors, client errors") && warning.contains("a rate under 1 %"), "{warning}");
    assert_eq!(policy.stage_warning(Duration::from_secs(61)), None);
    let without = Policy::parse(&trigger("errors", "warm_up = \"0s\"\n")).unwrap();
    assert_eq!(without.stage_warning(Duration::from_secs(1)), None);
}

#[test]
fn a_gauge_that_would_always_be_out_of_bounds_is_refused_and_numbers_are_short() {
    let of = |bounds: &str| Policy::parse(&trigger("gauge", bounds)).map_err(|error| error.to_string());
    assert!(of("above = 20\nbelow = 20\n").is_ok() && of("above = 20\nbelow = -5\n").is_ok());
    let message = of("above = 20\nbelow = 30\n").unwrap_err();
    assert!(message.contains("trigger[0].below: 30 is not allowed, must be at most above, 20"), "{message}");
    let message = of("above = 1e301\n").unwrap_err();
    assert!(message.contains("must be a number from -1e300 to 1e300"), "{message}");
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
        ("latency", "late_margin", 1.17, 10.0),
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
        ("breakers", "within", "1s", "7d"),
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
    refused("", "trigger: required: at least one");
    refused("trigger = 5", "trigger: 5 is not allowed, must be a list of tables");
    refused("trigger = []", "trigger: [] is not allowed, must be at least one [[trigger]]");
    refused(&one.repeat(101), "trigger: 101 triggers");
    refused(&one.repeat(2), "trigger[1].name: a is not allowed, must be a name of its own");
    refused(&one.replace("\"a\"", "\" \""), "trigger[0].name");
    refused(&one.replace("\"a\"", &format!("\"{}\"", "a".repeat(129))), "must be at most 128 bytes");
    refused(
        &format!("horizon = \"59s\"\n{one}"),
        "horizon: \"59s\" is not allowed, must be a duration from 1m to 7days",
    );
    refused(&format!("horizon = \"18446744073709551615s\"\n{one}"), "horizon: ");
    refused(&format!("[no_data]\nafter = \"0s\"\n{one}"), "no_data.after: \"0s\"");
    refused(
        &format!("[no_data]\nacts = \"continue\"\n{one}"),
        "no_data.acts: \"continue\" is not allowed, must be one of collecting, pause, rollback",
    );
    refused(&format!("require = [\"b\"]\n{one}"), "require: b is not allowed");
    refused(&format!("require = [\"a\"]\n{one}acts = \"report\"\n"), "require: a is not allowed");
    refused(&format!("require = [\"a\", \"a\"]\n{one}"), "require: a is not allowed, must be each name once");
    refused(&format!("[score]\npause = 20\n{one}"), "score.pause: 20 is not allowed, must be at most rollback, 15");
    refused(&format!("[score]\npause = 0\n{one}"), "score.pause: 0");
    refused(&format!("{one}weight = 5\n"), "weight: 5 is not allowed, must be absent where the policy has no [score]");
    refused(&format!("[score]\n{one}weight = 0\n"), "weight: 0");
    refused(&format!("[score]\n{one}weight = 4294967295\n"), "weight: 4294967295");
    refused(
        &format!("[score]\n{one}weight = 5\nacts = \"pause\"\n"),
        "acts: \"pause\" is not allowed, must be absent beside",
    );
    refused(&format!("{one}added = 0.1\nlimit = 0.1\n"), "more than one of tolerated_ratio, added and limit");
    refused(
        &format!("{one}limit = 0.1\nwithout_baseline = 0.1\n"),
        "without_baseline: 0.1 is not allowed, must be absent",
    );
    refused(
        &trigger("latency", "within = \"1s\"\nmargin = 1.2\n"),
        "margin: 1.2 is not allowed, must be absent beside",
    );
    refused(&trigger("latency", "quantile = 0.99\n"), "quantile: 0.99 is not allowed, must be absent without `within`");
    refused("[[trigger]]\nname = \"a\"\nkind = \"gauge\"\ngauge = \"cpu\"\n", "at least one of above, below and ratio");
    refused("[[trigger]]\nname = \"a\"\nkind = \"kpi\"\n", "trigger[0].kpi: required: its name in the ticks");
    refused("{\"trigger\": [{\"name\": \"a\", \"kind\": \"errors\"}]} {}", "trailing characters");
}

#[test]
fn every_problem_is_reported_at_once_and_near_misses_by_name() {
    let policy = r#"
        horizn = "1h"
        [no_data]
        aftr = "5m"
        [[trigger]]
        name = "a"
        kind = "errors"
        alpha = 2.0
        borderlin = 3.0
        warm_up = 60
        [[trigger]]
        name = "a"
        kind = "latncy"
        margin = 1.2
        [[trigger]]
        name = "b"
        kind = "latency"
        quantil = 0.1
        within = "250ms"
    "#;
    let error = Policy::parse(policy).unwrap_err();
    let problems: Vec<_> = error.problems().iter().map(ToString::to_string).collect();
    let expected = [
        "no_data.aftr: unknown field, did you mean \"after\"?",
        "trigger[0].alpha: 2.0 is not allowed, must be a number from 0.000001 to 0.5",
        "trigger[0].warm_up: 60 is not allowed, must be a duration from 0s to 1h, such as \"30s\" or \"5m\"",
        "trigger[0].borderlin: unknown field of kind errors, did you mean \"borderline\"?",
        "trigger[1].kind: \"latncy\" is not allowed, must be one of errors, kpi, latency, gauge, readiness, breakers",
        "trigger[2].quantil: unknown field of kind latency, did you mean \"quantile\"?",
        "trigger[1].name: a is not allowed, must be a name of its own",
        "horizn: unknown field, did you mean \"horizon\"?",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_key_twice_is_refused_in_both_forms() {
    let trigger = r#"[{"name": "a", "kind": "errors"}]"#;
    refused(&format!(r#"{{"horizon": "1h", "horizon": "2h", "trigger": {trigger}}}"#), "duplicate key");
    refused(r#"{"trigger": [{"name": "a", "name": "b", "kind": "errors"}]}"#, "duplicate key");
    refused("horizon = \"1h\"\nhorizon = \"2h\"\n", "duplicate key");
}

#[test]
fn a_null_in_json_names_its_field() {
    let error =
        Policy::parse(r#"{"trigger": [{"name": "e", "kind": "errors", "alpha": null}]}"#).unwrap_err().to_string();
    assert!(error.contains("trigger[0].alpha: null is not allowed, must be a value; leave the field out"), "{error}");
}

#[test]
fn a_byte_order_mark_is_skipped() {
    let policies =
        [r#"{"trigger": [{"name": "e", "kind": "errors"}]}"#, "[[trigger]]\nname = \"e\"\nkind = \"errors\"\n"];
    for policy in policies {
        assert_eq!(Policy::parse(&format!("\u{feff}{policy}")), Policy::parse(policy));
        assert!(Policy::parse(policy).is_ok());
    }
}
