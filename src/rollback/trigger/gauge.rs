//! The trigger of a gauge: CPU, memory, a business value without counts.

use super::finding::{Finding, Now};
use super::lasting::Lasting;
use crate::rollback::policy::GaugeSettings;
use crate::rollback::tick::Arm;
use crate::rollback::verdict::TriggerState;

#[derive(Clone, Debug)]
pub(crate) struct Gauge {
    settings: GaugeSettings,
    /// The last values.
    canary: Option<f64>,
    baseline: Option<f64>,
    usual: Usual,
    bad: Lasting,
    /// Whether the baseline has ended, and its usual value is the one to compare with.
    has_ended: bool,
}

/// Mean of the baseline's value in the last minute of its traffic.
#[derive(Clone, Copy, Debug, Default)]
struct Usual {
    sum: f64,
    seconds: f64,
}

/// Seconds after which a value has lost 63 % of its weight.
const MEMORY: f64 = 60.0;

impl Usual {
    fn add(&mut self, value: f64, seconds: f64) {
        let keep = (-seconds / MEMORY).exp();
        self.sum = self.sum * keep + value * seconds;
        self.seconds = self.seconds * keep + seconds;
    }

    fn value(self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.sum / self.seconds)
    }
}

impl Gauge {
    pub(crate) fn new(settings: GaugeSettings) -> Self {
        let (usual, bad) = (Usual::default(), Lasting::default());
        Self { settings, canary: None, baseline: None, usual, bad, has_ended: false }
    }

    pub(crate) fn observe(&mut self, now: &Now, canary: &Arm, baseline: Option<&Arm>) -> bool {
        let Some(value) = canary.gauges.get(&self.settings.gauge).copied() else { return false };
        self.canary = Some(value);
        let live = baseline.and_then(|arm| arm.gauges.get(&self.settings.gauge)).copied();
        // Instances without traffic may still report: an idle baseline is nothing to compare with.
        let requests = (canary.requests(), baseline.map_or(0.0, Arm::requests));
        self.has_ended = now.is_full && live.is_none() || requests.0 > 0.0 && now.has_ended(requests.0, requests.1);
        self.baseline = if self.has_ended { self.usual.value() } else { live };
        if let Some(value) = self.baseline.filter(|_| !self.has_ended) {
            self.usual.add(value, now.seconds);
        }
        if let Some(is_bad) = self.is_bad(value) {
            self.bad.look(now.elapsed, is_bad, |lasted| lasted >= self.settings.lasting);
        }
        self.is_comparable()
    }

    /// Forgets for how long it was bad.
    pub(crate) fn restart(&mut self) {
        self.bad.restart();
    }

    fn is_comparable(&self) -> bool {
        self.settings.above.is_some() || self.settings.below.is_some() || self.baseline.is_some()
    }

    /// A limit that the baseline breaks as well is no fault of the canary. `None` if a ratio is asked for and there is no
    /// baseline: that is not known to be over.
    fn is_bad(&self, value: f64) -> Option<bool> {
        let settings = &self.settings;
        let beyond = |value: f64| {
            settings.above.is_some_and(|above| value > above) || settings.below.is_some_and(|below| value < below)
        };
        if beyond(value) && !self.baseline.is_some_and(beyond) {
            return Some(true);
        }
        let Some(ratio) = settings.ratio else { return Some(false) };
        let baseline = self.baseline?;
        Some(if ratio >= 1.0 {
            // The same value is not a worse one, also at a ratio of 1.
            baseline >= 0.0 && value >= ratio * baseline && value > baseline && value >= settings.floor
        } else {
            baseline > 0.0 && value <= ratio * baseline
        })
    }

    pub(crate) fn state(&self) -> TriggerState {
        match () {
            () if self.bad.is_fired() => TriggerState::Fired,
            () if self.canary.is_none() || !self.is_comparable() => TriggerState::NotMeasured,
            () => TriggerState::Ok,
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let name = &self.settings.gauge;
        let Some(value) = self.canary else {
            return Finding::new(TriggerState::NotMeasured, format!("{name} is not measured"));
        };
        let state = self.state();
        let verb = if self.has_ended { "was" } else { "is" };
        let than = self.baseline.map_or(", the baseline's is not measured".to_owned(), |baseline| {
            format!(", the baseline's {verb} {baseline:.3}")
        });
        let more = match self.bad.lasted() {
            Some(lasted) => format!("; out of bounds for {lasted:.0} s of {:.0} s", self.settings.lasting),
            None => String::new(),
        };
        Finding::of_values(state, self.canary, self.baseline, format!("{name} of the canary is {value:.3}{than}{more}"))
    }
}
