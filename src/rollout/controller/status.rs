//! Status of a rollout: what the controller said last, or what its journal says.

use crate::rollback::plan::Plan;
use crate::rollout::journal::{Journal, JournalError, replay};
use crate::rollout::stages::{Look, Rollout};
use crate::rollout::state_dir::{Holder, StateDir, StateError, read};
use crate::sync::Arc;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

/// Age of a status beyond which its controller hangs, or cannot write it.
const OLD: Duration = Duration::from_secs(30);

/// State of a rollout whose files cannot be used.
const UNREADABLE: &str = "unreadable";

/// Trouble of a rollback that could not be written down.
pub(super) const UNRECORDED: &str = "the journal has no record of this rollback: at most status.json keeps it, and without that a `start` sets the weight again";

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
    /// `escalated`, `promoted`, `rolled_back`, `superseded`, `aborted`; `unreadable` if its files cannot be used.
    pub state: String,
    /// The reason for it; empty if all is as planned.
    pub why: String,
    /// Whether the traffic returns or has returned.
    pub is_retreat: bool,
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
            why: reasons(rollout, at, look),
            is_retreat: rollout.is_retreat(),
            weight: rollout.weight(),
            stages: plan.stages.iter().map(|stage| stage.weight).collect(),
            seconds: rollout.elapsed(at).as_secs(),
            samples: rollout.stage().and_then(|(_, stage)| samples(stage.samples)),
            verdict: look.map(|look| (look.decision.as_str().to_owned(), look.sentence.clone())),
            troubles: Vec::new(),
            holder: None,
        }
    }

    /// Returns whether its files cannot be used.
    pub fn is_unreadable(&self) -> bool {
        self.state == UNREADABLE
    }

    /// Returns whether the rollout has ended.
    pub fn is_over(&self) -> bool {
        ["promoted", "rolled_back", "superseded", "aborted"].contains(&&*self.state)
    }

    /// The status of a service: the controller's last words while one runs, else what the journal says, and a rollback that
    /// could not be written into it. `None` without any rollout.
    ///
    /// # Errors
    ///
    /// A plan or journal that cannot be read, and a journal that was tampered with.
    pub fn read(dir: &StateDir) -> Result<Option<Self>, JournalError> {
        let Some(folder) = dir.latest() else { return Ok(None) };
        let (holder, last) = (dir.holder(), Self::last(dir, &folder));
        if let (Some(_), Some(status)) = (&holder, &last) {
            let mut status = Self { holder, ..status.clone() };
            let age = fs::metadata(dir.path().join("status.json"))
                .and_then(|file| file.modified()?.elapsed().map_err(io::Error::other));
            status.troubles.extend(age.ok().filter(|age| *age > OLD).map(|age| {
                let age = age.as_secs();
                format!("the controller has not written its status for {age} s: it hangs, or its disk takes no writes")
            }));
            return Ok(Some(status));
        }
        let status = match (Self::of_journal(&folder)?, last) {
            (own, Some(last)) if own.lacks(&last) => {
                let mut troubles = last.troubles;
                troubles.retain(|trouble| trouble != UNRECORDED);
                troubles.push(UNRECORDED.to_owned());
                Self { troubles, ..last }
            }
            (own, Some(last)) if last.state == own.state => Self { troubles: last.troubles, ..own },
            (own, _) => own,
        };
        Ok(Some(Self { holder, ..status }))
    }

    /// The status of a rollback that could not be written into its journal.
    ///
    /// # Errors
    ///
    /// As [`Status::read`].
    pub fn unrecorded(dir: &StateDir) -> Result<Option<Self>, JournalError> {
        let Some(folder) = dir.latest() else { return Ok(None) };
        let Some(last) = Self::last(dir, &folder).filter(|last| last.is_retreat) else { return Ok(None) };
        Ok(Some(last).filter(|last| Self::of_journal(&folder).is_ok_and(|own| own.lacks(last))))
    }

    /// The status of every service; one whose files cannot be used is `unreadable`, and its `why` says why.
    ///
    /// # Errors
    ///
    /// A state directory that may not be read.
    pub fn all(state: &Path) -> Result<Vec<Self>, StateError> {
        let mut all = Vec::new();
        for service in StateDir::services(state)? {
            let Ok(dir) = StateDir::new(state, &service) else { continue };
            let unreadable = |error: JournalError| {
                let rollout = dir.latest().as_deref().map(StateDir::number).unwrap_or_default();
                let (state, why, holder) = (UNREADABLE.to_owned(), error.to_string(), dir.holder());
                Some(Self { service, rollout, state, why, holder, ..Self::default() })
            };
            all.extend(Self::read(&dir).unwrap_or_else(unreadable));
        }
        Ok(all)
    }

    /// The last words of the controller of this rollout.
    fn last(dir: &StateDir, folder: &Path) -> Option<Self> {
        read::<Self>(&dir.path().join("status.json")).filter(|status| folder.ends_with(&status.rollout))
    }

    fn of_journal(folder: &Path) -> Result<Self, JournalError> {
        let plan = plan_of(folder).ok_or_else(|| JournalError::Plan { path: folder.join("plan.toml") })?;
        let records = Journal::read(&folder.join("journal.jsonl"))?;
        let (rollout, at) = replay(&plan, &records);
        Ok(Self::of(&rollout, &StateDir::number(folder), at, None))
    }

    /// Returns whether the journal, of which this is the status, has no record of the rollback that was said last.
    fn lacks(&self, last: &Self) -> bool {
        last.is_retreat && !self.is_retreat
    }
}

/// The reason for the state, and everything that the next step waits for.
pub(super) fn reasons(rollout: &Rollout, at: Duration, look: Option<&Look>) -> String {
    let why = Some(rollout.why()).filter(|why| !why.is_empty());
    let all: Vec<_> = why.into_iter().chain(rollout.waits(look, at)).collect();
    all.join("; ")
}

/// The plan that a rollout was started with.
pub(super) fn plan_of(folder: &Path) -> Option<Arc<Plan>> {
    let text = fs::read_to_string(folder.join("plan.toml")).ok()?;
    Plan::parse(&text).ok().map(Arc::new)
}
