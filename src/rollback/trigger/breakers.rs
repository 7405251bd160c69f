//! The trigger of circuit breakers: open in the canary and not in the baseline.

use super::finding::{Finding, Now, percent};
use crate::rollback::fields::shown;
use crate::rollback::policy::BreakerSettings;
use crate::rollback::tick::{Arm, BreakerReport};
use crate::rollback::verdict::TriggerState;

#[derive(Clone, Debug)]
pub(crate) struct Breakers {
    settings: BreakerSettings,
    /// The breaker that is open in the largest share of the canary: its name, and the share in both arms.
    worst: Option<(String, f64, Option<f64>)>,
    is_fired: bool,
    /// Whether the baseline could be compared with: there is none, or it reports its breakers.
    is_comparable: bool,
}

impl Breakers {
    pub(crate) fn new(settings: BreakerSettings) -> Self {
        Self { settings, worst: None, is_fired: false, is_comparable: true }
    }

    pub(crate) fn observe(&mut self, now: &Now, canary: &Arm, baseline: Option<&Arm>) -> bool {
        let wanted = &self.settings.breakers;
        let reports = canary.breakers.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(*name));
        let shares = reports.filter_map(|(name, report)| {
            let other = baseline.and_then(|arm| arm.breakers.get(name));
            Some((name, report.open_share()?, other.and_then(BreakerReport::open_share)))
        });
        let excess = |own: f64, other: Option<f64>| own - 2.0 * other.unwrap_or(0.0);
        let is_open = |own: f64, other: Option<f64>| own >= self.settings.share && excess(own, other) > 0.0;
        let rank = |own, other| (is_open(own, other), excess(own, other));
        let worst = shares.max_by(|one, next| {
            let ((one, by), (next, than)) = (rank(one.1, one.2), rank(next.1, next.2));
            one.cmp(&next).then(by.total_cmp(&than))
        });
        // Where it is not measured, what fired before is not known to be over.
        let Some((name, own, other)) = worst else { return false };
        self.is_comparable =
            baseline.is_none_or(|arm| arm.breakers.values().any(|report| report.open_share().is_some()));
        self.worst = Some((name.clone(), own, other));
        let is_early = self.settings.within.is_none_or(|within| now.in_stage <= within);
        self.is_fired = is_open(own, other) && (is_early || self.is_fired);
        true
    }

    /// Judges by the next tick alone.
    pub(crate) fn restart(&mut self) {
        self.is_fired = false;
    }

    pub(crate) fn state(&self) -> TriggerState {
        match () {
            () if self.worst.is_none() => TriggerState::NotMeasured,
            () if self.is_fired && self.is_comparable => TriggerState::Fired,
            () if self.is_fired => TriggerState::Borderline,
            () => TriggerState::Ok,
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let state = self.state();
        let Some((name, own, other)) = &self.worst else {
            let wanted = &self.settings.breakers;
            let of = if wanted.is_empty() { String::new() } else { format!(" of {}", wanted.join(", ")) };
            return Finding::new(state, format!("no circuit breaker{of} is measured"));
        };
        let than = match other {
            Some(other) => format!(" and {} of the baseline", percent(*other)),
            None if self.is_comparable => String::new(),
            None => "; the baseline's are not measured, and it may be open there as well: a person decides".to_owned(),
        };
        let sentence = match *own {
            0.0 => "no circuit breaker of the canary is open".to_owned(),
            own => format!("circuit breaker {} is open in {} of the canary{than}", shown(name), percent(own)),
        };
        Finding::of_values(state, Some(*own), *other, sentence)
    }
}
