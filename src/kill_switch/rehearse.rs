//! Rehearsals: a switch is engaged for real, and how long it takes until every instance is off and on again is told.
//!
//! ```text
//!  engage (trigger: drill) ──▶ all off, or time is up ──▶ release ──▶ all on, or time is up ──▶ write it down
//! ```
//!
//! A switch that nobody dares to try is one that nobody can rely on. A drill never leaves its engagement behind: it
//! releases when time is up and when something panics, and what it engaged ends by itself where the whole process dies.
//! What somebody else engaged, widened or pinned meanwhile is not the drill's: it stops and leaves that alone.

use super::by::By;
use super::change::Change;
use super::document::{Document, Engagement, Expiry, Trigger};
use super::drill::{DrillReport, Limits, Sample};
use super::engage::Engage;
use super::handle::KillSwitch;
use super::id::SwitchId;
use super::office::{Office, change_while, who};
use super::scope::Scope;
use super::stage::Stage;
use crate::caught::caught;
use crate::clock::{Clock, Instant, Timestamp, timestamp};
use crate::reject::BoxError;
use std::fmt;
use std::thread;
use std::time::Duration;

/// How often instances are asked.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How often the store is asked whether the engagement is still the drill's.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What an engagement outlives the drill by, where the drill cannot release it.
const GRACE: Duration = Duration::from_secs(60);

type Probe<'a> = Box<dyn Fn() -> Option<bool> + 'a>;

/// One instance of the program, as a drill sees it.
#[must_use = "it takes part in a drill"]
pub struct Instance<'a> {
    name: String,
    applied: Probe<'a>,
    verified: Option<Probe<'a>>,
}

impl<'a> Instance<'a> {
    /// An instance, and whether the capability is off on it by its own word; `None` where it does not say.
    ///
    /// The drill asks it every 10 ms, one instance after the other: it has to answer at once.
    pub fn new(name: impl Into<String>, applied: impl Fn() -> Option<bool> + 'a) -> Self {
        Self { name: name.into(), applied: Box::new(applied), verified: None }
    }

    /// The instance that this switch is on.
    pub fn of(switch: &'a KillSwitch) -> Self {
        Self::new(switch.switches().board.instance.clone(), || Some(switch.is_engaged()))
    }

    /// Whether the capability is seen to be off from outside, by a request that should be answered by the degraded mode.
    /// Default: what the instance says.
    pub fn verified(mut self, verified: impl Fn() -> Option<bool> + 'a) -> Self {
        self.verified = Some(Box::new(verified));
        self
    }
}

impl fmt::Debug for Instance<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A rehearsal of one switch.
///
/// # Examples
///
/// ```
/// use backstop::clock::Timestamp;
/// use backstop::kill_switch::rehearse::{Drill, Instance};
/// use backstop::kill_switch::store::MemoryStore;
/// use backstop::kill_switch::{By, Change, Definition, KillSwitches, OnUnknown, Scope, SwitchId};
///
/// let switches = KillSwitches::builder("shop").store(MemoryStore::new()).build()?;
/// let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
/// let mira = By::person("mira", Timestamp::now()).because("the drill of November");
/// let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
/// let switch = SwitchId::new("recommendations")?;
/// switches.change(&Change::Define { switch: switch.clone(), definition }, &mira)?;
///
/// let desk = switches.desk().expect("there is a store");
/// let drill = Drill::new(switch, Scope::new().tenant("drill"));
/// let rehearsal = drill.run(desk, &[Instance::of(&recommendations)], &mira)?;
/// assert!(rehearsal.is_pass(), "{rehearsal}");
/// assert!(!recommendations.is_engaged());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "run it"]
pub struct Drill {
    switch: SwitchId,
    scope: Scope,
    stage: Stage,
    limits: Limits,
    time_limit: Duration,
}

impl Drill {
    /// Of a switch, engaged for this scope.
    pub fn new(switch: SwitchId, scope: Scope) -> Self {
        let limits = Limits::new(Duration::from_secs(5), Duration::from_secs(10));
        Self { switch, scope, stage: Stage::default(), limits, time_limit: Duration::from_secs(30) }
    }

