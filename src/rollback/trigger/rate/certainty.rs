//! Certainty of a rate: when it is sure, how bad it is, and for how long it stays so.

use super::{Certainty, Held, Rate};
use crate::rollback::policy::Question;
use crate::rollback::stats::mixture::Increments;
use crate::rollback::verdict::TriggerState;

impl Rate {
    /// Evidence against the baseline: half from the sum of all segments, half from the mean of each.
    pub(super) fn relative(&self) -> f64 {
        let sum: f64 = self.segments.values().map(|strand| strand.evidence.value()).sum();
        0.5 * self.total.value() + 0.5 * sum / self.segments.len().max(1) as f64
    }

    /// The surer of two: the canary beside the baseline, and the canary alone where there is no baseline.
    pub(super) fn find_certainty(&self) -> Certainty {
        let threshold = 1.0 / self.settings.alpha;
        let enough = match self.settings.question {
            // A baseline that is above the limit as well is an outage of both.
            Question::Limit(limit) => self.is_lost || !self.shown.rates().1.is_some_and(|rate| rate > limit),
            _ => self.is_ended || self.samples_alone >= self.settings.without_baseline_requests,
        };
        let alone = Certainty { evidence: if enough { self.alone.value() } else { 0.0 }, threshold, is_alone: true };
        // The smaller the baseline, the smaller the steps of the evidence: it stops at the threshold and not far beyond, so
        // that chance comes as often as alpha allows. Beside a baseline of equal size or more it is about half as often.
        let compared = threshold * (2.0 * self.shown.share()).max(1.0);
        let beside = match &self.warm_up {
            _ if self.compared.is_none() || self.is_limited() => return alone,
            // Of the last rate, where the stage has ended the baseline.
            Some(warm_up) => Certainty {
                evidence: warm_up.value(),
                threshold: 1.0 / self.settings.warm_up_alpha,
                is_alone: self.is_ended,
            },
            None => Certainty { evidence: self.relative(), threshold: compared, is_alone: false },
        };
        if alone.share() > beside.share().max(1.0) { alone } else { beside }
    }

    /// The ratio to the baseline that the evidence speaks for.
    fn ratio(&self) -> f64 {
        let strands = || self.segments.values().filter(|strand| strand.compared);
        let least = strands().map(|strand| strand.tolerated).fold(f64::INFINITY, f64::min);
        match &self.warm_up {
            _ if self.certainty.is_alone => f64::INFINITY,
            Some(warm_up) => warm_up.relative.ratio(&self.near) * least.max(self.settings.warm_up_ratio),
            None => {
                let all = strands().map(|strand| (&strand.evidence, strand.tolerated));
                let all = all.chain([(&self.total, least)]);
                let strongest = all.max_by(|one, other| one.0.value().total_cmp(&other.0.value()));
                strongest.map_or(1.0, |(evidence, tolerated)| evidence.ratio(&self.ratios) * tolerated)
            }
        }
    }

    fn is_sure(&self) -> bool {
        self.certainty.share() >= 1.0
            && self.samples >= self.settings.minimum_requests
            && self.distinct_seconds >= 0.9 * self.settings.minimum_distinct_seconds
    }

    fn is_small(&self) -> bool {
        !self.is_limited() && self.ratio() < self.settings.borderline
    }

    /// A certain state holds until the evidence is under half of its threshold, by ticks that say so.
    pub(super) fn hold(&mut self, increments: &Increments, seconds: f64) {
        if let Some(held) = &mut self.held {
            held.evidence.step(increments, seconds);
        }
        let threshold = 1.0 / self.settings.alpha;
        let before = self.held.as_ref().map(|held| held.state);
        if self.is_sure() {
            let is_small = self.is_small() && before != Some(TriggerState::Fired);
            let state = if is_small { TriggerState::Borderline } else { TriggerState::Fired };
            let held = self.held.get_or_insert_with(|| Held { state, evidence: self.total.clone() });
            held.state = state;
            if before.is_none() {
                held.evidence.scale_to(threshold);
            }
        } else if self.certainty.share() < 0.5
            && (self.is_limited()
                || self.held.as_ref().is_some_and(|held| held.evidence.value() < 0.5 * threshold)
                    && self.relative() < 0.5 * threshold)
        {
            self.held = None;
        }
    }
}
