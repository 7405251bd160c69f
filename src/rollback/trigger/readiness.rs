//! The trigger of instances that are not ready: never, or not any more.

use super::finding::{Finding, Now, percent};
use crate::rollback::policy::ReadinessSettings;
use crate::rollback::tick::{Arm, Instances};
use crate::rollback::verdict::TriggerState;

/// Seconds without a value after which an unfinished time out of bounds begins anew.
const HOLE: f64 = 60.0;

#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    settings: ReadinessSettings,
    canary: Option<f64>,
    baseline: Option<f64>,
    instances: Instances,
    /// Whether the canary was ready once in this stage.
    was_ready: bool,
    bad_since: Option<f64>,
    /// When it was measured last.
    elapsed: f64,
    in_stage: f64,
}

impl Readiness {
    pub(crate) fn new(settings: ReadinessSettings) -> Self {
        Self {
            settings,
            canary: None,
            baseline: None,
            instances: Instances::default(),
            was_ready: false,
            bad_since: None,
            elapsed: 0.0,
            in_stage: 0.0,
        }
    }

    pub(crate) fn observe(&mut self, now: &Now, canary: &Arm, baseline: Option<&Arm>) -> bool {
        if now.is_new_stage {
            self.was_ready = false;
        }
        // An arm of no instance has none that is ready.
        let share = |instances: Instances| match instances.total {
            total if total > 0.0 => (instances.not_ready + instances.not_started) / total,
            _ => 1.0,
        };
        let Some(instances) = canary.instances else {
            if now.elapsed - self.elapsed > HOLE {
                self.bad_since = None;
            }
            return false;
        };
        self.elapsed = now.elapsed;
        self.in_stage = now.in_stage;
        let other = baseline.and_then(|arm| arm.instances).filter(|instances| instances.total > 0.0).map(share);
        self.instances = instances;
        self.canary = Some(share(instances));
        self.baseline = other;
        let is_bad = share(instances) > self.settings.share;
        self.was_ready |= !is_bad;
        // A baseline that is not ready either is no fault of the canary.
        if is_bad && other.is_none_or(|other| other <= self.settings.share) {
            // From the first look at it: of the time before, nothing is known.
            self.bad_since.get_or_insert(now.elapsed);
        } else {
            self.bad_since = None;
        }
        true
    }

    /// Seconds since which it has been bad; 0 if it is not.
    fn lasted(&self) -> f64 {
        self.bad_since.map_or(0.0, |since| self.elapsed - since)
    }

    pub(crate) fn state(&self) -> TriggerState {
        let is_bad = self.bad_since.is_some();
        let never = !self.was_ready && self.in_stage >= self.settings.deadline;
        let lost = self.was_ready && self.lasted() >= self.settings.lasting;
        match () {
            () if self.canary.is_none() => TriggerState::NotMeasured,
            () if is_bad && (never || lost) => TriggerState::Fired,
            () if !self.was_ready => TriggerState::Collecting,
            () => TriggerState::Ok,
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let state = self.state();
        let Some(share) = self.canary else {
            return Finding::new(state, "readiness of the instances is not measured");
        };
        let Instances { total, not_started, not_ready } = self.instances;
        let bad = match total {
            0.0 => "the canary has no instance".to_owned(),
            _ => format!("{} of {total} instances of the canary are not ready", not_started + not_ready),
        };
        let than = self.baseline.map_or(String::new(), |other| format!(", {} of the baseline's", percent(other)));
        let more = match state {
            TriggerState::Fired if !self.was_ready => {
                format!("; never ready in {:.0} s, {:.0} s are allowed", self.in_stage, self.settings.deadline)
            }
            TriggerState::Fired => format!("; for {:.0} s, {:.0} s are allowed", self.lasted(), self.settings.lasting),
            TriggerState::Collecting => {
                format!("; it has until second {:.0} of the stage to become ready", self.settings.deadline)
            }
            _ => String::new(),
        };
        Finding::of_values(state, Some(share), self.baseline, format!("{bad}{than}{more}"))
    }
}
