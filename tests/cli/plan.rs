//! The command `backstop plan`: every problem at once, and a runbook whose commands can be pasted.
#![cfg(feature = "cli")]

use crate::ran::Ran;
use std::fs;
use std::path::Path;
use std::process::Command;

const PLAN: &str = r#"
service = "checkout"
artifact = "checkout:1.2.4"
previous = "checkout:1.2.3"
owner = "team-checkout"
expires = "2099-01-31T00:00:00Z"

[[rollback]]
kind = "traffic_shift"
argv = ["sh", "-c", "echo \"$1\" > weight", "shift", "it's 0; not 5"]
verify = ["grep", "-qx", "it's 0; not 5", "weight"]
idempotent = true

[[rollback]]
kind = "scale_down"
argv = ["touch", "scaled down"]
verify = ["test", "-f", "scaled down"]

[[preserve]]
argv = ["cp", "weight", "evidence *"]

[[data]]
kind = "additive"

[recovery]
metric = "failed checkouts"

[escalation]
contacts = ["on call: +41 44 000 00 00"]
"#;

fn run(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::by(Command::new(env!("CARGO_BIN_EXE_backstop")).arg("plan").args(arguments).current_dir(folder).env_clear())
}

fn folder(plan: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("plan.toml"), plan).unwrap();
    folder
}

#[test]
fn a_valid_plan_is_said_to_be_valid() {
    let folder = folder(PLAN);
    let said = run(folder.path(), &["check", "plan.toml"]).succeeds().stdout;
    assert_eq!(said, "plan.toml is valid until 2099-01-31 00:00 UTC: checkout checkout:1.2.4 can be rolled back.\n");
    let value = run(folder.path(), &["check", "plan.toml", "--json"]).succeeds().value();
    assert_eq!((&value["valid"], &value["warnings"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn a_stage_that_ends_with_its_warm_up_is_warned_of() {
    let folder =
        folder(&format!("{PLAN}\n[[stage]]\nweight = 5\nmin = \"1m\"\n[[stage]]\nweight = 100\nmin = \"10m\"\n"));
    let check = || run(folder.path(), &["check", "plan.toml"]).stderr;
    assert!(check().contains("a stage of 60 s is over before the warm-up of errors"), "{}", check());
    fs::write(folder.path().join("policy.toml"), "horizn = 5").unwrap();
    assert!(check().contains("the policy policy.toml cannot be used"), "{}", check());
}

#[test]
fn a_stage_with_too_few_requests_for_its_policy_is_warned_of_with_the_number_that_is_enough() {
    let stages = |samples: u32| {
        let last = "{ weight = 100, samples = 0 }";
        format!("stage = [{{ weight = 5, min = \"10m\", samples = {samples} }}, {last}]\n{PLAN}")
    };
    let few = folder(&stages(50));
    let ran = run(few.path(), &["check", "plan.toml"]);
    let told = "warning: stage[0].samples: 50 at 5 % are too few for the policy to find a release that fails 10 % of its requests";
    assert!(ran.code == 0 && ran.stderr.starts_with(told), "{ran:?}");
    let enough = ran.stderr.split("about ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!((60..=400).contains(&enough), "{ran:?}");
    let more = folder(&stages(enough));
    let ran = run(more.path(), &["check", "plan.toml"]);
    assert!(ran.code == 0 && ran.stderr.is_empty(), "{ran:?}");
}

#[test]
fn every_problem_is_listed_and_the_command_exits_with_2() {
    let plan =
        PLAN.replace("traffic_shift", "flag").replace("2099", "2019").replace("[recovery]", "budgt = 1\n[recovery]");
    let folder = folder(&plan.replace("[escalation]", "[escalatoin]"));
    let ran = run(folder.path(), &["check", "plan.toml"]);
    for said in [
        "error (input): plan.toml has 5 problems:",
        "\n  expires: 2019-01-31T00:00:00Z is not allowed, must be after now",
        "\n  escalation: required",
        "\n  escalatoin: unknown field, did you mean \"escalation\"?",
        "\n  data[0].budgt: unknown field",
        "\n  rollback[1].kind: scale_down is not allowed, must be after a traffic_shift",
    ] {
        ran.fails(2, said);
    }
    let ran = run(folder.path(), &["check", "plan.toml", "--json"]);
    ran.fails(2, "\"code\":\"input\"");
    run(folder.path(), &["check", "none.toml"]).fails(2, "none.toml cannot be read");
    run(folder.path(), &["runbook", "plan.toml"]).fails(2, "has 4 problems");
    run(folder.path(), &["check"]).fails(2, "FILE");
}

#[test]
fn warnings_do_not_fail_a_check() {
    let folder = folder(&PLAN.replace("verify = [\"test\"", "# ["));
    let ran = run(folder.path(), &["check", "plan.toml"]);
    assert!(ran.code == 0 && ran.stderr.starts_with("warning: rollback[1] (scale_down) has no verify"), "{ran:?}");
}

#[test]
fn a_runbook_of_an_expired_plan_comes_with_a_warning() {
    let folder = folder(&PLAN.replace("2099", "2019"));
    let ran = run(folder.path(), &["runbook", "plan.toml"]);
    assert!(ran.code == 0 && ran.stderr.contains("warning: the plan expired at 2019-01-31 00:00 UTC"), "{ran:?}");
    assert!(ran.stdout.starts_with("# Roll back `checkout`\n"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn the_commands_of_a_runbook_run_as_they_are_printed_for_any_user() {
    let folder = folder(PLAN);
    let runbook = run(folder.path(), &["runbook", "plan.toml"]).succeeds().stdout;
    let blocks: Vec<_> = runbook.split("```sh\n").skip(1).filter_map(|rest| rest.split("\n```").next()).collect();
    assert_eq!(blocks.len(), 5, "two actions, their verification, one command for the evidence");
    for block in blocks {
        let mut shell = Command::new("sh");
        shell.args(["-c", block]).current_dir(folder.path()).env_remove("USER");
        as_another(&mut shell, folder.path());
        assert!(shell.status().unwrap().success(), "{block}");
    }
    assert_eq!(fs::read_to_string(folder.path().join("evidence *")).unwrap(), "it's 0; not 5\n");
}

/// Runs a command as a user who has never seen the folder, where this user may.
#[cfg(unix)]
fn as_another(command: &mut Command, folder: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65_534;
    let open = fs::Permissions::from_mode(0o777);
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if is_root && fs::set_permissions(folder, open).is_ok() {
        command.uid(NOBODY).gid(NOBODY);
    }
}
