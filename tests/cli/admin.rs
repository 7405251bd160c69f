//! The command `backstop switch` against a running program: the same words and exit codes, and no token is shown.
#![cfg(all(feature = "cli", feature = "axum"))]

use crate::ran;

use backstop::admin::Admin;
use backstop::clock::Timestamp;
use backstop::kill_switch::KillSwitches;
use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::store::FileStore;
use ran::Ran;
use serde_json::Value;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::runtime::Runtime;

/// `mira` and `ana` may do everything, `vera` views, `rita` views `recs`, and `otto` engages and releases it, and views
/// nothing.
fn token(actor: &str) -> String {
    Token::from_bytes([actor.as_bytes()[0]; 32]).reveal()
}

fn access() -> AccessList {
    let now = Timestamp::now();
    let grant = |actor: &str| {
        let hash = Token::from_bytes([actor.as_bytes()[0]; 32]).hash();
        Grant::new(actor, hash, now + Duration::from_secs(9_999)).verbs(Verb::ALL).switches(Switches::All)
    };
    let otto = grant("otto").verbs([Verb::Engage, Verb::Release]).switches(Switches::only(["recs"]));
    let rita = grant("rita").verbs([Verb::View]).switches(Switches::only(["recs"]));
    AccessList::new([grant("mira"), grant("ana"), grant("vera").verbs([Verb::View]), otto, rita], now).unwrap()
}

/// A program with an admin page and a file of switches, until it is dropped.
pub(crate) struct Program {
    url: String,
    pub(crate) switches: KillSwitches,
    folder: tempfile::TempDir,
    runtime: Runtime,
}

impl Program {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("switches.json");
        let audit = AuditLog::new(folder.path().join("switches.json.audit.jsonl"));
        let store = FileStore::new(path).unwrap();
        let switches = KillSwitches::builder("shop").store(store).audit(audit).build().unwrap();
        let admin = Admin::builder(switches.clone()).access(access()).build().unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move { admin.serve(listener).await });
        Self { url, switches, folder, runtime }
    }

    /// One that has the switch `recs`.
    pub(crate) fn with_recs() -> Self {
        let program = Self::new();
        program.define("mira").succeeds();
        program
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn run(&self, actor: &str, arguments: &[&str]) -> Ran {
        run(command(arguments).env("BACKSTOP_ADMIN", &self.url).env("BACKSTOP_TOKEN", token(actor)))
    }

    fn define(&self, actor: &str) -> Ran {
        let what = ["--owner", "team-recs", "--disables", "recommendations", "--on-unknown", "allow"];
        self.run(actor, &[&["define", "recs"][..], &what, &["--expires", "90d", "--reason", "new"]].concat())
    }

    /// As the command tells it of the program's file.
    pub(crate) fn of_file(&self, arguments: &[&str]) -> Ran {
        run(command(arguments).env("BACKSTOP_SWITCHES", self.path("switches.json")).env("USER", "root"))
    }
}

/// Whatever is done, no token is printed.
fn run(command: &mut Command) -> Ran {
    let ran = Ran::by(command);
    for actor in ["mira", "ana", "vera", "otto", "rita", "stranger"] {
        assert!(!ran.stdout.contains(&token(actor)) && !ran.stderr.contains(&token(actor)), "{ran:?}");
    }
    ran
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
    command.arg("switch").args(arguments).env_clear().env("HTTP_PROXY", "http://127.0.0.1:1");
    command
}

