//! What two operators type during one incident: nothing typed for one switch changes another unseen.
#![cfg(feature = "cli")]

use crate::file::Editor;

/// The command that a line of an answer names, as arguments.
fn named<'a>(said: &'a str, begin: &str) -> Vec<&'a str> {
    let line = said.lines().find_map(|line| line.strip_prefix(begin)).unwrap_or_else(|| panic!("{said}"));
    line.trim_start_matches("backstop switch ").split(' ').map(|word| word.trim_matches('"')).collect()
}

/// An editor with `recs` and `ads`.
fn two() -> Editor {
    let editor = Editor::with_recs();
    editor.define("ads").succeeds();
    editor
}

#[test]
fn the_printed_hint_undoes_its_own_change_and_no_other() {
    let editor = two();
    let said = editor.run_as("ana", &["engage", "recs", "--all", "--reason", "wrong prices"]).succeeds().stdout;
    editor.run_as("bo", &["engage", "ads", "--all", "--reason", "offensive"]).succeeds();
    let undone = editor.run_as("ana", &named(&said, "To undo it: ")).succeeds().stdout;
    assert_eq!(editor.engaged(), ["ads"]);
    assert!(
        undone.contains("Turned on again: recs, for everybody; ana engaged it because \"wrong prices\"."),
        "{undone}"
    );
    assert!(undone.contains("ads is engaged for everybody."), "{undone}");
}

#[test]
fn a_revert_over_another_switch_or_person_is_refused_until_both_are_named() {
    let editor = two();
    editor.run_as("ana", &["engage", "recs", "--all", "--reason", "wrong prices"]).succeeds();
    editor.run_as("bo", &["engage", "ads", "--all", "--reason", "offensive"]).succeeds();
    editor.run_as("ana", &["revert", "--reason", "x"]).fails(1, "\"engage ads\" by bo");
    editor.run_as("ana", &["revert", "3", "--reason", "x"]).fails(1, "--switch ads --switch recs --over \"bo\"");
    editor
        .run_as("ana", &["revert", "3", "--switch", "recs", "--switch", "ads", "--reason", "x"])
        .fails(1, "undoes_more");
    editor.run_as("ana", &["revert", "3", "--switch", "rec", "--reason", "x"]).fails(1, "no switch rec ");
    assert_eq!(editor.engaged(), ["ads", "recs"]);
    let all = ["revert", "3", "--switch", "recs", "--switch", "ads", "--over", "bo", "--reason", "both"];
    let said = editor.run_as("ana", &all).succeeds().stdout;
    assert!(said.contains("Turned on again: ads, for everybody; bo engaged it"), "{said}");
    assert!(editor.engaged().is_empty());
}

#[test]
fn narrowing_is_refused_unless_it_is_said_and_adding_is_easy() {
    let editor = Editor::with_recs();
    let engage = |more: &[&str]| editor.run(&[&["engage", "recs", "--reason", "x"][..], more].concat());
    engage(&["--all"]).succeeds();
    for narrower in [&["--tenant", "initech"][..], &["--percent", "99"], &["--all", "--for", "2h"]] {
        engage(narrower).fails(1, "error (narrows): mira engaged recs for more requests");
    }
    engage(&["--all", "--stage", "instance:web-1"]).fails(1, "narrows");
    engage(&["--tenant", "initech", "--add"]).fails(1, "unchanged");
    assert!(editor.run(&["list"]).succeeds().stdout.contains("everybody"));

    engage(&["--tenant", "acme", "--for", "1h", "--replace"]).succeeds();
    engage(&["--tenant", "initech"]).fails(1, "--add");
    let said = engage(&["--tenant", "initech", "--add"]).succeeds().stdout;
    assert!(said.starts_with("recs is engaged for tenant acme or initech, until "), "{said}");
    engage(&["--tenant", "acme", "--route", "/recs", "--add"]).fails(1, "unchanged");
    engage(&["--region", "eu", "--add"]).fails(1, "cannot_add");
    engage(&["--all", "--add"]).succeeds();
    assert!(editor.run(&["list"]).succeeds().stdout.contains("everybody"));
}

#[test]
fn what_could_match_nobody_is_refused_with_the_reason() {
    let editor = Editor::with_recs();
    for (scope, why) in [
        (["--tenant", "acme "], "without blanks at its ends"),
        (["--tenant", "acme\u{200b}"], "invisible"),
        (["--tenant", "acme,initech"], "give each of several on its own"),
        (["--audience", "beta*"], "only routes have a wildcard"),
        (["--route", "recs"], "begins with one /"),
        (["--route", "GET /recs"], "without method"),
        (["--route", "https://shop.example/recs"], "scheme and host"),
    ] {
        editor.run(&[&["engage", "recs", "--reason", "x"][..], &scope].concat()).fails(1, why);
    }
    for stage in ["instance:web-1,web-2", "region:eu "] {
        editor.run(&["engage", "recs", "--all", "--stage", stage, "--reason", "x"]).fails(1, "invalid");
    }
    assert!(editor.engaged().is_empty());
}

