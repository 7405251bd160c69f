//! The trigger of errors and of business results: is a rate worse than the baseline's?

use super::look::Look;
use super::{Finding, Now, count, percent};
use crate::rollback::policy::{Question, RateSettings};
use crate::rollback::stats::errors::{Counts, ErrorModel};
use crate::rollback::stats::mixture::{COMPONENTS, Increments, Mixture, ratios};
use crate::rollback::verdict::TriggerState;
use std::collections::BTreeMap;

const NONE: Increments = [0.0; COMPONENTS];
/// Part of the mass that is there from the start; the rest is added evenly over the horizon.
const START: f64 = 0.35;
/// Mass that a new stage adds: its traffic is new.
const STAGE: f64 = 0.1;
/// Most evidence that a warm-up leaves behind, so that a cold start is no debt.
const AFTER_WARM_UP: f64 = 2.1;
/// Highest ratio that is looked for; in the warm-up, where the limit is a rate.
const RATIO_MAX: f64 = 180.0;
const WARM_UP_RATIO_MAX: f64 = 25.0;
/// Segments that are remembered.
const SEGMENTS_MAX: usize = 1000;
/// Seconds after which what is shown has lost 63 % of its weight, and requests of the canary that are shown in any case.
const SHOWN: f64 = 20.0;
const SHOWN_REQUESTS: f64 = 500.0;
const CANARY: &str = "the canary";

#[derive(Clone, Debug)]
pub(crate) struct Rate {
    settings: RateSettings,
    ratios: Increments,
    near: Increments,
    segments: BTreeMap<String, Strand>,
    total: Mixture,
    /// The canary alone against a limit.
    alone: Mixture,
    warm_up: Option<WarmUp>,
    shown: Shown,
    samples: f64,
    samples_alone: f64,
    distinct_seconds: f64,
    has_baseline: bool,
    /// What it is sure of, until the evidence is under half of its threshold.
    held: Option<TriggerState>,
    lacks: &'static str,
    look: Option<Look>,
}

/// A segment with its own evidence.
#[derive(Clone, Debug)]
struct Strand {
    model: ErrorModel,
    evidence: Mixture,
    seen: f64,
}

/// Both have to be sure in a warm-up: worse than the baseline by more than a cold start may be, and bad in itself.
#[derive(Clone, Debug)]
struct WarmUp {
    relative: Mixture,
    absolute: Mixture,
    /// Evidence of the time before.
    before: f64,
}

impl WarmUp {
    fn new(before: f64) -> Self {
        Self { relative: Mixture::new(1.0), absolute: Mixture::new(1.0), before }
    }

    fn value(&self) -> f64 {
        self.relative.value().min(self.absolute.value())
    }
}

/// Faded counts of both arms, to be read by people.
#[derive(Clone, Copy, Debug, Default)]
struct Shown {
    errors: (f64, f64),
    requests: (f64, f64),
}

impl Shown {
    fn rates(&self) -> (Option<f64>, Option<f64>) {
        let rate = |errors: f64, requests: f64| (requests > 0.0).then(|| errors / requests);
        (rate(self.errors.0, self.requests.0), rate(self.errors.1, self.requests.1))
    }
}

impl Rate {
    pub(crate) fn new(settings: RateSettings) -> Self {
        Self {
            ratios: ratios(RATIO_MAX),
            near: ratios(WARM_UP_RATIO_MAX),
            segments: BTreeMap::new(),
            total: Mixture::new(START),
            alone: Mixture::new(START),
            warm_up: (settings.warm_up > 0.0).then(|| WarmUp::new(0.0)),
            shown: Shown::default(),
            samples: 0.0,
            samples_alone: 0.0,
            distinct_seconds: 0.0,
            has_baseline: false,
            held: None,
            lacks: CANARY,
            look: settings.look_once.map(|needed| Look::new(needed, settings.alpha, settings.borderline)),
            settings,
        }
    }

