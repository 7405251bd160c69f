//! Commands as processes: what they print, start and leave behind.

use crate::actuators::{of, set};
use crate::servers::eventually;
use std::path::Path;

#[test]
fn a_command_is_verified_quoted_and_killed_with_everything_it_started() {
    let folder = tempfile::tempdir().unwrap();
    let traffic = |rest: &str| format!("traffic = {{ kind = \"command\", {rest}, timeout = \"1s\" }}");
    let failing = r#"argv = ["sh", "-c", "echo secret; echo no such weight {weight} >&2; exit 3"]"#;
    let error = set(&mut *of(&traffic(failing), folder.path()), 5).unwrap_err();
    assert_eq!(error, "sh ended with exit code 3: no such weight 5");
    let nginx = r#"argv = ["sh", "-c", "echo 'nginx: [emerg] unknown directive in x.conf:{weight}'; echo test failed; exit 1"]"#;
    let error = set(&mut *of(&traffic(nginx), folder.path()), 5).unwrap_err();
    assert_eq!(error, "sh ended with exit code 1: nginx: [emerg] unknown directive in x.conf:5");
    let unverified = r#"argv = ["true", "{weight}"], verify = ["sh", "-c", "echo still 50 %; exit 1"]"#;
    let error = set(&mut *of(&traffic(unverified), folder.path()), 5).unwrap_err();
    assert!(error.starts_with("its verify does not succeed: sh ended with exit code 1: still 50 %"), "{error}");
    let hanging = r#"argv = ["sh", "-c", "sleep 300 & echo $! > child; wait", "{weight}"]"#;
    let error = set(&mut *of(&traffic(hanging), folder.path()), 5).unwrap_err();
    assert_eq!(error, "it did not end within its time limit");
    let child = std::fs::read_to_string(folder.path().join("child")).unwrap();
    let path = format!("/proc/{}/stat", child.trim());
    eventually("the grandchild is gone", || {
        let stat = std::fs::read_to_string(&path).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
    let missing = set(&mut *of(&traffic(r#"argv = ["./none", "{weight}"]"#), folder.path()), 5).unwrap_err();
    assert!(missing.contains("./none cannot be run"), "{missing}");
}

/// A command of a controller that was killed: its own group, and the locked file as its input.
#[cfg(target_os = "linux")]
fn orphan(folder: &Path, recorded: Option<u32>) -> std::process::Child {
    use std::os::unix::process::CommandExt as _;
    let mut running =
        std::fs::OpenOptions::new().append(true).create(true).read(true).open(folder.join("running")).unwrap();
    running.set_len(0).unwrap();
    running.lock().unwrap();
    let mut command = std::process::Command::new("sleep");
    let child = command.arg("300").process_group(0).stdin(running.try_clone().unwrap()).spawn().unwrap();
    std::io::Write::write_all(&mut running, recorded.unwrap_or(child.id()).to_string().as_bytes()).unwrap();
    child
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_that_a_killed_controller_left_is_killed_before_another_moves_traffic() {
    use std::os::unix::process::ExitStatusExt as _;
    let folder = tempfile::tempdir().unwrap();
    let argv = r#"["sh", "-c", "echo $$ {weight} > said"]"#;
    let mut actuator = of(&format!("traffic = {{ kind = \"command\", argv = {argv} }}"), folder.path());
    let mut left = orphan(folder.path(), None);
    set(&mut *actuator, 0).unwrap();
    assert_eq!(left.wait().unwrap().signal(), Some(9));
    let text = std::fs::read_to_string(folder.path().join("said")).unwrap();
    assert!(text.ends_with(" 0\n"), "{text}");
    let group = text.split(' ').next().unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("running")).unwrap(), group);
    // A process that does not hold the file has only the number of one that did.
    let other = std::process::Command::new("sleep").arg("300").spawn().unwrap();
    let mut other = crate::servers::Program(other);
    let mut left = crate::servers::Program(orphan(folder.path(), Some(other.0.id())));
    set(&mut *actuator, 0).unwrap();
    assert!(other.0.try_wait().unwrap().is_none() && left.0.try_wait().unwrap().is_none());
}

#[test]
fn a_command_that_prints_without_end_fills_no_disk() {
    let folder = tempfile::tempdir().unwrap();
    let traffic =
        r#"traffic = { kind = "command", argv = ["sh", "-c", "echo {weight}; head -c 150000000 /dev/zero"] }"#;
    set(&mut *of(traffic, folder.path()), 5).unwrap();
    let log = folder.path().join("commands.log");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), 4 << 20);
    std::fs::File::create(&log).unwrap().set_len(64 << 20).unwrap();
    let failing = r#"traffic = { kind = "command", argv = ["sh", "-c", "echo {weight}; exit 3"] }"#;
    let error = set(&mut *of(failing, folder.path()), 5).unwrap_err();
    assert_eq!(error, "sh ended with exit code 3", "what others printed is not quoted");
}
