//! Settings of a controller.

use super::looking::Looks;
use crate::rollout::state_dir::{StateDir, read};
use std::path::{Path, PathBuf};
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

impl Settings {
    /// The settings of a rollout that goes on, without a judge.
    pub fn of(dir: &StateDir, folder: PathBuf, by: &str) -> Self {
        Self {
            dir: dir.clone(),
            commands_in: Self::commands_in(&folder),
            folder,
            looks: None,
            look_every: Duration::from_secs(1),
            by: by.to_owned(),
            reason: None,
        }
    }

    /// Working directory of the commands of a rollout: the folder of its plan when it was started.
    pub fn commands_in(folder: &Path) -> PathBuf {
        let start: Option<serde_json::Value> = read(&folder.join("start.json"));
        start.and_then(|start| start["commands_in"].as_str().map(PathBuf::from)).unwrap_or_else(|| PathBuf::from("."))
    }
}
