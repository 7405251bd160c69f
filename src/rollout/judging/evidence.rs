//! Evidence: verdicts that are kept, with the ticks before them.

use crate::kill_switch::Sha256;
use crate::rollback::{Decision, TriggerState, Verdict};
use crate::sync::Arc;
use std::collections::VecDeque;

/// Most pieces of evidence that are kept.
pub(super) const EVIDENCE_MAX: usize = 100;
/// Ticks of a window, and their length in bytes.
const TICKS_MAX: usize = 60;
const WINDOW_MAX: usize = 256 << 10;
/// Digits of an id.
const ID: usize = 12;

/// A verdict at a change of the decision or of a trigger's state, frozen with the last ticks.
#[derive(Debug)]
pub struct Evidence {
    id: String,
    pub(super) at: f64,
    pub(super) decision: Decision,
    pub(super) sentence: String,
    json: String,
}

impl Evidence {
    /// Short hash of its content but the rollout's name.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The decision then.
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// The reason in one sentence.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// Seconds since the rollout began.
    pub fn at(&self) -> f64 {
        self.at
    }

    /// The verdict and up to 60 ticks before it, as JSON: `{"id", "service", "rollout", "verdict", "ticks"}`.
    pub fn json(&self) -> &str {
        &self.json
    }
}

/// The last ticks, as lines of JSON that several pieces of evidence share.
#[derive(Debug, Default)]
pub(super) struct Window {
    lines: VecDeque<Arc<str>>,
    bytes: usize,
}

impl Window {
    pub(super) fn push(&mut self, line: Arc<str>) {
        self.bytes += line.len();
        self.lines.push_back(line);
        // A tick that is longer than the window is not kept.
        while self.lines.len() > TICKS_MAX || self.bytes > WINDOW_MAX {
            self.bytes -= self.lines.pop_front().map_or(0, |line| line.len());
        }
    }

    /// Freezes a verdict.
    pub(super) fn freeze(&self, service: &str, rollout: Option<&str>, verdict: &Verdict) -> Evidence {
        let verdict_json = serde_json::to_string(verdict).unwrap_or_default();
        let ticks: Vec<_> = self.lines.iter().map(|line| &**line).collect();
        let (service, rollout) = (serde_json::json!(service), serde_json::json!(rollout));
        let content = format!("\"verdict\":{verdict_json},\"ticks\":[{}]", ticks.join(","));
        // Without the rollout's name: a controller may say it later, and a restart then judges with it from the beginning.
        let hash = Sha256::of(format!("\"service\":{service},{content}").as_bytes()).to_string();
        let digits = hash.rsplit(':').next().unwrap_or_default();
        let id: String = digits.chars().take(ID).collect();
        let json = format!("{{\"id\":\"{id}\",\"service\":{service},\"rollout\":{rollout},{content}}}");
        Evidence { id, at: verdict.at, decision: verdict.decision, sentence: verdict.sentence.clone(), json }
    }
}

/// The decision and every trigger's state: evidence is kept when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape(Option<Decision>, Vec<TriggerState>);

impl Shape {
    pub(super) fn of(verdict: &Verdict) -> Self {
        Self(Some(verdict.decision), verdict.triggers.iter().map(|trigger| trigger.state).collect())
    }

    pub(super) fn decision(&self) -> Option<Decision> {
        self.0
    }

    /// States that differ from those before, by the trigger's place.
    pub(super) fn changes<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (usize, TriggerState)> + 'a {
        let states = self.1.iter().copied().enumerate();
        states.filter(|(i, state)| before.1.get(*i) != Some(state))
    }
}