    /// Where it is engaged: the instances that take part have to be there. Default: everywhere.
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// How long it may take, off and on again each. Default: 5 s until instances say so, 10 s until it is seen.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long instances are waited for, twice. Default: 30 s. Valid: up to 29 min, as a drill is engaged for an hour at
    /// most.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Engages, waits, releases, waits, and writes it down; on this thread, which it blocks. The time of `by` is not
    /// looked at: every step has its own.
    ///
    /// It leaves the document's stages out, if there are any: it is a drill's own [`stage`](Self::stage) that counts. A drill
    /// in which an instance never answered is not recorded: the switch stays as stale as it was.
    ///
    /// # Errors
    ///
    /// See [`DrillError`].
    pub fn run<O: Office>(&self, office: &O, instances: &[Instance<'_>], by: &By) -> Result<Rehearsal, DrillError> {
        if instances.is_empty() {
            return Err(DrillError::NoInstances);
        }
        let clock = Clock::system();
        let now = || By { at: timestamp(), ..by.clone() };
        let ends = self.time_limit.saturating_mul(2).saturating_add(GRACE);
        let by = now();
        let ends = by.at.checked_add(ends).unwrap_or(Timestamp::MAX);
        let engage = Engage::new(self.switch.clone(), self.scope.clone()).stage(self.stage.clone()).now();
        let engage = engage.trigger(Trigger::Drill).expires(Expiry::release(ends));
        // Before the engagement: a store that fails may have written it.
        let mut ours = Ours { office, drill: self, ends, by: &by, is_tried: false, is_done: false };

        let start = clock.now();
        let document = office.change(None, &Change::Engage(engage), &by);
        let document = document.map_err(|error| DrillError::NotEngaged(error.into()))?;
        if !ours.is_in(&document) {
            ours.is_done = true;
            return Err(DrillError::Interrupted {
                switch: self.switch.clone(),
                by: who(Some(&document), &self.switch),
            });
        }
        let samples = self.wait(&clock, start, instances, true, || ours.interrupted())?;
        let disable = DrillReport::of(samples, self.limits);

        let start = clock.now();
        while let Err(error) = ours.release() {
            if matches!(error, DrillError::Interrupted { .. }) {
                ours.is_done = true;
                return Err(error);
            }
            if clock.now().saturating_duration_since(start) >= self.time_limit {
                return Err(error);
            }
            thread::sleep(LOOK_EVERY);
        }
        let samples = self.wait(&clock, start, instances, false, || None)?;
        let restore = DrillReport::restored(samples, self.limits);
        let mut rehearsal = Rehearsal { disable, restore, generation: None };
        if let Some(change) = rehearsal.record(&self.switch) {
            let document = office.change(None, &change, &now());
            let document = document.map_err(|error| DrillError::NotRecorded(error.into()))?;
            rehearsal.generation = Some(document.generation());
        }
        Ok(rehearsal)
    }

    /// Waits until every instance is off, or on, and seen to be.
    fn wait(
        &self,
        clock: &Clock,
        start: Instant,
        instances: &[Instance<'_>],
        off: bool,
        interrupted: impl Fn() -> Option<DrillError>,
    ) -> Result<Vec<Sample>, DrillError> {
        let mut times = vec![(None, None); instances.len()];
        let mut looked = Duration::ZERO;
        loop {
            for (instance, (applied, verified)) in instances.iter().zip(&mut times) {
                let elapsed = || clock.now().saturating_duration_since(start);
                // Foreign code: an instance whose answer panics has not answered.
                let is = |probe: &Probe<'_>| caught(probe).flatten() == Some(off);
                if applied.is_none() && is(&instance.applied) {
                    *applied = Some(elapsed());
                }
                if verified.is_none() {
                    *verified = match &instance.verified {
                        None => *applied,
                        Some(probe) => is(probe).then(elapsed),
                    };
                }
            }
            let elapsed = clock.now().saturating_duration_since(start);
            let is_over = times.iter().all(|(applied, verified)| applied.is_some() && verified.is_some());
            if is_over || elapsed >= self.time_limit {
                let sample = |(instance, (applied, verified)): (&Instance<'_>, _)| {
                    Sample::new(instance.name.clone(), applied, verified)
                };
                return Ok(instances.iter().zip(times).map(sample).collect());
            }
            if elapsed >= looked + LOOK_EVERY {
                looked = elapsed;
                if let Some(error) = interrupted() {
                    return Err(error);
                }
            }
            thread::sleep(ASK_EVERY);
        }
    }
}

/// The drill's own engagement: released when this is dropped, if it is still in the store as it was made.
struct Ours<'a, O: Office> {
    office: &'a O,
    drill: &'a Drill,
    /// When it ends by itself. To the nanosecond, it tells this drill from others.
    ends: Timestamp,
    by: &'a By,
    /// Whether a release was asked for that may have been made, whatever the answer was.
    is_tried: bool,
    is_done: bool,
}

impl<O: Office> Ours<'_, O> {
    fn is_in(&self, document: &Document) -> bool {
        let switch = document.switch(self.drill.switch.as_str());
        let is_ours = |engaged: &Engagement| {
            let is_drill =
                engaged.trigger() == &Trigger::Drill && engaged.expires() == Some(Expiry::release(self.ends));
            is_drill && engaged.scope() == &self.drill.scope && engaged.stage() == &self.drill.stage
        };
        switch.is_some_and(|switch| switch.engaged().is_some_and(is_ours) && switch.pin().is_none())
    }

