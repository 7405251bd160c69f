//! Plans that are accepted, and everything that is wrong with others.

use super::*;
use crate::config::ConfigError;
use crate::rollback::fields::table_of;
use proptest::prelude::*;
use std::time::Duration;

/// A plan that uses every table.
pub(crate) const FULL: &str = r#"
service = "checkout"
artifact = "registry/checkout:1.2.4"
previous = "registry/checkout:1.2.3"
owner = "team-checkout"
expires = 2027-01-31T00:00:00Z
switches = ["new-checkout"]
stop_when = ["errors of stable rise"]
traffic = { kind = "command", argv = ["./weight.sh", "{weight}"] }
stable = { instances_for_full_traffic = 4 }
recovery = { metric = "share of failed checkouts" }
escalation = { contacts = ["on call: +41 44 000 00 00", "<head@example.com>"], after = "4m" }
rollback = [
    { kind = "kill_switch", argv = ["backstop", "switch", "engage", "new-checkout", "--all", "--reason", "it's broken"] },
    { kind = "traffic_shift", argv = ["./weight.sh", "0"], verify = ["./weight.sh", "--expect", "0"], idempotent = true },
    { kind = "scale_down", argv = ["kubectl", "scale", "deployment/checkout-canary", "--replicas=0"], timeout = "1m" },
    { kind = "version_pin", argv = ["./pin.sh", "registry/checkout:1.2.3"], timeout = "1m" },
]
data = [{ kind = "additive", change = "column orders.discount" }]
lag = [{ kind = "cache", name = "prices", up_to = "10m" }]
preserve = [{ argv = ["./logs.sh"], timeout = "20s" }]
"#;

/// A plan without a way back.
pub(crate) const FORWARD: &str = r#"
service = "checkout"
artifact = "1.2.4"
previous = "1.2.3"
owner = "team-checkout"
expires = "2027-01-31T00:00:00Z"
forward_fix_only = true
recovery = { metric = "failed checkouts" }
escalation = { contacts = ["on call"] }
rollback = [{ kind = "flag", argv = ["./flag.sh", "off"] }]
data = [{ kind = "destructive", reversible = false, backup = "s3://b/1" }]
"#;

fn problems(text: &str) -> Vec<String> {
    let lines = |error: ConfigError| error.problems().iter().map(ToString::to_string).collect();
    Plan::check(text, "2026-11-28T00:00:00Z".parse().unwrap()).map_or_else(lines, |_| Vec::new())
}

/// The full plan with one text replaced by another.
fn with(old: &str, new: &str) -> Vec<String> {
    assert!(FULL.contains(old), "{old}");
    problems(&FULL.replacen(old, new, 1))
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let plan = Plan::parse(FULL).unwrap();
    assert_eq!((plan.policy.as_str(), plan.budget), ("policy.toml", Duration::from_secs(300)));
    let stages: Vec<_> = plan.stages.iter().map(|stage| (stage.weight, stage.min.as_secs(), stage.samples)).collect();
    assert_eq!(stages, [(5, 600, 1_000), (20, 600, 1_000), (50, 600, 1_000), (100, 900, 0)]);
    assert_eq!(plan.stages[0].max, plan.stages[0].min * 6);
    let recovery = &plan.recovery;
    assert_eq!((recovery.errors, recovery.p99, recovery.lasts.as_secs()), (1.5, 1.25, 60));
    assert_eq!((plan.rollback[0].timeout.as_secs(), plan.rollback[0].idempotent), (30, false));
    assert_eq!(Plan::parse(FORWARD).unwrap().escalation.after, Duration::from_secs(300));
}