    pub(crate) fn observe<'a>(
        &mut self,
        now: &Now,
        arms: impl Iterator<Item = (&'a str, (Option<Counts>, Option<Counts>))>,
    ) -> bool {
        self.begin_tick(now);
        let seconds = now.seconds;
        let added = (1.0 - START) * seconds / self.settings.horizon;
        let is_warm = self.warm_up.is_some();
        let (mut sum, mut warm, mut limit, mut alone) = (NONE, NONE, NONE, NONE);
        let (mut requests, mut others, mut errors) = (0.0, 0.0, 0.0);
        let mut is_alone = false;
        for (name, arms) in arms {
            let (Some(canary), baseline) = arms else { continue };
            requests += canary.requests;
            errors += canary.errors;
            self.shown.errors.0 += canary.errors;
            self.shown.requests.0 += canary.requests;
            if !self.segments.contains_key(name) {
                self.forget_one();
                let strand = Strand { model: ErrorModel::new(), evidence: Mixture::begun_with(&self.total), seen: 0.0 };
                self.segments.insert(name.to_owned(), strand);
            }
            let Some(Strand { model, evidence, seen }) = self.segments.get_mut(name) else { continue };
            *seen = now.elapsed;
            let mut own = NONE;
            if let Some(baseline) = &baseline {
                others += baseline.requests;
                self.has_baseline |= baseline.requests > 0.0;
                self.shown.errors.1 += baseline.errors;
                self.shown.requests.1 += baseline.requests;
                let tolerated = match self.settings.question {
                    Question::Ratio(ratio) => ratio.max(model.tolerance(&canary, seconds, self.settings.horizon)),
                    Question::Added(rate) => 1.0 + rate / model.rate(),
                    Question::Limit(_) => 1.0,
                };
                model.compare(&canary, baseline, tolerated, &self.ratios, &mut own);
                if is_warm {
                    let tolerated = tolerated.max(self.settings.warm_up_ratio);
                    model.compare(&canary, baseline, tolerated, &self.near, &mut warm);
                    model.alone(&canary, self.settings.warm_up_limit, &self.near, &mut limit);
                }
            }
            if let (Some(look), Some(baseline)) = (&mut self.look, &baseline) {
                look.rates((canary.errors, canary.requests), (baseline.errors, baseline.requests));
            }
            if let Some(rate) = self.settings.limit(baseline.is_some()) {
                is_alone = true;
                model.alone(&canary, rate, &self.near, &mut alone);
                self.samples_alone += canary.requests;
            }
            evidence.add(added);
            evidence.step(&own, seconds);
            for (sum, own) in sum.iter_mut().zip(own) {
                *sum += own;
            }
            model.learn(&canary, baseline.as_ref(), seconds);
        }
        self.total.add(added);
        self.total.step(&sum, seconds);
        if let Some(warm_up) = &mut self.warm_up {
            warm_up.relative.step(&warm, seconds);
            warm_up.absolute.step(&limit, seconds);
        }
        if is_alone {
            self.alone.add(added);
            self.alone.step(&alone, seconds);
        }
        self.samples += requests;
        self.distinct_seconds += seconds.max(1.0).min(errors);
        self.hold();
        let is_compared = others > 0.0 || !self.has_baseline;
        self.lacks = if requests > 0.0 { "the baseline" } else { CANARY };
        requests > 0.0 && is_compared
    }

