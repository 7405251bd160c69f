//! The command `backstop switch` and a fleet of programs: drills, stages with a look between them, and new tokens.
#![cfg(all(feature = "cli", feature = "axum"))]

use crate::ran;

use axum::Router;
use axum::extract::Request;
use axum::routing::get;
use backstop::admin::Admin;
use backstop::clock::Timestamp;
use backstop::kill_switch::access::AccessList;
use backstop::kill_switch::audit::AuditLog;
use backstop::kill_switch::store::FileStore;
use backstop::kill_switch::{KillSwitches, OnUnknown, Target};
use ran::Ran;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// One program: its pages, its admin page, and a way to break the former.
struct Program {
    admin: String,
    page: String,
    is_broken: Arc<AtomicBool>,
}

/// Programs that read one file, in a region each, and the command beside them.
struct Fleet {
    folder: tempfile::TempDir,
    programs: Vec<Program>,
    tokens: Vec<(String, String)>,
    runtime: Runtime,
}

impl Fleet {
    /// `web-1` and `web-2` in `eu`, `web-3` in `us`.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let mut fleet = Self { folder, programs: Vec::new(), tokens: Vec::new(), runtime };
        for (actor, verbs) in [("mira", "view engage release define drill approve"), ("dora", "view drill")] {
            let verbs: Vec<_> = verbs.split(' ').flat_map(|verb| ["--verb", verb]).collect();
            let access = fleet.path("access.json");
            let arguments = ["token", actor, "--expires", "1d", "--access", access.to_str().unwrap(), "--json"];
            let told = fleet.run(&[&arguments[..], &verbs].concat()).succeeds().value();
            fleet.tokens.push((actor.to_owned(), told["token"].as_str().unwrap().to_owned()));
        }
        let what = ["--owner", "team-recs", "--disables", "recommendations", "--on-unknown", "allow"];
        fleet.run(&[&["define", "recs"][..], &what, &["--expires", "90d", "--reason", "new"]].concat()).succeeds();
        for (instance, region) in [("web-1", "eu"), ("web-2", "eu"), ("web-3", "us")] {
            let program = fleet.start(instance, region);
            fleet.programs.push(program);
        }
        fleet
    }

    fn start(&self, instance: &str, region: &str) -> Program {
        let store = FileStore::new(self.path("switches.json")).unwrap();
        let audit = AuditLog::new(self.path("switches.json.audit.jsonl"));
        let builder = KillSwitches::builder("shop").store(store).audit(audit).instance(instance).region(region);
        let switches = builder.poll(Duration::from_millis(50)).build().unwrap();
        let recs = switches.switch("recs", OnUnknown::Allow).unwrap();
        let is_broken = Arc::new(AtomicBool::new(false));
        let broken = Arc::clone(&is_broken);
        let tenant = |request: &Request| {
            request.headers().get("x-tenant").and_then(|tenant| tenant.to_str().ok()).unwrap_or("none").to_owned()
        };
        let switch = recs.clone();
        let page = get(move |request: Request| async move {
            let tenant = tenant(&request);
            let is_off = switch.check(&Target::new().tenant(&tenant)).is_err();
            // The kill itself can be the bug: a broken one answers with errors where it is engaged.
            match (is_off, broken.load(Ordering::SeqCst)) {
                (true, true) => (http::StatusCode::INTERNAL_SERVER_ERROR, "the fallback is broken"),
                (true, false) => (http::StatusCode::SERVICE_UNAVAILABLE, "without recommendations"),
                (false, _) => (http::StatusCode::OK, "with recommendations"),
            }
        });
        let health = Arc::clone(&is_broken);
        let page = Router::new().route("/products", page).route(
            "/health",
            get(move || async move {
                let is_well = !(health.load(Ordering::SeqCst) && recs.is_engaged());
                if is_well { http::StatusCode::OK } else { http::StatusCode::INTERNAL_SERVER_ERROR }
            }),
        );
        let access = AccessList::from_json(&fs::read(self.path("access.json")).unwrap(), Timestamp::now()).unwrap();
        let admin = Admin::builder(switches).access(access).build().unwrap();
        let (admins, pages) = self.runtime.block_on(async {
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap())
        });
        let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
        let program = Program { admin: url(&admins), page: url(&pages), is_broken };
        self.runtime.spawn(async move { admin.serve(admins).await });
        self.runtime.spawn(async move { axum::serve(pages, page).await });
        program
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn token(&self, actor: &str) -> &str {
        self.tokens.iter().find(|(name, _)| name == actor).map_or("", |(_, token)| token)
    }

    fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_backstop"));
        command.arg("switch").args(arguments).env_clear().env("USER", "mira");
        command
    }

    /// By way of the file; programs are asked with Dora's token.
    fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = Self::command(arguments);
        Ran::by(command.env("BACKSTOP_SWITCHES", self.path("switches.json")).env("BACKSTOP_TOKEN", self.token("dora")))
    }

    /// By way of the first program's admin page.
    fn ask(&self, actor: &str, arguments: &[&str]) -> Ran {
        let mut command = Self::command(arguments);
        Ran::by(command.env("BACKSTOP_ADMIN", &self.programs[0].admin).env("BACKSTOP_TOKEN", self.token(actor)))
    }

    /// Every program as an argument.
    fn all(&self) -> Vec<&str> {
        self.programs.iter().flat_map(|program| ["--instance", program.admin.as_str()]).collect()
    }

    fn switch(&self) -> Value {
        self.run(&["list", "--json"]).succeeds().value()[0].clone()
    }
}