#[test]
fn json_is_read_as_toml_is() {
    let table = table_of(FULL).unwrap();
    let mut json = serde_json::to_value(&table).unwrap();
    json["expires"] = "2027-01-31T00:00:00Z".into();
    assert_eq!(Plan::parse(&json.to_string()), Plan::parse(FULL));
    assert_eq!(problems(r#"{"service": "a", "service": "b"}"#).len(), 1, "a key twice");
    assert!(problems("service = ")[0].starts_with("document: this is no TOML document"));
}

#[test]
fn an_empty_plan_lists_everything_that_it_needs() {
    let fields: Vec<_> = problems("").iter().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    let needed = "service artifact previous owner expires recovery escalation rollback data";
    assert_eq!(fields.join(" "), needed);
}

#[test]
fn every_rule_names_its_field_the_value_and_what_is_allowed() {
    for (old, new, said) in [
        ("1.2.4\"", "1.2.3\"", "previous: registry/checkout:1.2.3 is not allowed, must be another artifact"),
        ("2027-01-31", "2026-01-31", "expires: 2026-01-31T00:00:00Z is not allowed, must be after now"),
        ("2027-01-31T00:00:00Z", "2027-01-31", "expires: 2027-01-31 is not allowed, must be a time with its zone"),
        ("owner = ", "ower = ", "ower: unknown field, did you mean \"owner\"?"),
        ("verify = ", "verfy = ", "rollback[1].verfy: unknown field, did you mean \"verify\"?"),
        ("lag = [{ kind", "lag = [{ zzzzzz = 1, kind", "lag[0].zzzzzz: unknown field"),
        (
            "\"scale_down\"",
            "\"scaledown\"",
            "rollback[2].kind: \"scaledown\" is not allowed, must be one of kill_switch, flag",
        ),
        (
            "timeout = \"1m\"",
            "timeout = \"4m\"",
            "budget: 5m (the timeouts of 6 attempts to move the traffic, rollback and preserve add up to 6m 50s)",
        ),
        (
            "\"{weight}\"] }",
            "\"{weight}\"], timeout = \"10h\" }",
            "budget: 5m (the timeouts of 6 attempts to move the traffic",
        ),
        ("\"checkout\"", "\"team/checkout\"", "service: \"team/checkout\" is not allowed, must be 1 to 128 letters"),
        ("\"checkout\"", "\"..\"", "service: \"..\" is not allowed"),
        ("\"checkout\"", "\"Kasse-Zürich\"", "service: \"Kasse-Zürich\" is not allowed"),
        (
            "timeout = \"1m\"",
            "timeout = \"0s\"",
            "rollback[2].timeout: \"0s\" is not allowed, must be a duration above 0",
        ),
        ("timeout = \"1m\"", "timeout = 60", "rollback[2].timeout: 60 is not allowed"),
        ("[\"./logs.sh\"]", "[]", "preserve[0].argv: [] is not allowed, must be a program"),
        ("[\"./logs.sh\"]", "[\"\", \"a\"]", "preserve[0].argv: [\"\", \"a\"] is not allowed"),
        ("\"./logs.sh\"", "\"./logs.sh\\n\"", "preserve[0].argv: "),
        ("\"{weight}\"", "\"5\"", "traffic.argv: ./weight.sh 5 is not allowed, must be a command with {weight}"),
        ("\"command\", argv = [\"./weight.sh\", \"{weight}\"]", "\"webhook\"", "traffic.url: required"),
        (
            "checkout:1.2.3\"], timeout",
            "checkout:1.2.4\"], timeout",
            "rollback[3].argv: ./pin.sh registry/checkout:1.2.4",
        ),
        (
            "\"./weight.sh\", \"0\"]",
            "\"./weight.sh\", \"{weight}\"]",
            "rollback[1]: \"{weight}\" is not allowed, must be",
        ),
        ("\"additive\"", "\"contract\"", "data[0].reversible: required"),
        (
            "\"additive\"",
            "\"contract\", reversible = false",
            "data[0].reversible: false is not allowed, must be true, as",
        ),
        ("\"additive\"", "\"destructive\", reversible = true", "data[0].backup: required"),
        ("\"additive\"", "\"none\", reversible = false", "data[0].reversible: false is not allowed"),
        ("data = [", "data = [{ kind = \"none\" }, ", "data[0].kind: none is not allowed, must be the only entry"),
        ("instances_for_full_traffic = 4", "instances_for_full_traffic = 0", "stable.instances_for_full_traffic: 0"),
        ("[\"on call: +41 44 000 00 00\", \"<head@example.com>\"]", "[]", "escalation.contacts: [] is not allowed"),
        ("metric = \"share of failed checkouts\"", "metric = \" \"", "recovery.metric: \" \" is not allowed"),
        ("metric =", "errors = 0.5, metric =", "recovery.errors: 0.5 is not allowed"),
        ("metric =", "errors = nan, metric =", "recovery.errors: nan is not allowed"),
        ("data =", "stage = []\ndata =", "stage: empty list is not allowed"),
        ("data =", "stage = 5\ndata =", "stage: 5 is not allowed, must be a list of tables"),
        (
            "data =",
            "stage = [{ weight = 0 }]\ndata =",
            "stage[0].weight: 0 is not allowed, must be a whole number from 1",
        ),
        ("data =", "stage = [{ weight = 50 }]\ndata =", "stage[0].weight: 50 is not allowed, must be 100 in the last"),
        ("data =", "stage = [{ weight = 100, gate = \"maybe\" }]\ndata =", "stage[0].gate: \"maybe\" is not allowed"),
        (
            "data =",
            "stage = [{ weight = 100, max = \"1m\" }]\ndata =",
            "stage[0].max: 1m is not allowed, must be at least",
        ),
    ] {
        let found = with(old, new);
        assert!(found.iter().any(|line| line.starts_with(said)), "{said}: {found:#?}");
        assert!(found.len() <= 2, "{said}: {found:#?}");
    }
    let stages = with("data =", "stage = [{ weight = 50 }, { weight = 20 }, { weight = 100 }]\ndata =");
    assert_eq!(stages, ["stage[1].weight: 20 is not allowed, must be above the stage before it (50)"]);
}

#[test]
fn instances_are_not_removed_while_they_have_traffic() {
    let shift = "    { kind = \"traffic_shift\", argv = [\"./weight.sh\", \"0\"], verify = [\"./weight.sh\", \"--expect\", \"0\"], idempotent = true },\n";
    let later = with(shift, "").join("\n");
    assert!(later.starts_with("rollback[1].kind: scale_down is not allowed, must be after a traffic_shift"), "{later}");
}

#[test]
fn a_plan_without_a_way_back_cannot_contain_one() {
    for kind in ["traffic_shift", "scale_down", "version_pin"] {
        let found = problems(&FORWARD.replace("\"flag\"", &format!("\"{kind}\"")));
        let said = format!("rollback[0].kind: {kind} is not allowed, must be kill_switch or flag");
        assert!(found.len() == 1 && found[0].starts_with(&said), "{found:?}");
    }
    let found = problems(&FORWARD.replace("rollback = [{ kind = \"flag\", argv = [\"./flag.sh\", \"off\"] }]", ""));
    assert_eq!(found, ["rollback: required: a kill_switch or flag action, as the release cannot be rolled back"]);
    assert_eq!(problems(&FORWARD.replace("forward_fix_only = true", "")).len(), 1);
}

#[test]
fn an_artifact_is_not_named_by_one_whose_name_it_begins() {
    let pin = |argument: &str, previous: &str| {
        let text = FULL.replace("registry/checkout:1.2.3", previous);
        problems(&text.replace(&format!("\"./pin.sh\", \"{previous}\""), &format!("\"./pin.sh\", \"{argument}\"")))
    };
    assert!(pin("registry/checkout:1.2", "registry/checkout:1.2").is_empty());
    assert!(pin("registry/checkout:1.2.40", "registry/checkout:1.2.40").is_empty());
    for previous in ["registry/checkout:1.2", "registry/checkout:1.2.40"] {
        let found = pin("registry/checkout:1.2.4", previous);
        assert!(
            found.len() == 1 && found[0].ends_with("must be a command that pins the previous artifact"),
            "{found:?}"
        );
    }
}

#[test]
fn the_mover_of_the_traffic_has_the_place_of_the_shift_in_the_budget() {
    let shift = "idempotent = true }";
    assert!(with(shift, "idempotent = true, timeout = \"10h\" }").is_empty(), "its command is for the runbook alone");
    let other =
        FULL.replace("traffic = { kind", "# { kind").replacen(shift, "idempotent = true, timeout = \"10h\" }", 1);
    assert!(problems(&other)[0].starts_with("budget: 5m (the timeouts of rollback and preserve add up to"));
    assert!(with("\"checkout\"", &format!("{:?}", "x".repeat(300)))[0].starts_with("service: "));
}

#[test]
fn a_server_is_in_one_list_once() {
    let servers = |canary: &str, stable: &str| {
        let traffic = format!(r#"kind = "haproxy", socket = "s", backend = "b", canary = {canary}, stable = {stable}"#);
        with(r#"kind = "command", argv = ["./weight.sh", "{weight}"]"#, &traffic)
    };
    assert!(servers(r#"["c1", "c2"]"#, r#"["s1"]"#).is_empty());
    assert_eq!(
        servers(r#"["c1", "c1"]"#, r#"["s1"]"#),
        ["traffic.canary: c1 is not allowed, must be each server once"]
    );
    assert_eq!(
        servers(r#"["c1"]"#, r#"["s1", "s1"]"#),
        ["traffic.stable: s1 is not allowed, must be each server once"]
    );
    assert!(servers(r#"["c1"]"#, r#"["c1"]"#)[0].starts_with("traffic.stable: c1 is not allowed"));
}

#[test]
fn an_expired_plan_still_has_a_runbook_and_starts_nothing() {
    let text = FULL.replace("2027-01-31", "2026-01-31");
    assert!(Plan::parse(&text).is_ok());
    assert_eq!(problems(&text).len(), 1);
}

#[test]
fn warnings_name_what_costs_time_later() {
    let warnings = Plan::parse(FULL).unwrap().warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].starts_with("rollback[0] (kill_switch) has no verify"), "{warnings:?}");
    let twice = FULL.replace("[\"./pin.sh\", \"registry/checkout:1.2.3\"]", "[\"./weight.sh\", \"0\"]");
    let twice = Plan::parse(&twice).unwrap().warnings();
    assert!(twice.contains(&"rollback[3] has the command of rollback[1]: it runs twice".to_owned()), "{twice:?}");
    let tight = Plan::parse(&FULL.replace("\"20s\"", "\"90s\"")).unwrap().warnings();
    assert!(tight.last().unwrap().starts_with("timeouts of 5m leave no 1m"), "{tight:?}");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _ = Plan::parse(&text);
    }

    /// Values of the wrong kind in every place.
    #[test]
    fn no_damage_makes_it_panic(at in 0..FULL.len(), length in 0..40_usize, filler in "[\\[\\]{}=\"a-z0-9.,]{0,6}") {
        let (mut from, mut to) = (at, (at + length).min(FULL.len()));
        while !FULL.is_char_boundary(from) { from -= 1; }
        while !FULL.is_char_boundary(to) { to -= 1; }
        let text = format!("{}{filler}{}", &FULL[..from], &FULL[to.max(from)..]);
        if let Ok(plan) = Plan::parse(&text) {
            prop_assert!(!plan.runbook().is_empty() && plan.timeouts() <= plan.budget);
        }
    }
}
