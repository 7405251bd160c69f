//! The command `backstop switch`: what it does, what it says, and how it ends.
#![cfg(feature = "cli")]

use crate::ran;

use ran::Ran;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A temporary folder for a document.
pub(crate) struct Editor {
    folder: tempfile::TempDir,
}

impl Editor {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// One that has the switch `recs`.
    pub(crate) fn with_recs() -> Self {
        let editor = Self::new();
        editor.define("recs").succeeds();
        editor
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        command.arg("switch").args(arguments).env_clear();
        command.env("BACKSTOP_SWITCHES", self.path("switches.json")).env("USER", "mira");
        command
    }

    /// As somebody else.
    pub(crate) fn run_as(&self, user: &str, arguments: &[&str]) -> Ran {
        Ran::by(self.command(arguments).env("USER", user))
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::by(&mut self.command(arguments))
    }

    pub(crate) fn define(&self, id: &str) -> Ran {
        let what = ["--owner", "team-recs", "--disables", "recommendations", "--on-unknown", "allow"];
        self.run(&[&["define", id][..], &what, &["--expires", "90d", "--reason", "new"]].concat())
    }

    /// The JSON of a command that succeeds.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let ran = self.run(&[arguments, &["--json"]].concat());
        ran.succeeds().value()
    }

    pub(crate) fn engaged(&self) -> Vec<String> {
        let switches = self.json(&["list"]);
        let engaged = switches.as_array().unwrap().iter().filter(|switch| switch.get("engaged").is_some());
        engaged.map(|switch| switch["id"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn two_commands_lead_from_nothing_to_engaged_and_one_back() {
    let editor = Editor::new();
    editor.run(&["list"]).fails(3, "there is no file");
    editor.define("recs").succeeds();
    let said = editor.run(&["engage", "recs", "--all", "--reason", "wrong prices"]).succeeds().stdout;
    assert!(said.starts_with("recs is engaged for everybody.\n"), "{said}");
    assert_eq!(editor.engaged(), ["recs"]);
    let said = editor.run(&["revert", "--reason", "another service"]).succeeds().stdout;
    assert!(said.contains("as it was in generation 2.\nNo switch is engaged."), "{said}");
    assert!(editor.engaged().is_empty());
    editor.run(&["revert", "--reason", "no, it was this one"]).succeeds();
    assert_eq!(editor.engaged(), ["recs"], "a revert is a change, too");
    editor.run(&["revert", "2", "--reason", "back to the beginning"]).succeeds();
    assert!(editor.engaged().is_empty());
}

#[test]
fn an_engagement_says_for_whom_where_and_until_when() {
    let editor = Editor::with_recs();
    let who = ["--tenant", "acme", "--tenant", "zeta", "--route", "/recs/*", "--percent", "10%"];
    let rest = ["--stage", "instance:web-1", "--for", "2h", "--then", "keep", "--incident", "INC-7", "--reason", "x"];
    let switch = editor.json(&[&["engage", "recs"][..], &who, &rest].concat());
    let engaged = &switch["engaged"];
    let scope = serde_json::json!({ "routes": ["/recs/*"], "tenants": ["acme", "zeta"], "percent": 10.0 });
    assert_eq!(engaged["scope"], scope);
    assert_eq!(engaged["stage"], serde_json::json!({ "instances": ["web-1"] }));
    assert_eq!((&engaged["expires"]["then"], &engaged["incident"]), (&"keep".into(), &"INC-7".into()));
    assert_eq!((&engaged["by"], &engaged["reason"]), (&"mira".into(), &"x".into()));

    let listed = editor.run(&["list"]).succeeds().stdout;
    assert!(listed.contains("route /recs/*, tenant acme or zeta, 10 % of the keys, on web-1"), "{listed}");
    editor.run(&["extend", "recs", "--until", "9h", "--reason", "x"]).succeeds();
    editor.run(&["advance", "recs", "--stage", "region:eu", "--reason", "x"]).succeeds();
    editor.run(&["advance", "recs", "--stage", "instance:web-1", "--reason", "x"]).fails(1, "not_wider");
    editor.run(&["advance", "recs", "--stage", "everywhere", "--reason", "x"]).succeeds();
    editor.run(&["pin", "recs", "--reason", "x"]).succeeds();
    editor.run(&["release", "recs", "--reason", "x"]).fails(1, "error (pinned): recs is pinned engaged by mira");
    editor.run(&["unpin", "recs", "--reason", "x"]).succeeds();
    assert_eq!(editor.json(&["release", "recs", "--reason", "x"]).get("engaged"), None);
    let document = editor.json(&["retire", "recs", "--reason", "x"]);
    assert_eq!(document["retired"][0]["id"], "recs");
    editor.define("recs").fails(1, "never used again");
}

#[test]
fn without_a_scope_nothing_is_engaged_and_the_error_says_what_to_add() {
    let editor = Editor::with_recs();
    for (scope, says) in [
        (&[][..], "add --all for every request"),
        (&["--all", "--tenant", "acme"], "--tenant"),
        (&["--percent", "0"], "0.0001 to 100"),
        (&["--percent", "ten"], "expected a number"),
        (&["--all", "--stage", "instance:a", "--stage", "region:b"], "only one kind"),
        (&["--all", "--stage", "web-1"], "instance:NAME"),
        (&["--all", "--for", "soon"], "30m"),
        (&["--all", "--then", "keep"], "--for"),
    ] {
        editor.run(&[&["engage", "recs", "--reason", "x"], scope].concat()).fails(2, says);
    }
    editor.run(&["engage", "recs", "--all"]).fails(2, "--reason");
    editor.run(&["engage", "recs", "--tenant", "", "--reason", "x"]).fails(1, "error (invalid): ");
    editor.run(&["engage", "recs", "--all", "--reason", " "]).fails(1, "reason");
    assert!(editor.engaged().is_empty());
}

#[test]
fn nobody_approves_what_has_come_to_mean_something_else() {
    let editor = Editor::with_recs();
    editor.run(&["two-person", "on", "--reason", "before the sale"]).succeeds();
    editor.run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
    assert_eq!(editor.run(&["revert", "3", "--reason", "back"]).code, 4);
    editor.define("payments").succeeds();
    let approve = ["approve", "5", "--reason", "seen it", "--by", "ana"];
    editor.run(&approve).fails(1, "error (stale_approval)");
    assert_eq!(editor.engaged(), ["recs"]);
    let pending = editor.run(&["pending"]).succeeds().stdout;
    let hash = pending.split_whitespace().find(|word| word.starts_with("sha256:")).unwrap();
    editor.run(&[&approve[..], &["--document", hash.trim_end_matches('.')]].concat()).succeeds();
    assert!(editor.engaged().is_empty());
}

#[test]
fn what_takes_two_persons_waits_for_the_second() {
    let editor = Editor::with_recs();
    editor.run(&["two-person", "on", "--reason", "before the sale"]).succeeds();
    editor.run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
    let waits = editor.run(&["release", "recs", "--reason", "fixed"]);
    assert_eq!(waits.code, 4, "{waits:?}");
    assert!(waits.stdout.contains("backstop switch approve 5 --reason"), "{waits:?}");
    assert_eq!(editor.engaged(), ["recs"]);
    assert_eq!(editor.json(&["pending"])[0]["change"], serde_json::json!({ "release": { "switch": "recs" } }));
    assert!(editor.run(&["pending"]).succeeds().stdout.contains("release recs  fixed"));

    let approve = ["approve", "5", "--reason", "seen it"];
    editor.run(&approve).fails(1, "error (same_person)");
    let other = format!("sha256:{}", "0".repeat(64));
    editor.run(&[&approve[..], &["--by", "ana", "--document", &other]].concat()).fails(1, "error (stale_approval)");
    let ran = Ran::of(&editor.command(&approve).env("BACKSTOP_ACTOR", "ana").output().unwrap()).succeeds();
    assert!(ran.stdout.contains("\"release recs\", proposed by mira because \"fixed\""), "{ran:?}");
    assert!(editor.engaged().is_empty());
    editor.run(&approve).fails(1, "error (unknown_proposal)");

    let waits = editor.run(&["two-person", "off", "--reason", "after it", "--json"]);
    assert_eq!((waits.code, &waits.stdout.parse::<Value>().unwrap()["number"]), (4, &7.into()));
    editor.run(&["reject", "7", "--reason", "not yet"]).succeeds();
    let said = editor.run(&["two-person", "off", "--reason", "one person on call", "--break-glass"]).succeeds().stdout;
    assert!(said.contains("without a second person"), "{said}");
    let history = editor.run(&["history"]).succeeds().stdout;
    assert!(history.contains("approved by ana") && history.contains("without a second person"), "{history}");
}

#[test]
fn a_revert_passes_over_what_changed_no_switch() {
    let editor = Editor::with_recs();
    editor.run(&["two-person", "on", "--reason", "x"]).succeeds();
    editor.run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
    assert_eq!(editor.run(&["release", "recs", "--reason", "x"]).code, 4);
    editor.run(&["reject", "5", "--reason", "x"]).succeeds();
    editor.run(&["revert", "--reason", "x", "--break-glass"]).succeeds();
    assert!(editor.engaged().is_empty());
    assert_eq!(editor.json(&["history", "--limit", "1"])[0]["changed"]["what"], "revert 3");
}

#[test]
fn eight_that_engage_at_once_all_do() {
    let editor = Editor::new();
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for id in ids {
        editor.define(id).succeeds();
    }
    let engage = |id: &&str| {
        let mut command = editor.command(&["engage", id, "--all", "--reason", "everything is on fire"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<_> = ids.iter().map(engage).collect();
    for child in running {
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    assert_eq!(editor.engaged(), ids);
    let generations: Vec<_> =
        editor.json(&["history"]).as_array().unwrap().iter().map(|line| line["generation"].as_u64()).collect();
    assert_eq!(generations, (2..=17).rev().map(Some).collect::<Vec<_>>());
    assert_eq!(editor.json(&["verify-audit"])["entries"], 16);
}

#[test]
fn each_way_to_fail_has_its_exit_code() {
    let editor = Editor::new();
    editor.run(&["engage", "recs", "--all", "--reason", "x"]).fails(3, "error (store): there is no file");
    editor.run(&["revert", "--reason", "x"]).fails(3, "there is no file");
    editor.define("recs").succeeds();
    editor.define("recs").succeeds(); // another time, by the clock
    editor.run(&["engage", "ads", "--all", "--reason", "x"]).fails(1, "error (unknown_switch)");
    editor.run(&["release", "recs", "--reason", "x"]).fails(1, "error (not_engaged)");
    editor.run(&["pin", "ads", "--reason", "x"]).fails(1, "error (unknown_switch)");
    editor.run(&["revert", "99", "--reason", "x"]).fails(1, "error (unknown_revision)");
    editor.run(&["approve", "1", "--reason", "x"]).fails(1, "error (unknown_proposal)");
    editor.run(&["disengage"]).fails(2, "disengage");
    editor.run(&["list", "--file", ""]).fails(2, "");
    let nameless = editor.command(&["release", "recs", "--reason", "x"]).env_remove("USER").output().unwrap();
    Ran::of(&nameless).fails(1, "error (not_engaged)"); // the system knows the user's name
    let nowhere = editor.command(&["list"]).env_remove("BACKSTOP_SWITCHES").output().unwrap();
    Ran::of(&nowhere).fails(2, "BACKSTOP_SWITCHES");
    let folder = editor.folder.path().to_str().unwrap();
    editor.run(&["list", "--file", folder]).fails(3, "error (store)");
    editor.run(&["verify-audit", "/no/such/audit"]).fails(3, "/no/such/audit");
    let error = editor.run(&["release", "recs", "--reason", "x", "--json"]);
    assert_eq!(error.stderr.parse::<Value>().unwrap()["error"]["code"], "not_engaged");
}

#[test]
fn an_id_that_could_be_a_path_is_refused() {
    let editor = Editor::with_recs();
    let files = || fs::read_dir(editor.folder.path()).unwrap().count();
    let before = files();
    for id in ["../x", "/etc/passwd", "a/b", "..", "Recs", "", "a b", "a\n", "ä"] {
        editor.define(id).fails(2, "invalid value");
        editor.run(&["engage", id, "--all", "--reason", "x"]).fails(2, "invalid value");
    }
    assert_eq!(files(), before);
}

#[test]
fn garbage_in_the_file_is_told_and_left_alone() {
    let editor = Editor::with_recs();
    fs::write(editor.path("escapes.json"), "{\"\\u001b[2J\":1,\"\\u001b[2J\":2}").unwrap();
    let ran = editor.run(&["list", "--file", editor.path("escapes.json").to_str().unwrap()]);
    assert!(ran.code == 3 && !ran.stderr.contains('\u{1b}'), "{ran:?}");
    let whole = fs::read(editor.path("switches.json")).unwrap();
    let changed = String::from_utf8(whole.clone()).unwrap().replace("team-recs", "team-wreck");
    for garbage in [b"".as_slice(), b"\0\xff\xfe", b"null", b"{\"generation\": 2}", &whole[..99], changed.as_bytes()] {
        fs::write(editor.path("switches.json"), garbage).unwrap();
        for arguments in [
            &["list"][..],
            &["history"],
            &["pending"],
            &["engage", "recs", "--all", "--reason", "x"],
            &["revert", "--reason", "x"],
            &["revert", "1", "--reason", "x"],
            &["pin", "recs", "--reason", "x"],
            &["approve", "1", "--reason", "x"],
        ] {
            editor.run(arguments).fails(3, "error (store)");
        }
        assert_eq!(fs::read(editor.path("switches.json")).unwrap(), garbage);
    }
}

#[test]
fn the_audit_verifies_and_a_changed_byte_is_found() {
    let editor = Editor::with_recs();
    editor.run(&["engage", "recs", "--all", "--reason", "wrong prices"]).succeeds();
    editor.run(&["revert", "--reason", "another service"]).succeeds();
    let audit = editor.path("switches.json.audit.jsonl");
    assert!(editor.run(&["verify-audit"]).succeeds().stdout.contains("has 3 entries"));
    let whole = fs::read_to_string(&audit).unwrap();
    let entry: Value = whole.lines().nth(1).unwrap().parse().unwrap();
    assert_eq!((&entry["what"], &entry["by"]), (&"engage".into(), &"mira".into()));
    assert_eq!(entry["scope_after"], serde_json::json!({ "all": true }));

    fs::write(&audit, whole.replace("wrong prices", "wrong pricez")).unwrap();
    editor.run(&["verify-audit"]).fails(5, "line 2 was tampered with");
    fs::write(&audit, whole.trim_end()).unwrap();
    editor.run(&["verify-audit", audit.to_str().unwrap()]).fails(5, "line 3 is incomplete");
    let cut: String = whole.split_inclusive('\n').take(2).collect();
    for (kept, is_warned) in [(&*cut, true), ("", true), (&*whole, false)] {
        fs::write(&audit, kept).unwrap();
        let told = editor.run(&["verify-audit"]);
        assert_eq!((told.code, told.stderr.contains("the document has generation 4")), (0, is_warned), "{told:?}");
    }
}

#[test]
fn an_audit_that_cannot_be_written_is_a_warning_and_holds_nothing_up() {
    let editor = Editor::with_recs();
    let missing = editor.path("missing/audit.jsonl");
    let ran = editor.run(&["engage", "recs", "--all", "--reason", "x", "--audit", missing.to_str().unwrap()]);
    assert!(
        ran.code == 0 && ran.stderr.starts_with("warning: the change is made, but its audit entry was not written"),
        "{ran:?}"
    );
    assert_eq!(editor.engaged(), ["recs"]);
    editor.run(&["release", "recs", "--reason", "x", "--no-audit"]).succeeds();
    let told = editor.run(&["verify-audit"]);
    assert!(told.code == 0 && told.stdout.contains("has 1 entry"), "{told:?}");
    assert!(told.stderr.contains("changes were made without an audit"), "{told:?}");
}

#[test]
fn what_is_printed_for_programs_is_one_value() {
    let editor = Editor::with_recs();
    assert_eq!(editor.json(&["list"])[0]["definition"]["on_unknown"], "allow");
    assert_eq!(editor.json(&["engage", "recs", "--percent", "1", "--reason", "x"])["id"], "recs");
    let document = editor.json(&["revert", "--reason", "x"]);
    assert_eq!(document, fs::read_to_string(editor.path("switches.json")).unwrap().parse::<Value>().unwrap());
    assert_eq!(editor.json(&["history", "--limit", "2"]).as_array().unwrap().len(), 2);
    assert_eq!(editor.json(&["pending"]), serde_json::json!([]));
    let empty = Editor::new();
    for command in ["list", "history", "pending"] {
        empty.run(&[command, "--json"]).fails(3, "there is no file");
    }
}

#[test]
fn the_help_names_every_subcommand_and_each_has_an_example() {
    let editor = Editor::new();
    let help = editor.run(&["--help"]).succeeds().stdout;
    let listed = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<_> = listed.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for name in [
        "define",
        "list",
        "engage",
        "advance",
        "release",
        "extend",
        "pin",
        "unpin",
        "retire",
        "history",
        "revert",
        "approve",
        "reject",
        "pending",
        "two-person",
        "verify-audit",
    ] {
        assert!(names.contains(&name), "{name}: {help}");
        let one = editor.run(&[name, "--help"]).succeeds().stdout;
        assert!(one.contains("Example") && one.contains(&format!("\n  backstop switch {name}")), "{one}");
    }
    let top = Command::new(env!("CARGO_BIN_EXE_backstop")).arg("--help").output().unwrap();
    let top = Ran::of(&top).succeeds().stdout;
    let begins = ["backstop switch define", "backstop switch engage", "backstop switch revert"];
    let examples: Vec<_> = top.lines().filter(|line| line.starts_with("  backstop ")).collect();
    assert!(examples.len() == 3 && examples.iter().zip(begins).all(|(line, start)| line[2..].starts_with(start)));
    for code in 0..=5 {
        assert!(top.contains(&format!("\n  {code}  ")), "{code}: {top}");
    }
}

#[test]
fn whoever_stops_reading_makes_nothing_panic() {
    let editor = Editor::with_recs();
    let mut child = editor.command(&["history"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(Ran::of(&child.wait_with_output().unwrap()).code, 0);
}
