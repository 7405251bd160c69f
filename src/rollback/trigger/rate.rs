//! The trigger of errors and of business results: is a rate worse than the baseline's?

mod certainty;
mod report;
mod spread;

use super::finding::Now;
use super::look::Look;
use super::segments::BySegment;
use crate::rollback::policy::{Question, RateSettings};
use crate::rollback::stats::errors::{Counts, ErrorModel};
use crate::rollback::stats::mixture::{COMPONENTS, Increments, Mixture, Ratios, ratios};
use crate::rollback::verdict::TriggerState;
use spread::Spread;

const NONE: Increments = [0.0; COMPONENTS];
/// Part of the mass that is there from the start; the rest is added evenly over the horizon.
const START: f64 = 0.35;
/// Mass that a new stage adds: its traffic is new.
const STAGE: f64 = 0.1;
/// Most evidence that a warm-up leaves behind, so that a cold start is no debt.
const AFTER_WARM_UP: f64 = 2.5;
/// Highest ratio that is looked for; in the warm-up, where the limit is a rate.
const RATIO_MAX: f64 = 60.0;
const WARM_UP_RATIO_MAX: f64 = 5.0;
/// Seconds without requests of the baseline after which the canary is judged alone.
const LOST: f64 = 30.0;
/// Least rate to which a canary is held after its baseline was lost.
const LEAST_LIMIT: f64 = 0.01;
/// Results of the baseline after which it is known whether most are good: one result would be chance.
const KNOWN: f64 = 20.0;
/// Seconds after which what is shown has lost 63 % of its weight, and requests of the canary that are shown in any case.
const SHOWN: f64 = 20.0;
const SHOWN_REQUESTS: f64 = 500.0;

