//! The steps of a drill.

use super::guard::DrillGuard;
use super::instance::{Instance, Probe};
use super::report::{DrillError, DrillReport};
use super::stats::{Limits, PhaseReport, Sample};
use crate::clock::{Clock, Instant, Timestamp, timestamp};
use crate::kill_switch::{Author, Change, ControlPlane, Engage, Expiry, Scope, Stage, SwitchId, Trigger};
use crate::panic::catch_panic;
use std::thread;
use std::time::Duration;

/// Interval between two questions to the instances.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How often the store is asked whether the engagement is still the drill's. Seldom: instances are not asked meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Interval between two attempts to release.
const TRY_EVERY: Duration = Duration::from_millis(200);
/// Time by which an engagement outlives a drill that cannot release it.
const GRACE: Duration = Duration::from_secs(60);

/// A drill of one switch.
///
/// # Examples
///
/// ```
/// use backstop::clock::Timestamp;
/// use backstop::kill_switch::drill::{Drill, Instance};
/// use backstop::kill_switch::store::MemoryStore;
/// use backstop::kill_switch::{Author, Change, Definition, KillSwitches, OnUnknown, Scope, SwitchId};
///
/// let switches = KillSwitches::builder("shop").store(MemoryStore::new()).build()?;
/// let recommendations = switches.switch("recommendations", OnUnknown::Allow)?;
/// let mira = Author::person("mira", Timestamp::now()).because("the drill of November");
/// let definition = Definition::new("team-recs", "recommendations", Timestamp::MAX, OnUnknown::Allow);
/// let switch = SwitchId::new("recommendations")?;
/// switches.change(&Change::Define { switch: switch.clone(), definition }, &mira)?;
///
/// let editor = switches.editor().expect("there is a store");
/// let drill = Drill::new(switch, Scope::new().tenant("drill"));
/// let report = drill.run(editor, &[Instance::of(&recommendations)], &mira)?;
/// assert!(report.is_pass(), "{report}");
/// assert!(!recommendations.is_engaged());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "run it"]
pub struct Drill {
    pub(crate) switch: SwitchId,
    pub(crate) scope: Scope,
    pub(crate) stage: Stage,
    limits: Limits,
    time_limit: Duration,
}

impl Drill {
    /// Of a switch, engaged for this scope.
    pub fn new(switch: SwitchId, scope: Scope) -> Self {
        let limits = Limits::new(Duration::from_secs(5), Duration::from_secs(10));
        Self { switch, scope, stage: Stage::default(), limits, time_limit: Duration::from_secs(30) }
    }

    /// Stage of the engagement, which includes the instances that take part. Default: everywhere.
    pub fn stage(mut self, stage: Stage) -> Self {
        self.stage = stage;
        self
    }

    /// Limits for off and for on again. Default: 5 s until instances report it, 10 s until it is seen.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long instances are waited for, twice. Default: 30 s. Valid: up to 29 min, as a drill is engaged for an hour
    /// at most.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Engages, waits, releases, waits, and writes it down; on this thread, which it blocks. The time of `by` is not
    /// looked at: every step has its own.
    ///
    /// It leaves the document's stages out, if there are any: it is a drill's own [`stage`](Self::stage) that counts. A
    /// drill in which an instance never answered is not recorded: the switch stays as stale as it was.
    ///
    /// # Errors
    ///
    /// See [`DrillError`].
    pub fn run<O: ControlPlane>(
        &self,
        control_plane: &O,
        instances: &[Instance<'_>],
        by: &Author,
    ) -> Result<DrillReport, DrillError> {
        if instances.is_empty() {
            return Err(DrillError::NoInstances);
        }
        // Without the document there is no way to know when to release.
        control_plane.document().map_err(|error| DrillError::NotEngaged { why: error.into(), ends: None })?;
        let clock = Clock::system();
        let now = || Author { at: timestamp(), ..by.clone() };
        let ends = self.time_limit.saturating_mul(2).saturating_add(GRACE);
        let by = now();
        let ends = by.at.checked_add(ends).unwrap_or(Timestamp::MAX);
        let engage = Engage::new(self.switch.clone(), self.scope.clone()).stage(self.stage.clone()).now();
        let engage = engage.trigger(Trigger::Drill).expires(Expiry::release(ends));
        // Before the engagement: a store that fails may have written it.
        let mut guard = DrillGuard { control_plane, engage: &engage, ends, by: &by, is_tried: false, is_done: false };

        let start = clock.now();
        let document = control_plane.change(None, &Change::Engage(engage.clone()), &by);
        let document = match document {
            Ok(document) => document,
            Err(error) => {
                // It may have been engaged: it is released if it was.
                let is_left = guard.release().is_err_and(|error| matches!(error, DrillError::NotReleased { .. }));
                guard.is_done = !is_left;
                let ends = is_left.then_some(ends);
                return Err(DrillError::NotEngaged { why: error.into(), ends });
            }
        };
        if !guard.is_in(&document) {
            guard.is_done = true;
            return Err(guard.left_to(Some(&document)));
        }
        let samples = self.wait(&clock, start, instances, true, || guard.interrupted())?;
        let disable = PhaseReport::of(samples, self.limits);

        let start = clock.now();
        while let Err(error) = guard.release() {
            if matches!(error, DrillError::Interrupted { .. }) {
                guard.is_done = true;
                return Err(error);
            }
            if clock.now().saturating_duration_since(start) >= self.time_limit {
                return Err(error);
            }
            thread::sleep(TRY_EVERY);
        }
        let samples = self.wait(&clock, start, instances, false, || guard.engaged_anew())?;
        let restore = PhaseReport::restored(samples, self.limits);
        let mut report = DrillReport { disable, restore, generation: None };
        if let Some(change) = report.record(&self.switch) {
            let document = control_plane.change(None, &change, &now());
            let document = document.map_err(|error| DrillError::NotRecorded(error.into()))?;
            report.generation = Some(document.generation());
        }
        Ok(report)
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
                let is = |probe: &Probe<'_>| catch_panic(probe).flatten() == Some(off);
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