    /// Whether somebody else changed the switch. A store that cannot be read says nothing of it.
    fn interrupted(&self) -> Option<DrillError> {
        let document = self.office.document().ok().flatten()?;
        (!self.is_in(&document)).then(|| self.left_to(Some(&document)))
    }

    fn left_to(&self, document: Option<&Document>) -> DrillError {
        let switch = &self.drill.switch;
        DrillError::Interrupted { switch: switch.clone(), by: who(document, switch) }
    }

    /// Releases it, in the one write that also makes sure that it is the drill's.
    fn release(&mut self) -> Result<(), DrillError> {
        let change = Change::Release { switch: self.drill.switch.clone() };
        let failed = |why: O::Error| {
            let (switch, why) = (self.drill.switch.clone(), Box::new(why));
            DrillError::NotReleased { switch, why, ends: self.ends }
        };
        let released = change_while(self.office, &change, self.by, |document| self.is_in(document)).map_err(failed);
        let was_tried = std::mem::replace(&mut self.is_tried, true);
        match released? {
            Ok(_) => {}
            // The release before had no answer that told so.
            Err(Some(document)) if was_tried && is_released(&document, &self.drill.switch) => {}
            Err(document) => return Err(self.left_to(document.as_ref())),
        }
        self.is_done = true;
        Ok(())
    }
}

fn is_released(document: &Document, switch: &SwitchId) -> bool {
    document.switch(switch.as_str()).is_some_and(|switch| switch.engaged().is_none())
}

impl<O: Office> Drop for Ours<'_, O> {
    fn drop(&mut self) {
        if !self.is_done {
            // A store that fails here leaves the engagement to its own end.
            caught(|| self.release().is_ok());
        }
    }
}

/// What a rehearsal showed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Rehearsal {
    /// How long it took until all was off.
    pub disable: DrillReport,
    /// How long it took until all was on again.
    pub restore: DrillReport,
    /// The generation that it is recorded in; `None` where an instance never answered.
    pub generation: Option<u64>,
}

impl Rehearsal {
    /// Whether it went off and on again, everywhere and within the limits.
    pub const fn is_pass(&self) -> bool {
        self.disable.is_pass && self.restore.is_pass
    }

    fn record(&self, switch: &SwitchId) -> Option<Change> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.restore.time_to_verify.max.and(self.restore.time_to_disable.max)?;
        Some(Change::Drilled {
            switch: switch.clone(),
            instances: self.disable.instances as u64,
            time_to_disable_ms: millis(self.disable.time_to_disable.max?),
            time_to_verify_ms: millis(self.disable.time_to_verify.max?),
        })
    }
}

impl fmt::Display for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "off: {}; on again: {}", self.disable.sentence, self.restore.sentence)
    }
}

/// Why there is no report of a rehearsal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrillError {
    /// Nobody would have noticed anything.
    #[error("no instance takes part: name at least one")]
    NoInstances,
    /// It could not be engaged; the switch is as it was.
    #[error("the drill has not begun: {0}")]
    NotEngaged(#[source] BoxError),
    /// Somebody changed the switch during the drill. What they did stands.
    #[error("{by} changed {switch} during the drill: it has stopped and left it so")]
    Interrupted {
        /// The switch.
        switch: SwitchId,
        /// Who it was.
        by: String,
    },
    /// The store did not take the release.
    #[error("{switch} could not be released after the drill, and ends by itself at {ends}: {why}")]
    NotReleased {
        /// The switch.
        switch: SwitchId,
        /// What the store said.
        #[source]
        why: BoxError,
        /// When the engagement ends.
        ends: Timestamp,
    },
    /// The drill is over and the switch released, but that it took place is not in the document.
    #[error("the drill is over and could not be recorded: {0}")]
    NotRecorded(#[source] BoxError),
}
