//! A rollout that was begun before, as its plan and its journal say.

use crate::output::Failure;
use backstop::rollback::plan::Plan;
use backstop::rollout::journal::{Journal, replay};
use backstop::rollout::stages::End;
use backstop::rollout::state_dir::StateDir;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) struct Earlier {
    pub(super) folder: PathBuf,
    /// Its plan, as it was written.
    pub(super) text: String,
    pub(super) artifact: String,
    /// Whether its journal has a record.
    pub(super) has_begun: bool,
    pub(super) end: Option<End>,
    /// Whether its traffic returns or has returned.
    pub(super) is_retreat: bool,
}

impl Earlier {
    /// The rollout in a folder; `None` without a plan that can be read.
    pub(super) fn of(folder: PathBuf) -> Result<Option<Self>, Failure> {
        let Ok(text) = std::fs::read_to_string(folder.join("plan.toml")) else { return Ok(None) };
        let Ok(plan) = Plan::parse(&text) else { return Ok(None) };
        let records = Journal::read(&folder.join("journal.jsonl"))?;
        let (artifact, has_begun) = (plan.artifact.clone(), !records.is_empty());
        let (rollout, _) = replay(&Arc::new(plan), &records);
        // Without a record, there is nothing to go on with, and nothing to undo.
        let end = if has_begun { rollout.end() } else { Some(End::Aborted) };
        Ok(Some(Self { folder, text, artifact, has_begun, end, is_retreat: rollout.is_retreat() }))
    }

    pub(super) fn latest(dir: &StateDir) -> Result<Option<Self>, Failure> {
        dir.latest().map_or(Ok(None), Self::of)
    }

    /// The latest, if it has not ended.
    pub(super) fn unfinished(dir: &StateDir) -> Result<Option<Self>, Failure> {
        Ok(Self::latest(dir)?.filter(|latest| latest.end.is_none()))
    }

    pub(super) fn number(&self) -> String {
        StateDir::number(&self.folder)
    }
}
