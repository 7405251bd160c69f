//! Settings of a controller.

use super::looking::Looks;
use crate::rollout::state_dir::StateDir;
use std::path::PathBuf;
use std::time::Duration;

/// Facts that a controller needs beside the plan.
pub struct Settings {
    /// The service's folder.
    pub dir: StateDir,
    /// Folder of the rollout, with its `plan.toml`.
    pub folder: PathBuf,
    /// Working directory of the plan's commands.
    pub commands_in: PathBuf,
    /// The judge; `None` if there is none: then nothing is promoted, and recovery is not seen.
    pub looks: Option<Box<dyn Looks>>,
    /// Interval of the looks. Default: 1 s.
    pub look_every: Duration,
    /// The person who started it.
    pub by: String,
    /// The reason.
    pub reason: Option<String>,
}
