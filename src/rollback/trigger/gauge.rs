//! The trigger of a gauge: CPU, memory, a business value without counts.

use super::finding::{Finding, Now};
use crate::rollback::policy::GaugeSettings;
use crate::rollback::tick::Arm;
use crate::rollback::verdict::TriggerState;

/// Seconds without a value after which an unfinished time out of bounds begins anew.
const HOLE: f64 = 60.0;

#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    settings: GaugeSettings,
    /// The last values, and since when they have been bad.
    canary: Option<f64>,
    baseline: Option<f64>,
    bad_since: Option<f64>,
    /// The last time it was measured.
    measured: f64,
}

impl Gauge {
    pub(crate) fn new(settings: GaugeSettings) -> Self {
        Self { settings, canary: None, baseline: None, bad_since: None, measured: 0.0 }
    }

    pub(crate) fn observe(&mut self, now: &Now, canary: &Arm, baseline: Option<&Arm>) -> bool {
        let Some(value) = canary.gauges.get(&self.settings.gauge).copied() else {
            // What fired stays so until it is measured to be over; what had not, begins anew.
            if now.elapsed - self.measured > HOLE && self.lasted().is_none_or(|lasted| lasted < self.settings.lasting) {
                self.bad_since = None;
            }
            return false;
        };
        self.measured = now.elapsed;
        self.canary = Some(value);
        self.baseline = baseline.and_then(|arm| arm.gauges.get(&self.settings.gauge)).copied();
        if self.is_bad(value) {
            // From the first look at it: of the time before, nothing is known.
            self.bad_since.get_or_insert(now.elapsed);
        } else {
            self.bad_since = None;
        }
        self.is_comparable()
    }

    fn is_comparable(&self) -> bool {
        self.settings.above.is_some() || self.settings.below.is_some() || self.baseline.is_some()
    }

    fn lasted(&self) -> Option<f64> {
        self.bad_since.map(|since| self.measured - since)
    }

    /// A limit that the baseline breaks as well is no fault of the canary.
    fn is_bad(&self, value: f64) -> bool {
        let settings = &self.settings;
        let beyond = |value: f64| {
            settings.above.is_some_and(|above| value > above) || settings.below.is_some_and(|below| value < below)
        };
        let limit = beyond(value) && !self.baseline.is_some_and(beyond);
        let ratio =
            settings.ratio.zip(self.baseline.filter(|baseline| *baseline >= 0.0)).is_some_and(|(ratio, baseline)| {
                if ratio >= 1.0 {
                    value >= ratio * baseline && value >= settings.floor
                } else {
                    value <= ratio * baseline && baseline > 0.0
                }
            });
        limit || ratio
    }

    pub(crate) fn state(&self) -> TriggerState {
        match self.lasted() {
            _ if self.canary.is_none() || !self.is_comparable() => TriggerState::NotMeasured,
            Some(lasted) if lasted >= self.settings.lasting => TriggerState::Fired,
            _ => TriggerState::Ok,
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let name = &self.settings.gauge;
        let Some(value) = self.canary else {
            return Finding::new(TriggerState::NotMeasured, format!("{name} is not measured"));
        };
        let lasted = self.lasted();
        let state = self.state();
        let than = self.baseline.map_or(", the baseline's is not measured".to_owned(), |baseline| {
            format!(", the baseline's is {baseline:.3}")
        });
        let more = match lasted {
            Some(lasted) => format!("; out of bounds for {lasted:.0} s of {:.0} s", self.settings.lasting),
            None => String::new(),
        };
        Finding::of_values(state, self.canary, self.baseline, format!("{name} of the canary is {value:.3}{than}{more}"))
    }
}
