//! An analysis run, and the canary steps of a rollout around it, as Argo Rollouts goes through them.
//!
//! After argoproj/argo-rollouts: `analysis/analysis.go` at c9dd7ea (`runMeasurements`, `assessMetricStatus`,
//! `assessMetricFailureInconclusiveOrError`), `rollout/analysis.go` at 009fece (`needsNewAnalysisRun`,
//! `reconcileBackgroundAnalysisRun`, `reconcileStepBasedAnalysisRun`). Versions before 1.8 lack `consecutiveSuccessLimit`, and
//! the check for a pause step in `needsNewAnalysisRun` (pull request 3873).

use super::measure::{Answer, Phase, measure};
use serde_json::Value;
use std::collections::HashMap;

/// Seconds between two looks: the shortest interval of the templates, and Argo's own after an error.
pub(crate) const LOOK: u32 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Before18,
    From18,
}

/// One metric's counts; the run ends with the phase that `measured` returns.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    metric: Value,
    version: Version,
    count: u64,
    failed: u64,
    inconclusive: u64,
    consecutive_errors: u64,
    consecutive_successes: u64,
    next: u32,
    /// Phases of answers that were measured before.
    phases: HashMap<String, Phase>,
}

impl Run {
    pub(crate) fn new(template: &Value, version: Version, now: u32) -> Self {
        let [metric] = &template["spec"]["metrics"].as_array().unwrap()[..] else { panic!("a template of one metric") };
        Self {
            metric: metric.clone(),
            version,
            count: 0,
            failed: 0,
            inconclusive: 0,
            consecutive_errors: 0,
            consecutive_successes: 0,
            next: now,
            phases: HashMap::new(),
        }
    }

    fn limit(&self, name: &str, default: u64) -> u64 {
        self.metric[name].as_u64().unwrap_or(default)
    }

    /// A measurement, if one is due: `Some` once the run has ended.
    pub(crate) fn look(&mut self, now: u32, answer: impl FnOnce() -> Answer) -> Option<Phase> {
        if now < self.next {
            return None;
        }
        let answer = answer();
        let phase = *self.phases.entry(format!("{answer:?}")).or_insert_with(|| measure(&self.metric, &answer));
        let interval =
            self.metric["interval"].as_str().map_or(LOOK, |text| text.trim_end_matches('s').parse().unwrap());
        self.next = now + if phase == Phase::Error { LOOK } else { interval };
        self.measured(phase)
    }

    /// The counts of `runMeasurements`, then `assessMetricStatus`.
    pub(crate) fn measured(&mut self, phase: Phase) -> Option<Phase> {
        self.count += u64::from(phase != Phase::Error);
        self.failed += u64::from(phase == Phase::Failed);
        self.inconclusive += u64::from(phase == Phase::Inconclusive);
        self.consecutive_errors = if phase == Phase::Error { self.consecutive_errors + 1 } else { 0 };
        self.consecutive_successes = if phase == Phase::Successful { self.consecutive_successes + 1 } else { 0 };
        if self.consecutive_errors > self.limit("consecutiveErrorLimit", 4) {
            return Some(Phase::Error);
        }
        if self.inconclusive > self.limit("inconclusiveLimit", 0) {
            return Some(Phase::Inconclusive);
        }
        if self.failed > self.limit("failureLimit", 0) {
            return Some(Phase::Failed);
        }
        let enough = self.limit("consecutiveSuccessLimit", 0);
        if self.version == Version::From18 && enough > 0 && self.consecutive_successes >= enough {
            return Some(Phase::Successful);
        }
        // `EffectiveCount`: without an interval one measurement is enough.
        let count = self.metric["count"].as_u64().or(self.metric["interval"].is_null().then_some(1));
        count.is_some_and(|count| self.count >= count).then_some(Phase::Successful)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Promoted,
    Aborted,
    /// Still in a step, at this weight, after all the time.
    Held(u64),
}

#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) end: End,
    /// Second in which it ended.
    pub(crate) at: u32,
    /// Seconds at which the weight changed, and to which.
    pub(crate) weights: Vec<(u32, u64)>,
}

/// A rollout from its first step on, for at most `seconds`. `judge` answers the metric's question at a time.
pub(crate) struct Rollout<'a> {
    pub(crate) version: Version,
    pub(crate) background: Value,
    pub(crate) gate: Option<Value>,
    pub(crate) steps: Vec<Value>,
    pub(crate) judge: &'a dyn Fn(u32) -> Answer,
    /// Second at which a person promotes a rollout that Argo has paused.
    pub(crate) promoted_by_hand: Option<u32>,
}

impl Rollout<'_> {
    pub(crate) fn play(&self, seconds: u32) -> Story {
        let (mut index, mut since, mut weight) = (0, 0, 0);
        let mut weights = Vec::new();
        let (mut background, mut background_end) = (None::<Run>, None::<Phase>);
        let mut gate = None::<Run>;
        let mut gate_end = None::<Phase>;
        let mut is_paused = false; // for an inconclusive analysis
        for now in (0..seconds).step_by(LOOK as usize) {
            let ask = || (self.judge)(now);
            if is_paused && self.promoted_by_hand == Some(now) {
                is_paused = false;
                // From 1.8 a promotion leaves the inconclusive step; before, the step is analysed anew.
                if gate_end.take().is_some() && self.version == Version::From18 {
                    (index, since) = (index + 1, now);
                }
                gate = None;
            }
            // An analysis run goes on by itself; the rollout looks at it below.
            if let (Some(run), None) = (&mut background, background_end) {
                background_end = run.look(now, ask);
            }
            if is_paused {
                continue; // `reconcile*AnalysisRun` return early: not even an abort
            }
            let is_pause_step = !self.steps.get(index).is_none_or(|step| step["pause"].is_null());
            match background_end {
                Some(Phase::Failed | Phase::Error) => return Story { end: End::Aborted, at: now, weights },
                Some(Phase::Inconclusive) if is_pause_step && self.version == Version::Before18 => {
                    background = Some(Run::new(&self.background, self.version, now));
                    background_end = None;
                }
                Some(Phase::Inconclusive) => {
                    is_paused = true;
                    continue;
                }
                Some(Phase::Successful) | None => {}
            }
            loop {
                let Some(step) = self.steps.get(index) else { return Story { end: End::Promoted, at: now, weights } };
                let is_over = if let Some(set) = step["setWeight"].as_u64() {
                    weight = set;
                    weights.push((now, weight));
                    true
                } else if let Some(duration) = step["pause"]["duration"].as_str() {
                    let minutes: u32 = duration.trim_end_matches('m').parse().unwrap();
                    now - since >= minutes * 60
                } else {
                    let template = self.gate.as_ref().expect("a template for the analysis step");
                    let run = gate.get_or_insert_with(|| Run::new(template, self.version, now));
                    gate_end = run.look(now, ask);
                    match gate_end {
                        Some(Phase::Failed | Phase::Error) => return Story { end: End::Aborted, at: now, weights },
                        Some(Phase::Inconclusive) => is_paused = true,
                        Some(Phase::Successful) | None => {}
                    }
                    gate_end == Some(Phase::Successful)
                };
                if !is_over {
                    break;
                }
                (index, since, gate, gate_end) = (index + 1, now, None, None);
                // `startingStep: 1`.
                background.get_or_insert_with(|| Run::new(&self.background, self.version, now));
            }
        }
        Story { end: End::Held(weight), at: seconds, weights }
    }
}
