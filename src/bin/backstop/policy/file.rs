//! Policy files, and warnings about them.

use crate::output::Failure;
use backstop::rollback::Policy;
use std::path::Path;

/// The policy of a file.
pub(super) fn read(file: &Path) -> Result<Policy, Failure> {
    let shown = file.display();
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| Failure::Usage(format!("the policy {shown} cannot be read: {error}")))?;
    Policy::parse(&text).map_err(|error| {
        let problems: Vec<_> = error.problems().iter().map(|problem| format!("\n  {problem}")).collect();
        Failure::Usage(format!("{shown} is not a policy:{}", problems.concat()))
    })
}

/// Warnings as one text, if there are any.
pub(super) fn joined(warnings: &[String]) -> Option<String> {
    (!warnings.is_empty()).then(|| warnings.join("\nwarning: "))
}
