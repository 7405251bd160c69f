//! Engaging stage by stage, with a look at each before the next: the kill itself can be the bug.
//!
//! ```text
//!  engage at the first stage ──▶ look ──well──▶ advance ──▶ look ──well──▶ … ──▶ everywhere
//!                                  └──not well──▶ held: it stays where it is, for a person to decide
//! ```
//!
//! Which stages there are the document says ([`Stages`](super::Stages)). What is looked at the caller says: each [`Check`]
//! is asked again and again while the stage soaks. A stage that is held is left as it is: to release it would give back
//! what somebody wanted off, and to go on would do to all what went wrong for some.
//!
//! | setting | default | |
//! |---|---|---|
//! | `soak` | 10 s | how long every check has to be good without a break |
//! | `strikes` | 3 | bad findings of one check in a row that hold a stage |
//! | `time_limit` | 60 s | how long a stage may take until all is good |
//! | `look_every` | 500 ms | how often the checks are asked |
//!
//! # Examples
//!
//! ```
//! use backstop::clock::Timestamp;
//! use backstop::kill_switch::staged::{Check, Finding, StagedEngage};
//! use backstop::kill_switch::store::MemoryStore;
//! use backstop::kill_switch::{By, Change, Definition, Desk, Engage, OnUnknown, Scope, Stage, Stages, SwitchId};
//! use std::time::Duration;
//!
//! let desk = Desk::new(MemoryStore::new());
//! let mira = By::person("mira", Timestamp::now()).because("wrong prices");
//! let switch = SwitchId::new("recommendations")?;
//! let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
//! desk.change(&Change::Define { switch: switch.clone(), definition }, &mira)?;
//! let stages = Stages::new([Stage::instances(["web-1"]), Stage::regions(["eu"])])?;
//! desk.change(&Change::Stages { stages }, &mira)?;
//!
//! let staged = StagedEngage::new(Engage::new(switch, Scope::all())).soak(Duration::ZERO);
//! let pages = Check::new("pages", |_stage| Finding::Good); // ask what your users would see
//! let report = staged.run(&desk, &[pages], &mira)?;
//! assert_eq!(report.stages.last(), Some(&Stage::Everywhere));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod soak;

pub use soak::Finding;

use super::by::By;
use super::change::Change;
use super::document::{Document, Engagement};
use super::engage::Engage;
use super::id::SwitchId;
use super::office::{Office, change_while, who};
use super::stage::Stage;
use crate::caught::caught;
use crate::clock::{Clock, timestamp};
use crate::reject::BoxError;
use soak::{Outcome, Patience, Soak};
use std::fmt;
use std::thread;
use std::time::Duration;

/// Something that has to be well at a stage before the next one is gone to.
#[must_use = "it takes part in a staged engagement"]
pub struct Check<'a> {
    name: String,
    find: Box<dyn Fn(&Stage) -> Finding + 'a>,
}

impl<'a> Check<'a> {
    /// A check, by a name that stands in the report. It is told the stage, and has to answer soon: all are asked one after
    /// the other.
    pub fn new(name: impl Into<String>, find: impl Fn(&Stage) -> Finding + 'a) -> Self {
        Self { name: name.into(), find: Box::new(find) }
    }

    /// Foreign code: a check that panics has found nothing good.
    fn ask(&self, stage: &Stage) -> (String, Finding) {
        let finding = caught(|| (self.find)(stage)).unwrap_or_else(|| Finding::Bad("the check panicked".to_owned()));
        (self.name.clone(), finding)
    }
}

impl fmt::Debug for Check<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An engagement that goes through the document's stages by itself, as long as all is well.
#[derive(Clone, Debug)]
#[must_use = "run it"]
pub struct StagedEngage {
    engage: Engage,
    patience: Patience,
    look_every: Duration,
}

impl StagedEngage {
    /// Of this engagement, from where it begins.
    pub fn new(engage: Engage) -> Self {
        let (soak, time_limit) = (Duration::from_secs(10), Duration::from_secs(60));
        Self { engage, patience: Patience { soak, strikes: 3, time_limit }, look_every: Duration::from_millis(500) }
    }

    /// How long every check has to be good at a stage, without a break. Default: 10 s.
    ///
    /// Smaller is everywhere sooner; larger sees what takes a while to go wrong.
    pub fn soak(mut self, soak: Duration) -> Self {
        self.patience.soak = soak;
        self
    }

    /// Bad findings of one check in a row that hold a stage. Default: 3. Valid: 1 or more; 0 is taken for 1.
    ///
    /// Smaller stops at a stray timeout; larger lets what is wrong go on for longer.
    pub fn strikes(mut self, strikes: u32) -> Self {
        self.patience.strikes = strikes.max(1);
        self
    }

