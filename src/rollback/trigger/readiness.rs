//! The trigger of instances that are not ready: never, or not any more.

use super::finding::{Finding, Now, percent};
use super::lasting::{Gaps, Lasting};
use crate::rollback::policy::ReadinessSettings;
use crate::rollback::tick::{Arm, Instances};
use crate::rollback::verdict::TriggerState;

#[derive(Clone, Debug)]
pub(crate) struct Readiness {
    settings: ReadinessSettings,
    canary: Option<f64>,
    baseline: Option<f64>,
    instances: Instances,
    /// Whether the canary was ready once in this stage.
    was_ready: bool,
    /// Whether it was in any stage.
    was_ever_ready: bool,
    bad: Lasting,
    in_stage: f64,
    /// Seconds of the stage's longest hole, of which nothing is known. Further ones are waited for: else they put off for ever
    /// what each look finds.
    unseen: f64,
    gaps: Gaps,
}

impl Readiness {
    pub(crate) fn new(settings: ReadinessSettings) -> Self {
        Self {
            settings,
            canary: None,
            baseline: None,
            instances: Instances::default(),
            was_ready: false,
            was_ever_ready: false,
            bad: Lasting::default(),
            in_stage: 0.0,
            unseen: 0.0,
            gaps: Gaps::default(),
        }
    }

    pub(crate) fn observe(&mut self, now: &Now, canary: &Arm, baseline: Option<&Arm>) -> bool {
        if now.is_new_stage {
            (self.was_ready, self.unseen) = (false, 0.0);
        }
        // An arm of no instance has none that is ready.
        let share = |instances: Instances| match instances.total {
            total if total > 0.0 => (instances.not_ready + instances.not_started) / total,
            _ => 1.0,
        };
        let Some(instances) = canary.instances else { return false };
        // One that was ready and has no instance is gone, at the end of a rollout: there is nothing to measure.
        if instances.total <= 0.0 && self.was_ever_ready {
            return false;
        }
        self.in_stage = now.in_stage;
        if let Some(hole) = self.gaps.hole(now.elapsed) {
            self.unseen = self.unseen.max(hole.min(now.in_stage - now.ignored));
        }
        let other = baseline.and_then(|arm| arm.instances).filter(|instances| instances.total > 0.0).map(share);
        self.instances = instances;
        self.canary = Some(share(instances));
        self.baseline = other;
        let is_bad = share(instances) > self.settings.share;
        self.was_ready |= !is_bad;
        self.was_ever_ready |= self.was_ready;
        // A baseline that is not ready either is no fault of the canary.
        let is_bad = is_bad && other.is_none_or(|other| other <= self.settings.share);
        let (never, was_ready) = (self.is_never_ready(), self.was_ready);
        self.bad.look(now.elapsed, is_bad, |lasted| never || was_ready && lasted >= self.settings.lasting);
        true
    }

    /// Forgets for how long it was bad.
    pub(crate) fn restart(&mut self) {
        self.bad.restart();
    }

    fn is_never_ready(&self) -> bool {
        !self.was_ready && self.in_stage - self.unseen >= self.settings.deadline
    }

    pub(crate) fn state(&self) -> TriggerState {
        match () {
            () if self.canary.is_none() => TriggerState::NotMeasured,
            () if self.bad.is_fired() => TriggerState::Fired,
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
            TriggerState::Fired if self.is_never_ready() => {
                let seen = self.in_stage - self.unseen;
                format!("; never ready in {seen:.0} s, {:.0} s are allowed", self.settings.deadline)
            }
            TriggerState::Fired => {
                let lasted = self.bad.lasted().unwrap_or(0.0);
                format!("; for {lasted:.0} s, {:.0} s are allowed", self.settings.lasting)
            }
            TriggerState::Collecting => {
                let until = self.settings.deadline + self.unseen;
                format!("; it has until second {until:.0} of the stage to become ready")
            }
            _ => String::new(),
        };
        Finding::of_values(state, Some(share), self.baseline, format!("{bad}{than}{more}"))
    }
}
