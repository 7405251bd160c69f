//! Texts of people: each is there, none is too long, and no terminal obeys one.

use crate::commands::Desk;
use crate::scene::Scene;
use backstop::rollout::stages::Ask;
use std::fs;
use std::process::Command;

#[test]
fn a_blank_or_endless_reason_or_name_is_refused_wherever_it_comes_from() {
    let desk = Desk::new();
    let running = desk.start(&["--by", "mira"]);
    desk.reaches("checking");
    for reason in ["", " \t"] {
        desk.run(&["pause", "checkout", "--reason", reason, "--by", "bo"])
            .fails(2, "reason: a blank text is not allowed, must be 1 to 1000 bytes, not blank");
        desk.run(&["start", "plan.toml", "--source", "ticks:-", "--by", "bo", "--reason", reason])
            .fails(2, "reason: a blank text");
    }
    desk.run(&["rollback", "checkout", "--reason", &"x".repeat(1_001), "--by", "bo"]).fails(2, "a text of 1001 bytes");
    desk.run(&["pause", "checkout", "--reason", "r", "--by", " "]).fails(2, "by: a blank text");
    drop(running);
    let scene = Scene::new("");
    scene.world.not_ready.store(4, std::sync::atomic::Ordering::Relaxed);
    drop(scene.start());
    scene.reaches("checking");
    let answer = scene.ask_as(Ask::Pause, " ");
    assert!(!answer.is_accepted && answer.text.contains("reason: a blank text"), "{}", answer.text);
}

#[test]
fn control_characters_of_a_reason_reach_no_terminal() {
    let desk = Desk::new();
    let _running = desk.start(&["--by", "mira"]);
    desk.reaches("checking");
    desk.run(&["pause", "checkout", "--reason", "a\nb\x1b[31m", "--by", "b\x07o"]).succeeds();
    let text = desk.run(&["status"]).succeeds().stdout;
    assert!(text.contains("paused by b\\u{7}o: a b\\u{1b}[31m"), "{text}");
    assert!(!text.contains(['\x1b', '\x07']), "{text}");
}

#[test]
fn a_runtime_socket_that_is_neither_a_path_nor_an_address_is_an_error_of_the_check() {
    let desk = Desk::new();
    let path = desk.folder.path().join("plan.toml");
    let socket = desk.balancer.socket.display().to_string();
    let plan = fs::read_to_string(&path).unwrap();
    fs::write(&path, plan.replace(&socket, "x.sock")).unwrap();
    let mut check = Command::new(env!("CARGO_BIN_EXE_backstop"));
    check.args(["plan", "check", "plan.toml"]).current_dir(desk.folder.path());
    let says = "traffic.socket: x.sock is not allowed, must be a path with a slash, as ./x.sock";
    crate::ran::Ran::by(&mut check).fails(2, says);
    desk.run(&["start", "plan.toml", "--source", "ticks:-", "--by", "bo"]).fails(2, says);
    fs::write(&path, plan.replace(&socket, "127.0.0.1:9999")).unwrap();
    assert_eq!(crate::ran::Ran::by(&mut check).code, 0);
}
