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
        said.starts_with("Generation 3 of the history is the document again.") && said.ends_with("Generation 5.\n")
    );
    assert_eq!(editor.engaged(), ["recs"]);
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
    let mut backups = vec![fs::read(&file).unwrap()];
    for _ in 0..3 {
        editor.run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
        backups.push(fs::read(&file).unwrap());
        editor.run(&["release", "recs", "--reason", "x"]).succeeds();
    }
    for (backup, generation) in [(&backups[0], 2), (&backups[3], 7)] {
        let newest = editor.json(&["history"])[0]["generation"].as_u64().unwrap();
        fs::write(&file, backup).unwrap();
        let says = format!("the store has generation {generation}, and its history has {newest}");
        for change in [&["engage", "recs", "--tenant", "acme"][..], &["define", "recs"], &["two-person", "on"]] {
            editor.run(&[change, &["--reason", "x"]].concat()).fails(1, &says);
        }
        for command in ["list", "history"] {
            let told = editor.run(&[command]);
            assert!(
                told.code == 0 && told.stderr.contains(&says) && told.stderr.contains("switch restore"),
                "{told:?}"
            );
        }
        assert_eq!(fs::read(&file).unwrap(), *backup);
        editor.run(&["restore", "--reason", "a backup was put back"]).succeeds();
        assert!(editor.engaged().is_empty());
        let engage = editor.run(&["engage", "recs", "--all", "--reason", "now really"]).succeeds().stdout;
        assert!(engage.ends_with(&format!("Generation {}.\n", newest + 3)), "above all that may be in force: {engage}");
        editor.run(&["release", "recs", "--reason", "x"]).succeeds();
    }
}

#[test]
fn a_restore_names_every_engaged_switch_that_is_on_again() {
    let editor = Editor::with_recs();
    editor.define("ads").succeeds();
    editor.run(&["engage", "ads", "--all", "--reason", "offensive"]).succeeds();
    let engage = ["engage", "recs", "--tenant", "acme", "--reason", "wrong prices"];
    let restored_after = |change: &[&str]| {
        editor.run(change).succeeds();
        // As if the history could not keep the last one.
        let generation = editor.json(&["history"])[0]["generation"].as_u64().unwrap();
        fs::remove_file(editor.path(&format!("switches.json.history/{generation:020}.json"))).unwrap();
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

#[test]
fn an_engagement_that_had_ended_by_itself_is_not_on_again_by_a_restore() {
    let editor = Editor::with_recs();
    editor.define("ads").succeeds();
    let newest = || editor.json(&["history"])[0]["generation"].as_u64().unwrap();
    let kept = newest();
    for (id, length) in [("recs", "1s"), ("ads", "1h")] {
        editor.run(&["engage", id, "--all", "--for", length, "--reason", "wrong prices"]).succeeds();
    }
    for lost in kept + 1..=newest() {
        fs::remove_file(editor.path(&format!("switches.json.history/{lost:020}.json"))).unwrap();
    }
    fs::write(editor.path("switches.json"), "garbage").unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1_100)); // the command reads the clock of the system
    let said = editor.run(&["restore", "--reason", "the disk was full"]).succeeds().stdout;
    assert!(said.contains("Turned on again: ads,") && !said.contains("recs,"), "{said}");
}