    /// The arm without requests in the last tick that was not measured.
    pub(crate) fn lacks(&self) -> &'static str {
        self.lacks
    }

    /// Begins and ends warm-ups, and lets what is shown fade.
    fn begin_tick(&mut self, now: &Now) {
        if self.shown.requests.0 > SHOWN_REQUESTS {
            let keep = (-now.seconds / SHOWN).exp();
            let Shown { errors, requests } = &mut self.shown;
            for value in [&mut errors.0, &mut errors.1, &mut requests.0, &mut requests.1] {
                *value *= keep;
            }
        }
        if now.is_new_stage {
            self.total.add(STAGE);
            self.warm_up = (self.settings.warm_up > 0.0).then(|| WarmUp::new(self.relative()));
        }
        if now.in_stage - now.seconds >= self.settings.warm_up
            && let Some(warm_up) = self.warm_up.take()
        {
            let most = warm_up.before.max(AFTER_WARM_UP);
            self.total.cap(most);
            for strand in self.segments.values_mut() {
                strand.evidence.cap(most);
            }
        }
    }

    /// Makes room for a new segment.
    fn forget_one(&mut self) {
        if self.segments.len() >= SEGMENTS_MAX
            && let Some(oldest) = self.segments.iter().min_by(|(_, one), (_, other)| one.seen.total_cmp(&other.seen))
        {
            let oldest = oldest.0.clone();
            self.segments.remove(&oldest);
        }
    }

    /// Evidence against the baseline: half from the sum of all segments, half from the mean of each.
    fn relative(&self) -> f64 {
        let sum: f64 = self.segments.values().map(|strand| strand.evidence.value()).sum();
        0.5 * self.total.value() + 0.5 * sum / self.segments.len().max(1) as f64
    }

    /// The evidence, and the one at which it acts.
    fn evidence(&self) -> (f64, f64) {
        let threshold = 1.0 / self.settings.alpha;
        let enough = self.samples_alone >= self.settings.without_baseline_requests;
        match self.settings.question {
            // A baseline that is above the limit as well is an outage of both.
            Question::Limit(limit) if self.shown.rates().1.is_some_and(|rate| rate > limit) => (0.0, threshold),
            Question::Limit(_) => (self.alone.value(), threshold),
            _ if !self.has_baseline => (if enough { self.alone.value() } else { 0.0 }, threshold),
            _ => match &self.warm_up {
                Some(warm_up) => (warm_up.value(), 1.0 / self.settings.warm_up_alpha),
                None => (self.relative(), threshold),
            },
        }
    }

    /// The ratio to what is tolerated that the evidence speaks for.
    fn ratio(&self) -> f64 {
        match &self.warm_up {
            _ if !self.has_baseline => f64::INFINITY,
            Some(warm_up) => warm_up.relative.ratio(&self.near),
            None => {
                let strands = self.segments.values().map(|strand| &strand.evidence);
                let strongest = strands.chain([&self.total]).max_by(|one, other| one.value().total_cmp(&other.value()));
                strongest.unwrap_or(&self.total).ratio(&self.ratios)
            }
        }
    }

    fn is_sure(&self) -> bool {
        let (evidence, threshold) = self.evidence();
        evidence >= threshold
            && self.samples >= self.settings.minimum_requests
            && self.distinct_seconds >= 0.9 * self.settings.minimum_distinct_seconds
    }

    fn is_small(&self) -> bool {
        !matches!(self.settings.question, Question::Limit(_)) && self.ratio() < self.settings.borderline
    }

    /// What it is sure of holds until the evidence is under half of its threshold.
    fn hold(&mut self) {
        let (evidence, threshold) = self.evidence();
        if self.is_sure() {
            let is_small = self.is_small() && self.held != Some(TriggerState::Fired);
            self.held = Some(if is_small { TriggerState::Borderline } else { TriggerState::Fired });
        } else if evidence < 0.5 * threshold {
            self.held = None;
        }
    }

    pub(crate) fn finding(&self) -> Finding {
        let (canary, baseline) = self.shown.rates();
        if let Some(look) = &self.look {
            return Finding { canary, baseline, ..look.finding() };
        }
        let (evidence, threshold) = self.evidence();
        let state = match self.held {
            Some(state) => state,
            None if self.samples < self.needed() => TriggerState::Collecting,
            None => TriggerState::Ok,
        };
        Finding {
            state,
            canary,
            baseline,
            samples: self.samples,
            log_e: Some(evidence.max(1e-12).ln()),
            log_threshold: Some(threshold.ln()),
            sentence: self.sentence(state, canary, baseline),
        }
    }

    fn needed(&self) -> f64 {
        let least = self.settings.minimum_requests;
        let is_limit = matches!(self.settings.question, Question::Limit(_));
        if self.has_baseline || is_limit { least } else { least.max(self.settings.without_baseline_requests) }
    }

    fn sentence(&self, state: TriggerState, canary: Option<f64>, baseline: Option<f64>) -> String {
        let Some(canary) = canary else { return "no request of the canary was counted yet".to_owned() };
        let bad = format!("{} of the canary's requests fail", percent(canary));
        let than = match (self.settings.question, baseline) {
            (Question::Limit(limit), _) => format!(", {} are allowed", percent(limit)),
            (_, Some(baseline)) if baseline > 0.0 => {
                format!(", {} of the baseline's: {:.1} times as many", percent(baseline), canary / baseline)
            }
            (_, Some(_)) => ", none of the baseline's".to_owned(),
            (_, None) => format!(
                ", without a baseline to compare with; {} are tolerated",
                percent(self.settings.without_baseline)
            ),
        };
        let segment = match state {
            TriggerState::Fired | TriggerState::Borderline => {
                self.worst().map_or(String::new(), |name| format!(", most of all in segment {name}"))
            }
            _ => String::new(),
        };
        let (evidence, threshold) = self.evidence();
        let more = match state {
            TriggerState::Collecting => {
                format!("; {} of {} requests needed", count(self.samples), count(self.needed()))
            }
            TriggerState::Borderline => format!(
                "; surely worse, but by less than {} times: a person decides; over {} times rolls back, evidence under {} goes on",
                self.settings.borderline,
                self.settings.borderline,
                count(0.5 * threshold)
            ),
            TriggerState::Fired => format!("; evidence {} of {} needed", count(evidence), count(threshold)),
            _ => String::new(),
        };
        format!("{bad}{than}{segment}{more}")
    }

    /// The segment whose own evidence is above that of all together.
    fn worst(&self) -> Option<&str> {
        let (name, strand) =
            self.segments.iter().max_by(|one, other| one.1.evidence.value().total_cmp(&other.1.evidence.value()))?;
        (self.segments.len() > 1 && strand.evidence.value() > self.total.value()).then_some(name)
    }
}

impl RateSettings {
    /// The rate that the canary alone must not exceed.
    fn limit(&self, has_baseline: bool) -> Option<f64> {
        match self.question {
            Question::Limit(limit) => Some(limit),
            _ => (!has_baseline).then_some(self.without_baseline),
        }
    }
}
