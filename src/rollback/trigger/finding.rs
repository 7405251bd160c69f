//! Finding of a trigger at a tick.

use crate::rollback::verdict::{TriggerReport, TriggerState};

/// Time of a tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// Length of the tick.
    pub(crate) seconds: f64,
    /// Since the rollout began.
    pub(crate) elapsed: f64,
    /// Since the stage began.
    pub(crate) in_stage: f64,
    /// Seconds at the beginning of a stage that the trigger ignores.
    pub(crate) ignored: f64,
    /// Whether this is the first tick of a stage but the first.
    pub(crate) is_new_stage: bool,
    /// Whether the canary has all of the traffic: a baseline without any is then not missing, it has ended. What it was
    /// last is what the canary is compared with.
    pub(crate) is_full: bool,
}

/// Part of the canary's requests up to which those of the baseline are stray ones, once the canary has all of the traffic.
const STRAY: f64 = 0.01;

impl Now {
    /// Whether the stage has ended the baseline: it has only stray requests beside those of the canary.
    pub(super) fn has_ended(&self, canary: f64, baseline: f64) -> bool {
        self.is_full && baseline <= STRAY * canary
    }
}

/// Finding of a trigger at a tick.
#[derive(Clone, Debug)]
pub(crate) struct Finding {
    pub(crate) state: TriggerState,
    pub(crate) canary: Option<f64>,
    pub(crate) baseline: Option<f64>,
    pub(crate) samples: f64,
    pub(crate) log_e: Option<f64>,
    pub(crate) log_threshold: Option<f64>,
    pub(crate) sentence: String,
}

impl Finding {
    pub(crate) fn new(state: TriggerState, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        Self { state, canary: None, baseline: None, samples: 0.0, log_e: None, log_threshold: None, sentence }
    }

    pub(super) fn of_values(
        state: TriggerState,
        canary: Option<f64>,
        baseline: Option<f64>,
        sentence: impl Into<String>,
    ) -> Self {
        Self { canary, baseline, ..Self::new(state, sentence) }
    }

    /// As a part of a verdict.
    pub(crate) fn into_report(self, name: &str, kind: &'static str) -> TriggerReport {
        let Self { state, canary, baseline, samples, log_e, log_threshold, sentence } = self;
        let compared = canary.zip(baseline).filter(|(_, baseline)| *baseline > 0.0);
        let ratio = compared.map(|(canary, baseline)| canary / baseline);
        let name = name.to_owned();
        TriggerReport { name, kind, state, canary, baseline, ratio, samples, log_e, log_threshold, sentence }
    }
}

/// A share as a person reads it.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        _ if percent >= 10.0 => format!("{percent:.0} %"),
        _ if percent >= 0.1 || percent == 0.0 => format!("{percent:.1} %"),
        _ => format!("{percent:.3} %"),
    }
}

/// Evidence, which soon has more digits than anyone reads.
pub(crate) fn certainty(evidence: f64) -> String {
    if evidence > 1e6 { "over 1,000,000".to_owned() } else { count(evidence) }
}

/// A count with separators.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.min(1e18));
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