#[test]
fn a_drill_tells_how_long_the_whole_fleet_takes_off_and_on_again() {
    let fleet = Fleet::new();
    let pages: Vec<_> = fleet.programs.iter().map(|program| format!("{}/products", program.page)).collect();
    let pages: Vec<_> = pages.iter().flat_map(|page| ["--page", page]).collect();
    let patient = ["--limit", "60s", "--page-limit", "60s"];
    let drill = ["drill", "recs", "--tenant", "drill", "--header", "x-tenant: drill", "--reason", "november"];
    let arguments = [&drill[..], &patient, &fleet.all(), &pages].concat();
    let by_file = fleet.run(&arguments).succeeds().stdout;
    assert!(
        by_file.contains("seen on again") && by_file.contains("off: passed: the 99th percentile of 3"),
        "{by_file}"
    );
    let drilled = fleet.switch()["drilled"].clone();
    assert_eq!((&drilled["instances"], &drilled["by"]), (&3.into(), &"mira".into()));

    // By way of an admin page, whose token may do nothing but view and drill.
    let told = fleet.ask("dora", &[&arguments[..], &["--json"]].concat()).succeeds().value();
    assert_eq!((&told["disable"]["instances"], &told["restore"]["is_pass"]), (&3.into(), &true.into()), "{told}");
    let (switch, drilled) = (fleet.switch(), &fleet.switch()["drilled"]);
    assert!(switch.get("engaged").is_none() && drilled["by"] == "dora", "{switch}");
    let one = fleet.ask("dora", &["drill", "recs", "--tenant", "drill", "--reason", "november"]).succeeds().stdout;
    assert!(one.contains("99th percentile of 1 instance was off"), "the program that is asked takes part: {one}");

    let history = fleet.run(&["history"]).succeeds().stdout;
    assert!(history.contains("engage recs now") && history.contains("drilled recs"), "{history}");
    fleet.run(&["verify-audit"]).succeeds();
}

#[test]
fn a_drill_that_does_not_pass_says_what_was_slow_and_leaves_nothing_engaged() {
    let fleet = Fleet::new();
    let drill = |more: &[&str]| {
        let arguments = [&["drill", "recs", "--tenant", "drill", "--reason", "november"][..], more].concat();
        fleet.run(&[&arguments[..], &fleet.all()].concat())
    };
    let slow = drill(&["--limit", "0s"]);
    assert!(slow.code == 6 && slow.stdout.contains("off: failed: the 99th percentile was off after"), "{slow:?}");

    let never = format!("{}/health", fleet.programs[0].page);
    let never: Vec<_> = [never.as_str(); 3].iter().flat_map(|page| ["--page", page]).collect();
    let silent = drill(&[&never[..], &["--time-limit", "1s"]].concat());
    assert!(silent.code == 6 && silent.stdout.contains("failed: 3 of 3 instances never answered"), "{silent:?}");
    assert!(
        silent.stdout.contains("web-2 at 127.0.0.1:") && silent.stdout.contains("The drill is not recorded"),
        "{silent:?}"
    );
    assert!(fleet.switch().get("engaged").is_none());

    drill(&["--time-limit", "30m"]).fails(1, "a drill ends by itself");
    drill(&["--page", "http://127.0.0.1:1/"]).fails(2, "give one --page for each");
    fleet.run(&["drill", "recs", "--all", "--reason", "x"]).fails(2, "no instance named");
    fleet
        .run(&["drill", "ads", "--all", "--reason", "x", "--instance", &fleet.programs[0].admin])
        .fails(1, "unknown_switch");
    fleet.run(&["drill", "recs", "--all", "--reason", "x", "--instance", "http://127.0.0.1:1"]).fails(3, "unreachable");
    fleet.run(&["engage", "recs", "--all", "--reason", "a real need"]).succeeds();
    drill(&[]).fails(1, "already_engaged");
    assert!(fleet.switch().get("engaged").is_some());
}

