//! The policy that a command judges by.

use crate::output::Failure;
use backstop::rollback::Policy;
use std::path::Path;

/// The policy of a file; the default one without.
pub(crate) fn policy(file: Option<&Path>) -> Result<Policy, Failure> {
    let Some(path) = file else { return Ok(Policy::default()) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("{} cannot be read: {error}", path.display())))?;
    Policy::parse(&text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}
