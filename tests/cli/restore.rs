//! Files that were damaged, deleted or put back from a backup, and what `restore` says.
#![cfg(feature = "cli")]

use crate::file::Editor;
use std::fs;

#[test]
fn what_was_damaged_or_deleted_is_restored_from_the_history() {
    let editor = Editor::with_recs();
    editor.run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
    editor.run(&["restore", "--reason", "x"]).fails(1, "error (sound): nothing to restore: generation 3");
    fs::write(editor.path("switches.json"), "garbage").unwrap();
    editor.run(&["list"]).fails(3, "backstop switch restore --reason");
    let said = editor.run(&["restore", "--reason", "the disk was full"]).succeeds().stdout;
    assert!(
        said.starts_with("Generation 2 of the history is the document again.") && said.ends_with("Generation 4.\n")
    );
    fs::remove_file(editor.path("switches.json")).unwrap();
    editor.define("recs").fails(1, "error (gone): the document is gone but its history is there");
    editor.run(&["restore", "--reason", "the file was deleted"]).succeeds();
    assert!(editor.run(&["history"]).succeeds().stdout.contains("restore generation"));
    editor.run(&["verify-audit"]).succeeds();
}

#[test]
fn a_file_that_went_back_is_not_changed_before_it_is_restored() {
    let editor = Editor::with_recs();
    let file = editor.path("switches.json");
    let backup = fs::read(&file).unwrap();
    for _ in 0..3 {
        editor.run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
        editor.run(&["release", "recs", "--reason", "x"]).succeeds();
    }
    fs::write(&file, &backup).unwrap();
    let says = "the store has generation 2, and its history has 7";
    for change in [&["engage", "recs", "--all"][..], &["define", "recs", "--owner", "a"], &["two-person", "on"]] {
        editor.run(&[change, &["--reason", "x"]].concat()).fails(1, says);
    }
    for command in ["list", "history"] {
        let told = editor.run(&[command]);
        assert!(told.code == 0 && told.stderr.contains(says) && told.stderr.contains("switch restore"), "{told:?}");
    }
    assert_eq!(fs::read(&file).unwrap(), backup);
    editor.run(&["restore", "--reason", "a backup was put back"]).succeeds();
    editor.run(&["engage", "recs", "--all", "--reason", "now really"]).succeeds();
    assert_eq!(
        (editor.engaged(), editor.json(&["history", "--limit", "1"])[0]["generation"].clone()),
        (vec!["recs".to_owned()], 10.into())
    );
}

#[test]
fn a_restore_names_every_engaged_switch_that_is_on_again() {
    let editor = Editor::with_recs();
    editor.define("ads").succeeds();
    editor.run(&["engage", "ads", "--all", "--reason", "offensive"]).succeeds();
    let engage = ["engage", "recs", "--tenant", "acme", "--reason", "wrong prices"];
    let restored_after = |change: &[&str]| {
        editor.run(change).succeeds();
        fs::write(editor.path("switches.json"), "garbage").unwrap();
        editor.run(&["restore", "--reason", "the disk was full"]).succeeds().stdout
    };
    let said = restored_after(&engage);
    let on_again = "Turned on again: recs, for tenant acme; mira engaged it because \"wrong prices\".\n";
    assert!(said.contains(on_again) && said.matches("Turned on again").count() == 1, "{said}");
    assert_eq!(editor.engaged(), ["ads"]);

    editor.run(&engage).succeeds();
    let said = restored_after(&["pin", "recs", "--reason", "to be sure"]);
    assert!(said.contains("again.\nNothing was turned on again.\n"), "{said}");
    let said = restored_after(&["engage", "recs", "--all", "--reason", "for all"]);
    assert!(said.contains("recs, for everybody except tenant acme; mira engaged it because \"for all\"."), "{said}");

    fs::remove_file(editor.path("switches.json.audit.jsonl")).unwrap();
    let said = restored_after(&["release", "recs", "--reason", "x", "--no-audit"]);
    assert!(said.contains("Without an audit it is unknown"), "{said}");
}
