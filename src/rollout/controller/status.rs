//! Status of a rollout: what the controller said last, or what its journal says.

use crate::rollback::plan::Plan;
use crate::rollout::journal::{Journal, JournalError, replay};
use crate::rollout::stages::{Look, Rollout};
use crate::rollout::state_dir::{Holder, StateDir, read};
use crate::sync::Arc;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// Status of a service's latest rollout.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Status {
    /// The service.
    pub service: String,
    /// Number of the rollout.
    pub rollout: String,
    /// The artifact that is released.
    pub artifact: String,
    /// The artifact that a rollback returns to.
    pub previous: String,
    /// State: `checking`, `moving`, `soaking`, `waiting`, `promoting`, `paused`, `disabled`, `rolling_back`, `recovering`,
    /// `escalated`, `promoted`, `rolled_back`, `superseded`, `aborted`.
    pub state: String,
    /// The reason for it; empty if all is as planned.
    pub why: String,
    /// The last weight that was set and read back, in percent.
    pub weight: u32,
    /// Weights of the plan's stages.
    pub stages: Vec<u32>,
    /// Seconds in the state, without pauses.
    pub seconds: u64,
    /// Canary requests of the stage, and how many it needs.
    pub samples: Option<(u64, u32)>,
    /// The last decision of the judge, and its sentence.
    pub verdict: Option<(String, String)>,
    /// Troubles of the controller itself: a journal that cannot be written, a source that does not answer, alerts that do not
    /// arrive.
    pub troubles: Vec<String>,
    /// The controller; `None` if none runs.
    pub holder: Option<Holder>,
}

impl Status {
    pub(super) fn of(rollout: &Rollout, number: &str, at: Duration, look: Option<&Look>) -> Self {
        let plan = rollout.plan();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "requests are counted from 0")]
        let samples = |stage: u32| look.map(|look| (look.samples as u64, stage));
        Self {
            service: plan.service.clone(),
            rollout: number.to_owned(),
            artifact: plan.artifact.clone(),
            previous: plan.previous.clone(),
            state: rollout.name().to_owned(),
            why: rollout.why(),
            weight: rollout.weight(),
            stages: plan.stages.iter().map(|stage| stage.weight).collect(),
            seconds: rollout.elapsed(at).as_secs(),
            samples: rollout.stage().and_then(|(_, stage)| samples(stage.samples)),
            verdict: look.map(|look| (look.decision.as_str().to_owned(), look.sentence.clone())),
            troubles: Vec::new(),
            holder: None,
        }
    }

    /// Returns whether the rollout has ended.
    pub fn is_over(&self) -> bool {
        ["promoted", "rolled_back", "superseded", "aborted"].contains(&&*self.state)
    }

    /// The status of a service: the controller's last words while one runs, else what the journal says. `None` without any
    /// rollout.
    ///
    /// # Errors
    ///
    /// A journal that cannot be read or was tampered with.
    pub fn read(dir: &StateDir) -> Result<Option<Self>, JournalError> {
        let Some(folder) = dir.latest() else { return Ok(None) };
        let holder = dir.holder();
        if holder.is_some()
            && let Some(status) = read::<Self>(&dir.path().join("status.json"))
            && folder.ends_with(&status.rollout)
        {
            return Ok(Some(Self { holder, ..status }));
        }
        let Some(plan) = plan_of(&folder) else { return Ok(None) };
        let records = Journal::read(&folder.join("journal.jsonl"))?;
        let (rollout, at) = replay(&plan, &records);
        Ok(Some(Self { holder, ..Self::of(&rollout, &number_of(&folder), at, None) }))
    }
}

/// The plan that a rollout was started with.
pub(super) fn plan_of(folder: &Path) -> Option<Arc<Plan>> {
    let text = std::fs::read_to_string(folder.join("plan.toml")).ok()?;
    Plan::parse(&text).ok().map(Arc::new)
}

/// Number of a rollout, which is the name of its folder.
pub(super) fn number_of(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