#[test]
fn what_is_done_to_a_program_is_told_as_what_is_done_to_a_file() {
    let program = Program::new();
    let run = |arguments: &[&str]| program.run("mira", arguments);
    assert!(run(&["list"]).succeeds().stdout.contains("no switches yet"));
    assert_eq!(run(&["history", "--json"]).succeeds().value(), serde_json::json!([]));
    run(&["release", "recs", "--reason", "x"]).fails(1, "error (empty): the store is empty");
    let said = program.define("mira").succeeds().stdout;
    assert!(said.starts_with("recs is defined; ") && said.ends_with("Generation 2.\n"), "{said}");
    let said = run(&[
        "engage",
        "recs",
        "--tenant",
        "acme",
        "--for",
        "2h",
        "--stage",
        "instance:a",
        "--reason",
        "wrong prices",
    ]);
    let said = said.succeeds().stdout;
    assert!(said.starts_with("recs is engaged for tenant acme, on a, until "), "{said}");
    run(&["advance", "recs", "--stage", "everywhere", "--reason", "a is fine"]).succeeds();
    run(&["extend", "recs", "--until", "9h", "--reason", "takes longer"]).succeeds();
    run(&["pin", "recs", "--reason", "until it is known"]).succeeds();
    run(&["release", "recs", "--reason", "x"]).fails(1, "error (pinned): recs is pinned engaged by mira");
    run(&["unpin", "recs", "--reason", "it is known"]).succeeds();
    assert!(run(&["list"]).succeeds().stdout.contains("tenant acme"));
    let switch = run(&["release", "recs", "--reason", "fixed", "--json"]).succeeds().value();
    assert_eq!((&switch["id"], switch.get("engaged")), (&"recs".into(), None));
    run(&["release", "recs", "--reason", "fixed"]).fails(1, "error (not_engaged)");
    run(&["engage", "ads", "--all", "--reason", "x"]).fails(1, "error (unknown_switch)");
    for arguments in [&["list", "--json"][..], &["history", "--limit", "3", "--json"], &["pending"]] {
        assert_eq!(run(arguments).succeeds(), program.of_file(arguments), "{arguments:?}");
    }
    assert_eq!(run(&["history", "--json"]).value()[0]["changed"]["by"], "mira", "the token says who");
    let audit = program.of_file(&["verify-audit", "--json"]).succeeds().value();
    assert_eq!(audit["entries"], 10, "seven that were done and three that a rule refused");
    run(&["retire", "recs", "--reason", "gone"]).succeeds();
}

#[test]
fn a_revert_finds_its_way_back_as_with_a_file() {
    let program = Program::with_recs();
    let run = |arguments: &[&str]| program.run("mira", arguments);
    run(&["engage", "recs", "--all", "--reason", "x"]).succeeds();
    let said = run(&["revert", "--reason", "another service"]).succeeds().stdout;
    assert!(said.contains("as it was in generation 2.\nNo switch is engaged."), "{said}");
    let document = run(&["revert", "3", "--reason", "no, this one", "--json"]).succeeds().value();
    assert_eq!(document["generation"], 5);
    run(&["revert", "99", "--reason", "x"]).fails(1, "error (unknown_revision)");
}

/// Stands before an address: what is done with each request before it is passed on, or what is answered in its place.
fn before(url: &str, meanwhile: impl Fn(&str) -> Option<String> + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (own, behind) = (listener.local_addr().unwrap(), url.trim_start_matches("http://").to_owned());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), Vec::new());
            while !is_whole(&String::from_utf8_lossy(&request)) {
                let mut bytes = [0; 4096];
                let read = stream.read(&mut bytes).unwrap();
                assert!(read > 0, "it broke off");
                request.extend_from_slice(&bytes[..read]);
            }
            let mut answer = meanwhile(&String::from_utf8_lossy(&request)).unwrap_or_default().into_bytes();
            if answer.is_empty() {
                let mut behind = TcpStream::connect(&behind).unwrap();
                behind.write_all(&request).unwrap();
                behind.read_to_end(&mut answer).unwrap();
            }
            stream.write_all(&answer).unwrap();
        }
    });
    format!("http://{own}")
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.split_once("content-length: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    body.len() >= length.unwrap_or(0)
}

