//! Tokens from the command: made, listed and revoked while a program runs.
#![cfg(all(feature = "cli", feature = "axum"))]

use crate::file::Editor;
use backstop::admin::Admin;
use backstop::kill_switch::KillSwitches;
use backstop::kill_switch::store::FileStore;
use std::time::{Duration, Instant};

#[test]
fn a_revoked_token_ends_without_a_restart() {
    let editor = Editor::new();
    let access = editor.path("access.json");
    let access = access.to_str().unwrap();
    let token = |actor: &str| {
        let new = ["token", actor, "--verb", "view", "--expires", "90d", "--access", access];
        editor.json(&new)["token"].as_str().unwrap().to_owned()
    };
    let (mira, ana) = (token("mira"), token("ana"));
    let switches = KillSwitches::builder("shop").store(FileStore::new(editor.path("switches.json")).unwrap());
    editor.define("recs").succeeds();
    let admin = Admin::builder(switches.build().unwrap()).access_file(access).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { admin.serve(listener).await });
    let list = |token: &str| {
        let mut command = editor.command(&["list"]);
        command.env_remove("BACKSTOP_SWITCHES").env("BACKSTOP_ADMIN", &url).env("BACKSTOP_TOKEN", token);
        crate::ran::Ran::by(&mut command)
    };
    list(&mira).succeeds();

    let listed = editor.run(&["token", "list", "--access", access]).succeeds().stdout;
    assert!(listed.contains("mira") && listed.contains("view") && !listed.contains("bks_"), "{listed}");
    let hash = editor.json(&["token", "list", "--access", access])[0]["hash"].as_str().unwrap().to_owned();
    editor.run(&["token", "revoke", "bo", "--access", access]).fails(1, "unknown_token");
    editor
        .run(&["token", "revoke", "mira", "--hash", "0000000000000000", "--access", access])
        .fails(1, "unknown_token");
    editor.run(&["token", "revoke", "mira", "--hash", &hash, "--access", access]).succeeds();
    let begun = Instant::now();
    while list(&mira).code == 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it still works");
        std::thread::sleep(Duration::from_millis(50));
    }
    list(&mira).fails(3, "unknown to this program, or expired");
    list(&ana).succeeds();

    std::fs::write(access, "{").unwrap();
    std::thread::sleep(Duration::from_millis(1_500));
    let listed = list(&ana);
    assert!(listed.code == 0 && listed.stderr.contains("the access list in force stays as it was"), "{listed:?}");
}

#[test]
fn the_last_token_that_is_revoked_opens_nothing() {
    let editor = Editor::new();
    let access = editor.path("access.json");
    let access = access.to_str().unwrap();
    let new = ["token", "mira", "--verb", "view", "--expires", "90d", "--access", access];
    editor.run(&new).succeeds();
    editor.run(&["token", "revoke", "mira", "--access", access]).succeeds();
    let switches = KillSwitches::builder("shop").build().unwrap();
    let admin = Admin::builder(switches).access_file(access).build().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(async move { admin.serve(listener).await });
    let mut command = editor.command(&["list"]);
    command.env_remove("BACKSTOP_SWITCHES").env("BACKSTOP_ADMIN", &url);
    crate::ran::Ran::by(&mut command).fails(3, "it requires a token");
    editor.run(&["token", "list", "--access", "/no/such/file"]).fails(3, "there is no file");
}
