//! promtool's opinion of an exposition.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Asserts that `promtool check metrics` has no complaint.
pub(crate) fn assert_accepts(text: &str) {
    let piped = || Stdio::piped();
    let mut command = Command::new("promtool");
    let started = command.args(["check", "metrics"]).stdin(piped()).stdout(piped()).stderr(piped()).spawn();
    let mut promtool = started.unwrap_or_else(|error| panic!("promtool cannot be run: {error}"));
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.trim().is_empty(), "promtool check metrics: {said}\n{text}");
}
