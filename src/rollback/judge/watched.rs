//! A trigger under watch, and whether there is data for it.

use crate::rollback::policy::Trigger;
use crate::rollback::trigger::{Finding, Watch};
use crate::rollback::verdict::TriggerState;

/// Seconds without data that are never called stale; requests, or ticks with data, that would usually have come since.
const STALE: f64 = 10.0;
const STALE_REQUESTS: f64 = 20.0;
const STALE_TICKS: f64 = 3.0;

/// A trigger's watch, and when it had data.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) watch: Watch,
    pub(super) first: Option<f64>,
    pub(super) last: Option<f64>,
    /// Ticks with data, for the usual gap between them.
    pub(super) ticks: f64,
    /// When a person accepted that its data is missing.
    pub(super) excused: Option<f64>,
    pub(super) is_ignored: bool,
    /// The state that a person overrode in this stage.
    pub(super) muted: Option<TriggerState>,
    /// A stage began, and no tick of it was observed.
    pub(super) is_stage_new: bool,
}

impl State {
    pub(super) fn new(trigger: &Trigger) -> Self {
        Self {
            watch: Watch::new(trigger),
            first: None,
            last: None,
            ticks: 0.0,
            excused: None,
            is_ignored: false,
            muted: None,
            is_stage_new: false,
        }
    }

    /// Whether a person accepted this state; one who accepted a pause did not accept a rollback.
    pub(super) fn is_muted(&self, state: TriggerState) -> bool {
        self.muted.is_some_and(|muted| muted == TriggerState::Fired || state != TriggerState::Fired)
    }

    /// Begins a stage: a trigger that a person overrode acts again, and by new evidence alone.
    pub(super) fn begin_stage(&mut self) {
        self.is_stage_new = true;
        if self.muted.take().is_some() {
            self.watch.restart();
        }
    }

    /// The watch's state, unless there is no data.
    pub(super) fn state(&self, trigger: &Trigger, elapsed: f64) -> TriggerState {
        let state = self.watch.state();
        let missing = if trigger.required { TriggerState::NoData } else { TriggerState::NotMeasured };
        match self.first {
            // A sure finding stays so, without data and in a new stage.
            _ if matches!(state, TriggerState::Fired | TriggerState::Borderline) => state,
            _ if self.is_ignored => TriggerState::Collecting,
            None => missing,
            Some(_) if self.is_stale(elapsed) => TriggerState::NoData,
            Some(_) if state == TriggerState::NotMeasured => missing,
            Some(_) => state,
        }
    }

    /// Whether there has been no data for a time in which it usually comes.
    pub(super) fn is_stale(&self, elapsed: f64) -> bool {
        let Some((first, last)) = self.first.zip(self.last) else { return false };
        let (samples, lasted) = (self.watch.samples(), (last - first).max(1.0));
        let of_requests = if samples > 0.0 { STALE_REQUESTS * lasted / samples.max(1.0) } else { 0.0 };
        let of_ticks = if self.ticks > 1.0 { STALE_TICKS * lasted / (self.ticks - 1.0) } else { 0.0 };
        elapsed - last > STALE.max(of_requests).max(of_ticks)
    }

    /// The watch's finding, unless data is missing.
    pub(super) fn finding(&self, trigger: &Trigger, elapsed: f64) -> Finding {
        let state = self.state(trigger, elapsed);
        if self.is_ignored && state == TriggerState::Collecting {
            return Finding::new(state, format!("ignored in the first {:.0} s of a stage", trigger.ignore_first));
        }
        let finding = self.watch.finding();
        let gap = self.last.filter(|_| self.is_stale(elapsed)).map(|last| elapsed - last);
        let sentence = match (gap, state) {
            (Some(gap), TriggerState::NoData) => format!("no data for {gap:.0} s; until then, {}", finding.sentence),
            (Some(gap), TriggerState::Fired | TriggerState::Borderline) => {
                format!("{}; holds, as there has been no data for {gap:.0} s", finding.sentence)
            }
            _ => finding.sentence,
        };
        Finding { state, sentence, ..finding }
    }
}
