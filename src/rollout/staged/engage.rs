//! The settings of a staged engagement, and how it begins.

use super::check::Check;
use super::report::{StagedError, StagedReport};
use super::run::{Progress, Run, interrupted};
use crate::clock::timestamp;
use crate::config::{ConfigError, Problem};
use crate::kill_switch::{Author, Change, ControlPlane, Document, Engage};
use crate::rollout::soak::Patience;
use std::time::Duration;

/// An engagement that goes through the document's stages by itself, as long as all is well.
#[derive(Clone, Debug)]
#[must_use = "run it"]
pub struct StagedEngage {
    pub(super) engage: Engage,
    pub(super) patience: Patience,
}

impl StagedEngage {
    /// Of this engagement, from where it begins.
    pub fn new(engage: Engage) -> Self {
        let (soak, time_limit) = (Duration::from_secs(10), Duration::from_secs(60));
        let look_every = Duration::from_millis(500);
        Self { engage, patience: Patience { soak, strikes: 3, time_limit, look_every } }
    }

    /// Time for which every check must be good at a stage, without a break. Default: 10 s.
    ///
    /// Smaller is everywhere sooner; larger sees what takes a while to go wrong.
    pub fn soak(mut self, soak: Duration) -> Self {
        self.patience.soak = soak;
        self
    }

    /// Bad findings of one check in a row that hold a stage. Default: 3. Valid: 1 or more.
    ///
    /// Smaller stops at a stray timeout; larger lets what is wrong go on for longer.
    pub fn strikes(mut self, strikes: u32) -> Self {
        self.patience.strikes = strikes;
        self
    }

    /// Time limit of a stage until all checks are good; the soak comes on top. Default: 60 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.patience.time_limit = limit;
        self
    }

    /// Interval of the checks. Default: 500 ms.
    pub fn look_every(mut self, every: Duration) -> Self {
        self.patience.look_every = every;
        self
    }

    /// Engages, checks and advances until every stage is reached and good. Blocks this thread. Every step has a time of
    /// its own; that of `by` is not used.
    ///
    /// # Errors
    ///
    /// See [`StagedError`]. Stages that were engaged by then stay engaged.
    pub fn run<O: ControlPlane>(
        &self,
        control_plane: &O,
        checks: &[Check<'_>],
        by: &Author,
    ) -> Result<StagedReport, StagedError> {
        if checks.is_empty() {
            return Err(StagedError::NoChecks);
        }
        if self.patience.strikes == 0 {
            return Err(ConfigError::of(Problem::new("strikes", 0, "1 or more")).into());
        }
        let before = control_plane.document().map_err(|error| StagedError::NotEngaged(error.into()))?;
        let reached = self.begin(control_plane, before.as_ref(), by)?;
        let (switch, patience) = (&self.engage.switch, self.patience);
        let mut run = Run { switch, patience, control_plane, checks, by, reached };
        let mut stages = Vec::new();
        loop {
            run.look()?;
            stages.push(run.reached.engaged.stage.clone());
            let Some(stage) = run.next()? else {
                return Ok(StagedReport { generation: run.reached.generation, stages });
            };
            run.advance(stage)?;
        }
    }

    /// Engages it at its first stage.
    fn begin<O: ControlPlane>(
        &self,
        control_plane: &O,
        before: Option<&Document>,
        by: &Author,
    ) -> Result<Progress, StagedError> {
        let now = Author { at: timestamp(), ..by.clone() };
        let document = match control_plane.change(None, &Change::Engage(self.engage.clone()), &now) {
            Ok(document) => document,
            // It may have been engaged, whatever the answer was: the document shows it.
            Err(error) => match control_plane.document() {
                Ok(Some(document)) if self.is_begun(before, &document, by) => document,
                Ok(_) => return Err(StagedError::NotEngaged(error.into())),
                Err(_) => return Err(StagedError::Unknown(error.into())),
            },
        };
        match (document.changed().proposed, Progress::of(&document, &self.engage.switch)) {
            (Some(number), _) if before.is_none_or(|before| before.generation() < document.generation()) => {
                Err(StagedError::Waits { number })
            }
            (_, Some(reached)) => Ok(reached),
            _ => Err(interrupted(&self.engage.switch, Some(&document))),
        }
    }

    /// Returns whether a document has this engagement, and that before had not.
    fn is_begun(&self, before: Option<&Document>, now: &Document, by: &Author) -> bool {
        let engaged = |document: &Document| Progress::of(document, &self.engage.switch).map(|at| at.engaged);
        engaged(now).is_some_and(|engaged_now| {
            let is_asked_for = engaged_now.scope == self.engage.scope && engaged_now.reason == by.reason;
            is_asked_for && before.and_then(engaged) != Some(engaged_now)
        })
    }
}
