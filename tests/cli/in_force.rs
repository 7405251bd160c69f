//! What an operator is told of a running program: what is in force there, for whom it is not, and how its store differs.
#![cfg(all(feature = "cli", feature = "axum"))]

use crate::admin::Program;
use backstop::kill_switch::{OnUnknown, Target};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn requests_that_pass_an_engagement_are_told_by_the_command() {
    let program = Program::with_recs();
    let recs = program.switches.switch("recs", OnUnknown::Allow).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let _ = recs.check(&Target::new().route("/recs"));
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        let ran = program.run("mira", &["engage", "recs", "--tenant", "acme", "--reason", "x"]);
        is_over.store(true, Ordering::Relaxed);
        assert!(ran.code == 0 && ran.stderr.contains("requests passed because they state no tenant"), "{ran:?}");
    });
    let listed = program.run("mira", &["list"]);
    assert!(listed.code == 0 && listed.stderr.contains("recs is engaged, but "), "{listed:?}");
}

#[test]
fn a_stage_that_does_not_include_the_program_is_told_by_the_command() {
    let program = Program::with_recs();
    let engage = ["engage", "recs", "--all", "--stage", "instance:web-9", "--reason", "x"];
    let said = program.run("mira", &engage).succeeds().stdout;
    assert!(said.contains("That program has no gate of this name"), "{said}");
    program.run("mira", &["release", "recs", "--reason", "x"]).succeeds();
    let _recs = program.switches.switch("recs", OnUnknown::Allow).unwrap();
    let ran = program.run("mira", &engage);
    assert!(ran.code == 0 && ran.stderr.contains("only on web-9, but this instance is instance"), "{ran:?}");
}

#[test]
fn a_list_shows_what_is_in_force_and_warns_of_the_stores_difference() {
    let program = Program::with_recs();
    let (document, older) = (program.path("switches.json"), program.path("older.json"));
    fs::copy(&document, &older).unwrap();
    program.run("mira", &["engage", "recs", "--all", "--reason", "x"]).succeeds();
    fs::rename(&older, &document).unwrap();
    let listed = program.run("mira", &["list"]);
    assert!(listed.stdout.contains("engaged") && listed.stdout.contains("Generation 3 is in force."), "{listed:?}");
    assert!(listed.stderr.contains("generation 3 is in force here, and the store has generation 2"), "{listed:?}");
    fs::remove_file(&document).unwrap();
    let listed = program.run("mira", &["list", "--json"]);
    assert!(listed.code == 0 && listed.value()[0]["engaged"]["by"] == "mira", "{listed:?}");
    assert!(listed.stderr.contains("restore"), "{listed:?}");
}