#[test]
fn a_drill_that_was_interrupted_is_ended_by_whoever_may_drill() {
    let fleet = Fleet::new();
    let mut command = Fleet::command(&["drill", "recs", "--tenant", "drill", "--reason", "november"]);
    command.args(["--page", "http://127.0.0.1:1/", "--time-limit", "5m"]); // it waits for a page that never answers
    command.env("BACKSTOP_ADMIN", &fleet.programs[0].admin).env("BACKSTOP_TOKEN", fleet.token("dora"));
    let mut drill = command.spawn().unwrap();
    while fleet.switch().get("engaged").is_none() {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(fleet.run(&["list"]).succeeds().stdout.contains("a drill"), "nobody takes it for an incident");
    drill.kill().unwrap();
    drill.wait().unwrap();
    let said = fleet.ask("dora", &["drill", "recs", "--end", "--reason", "it was interrupted"]).succeeds().stdout;
    assert!(said.starts_with("The drill is over.\nrecs is released."), "{said}");
    fleet.run(&["engage", "recs", "--all", "--reason", "a real need"]).succeeds();
    fleet.ask("dora", &["drill", "recs", "--end", "--reason", "x"]).fails(1, "no_drill");
    assert!(fleet.switch().get("engaged").is_some());
}

#[test]
fn a_drill_by_somebody_who_may_not_see_the_document_does_not_begin() {
    let fleet = Fleet::new();
    let access = fleet.path("access.json");
    let base = ["token", "rita", "--verb", "view", "--verb", "drill", "--switch", "recs", "--expires", "1d"];
    let told = fleet.run(&[&base[..], &["--access", access.to_str().unwrap(), "--json"]].concat()).succeeds().value();
    let late = fleet.start("web-4", "us"); // it has read the list with Rita in it
    let mut command = Fleet::command(&["drill", "recs", "--tenant", "drill", "--reason", "november"]);
    command.env("BACKSTOP_ADMIN", &late.admin).env("BACKSTOP_TOKEN", told["token"].as_str().unwrap());
    Ran::by(&mut command).fails(3, "wrong_switch");
    assert!(fleet.switch().get("engaged").is_none());
}

#[test]
fn an_engagement_goes_through_the_stages_by_itself_while_all_is_well() {
    let fleet = Fleet::new();
    let said = fleet.run(&["stages", "instance:web-1", "region:eu", "--reason", "one, then Europe"]).succeeds().stdout;
    assert!(said.starts_with("Engagements go to web-1, then eu, then everywhere."), "{said}");
    let health = format!("{}/health", fleet.programs[0].page);
    let looks = [&["--check", health.as_str(), "--soak", "1s"][..], &fleet.all()].concat();
    let engage = |actor: &str, more: &[&str]| {
        fleet.ask(actor, &[&["engage", "recs", "--all", "--reason", "wrong prices"][..], more].concat())
    };
    let said = engage("mira", &looks).succeeds().stdout;
    assert!(said.contains("All was well at web-1, then eu, and web-1, then everywhere."), "{said}");
    let switch = fleet.switch();
    assert_eq!(switch["engaged"]["stage"], "everywhere");
    let history = fleet.run(&["history", "--json"]).succeeds().value();
    let whats: Vec<_> =
        history.as_array().unwrap().iter().map(|line| line["changed"]["what"].as_str().unwrap()).collect();
    assert_eq!(whats[..3], ["advance recs everywhere", "advance recs", "engage recs"]);
    assert!(said.contains("To undo it: backstop switch release recs --reason"), "{said}");
    fleet.run(&["release", "recs", "--reason", "another service"]).succeeds();
    assert!(fleet.switch().get("engaged").is_none(), "one command goes back over all stages");
}

#[test]
fn a_stage_that_is_not_well_is_held_where_it_is() {
    let fleet = Fleet::new();
    fleet.run(&["stages", "instance:web-1", "--reason", "one, then all"]).succeeds();
    fleet.programs[0].is_broken.store(true, Ordering::SeqCst);
    let health = format!("{}/health", fleet.programs[0].page);
    let first = fleet.programs[0].admin.as_str();
    let looks = ["--check", health.as_str(), "--instance", first, "--soak", "2s", "--well-within", "20s"];
    let engage = ["engage", "recs", "--all", "--reason", "wrong prices"];
    let held = fleet.run(&[&engage[..], &looks].concat());
    held.fails(6, "recs is held at the stage web-1");
    held.fails(6, "it answers with 500");
    assert_eq!(fleet.switch()["engaged"]["stage"], serde_json::json!({ "instances": ["web-1"] }));

    // Somebody looks, and decides.
    fleet.programs[0].is_broken.store(false, Ordering::SeqCst);
    let said = fleet.run(&["advance", "recs", "--reason", "the fallback is repaired"]).succeeds().stdout;
    assert!(said.starts_with("recs is engaged for everybody.\n"), "{said}");
    fleet.run(&["advance", "recs", "--reason", "further"]).fails(1, "not_wider");
}

#[test]
fn stages_are_gone_through_by_hand_and_left_out_by_saying_so() {
    let fleet = Fleet::new();
    let engage = |more: &[&str]| fleet.run(&[&["engage", "recs", "--all", "--reason", "why"][..], more].concat());
    fleet.run(&["stages", "everywhere", "--reason", "x"]).fails(2, "it is always the last stage");
    fleet.run(&["stages", "instance:web-1,region:eu", "--reason", "x"]).fails(2, "only one kind of them");
    fleet.run(&["stages", "instance:web-1", "--reason", "one first"]).succeeds();
    assert!(fleet.run(&["list"]).succeeds().stdout.contains("Engagements go to web-1, then everywhere."));
    let said = engage(&[]).succeeds().stdout;
    assert!(said.contains(", on web-1.\nThe next stage is everywhere: backstop switch advance recs"), "{said}");
    fleet.run(&["release", "recs", "--reason", "x"]).succeeds();
    engage(&["--stage", "everywhere"]).fails(1, "skips_stages");
    engage(&["--now", "--check", "http://127.0.0.1:1"]).fails(2, "cannot be used with");
    engage(&["--soak", "1s"]).fails(2, "need a check of each stage");
    assert!(engage(&["--now"]).succeeds().stdout.starts_with("recs is engaged for everybody.\n"));
    assert!(fleet.run(&["history"]).succeeds().stdout.contains("engage recs now"));
    let said = fleet.run(&["stages", "--none", "--reason", "one instance"]).succeeds().stdout;
    assert!(said.starts_with("Engagements are everywhere at once"), "{said}");
    assert!(fleet.run(&["revert", "--reason", "two after all"]).succeeds().stdout.contains("as it was in"));
}

#[test]
fn a_token_is_shown_once_and_good_for_what_it_says() {
    let fleet = Fleet::new();
    let access = fleet.path("access.json");
    let kept = fs::read_to_string(&access).unwrap();
    assert!(!kept.contains("bks_"), "it is the hash that is kept: {kept}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&access).unwrap().permissions().mode() & 0o777, 0o600);
    }
    fleet.ask("dora", &["list"]).succeeds();
    fleet.ask("dora", &["engage", "recs", "--all", "--reason", "x"]).fails(3, "wrong_verb");
    let token = |more: &[&str]| {
        let base = ["token", "mira", "--verb", "view", "--expires", "1d", "--access", access.to_str().unwrap()];
        fleet.run(&[&base[..], more].concat())
    };
    let said = token(&["--switch", "recs"]).succeeds().stdout;
    assert!(said.starts_with("bks_") && said.lines().count() == 2, "{said}");
    token(&[]).fails(1, "invalid");
    assert_eq!(fs::read_to_string(&access).unwrap().matches("\"mira\"").count(), 2, "two live ones at most");
    token(&["--verb", "fly"]).fails(2, "fly");
    fleet
        .run(&["token", "ben", "--verb", "view", "--expires", "2020-01-01T00:00:00Z", "--access", "x"])
        .fails(2, "future");
    let several: Vec<_> = (0..8)
        .map(|number| {
            let actor = format!("actor-{number}");
            let arguments =
                ["token", &actor, "--verb", "view", "--expires", "1d", "--access", access.to_str().unwrap()];
            Fleet::command(&arguments).stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    assert!(several.into_iter().all(|mut command| command.wait().unwrap().success()));
    assert_eq!(fs::read_to_string(&access).unwrap().matches("\"actor-").count(), 8, "none of eight at once is lost");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&access, fs::Permissions::from_mode(0o640)).unwrap();
        fleet
            .run(&["token", "ben", "--verb", "view", "--expires", "1d", "--access", access.to_str().unwrap()])
            .succeeds();
        assert_eq!(fs::metadata(&access).unwrap().permissions().mode() & 0o777, 0o640, "who could read it still can");
        let link = fleet.path("link.json");
        std::os::unix::fs::symlink(&access, &link).unwrap();
        let by_link = ["token", "ben", "--verb", "view", "--expires", "1d", "--access", link.to_str().unwrap()];
        fleet.run(&by_link).fails(3, "no link");
    }
    fs::write(&access, "{").unwrap();
    token(&[]).fails(3, "must be a list of grants");
    assert_eq!(fs::read_to_string(&access).unwrap(), "{");
}
