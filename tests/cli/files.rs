//! Files of the command: who can read and write them, and what it never writes through.
#![cfg(all(feature = "cli", unix))]

use crate::file::Editor;
use crate::ran::Ran;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

const DEFINE: [&str; 12] = [
    "define",
    "recs",
    "--owner",
    "team",
    "--disables",
    "recs",
    "--on-unknown",
    "allow",
    "--expires",
    "90d",
    "--reason",
    "x",
];
const ENGAGE: [&str; 5] = ["engage", "recs", "--all", "--reason", "x"];

#[test]
fn a_mistyped_path_is_an_error_and_not_an_empty_list() {
    let editor = Editor::with_recs();
    let wrong = editor.path("switch.json");
    for command in [&["list"][..], &["history"], &["pending"], &["list", "--json"]] {
        editor.run(&[command, &["--file", wrong.to_str().unwrap()]].concat()).fails(3, "there is no file");
    }
    editor
        .run(&["engage", "recs", "--all", "--reason", "x", "--file", wrong.to_str().unwrap()])
        .fails(3, "there is no file");
    assert!(!wrong.exists());
}

#[test]
fn who_can_read_a_new_document_is_told_and_a_mode_is_taken() {
    let editor = Editor::new();
    let said = editor.define("recs").succeeds().stdout;
    assert!(said.contains("alone (mode 0600); if a service runs as another user, add --mode 0644"), "{said}");
    let said = editor.run(&[&ENGAGE[..], &["--mode", "0644"]].concat()).succeeds().stdout;
    assert!(!said.contains("can be read by"), "{said}");
    assert_eq!(mode(&editor.path("switches.json")), 0o644);
    editor.run(&["release", "recs", "--reason", "x"]).succeeds();
    assert_eq!(mode(&editor.path("switches.json")), 0o644, "and it stays");
    editor.run(&["list", "--mode", "777"]).fails(2, "octal mode");
}

#[test]
fn nothing_is_written_through_a_planted_link() {
    let editor = Editor::with_recs();
    editor.run(&ENGAGE).succeeds();
    let target = editor.path("target");
    fs::write(&target, "root's own").unwrap();
    fs::write(editor.path("switches.json"), "{").unwrap();
    symlink(&target, editor.path("switches.json.damaged")).unwrap();
    editor.run(&["restore", "--reason", "the disk was full"]).succeeds();
    assert_eq!(fs::read_to_string(&target).unwrap(), "root's own");
    assert_eq!(fs::read_to_string(editor.path("switches.json.damaged")).unwrap(), "{");

    let (history, elsewhere) = (editor.path("switches.json.history"), editor.path("elsewhere"));
    fs::rename(&history, &elsewhere).unwrap();
    symlink(&elsewhere, &history).unwrap();
    let before = fs::read_dir(&elsewhere).unwrap().count();
    let ran = editor.run(&ENGAGE);
    assert!(ran.code == 0 && ran.stderr.contains("the history lacks the document before it"), "{ran:?}");
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), before);
}

#[test]
fn a_history_that_cannot_be_written_stops_no_engagement() {
    let editor = Editor::with_recs();
    fs::remove_dir_all(editor.path("switches.json.history")).unwrap();
    fs::write(editor.path("switches.json.history"), "no directory").unwrap();
    let ran = editor.run(&ENGAGE);
    assert!(ran.code == 0 && ran.stderr.contains("the history lacks the document before it"), "{ran:?}");
    assert_eq!(editor.engaged(), ["recs"]);
}

/// The command as these users of the group 4242, in a directory that the group may write; `None` unless the tests run as
/// the superuser.
fn as_others(editor: &Editor) -> Option<impl Fn(u32, &[&str]) -> Command> {
    let folder = editor.path("");
    if folder.metadata().unwrap().uid() != 0 {
        return None;
    }
    std::os::unix::fs::chown(&folder, Some(0), Some(4_242)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o2770)).unwrap();
    let copy = folder.join("backstop"); // its own folder is perhaps the superuser's alone
    fs::copy(env!("CARGO_BIN_EXE_backstop"), &copy).unwrap();
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    Some(move |user: u32, arguments: &[&str]| {
        use std::os::unix::process::CommandExt as _;
        let mut command = Command::new(&copy);
        command.arg("switch").args(arguments).env_clear().env("BACKSTOP_SWITCHES", folder.join("switches.json"));
        command.uid(user).gid(4_242);
        command
    })
}

#[test]
fn two_operators_share_a_directory_that_their_group_may_write() {
    let editor = Editor::new();
    let Some(command) = as_others(&editor) else { return };
    let run = |user, arguments: &[&str]| Ran::by(command(user, arguments).env("USER", format!("user-{user}")));
    run(4_001, &DEFINE).succeeds();
    run(4_002, &ENGAGE).succeeds();
    run(4_001, &["release", "recs", "--reason", "x"]).succeeds();
    run(4_002, &["engage", "recs", "--tenant", "acme", "--reason", "x"]).succeeds();
    assert_eq!(mode(&editor.path("switches.json")), 0o660);
    assert_eq!(mode(&editor.path("switches.json.history")) & 0o777, 0o770);
    assert_eq!(run(4_001, &["history", "--json"]).succeeds().value().as_array().unwrap().len(), 4);
    run(4_001, &["verify-audit"]).succeeds();
}

#[test]
fn the_users_name_comes_from_the_system_where_the_environment_has_none() {
    let editor = Editor::with_recs();
    let nameless = editor.command(&ENGAGE).env_remove("USER").output().unwrap();
    Ran::of(&nameless).succeeds();
    let by = editor.json(&["list"])[0]["engaged"]["by"].as_str().unwrap().to_owned();
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    assert!(passwd.lines().any(|line| line.starts_with(&format!("{by}:"))), "{by}");
}

#[test]
fn a_user_without_a_name_is_named_by_number() {
    let editor = Editor::new();
    let Some(command) = as_others(&editor) else { return };
    Ran::by(&mut command(4_242_001, &DEFINE)).succeeds();
    Ran::by(&mut command(4_242_001, &ENGAGE)).succeeds();
    assert_eq!(editor.json(&["list"])[0]["engaged"]["by"], "uid:4242001");
}

/// Mounts in a namespace of its own; only the superuser can.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_mounted_by_itself_is_refused_with_what_to_do() {
    let editor = Editor::with_recs();
    let (file, source) = (editor.path("switches.json"), editor.path("source.json"));
    fs::copy(&file, &source).unwrap();
    let mounted = |run: &[&str]| {
        let script = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(&source).arg(&file).args(run);
        command.env("BACKSTOP_SWITCHES", &file).output()
    };
    if !mounted(&["true"]).is_ok_and(|output| output.status.success()) {
        return;
    }
    let engage = [&[env!("CARGO_BIN_EXE_backstop"), "switch"][..], &ENGAGE].concat();
    let says = "switches.json is mounted by itself, and the system replaces no mounted file: mount its directory";
    Ran::of(&mounted(&engage).unwrap()).fails(3, says);
}