#[test]
fn a_revert_does_not_undo_what_came_between() {
    let program = Program::with_recs();
    program.run("mira", &["engage", "recs", "--percent", "1", "--reason", "x"]).succeeds();
    let url = program.url.clone();
    let between = before(&program.url, move |request| {
        if request.starts_with("POST") {
            let mut release = command(&["release", "recs", "--reason", "faster"]);
            run(release.env("BACKSTOP_ADMIN", &url).env("BACKSTOP_TOKEN", token("ana"))).succeeds();
        }
        None
    });
    let ran = program.run("mira", &["revert", "--reason", "x", "--admin", &between]);
    ran.fails(1, "error (moved): the document changed: generation 3 was expected, the store has 4");
    assert_eq!(program.run("vera", &["history", "--limit", "1", "--json"]).value()[0]["changed"]["by"], "ana");
}

#[test]
fn a_token_does_not_follow_to_another_address() {
    let program = Program::with_recs();
    let elsewhere = before(&program.url, |_| panic!("nobody is to come here"));
    let sends_away = before(&program.url, move |_| {
        Some(format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {elsewhere}/\r\ncontent-length: 0\r\n\r\n"))
    });
    for arguments in [&["list"][..], &["engage", "recs", "--all", "--reason", "x"]] {
        let ran = program.run("mira", &[arguments, &["--admin", &sends_away]].concat());
        ran.fails(3, "error (no_admin_page)");
    }
}

#[test]
fn what_takes_two_persons_waits_for_another_token() {
    let program = Program::with_recs();
    program.of_file(&["two-person", "on", "--reason", "before the sale"]).succeeds();
    program.run("mira", &["engage", "recs", "--all", "--reason", "x"]).succeeds();
    let waits = program.run("mira", &["release", "recs", "--reason", "fixed"]);
    assert!(waits.code == 4 && waits.stdout.contains("backstop switch approve 5 --reason"), "{waits:?}");
    assert!(program.run("ana", &["pending"]).succeeds().stdout.contains("release recs  fixed"));
    let approve = ["approve", "5", "--reason", "seen it"];
    program.run("mira", &approve).fails(1, "error (same_person)");
    let stale = format!("sha256:{}", "0".repeat(64));
    program.run("ana", &[&approve[..], &["--document", &stale]].concat()).fails(1, "error (stale_approval)");
    let said = program.run("ana", &approve).succeeds().stdout;
    assert!(said.contains("\"release recs\", proposed by mira because \"fixed\""), "{said}");
    program.run("mira", &["engage", "recs", "--all", "--reason", "x"]).succeeds();
    assert_eq!(program.run("mira", &["release", "recs", "--reason", "x", "--json"]).value()["number"], 8);
    program.run("ana", &["reject", "8", "--reason", "not yet"]).succeeds();
    program.run("ana", &approve).fails(1, "error (unknown_proposal)");
    let said = program.run("mira", &["release", "recs", "--reason", "one person on call", "--break-glass"]).succeeds();
    assert!(said.stdout.contains("without a second person"), "{said:?}");
}

#[test]
fn a_token_is_good_for_what_it_was_given_for() {
    let program = Program::with_recs();
    assert_eq!(program.run("rita", &["list", "--json"]).succeeds().value()[0]["id"], "recs");
    let engage = ["engage", "recs", "--all", "--reason", "x"];
    program.run("vera", &["list"]).succeeds();
    program.run("vera", &engage).fails(3, "error (wrong_verb)");
    program.run("stranger", &engage).fails(3, "error (unauthorized): the token is unknown to this program, or expired");
    let nobody = run(command(&engage).env("BACKSTOP_ADMIN", &program.url));
    nobody.fails(3, "error (unauthorized): it requires a token: set BACKSTOP_TOKEN");
    program.run("otto", &["list"]).fails(3, "error (wrong_verb)");
    let said = program.run("rita", &["list"]).succeeds().stdout;
    assert!(said.contains("recs") && said.contains("These are the switches that your token is for."), "{said}");
    let said = program.run("otto", &engage).succeeds().stdout;
    assert_eq!(said, "Done: engage recs.\nGeneration 3.\n", "what is done is done, though it cannot be read");
    let told = program.run("otto", &["release", "recs", "--reason", "x", "--json"]).succeeds().value();
    assert_eq!((&told["generation"], &told["switch"]["id"]), (&4.into(), &"recs".into()));
}

#[test]
fn a_token_comes_from_a_file_or_the_environment_and_goes_to_this_machine_alone() {
    let program = Program::with_recs();
    let file = program.path("token");
    fs::write(&file, format!("{}\n", token("mira"))).unwrap();
    let by_file = ["list", "--admin", &program.url, "--token-file", file.to_str().unwrap()];
    run(&mut command(&by_file)).succeeds();
    run(command(&by_file).env("BACKSTOP_TOKEN", token("stranger"))).succeeds();
    fs::write(&file, format!("{}x", token("mira"))).unwrap();
    run(&mut command(&by_file)).fails(2, "does not contain a token");
    run(&mut command(&["list", "--admin", &program.url, "--token-file", "/no/such"])).fails(2, "/no/such");
    for (url, says) in [
        ("http://shop.example:9901", "not sent over plain http"),
        ("http://10.0.0.1", "not sent over plain http"),
        ("https://127.0.0.1", "no TLS"),
        ("127.0.0.1:9901", "http://127.0.0.1:9901"),
    ] {
        program.run("mira", &["list", "--admin", url]).fails(2, says);
    }
    let help = run(&mut command(&["--help"])).succeeds().stdout;
    assert!(
        help.contains("--file <PATH>") && help.contains("--admin <URL>") && help.contains("BACKSTOP_TOKEN"),
        "{help}"
    );
    assert!(!help.contains("--token <"), "others on the machine can read arguments");
}

#[test]
fn what_an_admin_address_is_not_for_is_bad_usage() {
    let program = Program::with_recs();
    let file = program.path("switches.json");
    let file = file.to_str().unwrap();
    let as_mira = |arguments: &[&str]| program.run("mira", arguments);
    as_mira(&["list", "--file", file, "--admin", &program.url]).fails(2, "--file and --admin exclude each other");
    run(command(&["--file", file, "list", "--admin", &program.url]).env("USER", "x")).fails(2, "exclude each other");
    let both = || {
        let mut both = command(&["list"]);
        both.env("BACKSTOP_ADMIN", &program.url).env("BACKSTOP_SWITCHES", file);
        both
    };
    run(&mut both()).fails(2, "are both set");
    run(both().args(["--file", file])).succeeds();
    as_mira(&["verify-audit"]).fails(2, "verify-audit cannot be used with --admin");
    as_mira(&["engage", "recs", "--all", "--reason", "x", "--by", "ana"]).fails(2, "your token names you");
    as_mira(&["list", "--no-audit"]).fails(2, "writes its own audit");
    as_mira(&["list", "--file", file, "--token-file", file]).fails(2, "a file takes no token");
    as_mira(&["engage", "recs", "--tenant", "", "--reason", "x"]).fails(2, "error (invalid): some fields are invalid");
    let pasted = token("ana");
    as_mira(&["engage", "recs", "--all", "--reason", &pasted]).fails(2, "error (token_in_body)");
}

#[test]
fn a_program_that_is_gone_or_another_one_is_told() {
    let program = Program::with_recs();
    let elsewhere = format!("{}/backstop", program.url);
    program.run("mira", &["list", "--admin", &elsewhere]).fails(3, "error (not_found)");
    let Program { url, folder, runtime, .. } = program;
    runtime.shutdown_timeout(Duration::from_secs(5));
    let gone =
        |arguments: &[&str]| run(command(arguments).env("BACKSTOP_ADMIN", &url).env("BACKSTOP_TOKEN", token("mira")));
    gone(&["list"]).fails(3, "error (unreachable)");
    let ran = gone(&["engage", "recs", "--all", "--reason", "x", "--json"]);
    let error: Value = ran.stderr.parse().unwrap();
    assert_eq!((ran.code, &error["error"]["code"]), (3, &"unreachable".into()));
    assert!(!ran.stderr.contains("may still happen"), "nobody has heard it: {ran:?}");
    drop(folder);
}