#[test]
fn what_is_not_given_stays_when_a_switch_is_defined_again() {
    let editor = Editor::with_recs();
    let limits =
        ["--severity", "critical", "--max-automatic", "5", "--max-automatic-spread", "regions", "--reason", "x"];
    editor.run(&[&["define", "recs"][..], &limits].concat()).succeeds();
    editor.run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
    let before = editor.json(&["list"])[0].clone();
    editor.run(&["define", "recs", "--expires", "2031-01-01T00:00:00Z", "--reason", "later"]).succeeds();
    let mut after = editor.json(&["list"])[0].clone();
    assert_eq!(after["definition"]["expires"], "2031-01-01T00:00:00Z");
    after["definition"]["expires"] = before["definition"]["expires"].clone();
    assert_eq!(after, before);
    editor.run(&["define", "recs", "--max-automatic", "none", "--reason", "people only"]).succeeds();
    assert_eq!(editor.json(&["list"])[0]["definition"].get("max_automatic"), None);
    editor.run(&["define", "ads", "--owner", "team", "--reason", "x"]).fails(2, "a new switch needs --disables");
}

#[test]
fn an_end_that_a_slow_clock_has_put_into_the_past_is_told() {
    // The last change says that it is later than the clock here knows.
    let editor = Editor::with_recs();
    let store = backstop::kill_switch::store::FileStore::new(editor.path("switches.json")).unwrap();
    let later = |hours: u64| backstop::clock::Timestamp::now() + std::time::Duration::from_secs(hours * 3_600);
    let by = backstop::kill_switch::Author::person("bo", later(3)).because("his clock is right");
    let editing = backstop::kill_switch::Editor::new(store);
    editing.change(&backstop::kill_switch::Change::TwoPerson { required: true }, &by).unwrap();
    let engage = |length| ["engage", "recs", "--all", "--for", length, "--reason", "x"];
    editor.run(&engage("2h")).fails(1, "later than the document's last change");
    assert!(editor.engaged().is_empty());
    let ran = editor.run(&engage("4h"));
    assert!(ran.code == 0 && ran.stderr.contains("min behind the document's last change"), "{ran:?}");
    assert_eq!(editor.engaged(), ["recs"]);
}

#[test]
fn the_printed_hint_works_where_the_history_was_not_kept() {
    let editor = Editor::with_recs();
    std::fs::remove_dir_all(editor.path("switches.json.history")).unwrap();
    std::fs::write(editor.path("switches.json.history"), "no directory").unwrap();
    let ran = editor.run(&["engage", "recs", "--all", "--reason", "wrong prices"]);
    assert_eq!(editor.engaged(), ["recs"]);
    assert_eq!(editor.run(&named(&ran.stdout, "To undo it: ")).code, 0);
    assert!(editor.engaged().is_empty());
}

#[test]
fn a_hint_is_refused_where_somebody_else_has_changed_the_switch_since() {
    let editor = Editor::with_recs();
    let said =
        editor.run_as("ana", &["engage", "recs", "--tenant", "acme", "--reason", "wrong prices"]).succeeds().stdout;
    editor.run_as("bo", &["engage", "recs", "--all", "--reason", "for all"]).succeeds();
    editor.run_as("ana", &named(&said, "To undo it: ")).fails(1, "\"engage recs\" by bo");
    assert_eq!(editor.engaged(), ["recs"]);
}

#[test]
fn a_revert_of_a_setting_does_not_change_a_switch() {
    let editor = Editor::with_recs();
    editor.run(&["stages", "instance:web-1", "--reason", "one first"]).succeeds();
    editor.run(&["engage", "recs", "--all", "--now", "--reason", "wrong prices"]).succeeds();
    editor.run(&["revert", "2", "--reason", "x"]).fails(1, "--switch recs --settings");
    let said = editor.run(&["revert", "2", "--settings", "--reason", "x"]).succeeds().stdout;
    assert!(said.contains("The settings are as they were in generation 2."), "{said}");
    assert!(said.contains("Nothing was turned on again."), "{said}");
    assert_eq!(editor.engaged(), ["recs"]);
}

#[test]
fn ten_thousand_tenants_and_a_hundred_long_routes_are_listed_in_short_and_whole_in_json() {
    let editor = Editor::with_recs();
    let tenants: Vec<_> = (0..10_000).map(|number| format!("--tenant=tenant-{number:04}")).collect();
    let routes: Vec<_> = (0..100).map(|number| format!("--route=/{}{number}", "r".repeat(500))).collect();
    for (scope, dimension) in [(tenants, "tenants"), (routes, "routes")] {
        let scope: Vec<_> = scope.iter().map(String::as_str).collect();
        let said = editor.run(&[&["engage", "recs", "--replace", "--reason", "x"][..], &scope].concat());
        assert!(said.succeeds().stdout.lines().all(|line| line.len() < 300));
        for command in ["list", "history", "pending"] {
            let listed = editor.run(&[command]).succeeds().stdout;
            assert!(listed.lines().all(|line| line.len() < 500), "{command}: {listed:.900}");
        }
        let switch = editor.json(&["list"])[0].clone();
        assert_eq!(switch["engaged"]["scope"][dimension].as_array().unwrap().len(), scope.len());
    }
    assert!(editor.run(&["list"]).succeeds().stdout.contains(".. or 97 more"));
}