/// Subject of a rate, in sentences.
#[derive(Clone, Debug)]
pub(crate) enum What {
    Requests,
    ClientErrors,
    Kpi(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Rate {
    settings: RateSettings,
    what: What,
    ratios: Ratios,
    near: Ratios,
    /// The same for results that are rarer than they should be.
    rarer: Ratios,
    segments: BySegment<Strand>,
    total: Mixture,
    /// The canary alone against a limit.
    alone: Mixture,
    warm_up: Option<WarmUp>,
    shown: Shown,
    samples: f64,
    samples_alone: f64,
    /// Seconds with an error since the evidence was none.
    distinct_seconds: f64,
    /// When both arms were last compared; and whether that is too long ago.
    compared: Option<f64>,
    is_lost: bool,
    /// Whether the stage has ended the baseline, so that its last rate is the one to compare with.
    is_ended: bool,
    certainty: Certainty,
    /// Certain state, held until the evidence is under half of its threshold.
    held: Option<Held>,
    look: Option<Look>,
    /// Whether good results are the rarer ones: then their lack is compared, because most results are bad in both arms.
    /// `None` until it is known.
    by_good: Option<bool>,
}

/// Evidence, and the one at which it acts.
#[derive(Clone, Copy, Debug)]
struct Certainty {
    evidence: f64,
    threshold: f64,
    is_alone: bool,
}

impl Certainty {
    fn share(&self) -> f64 {
        self.evidence / self.threshold
    }
}

/// A state that goes on, with the evidence since it began, from its threshold on: the process itself is scaled down at the
/// end of a warm-up, and in another one begins anew, which is no sign that the canary is any better.
#[derive(Clone, Debug)]
struct Held {
    state: TriggerState,
    evidence: Mixture,
}

/// A segment with its own evidence.
#[derive(Clone, Debug)]
struct Strand {
    model: ErrorModel,
    evidence: Mixture,
    /// Whether both arms were compared; when they last were, or when the segment was first seen.
    compared: bool,
    last: f64,
    /// Ratio that was tolerated last.
    tolerated: f64,
}

impl Strand {
    fn new(mass: f64, now: f64) -> Self {
        let (model, evidence) = (ErrorModel::new(), Mixture::with_ratio(mass));
        Self { model, evidence, compared: false, last: now, tolerated: 1.0 }
    }
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
        Self { relative: Mixture::with_ratio(1.0), absolute: Mixture::new(1.0), before }
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
    fn add_canary(&mut self, counts: &Counts) {
        self.errors.0 += counts.errors;
        self.requests.0 += counts.requests;
    }

    fn add_baseline(&mut self, counts: &Counts) {
        self.errors.1 += counts.errors;
        self.requests.1 += counts.requests;
    }

    /// The canary's share of the requests.
    fn share(&self) -> f64 {
        self.requests.0 / (self.requests.0 + self.requests.1).max(1.0)
    }

    fn rates(&self) -> (Option<f64>, Option<f64>) {
        let rate = |errors: f64, requests: f64| (requests > 0.0).then(|| errors / requests);
        (rate(self.errors.0, self.requests.0), rate(self.errors.1, self.requests.1))
    }
}

impl Rate {
    pub(crate) fn new(settings: RateSettings, what: What) -> Self {
        Self {
            ratios: ratios(RATIO_MAX),
            near: ratios(WARM_UP_RATIO_MAX),
            rarer: ratios(WARM_UP_RATIO_MAX).inverse(),
            segments: BySegment::new(),
            total: Mixture::with_ratio(START),
            alone: Mixture::new(START),
            warm_up: (settings.warm_up > 0.0).then(|| WarmUp::new(0.0)),
            shown: Shown::default(),
            samples: 0.0,
            samples_alone: 0.0,
            distinct_seconds: 0.0,
            compared: None,
            is_lost: true,
            is_ended: false,
            certainty: Certainty { evidence: 0.0, threshold: 1.0 / settings.alpha, is_alone: true },
            held: None,
            by_good: None,
            look: settings.look_once.map(|needed| Look::new(needed, settings.alpha, settings.borderline)),
            what,
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
        let is_kpi = matches!(self.what, What::Kpi(_));
        let (mut sum, mut warm, mut limit, mut alone) = (NONE, NONE, NONE, NONE);
        let (mut requests, mut spread) = (0.0, Spread::new());
        let (mut is_compared, mut is_alone) = (false, false);
        for (name, arms) in arms {
            let (Some(canary), baseline) = arms else { continue };
            let is_live =
                |baseline: &Counts| baseline.requests > 0.0 && !now.has_ended(canary.requests, baseline.requests);
            let baseline = baseline.filter(is_live);
            requests += canary.requests;
            spread.add(&canary);
            self.shown.add_canary(&canary);
            let strand = self.segments.seen(name, now.elapsed, || Strand::new(self.total.entered(), now.elapsed));
            let Strand { model, evidence, .. } = strand;
            let mut own = NONE;
            if let Some(baseline) = &baseline {
                (is_compared, strand.compared) = (true, true);
                strand.last = now.elapsed;
                self.compared = Some(now.elapsed);
                self.shown.add_baseline(baseline);
                let tolerated = match self.settings.question {
                    Question::Ratio(ratio) => ratio.max(model.tolerance(&canary, seconds, self.settings.horizon)),
                    Question::Added(rate) => 1.0 + rate / model.rate(),
                    Question::Limit(_) => 1.0,
                };
                strand.tolerated = tolerated;
                if let Some(look) = &mut self.look {
                    look.rates((canary.errors, canary.requests), (baseline.errors, baseline.requests));
                }
                if self.by_good.is_none() && (!is_kpi || self.shown.requests.1 >= KNOWN) {
                    self.by_good = Some(is_kpi && self.shown.errors.1 > 0.5 * self.shown.requests.1);
                }
                let by_good = self.by_good == Some(true);
                let (one, other) = if by_good { (good(baseline), good(&canary)) } else { (canary, *baseline) };
                if self.by_good.is_some() {
                    model.compare(&one, &other, tolerated, &self.ratios, &mut own);
                    if is_warm {
                        let tolerated = tolerated.max(self.settings.warm_up_ratio);
                        model.compare(&one, &other, tolerated, &self.near, &mut warm);
                        model.alone(&canary, self.settings.warm_up_limit, &self.near, &mut limit);
                    }
                }
                evidence.add(added);
                evidence.step(&own, seconds);
            }
            // A stage with all of the traffic has ended the baseline: it is not waited for.
            let is_lonely = (baseline.is_none() && !strand.compared && self.compared.is_none())
                || (baseline.is_none() && now.is_full)
                || now.elapsed - strand.last > LOST.max(3.0 * seconds);
            if let Some(rate) = strand_limit(&self.settings, strand, is_lonely) {
                is_alone = true;
                if self.by_good == Some(true) && !matches!(self.settings.question, Question::Limit(_)) {
                    strand.model.alone(&good(&canary), 0.5 * strand.model.rate(), &self.rarer, &mut alone);
                } else {
                    strand.model.alone(&canary, rate, &self.near, &mut alone);
                }
                if is_warm && now.is_full {
                    strand.model.alone(&canary, self.settings.warm_up_limit, &self.near, &mut limit);
                }
                self.samples_alone += canary.requests;
            }
            for (sum, own) in sum.iter_mut().zip(own) {
                *sum += own;
            }
            match (&baseline, self.by_good) {
                (Some(baseline), Some(true)) => strand.model.learn(&good(baseline), Some(&good(&canary)), seconds),
                (None, Some(true)) => strand.model.learn(&good(&canary), None, seconds),
                (baseline, _) => strand.model.learn(&canary, baseline.as_ref(), seconds),
            }
        }
        if is_compared {
            self.total.add(added);
            self.total.step(&sum, seconds);
        }
        self.is_ended = now.is_full && !is_compared && self.compared.is_some();
        if let Some(warm_up) = self.warm_up.as_mut().filter(|_| is_compared || self.is_ended) {
            warm_up.relative.step(if is_compared { &warm } else { &alone }, seconds);
            warm_up.absolute.step(&limit, seconds);
        }
        if is_alone {
            self.alone.add(added);
            self.alone.step(&alone, seconds);
        }
        if is_compared && !is_alone && !now.is_full {
            // Both arms again: what was found without the baseline may have been an outage of both.
            self.alone = Mixture::new(START);
            self.samples_alone = 0.0;
        }
        self.is_lost = self.is_ended || self.compared.is_none_or(|at| now.elapsed - at > LOST.max(3.0 * seconds));
        let before = self.certainty;
        self.certainty = self.find_certainty();
        self.samples += requests;
        self.distinct_seconds = spread.distinct(self.distinct_seconds, before.evidence, seconds);
        self.hold(if is_compared { &sum } else { &alone }, seconds);
        // A business result is not judged by what its baseline was, unless the policy has a limit for it or the stage has
        // ended the baseline.
        let is_limited = self.is_limited() || self.settings.without_baseline.is_some();
        requests > 0.0 && (is_compared || is_alone && (!is_kpi || is_limited || now.is_full))
    }

    /// Forgets the evidence, and not what was learned of the traffic.
    pub(crate) fn restart(&mut self) {
        let Self { settings, segments, .. } = self;
        for strand in segments.values_mut() {
            strand.evidence = Mixture::with_ratio(START);
        }
        (self.total, self.alone) = (Mixture::with_ratio(START), Mixture::new(START));
        (self.warm_up, self.held) = (None, None);
        (self.distinct_seconds, self.samples_alone) = (0.0, 0.0);
        self.look = settings.look_once.map(|needed| Look::new(needed, settings.alpha, settings.borderline));
        self.certainty = self.find_certainty();
    }

    fn is_limited(&self) -> bool {
        matches!(self.settings.question, Question::Limit(_))
    }

    /// Begins and ends warm-ups, and lets what is shown fade.
    fn begin_tick(&mut self, now: &Now) {
        let Shown { errors, requests } = &mut self.shown;
        if requests.0 > SHOWN_REQUESTS {
            let keep = (-now.seconds / SHOWN).exp();
            for value in [&mut errors.0, &mut errors.1, &mut requests.0, &mut requests.1] {
                *value *= keep;
            }
        }
        if now.is_new_stage {
            self.total.add(STAGE);
            // A warm-up that the stage cut short leaves no more behind than a whole one.
            let before = match &self.warm_up {
                Some(warm_up) => self.relative().min(warm_up.before.max(AFTER_WARM_UP)),
                None => self.relative(),
            };
            self.warm_up = (self.settings.warm_up > 0.0).then(|| WarmUp::new(before));
        }
        if now.in_stage - now.seconds >= self.settings.warm_up
            && let Some(warm_up) = self.warm_up.take()
        {
            let most = warm_up.before.max(AFTER_WARM_UP);
            let is_sure = self.relative() >= 1.0 / self.settings.alpha;
            let Self { total, segments, ratios, .. } = self;
            for evidence in segments.values_mut().map(|strand| &mut strand.evidence).chain([total]) {
                evidence.cap(most);
                // Evidence that the limit held back is a cold start's: it is over, or takes a few seconds to find again.
                if is_sure {
                    evidence.forget_above(WARM_UP_RATIO_MAX, ratios);
                }
            }
        }
    }
}

/// The good results as the events that are counted.
fn good(counts: &Counts) -> Counts {
    Counts { errors: counts.requests - counts.errors, requests: counts.requests, seconds: None }
}

/// The rate that the canary alone must not exceed: the policy's, and twice that of a baseline that was lost.
fn strand_limit(settings: &RateSettings, strand: &Strand, is_lonely: bool) -> Option<f64> {
    match settings.question {
        Question::Limit(limit) => Some(limit),
        _ if !is_lonely => None,
        _ if strand.compared => {
            Some(settings.without_baseline.unwrap_or(LEAST_LIMIT).max(2.0 * strand.model.rate_at_most()).min(0.999))
        }
        _ => settings.without_baseline,
    }
}
