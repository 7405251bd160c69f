//! Report on a rate: its state, and one sentence.

use super::{Rate, What};
use crate::rollback::fields::shown;
use crate::rollback::policy::Question;
use crate::rollback::trigger::finding::{Finding, certainty, count, percent};
use crate::rollback::verdict::TriggerState;

impl Rate {
    pub(crate) fn samples(&self) -> f64 {
        self.samples
    }

    pub(crate) fn state(&self) -> TriggerState {
        if let Some(look) = &self.look {
            return look.state();
        }
        let (has, needed) = self.needed();
        match &self.held {
            Some(held) => held.state,
            None if self.is_lost && !self.has_limit() => TriggerState::NotMeasured,
            None if has < needed => TriggerState::Collecting,
            None => TriggerState::Ok,
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let (canary, baseline) = self.shown.rates();
        let baseline = baseline.filter(|_| !self.is_lost);
        if let Some(look) = &self.look {
            return Finding { canary, baseline, ..look.finding() };
        }
        let state = self.state();
        Finding {
            state,
            canary,
            baseline,
            samples: self.samples,
            log_e: Some(self.certainty.evidence.max(1e-12).ln()),
            log_threshold: Some(self.certainty.threshold.ln()),
            sentence: self.sentence(state, canary, baseline),
        }
    }

    /// Whether the canary can be judged alone.
    fn has_limit(&self) -> bool {
        self.is_limited() || self.settings.without_baseline.is_some() || self.compared.is_some()
    }

    /// Requests of the canary so far, and those that are needed.
    fn needed(&self) -> (f64, f64) {
        let least = self.settings.minimum_requests;
        match () {
            () if !self.is_lost || self.is_limited() => (self.samples, least),
            () if self.is_ended => (self.samples_alone, least),
            () => (self.samples_alone, least.max(self.settings.without_baseline_requests)),
        }
    }

    fn sentence(&self, state: TriggerState, canary: Option<f64>, baseline: Option<f64>) -> String {
        let (units, verb) = match &self.what {
            What::Requests => ("requests".to_owned(), "fail"),
            What::ClientErrors => ("requests".to_owned(), "are client errors"),
            What::Kpi(kpi) => (format!("{kpi} results"), "are not good"),
        };
        let Some(canary) = canary else {
            return format!("no {} of the canary was counted yet", units.trim_end_matches('s'));
        };
        let bad = format!("{} of the canary's {units} {verb}", percent(canary));
        let than = match (self.settings.question, baseline) {
            (Question::Limit(limit), _) => format!(", {} are allowed", percent(limit)),
            (_, Some(baseline)) if baseline > 0.0 => {
                format!(", {} of the baseline's: {:.1} times as many", percent(baseline), canary / baseline)
            }
            (_, Some(_)) => ", none of the baseline's".to_owned(),
            (_, None) if self.compared.is_some() => {
                ", and the baseline has no traffic any more: at most twice its last rate is tolerated".to_owned()
            }
            (_, None) => match self.settings.without_baseline {
                Some(limit) => format!(", without a baseline to compare with; {} are tolerated", percent(limit)),
                None => ", without a baseline to compare with".to_owned(),
            },
        };
        let segment = match state {
            TriggerState::Fired | TriggerState::Borderline => {
                self.worst().map_or(String::new(), |name| format!(", most of all in segment {}", shown(name)))
            }
            _ => String::new(),
        };
        let (evidence, threshold) = (self.certainty.evidence, self.certainty.threshold);
        let more = match state {
            TriggerState::Collecting => {
                let (has, needed) = self.needed();
                format!("; {} of {} {units} needed", count(has), count(needed))
            }
            TriggerState::Borderline => format!(
                "; surely worse, but by less than {0} times: a person decides; over {0} times rolls back, evidence under {1} goes on",
                self.settings.borderline,
                count(0.5 * threshold)
            ),
            TriggerState::Fired if self.certainty.is_alone => {
                format!("; judged alone, evidence {} of {} needed", certainty(evidence), count(threshold))
            }
            TriggerState::Fired => format!("; evidence {} of {} needed", certainty(evidence), count(threshold)),
            _ => String::new(),
        };
        format!("{bad}{than}{segment}{more}")
    }

    /// The segment whose own evidence is above that of all together.
    fn worst(&self) -> Option<&str> {
        let value = |strand: &super::Strand| strand.evidence.value();
        let (name, strand) = self.segments.iter().max_by(|one, other| value(one.1).total_cmp(&value(other.1)))?;
        (self.segments.len() > 1 && value(strand) > self.total.value()).then_some(name)
    }
}