    /// How long a stage may take until all is good; the soak comes on top. Default: 60 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.patience.time_limit = limit;
        self
    }

    /// How often the checks are asked. Default: 500 ms.
    pub fn look_every(mut self, every: Duration) -> Self {
        self.look_every = every;
        self
    }

    /// Engages, looks and goes on until it is everywhere and well there; on this thread, which it blocks. The time of `by`
    /// is not looked at: every step has its own.
    ///
    /// # Errors
    ///
    /// See [`StagedError`]. What was engaged by then stays engaged.
    pub fn run<O: Office>(&self, office: &O, checks: &[Check<'_>], by: &By) -> Result<StagedReport, StagedError> {
        if checks.is_empty() {
            return Err(StagedError::NoChecks);
        }
        let switch = &self.engage.switch;
        let now = By { at: timestamp(), ..by.clone() };
        let engaged = office.change(None, &Change::Engage(self.engage.clone()), &now);
        let document = engaged.map_err(|error| StagedError::NotEngaged(error.into()))?;
        if let Some(number) = document.changed().proposed() {
            return Err(StagedError::Waits { number });
        }
        let found = |document: &Document| document.switch(switch.as_str()).and_then(|switch| switch.engaged()).cloned();
        let Some(mut ours) = found(&document) else { return Err(self.interrupted(Some(&document))) };
        let is_ours = |document: &Document, ours: &Engagement| found(document).is_some_and(|engaged| engaged == *ours);
        let mut report = StagedReport { generation: document.generation(), stages: Vec::new() };
        loop {
            self.look(&ours.stage, checks, || match office.document() {
                Ok(Some(document)) if !is_ours(&document, &ours) => Some(self.interrupted(Some(&document))),
                _ => None, // a store that cannot be read says nothing of it
            })?;
            report.stages.push(ours.stage.clone());
            let document = office.document().map_err(|why| self.not_advanced(&ours, why.into()))?;
            let next = document.as_ref().and_then(|document| document.stages().next(&ours.stage));
            let Some(stage) = next else { return Ok(report) };
            let advance = Change::Advance { switch: switch.clone(), stage };
            let advanced = change_while(office, &advance, by, |document| is_ours(document, &ours));
            let document = match advanced.map_err(|why| self.not_advanced(&ours, why.into()))? {
                Ok(document) => document,
                Err(document) => return Err(self.interrupted(document.as_ref())),
            };
            report.generation = document.generation();
            ours = found(&document).ok_or_else(|| self.interrupted(Some(&document)))?;
        }
    }

    /// Looks at a stage until it passes.
    fn look(
        &self,
        stage: &Stage,
        checks: &[Check<'_>],
        interrupted: impl Fn() -> Option<StagedError>,
    ) -> Result<(), StagedError> {
        let clock = Clock::system();
        let start = clock.now();
        let mut soak = Soak::new(self.patience, checks.len());
        loop {
            let findings: Vec<_> = checks.iter().map(|check| check.ask(stage)).collect();
            if let Some(error) = interrupted() {
                return Err(error);
            }
            match soak.look(clock.now().saturating_duration_since(start), &findings) {
                Outcome::Passed => return Ok(()),
                Outcome::Watching => thread::sleep(self.look_every),
                Outcome::Held { check, why } => {
                    return Err(StagedError::Held {
                        switch: self.engage.switch.clone(),
                        stage: stage.clone(),
                        check,
                        why,
                    });
                }
            }
        }
    }

    fn interrupted(&self, document: Option<&Document>) -> StagedError {
        let switch = &self.engage.switch;
        StagedError::Interrupted { switch: switch.clone(), by: who(document, switch) }
    }

    fn not_advanced(&self, ours: &Engagement, why: BoxError) -> StagedError {
        StagedError::NotAdvanced { switch: self.engage.switch.clone(), stage: ours.stage.clone(), why }
    }
}

/// A staged engagement that went all the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct StagedReport {
    /// The generation that it ended in.
    pub generation: u64,
    /// The stages that it went through, each of which was well.
    pub stages: Vec<Stage>,
}

/// Why a staged engagement did not go all the way. What was engaged by then stays engaged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StagedError {
    /// Nobody would look.
    #[error("nothing is looked at between the stages: give at least one check, or engage without")]
    NoChecks,
    /// It could not be engaged; the switch is as it was.
    #[error("nothing was engaged: {0}")]
    NotEngaged(#[source] BoxError),
    /// It takes two persons, as it gives something back.
    #[error("it takes two persons, and waits as proposal {number}")]
    Waits {
        /// The proposal's number.
        number: u64,
    },
    /// A check was not good. The engagement stays where it is.
    #[error("{switch} is held at {stage}: {check}: {why}")]
    Held {
        /// The switch.
        switch: SwitchId,
        /// Where it is engaged.
        stage: Stage,
        /// The check.
        check: String,
        /// What it found.
        why: String,
    },
    /// Somebody changed the switch meanwhile. What they did stands.
    #[error("{by} changed {switch} meanwhile: it was left so")]
    Interrupted {
        /// The switch.
        switch: SwitchId,
        /// Who it was.
        by: String,
    },
    /// The stage was well, and the store did not take the next one.
    #[error("{switch} is well at {stage}, and could not be taken further: {why}")]
    NotAdvanced {
        /// The switch.
        switch: SwitchId,
        /// Where it is engaged.
        stage: Stage,
        /// What the store said.
        #[source]
        why: BoxError,
    },
}
