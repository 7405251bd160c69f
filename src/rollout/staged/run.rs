//! The way through the stages: look, advance, look.

use super::check::{Check, Reached};
use super::report::StagedError;
use crate::clock::{Clock, timestamp};
use crate::kill_switch::control::control_plane::{change_while, who};
use crate::kill_switch::{Author, Change, ControlPlane, Document, Engagement, Pin, Stage, SwitchId};
use crate::rollout::soak::{Outcome, Patience, Soak};
use std::thread;

/// The engagement as it was made last, by which it is known to be this run's.
pub(super) struct Progress {
    pub(super) engaged: Engagement,
    pin: Option<Pin>,
    pub(super) generation: u64,
}

impl Progress {
    pub(super) fn of(document: &Document, switch: &SwitchId) -> Option<Self> {
        let switch = document.switch(switch.as_str())?;
        let (engaged, pin) = (switch.engaged.clone()?, switch.pin.clone());
        Some(Self { engaged, pin, generation: document.generation() })
    }
}

/// One way through the stages.
pub(super) struct Run<'a, 'c, O: ControlPlane> {
    pub(super) switch: &'a SwitchId,
    pub(super) patience: Patience,
    pub(super) control_plane: &'a O,
    pub(super) checks: &'a [Check<'c>],
    pub(super) by: &'a Author,
    pub(super) reached: Progress,
}

impl<O: ControlPlane> Run<'_, '_, O> {
    /// Returns whether a document has the engagement as this run has left it, without a pin since.
    fn is_in(&self, document: &Document) -> bool {
        let switch = document.switch(self.switch.as_str());
        let at = Progress::of(document, self.switch);
        let is_ours = at.is_some_and(|at| at.engaged == self.reached.engaged && at.pin == self.reached.pin);
        is_ours && switch.is_some_and(|switch| switch.is_engaged(timestamp()))
    }

    /// Looks at a stage until it passes.
    pub(super) fn look(&self) -> Result<(), StagedError> {
        let clock = Clock::system();
        let start = clock.now();
        let mut soak = Soak::new(self.patience, self.checks.len());
        let (stage, generation) = (self.reached.engaged.stage.clone(), self.reached.generation);
        let reached = Reached { stage, generation };
        loop {
            let findings: Vec<_> = self.checks.iter().map(|check| check.ask(&reached)).collect();
            match self.control_plane.document() {
                Ok(document) if document.as_ref().is_none_or(|document| !self.is_in(document)) => {
                    return Err(interrupted(self.switch, document.as_ref()));
                }
                _ => {} // a store that cannot be read says nothing of it
            }
            match soak.look(clock.now().saturating_duration_since(start), &findings) {
                Outcome::Passed => return Ok(()),
                Outcome::Watching => thread::sleep(self.patience.look_every),
                Outcome::Held { check, why } => {
                    let switch = self.switch.clone();
                    return Err(StagedError::Held { switch, stage: reached.stage, check, why });
                }
            }
        }
    }

    pub(super) fn next(&self) -> Result<Option<Stage>, StagedError> {
        match self.control_plane.document() {
            Ok(Some(document)) => Ok(document.stages().next(&self.reached.engaged.stage)),
            Ok(None) => Err(interrupted(self.switch, None)),
            Err(why) => Err(self.not_advanced(why)),
        }
    }

    pub(super) fn advance(&mut self, stage: Stage) -> Result<(), StagedError> {
        let switch = self.switch;
        let asked = Engagement { stage: stage.clone(), ..self.reached.engaged.clone() };
        let advance = Change::Advance { switch: switch.clone(), stage };
        let document = match change_while(self.control_plane, &advance, self.by, |document| self.is_in(document)) {
            Ok(Ok(document)) => document,
            Ok(Err(document)) => return Err(interrupted(self.switch, document.as_ref())),
            // It may have been made, whatever the answer was.
            Err(why) => match self.control_plane.document().ok().flatten() {
                Some(document) if Progress::of(&document, switch).is_some_and(|at| at.engaged == asked) => document,
                _ => return Err(self.not_advanced(why)),
            },
        };
        self.reached = Progress::of(&document, switch).ok_or_else(|| interrupted(self.switch, Some(&document)))?;
        Ok(())
    }

    fn not_advanced(&self, why: O::Error) -> StagedError {
        let (switch, stage) = (self.switch.clone(), self.reached.engaged.stage.clone());
        StagedError::NotAdvanced { switch, stage, why: why.into() }
    }
}

pub(super) fn interrupted(switch: &SwitchId, document: Option<&Document>) -> StagedError {
    StagedError::Interrupted { switch: switch.clone(), by: who(document, switch) }
}
