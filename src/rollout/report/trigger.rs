//! Triggers over time: their states, their evidence, and the finding that changed the decision.

use super::draw::{Lane, Series};
use crate::rollout::redact::clean;
use serde::{Deserialize, Serialize};

/// Most states of a trigger that are kept.
pub(super) const STATES_MAX: usize = 2_000;
/// Part of the threshold below which evidence is noise.
const NOISE: f64 = 0.1;

/// A trigger's part of a verdict, as it is on the disk.
#[derive(Deserialize)]
pub(super) struct TriggerLine {
    pub(super) name: String,
    #[serde(default)]
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) canary: Option<f64>,
    pub(super) baseline: Option<f64>,
    #[serde(default)]
    pub(super) samples: f64,
    pub(super) log_e: Option<f64>,
    pub(super) log_threshold: Option<f64>,
    #[serde(default)]
    pub(super) sentence: String,
}

/// A trigger's finding when it changed the decision.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub(super) trigger: String,
    pub(super) kind: String,
    pub(super) state: &'static str,
    /// Seconds since the rollout began.
    pub(super) at: f64,
    pub(super) canary: Option<f64>,
    pub(super) baseline: Option<f64>,
    pub(super) samples: f64,
    /// The evidence, and the one at which the trigger fires, as natural logarithms.
    pub(super) log_e: Option<f64>,
    pub(super) log_threshold: Option<f64>,
    pub(super) sentence: String,
}

pub(super) struct Trigger {
    pub(super) name: String,
    pub(super) states: Lane<&'static str>,
    pub(super) evidence: Series,
    pub(super) threshold: Series,
    /// Beginning of the rise that led to the finding.
    pub(super) rise: Option<f64>,
    pub(super) finding: Option<Finding>,
}

impl Trigger {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            states: Lane::default(),
            evidence: Series::default(),
            threshold: Series::default(),
            rise: None,
            finding: None,
        }
    }

    /// Adds the trigger's part of a verdict.
    pub(super) fn add(&mut self, at: f64, of: &TriggerLine) {
        let state = match of.state.as_str() {
            "ok" => "ok",
            "collecting" => "collecting",
            "no_data" => "no data",
            "not_measured" => "not measured",
            "borderline" => "borderline",
            "fired" => "fired",
            _ => "other",
        };
        if self.states.0.len() < STATES_MAX {
            self.states.add(at, state);
        }
        self.evidence.add(at, of.log_e);
        self.threshold.add(at, of.log_threshold);
        let has_fired = self.finding.as_ref().is_some_and(|finding| finding.state == "fired");
        if has_fired {
            return;
        }
        let is_quiet = match (of.log_e, of.log_threshold) {
            (Some(evidence), Some(threshold)) => evidence <= NOISE * threshold,
            _ => !matches!(state, "borderline" | "fired"),
        };
        if is_quiet {
            self.rise = None;
        } else {
            self.rise.get_or_insert(at);
        }
        if state == "fired" || state == "borderline" && self.finding.is_none() {
            self.finding = Some(Finding {
                trigger: clean(&of.name),
                kind: clean(&of.kind),
                state,
                at,
                canary: of.canary,
                baseline: of.baseline,
                samples: of.samples,
                log_e: of.log_e,
                log_threshold: of.log_threshold,
                sentence: clean(&of.sentence),
            });
        }
    }
}
