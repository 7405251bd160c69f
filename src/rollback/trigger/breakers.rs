//! The trigger of circuit breakers: open in the canary and not in the baseline.

use super::{Finding, Now, percent};
use crate::rollback::policy::BreakerSettings;
use crate::rollback::tick::{Arm, BreakerReport};
use crate::rollback::verdict::TriggerState;

#[derive(Clone, Debug)]
pub(crate) struct Breakers {
    settings: BreakerSettings,
    is_measured: bool,
    /// The breaker that is open in the largest share of the canary: its name, and the share in both arms.
    worst: Option<(String, f64, f64)>,
    is_fired: bool,
}

impl Breakers {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self { settings, is_measured: false, worst: None, is_fired: false }
    }

    pub(crate) fn observe(&mut self, now: &Now, canary: &Arm, baseline: Option<&Arm>) -> bool {
        if canary.breakers.is_empty() {
            return false;
        }
        self.is_measured = true;
        let wanted = &self.settings.breakers;
        let reports = canary.breakers.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(*name));
        let shares = reports.map(|(name, report)| {
            let other = baseline.and_then(|arm| arm.breakers.get(name));
            (name, report.open_share(), other.map_or(0.0, BreakerReport::open_share))
        });
        let worst = shares.max_by(|one, next| (one.1 - 2.0 * one.2).total_cmp(&(next.1 - 2.0 * next.2)));
        self.worst = worst.map(|(name, own, other)| (name.clone(), own, other));
        let is_early = self.settings.within.is_none_or(|within| now.in_stage <= within);
        let is_open =
            self.worst.as_ref().is_some_and(|(_, own, other)| *own >= self.settings.share && *other < own / 2.0);
        self.is_fired = is_open && (is_early || self.is_fired);
        true
    }

    pub(crate) fn finding(&self) -> Finding {
        if !self.is_measured {
            return Finding::new(TriggerState::NotMeasured, "no circuit breaker is measured");
        }
        let Some((name, own, other)) = &self.worst else {
            return Finding::new(
                TriggerState::NoData,
                format!("no circuit breaker of {:?} is measured", self.settings.breakers),
            );
        };
        let state = if self.is_fired { TriggerState::Fired } else { TriggerState::Ok };
        let sentence = match *own {
            0.0 => "no circuit breaker of the canary is open".to_owned(),
            own => format!(
                "circuit breaker {name} is open in {} of the canary and {} of the baseline",
                percent(own),
                percent(*other)
            ),
        };
        Finding::of_values(state, Some(*own), Some(*other), sentence)
    }
}
