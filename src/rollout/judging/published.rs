//! Verdicts as they are read: with the rollout, the evidence and the state of the source.

use super::metrics::Lines;
use crate::clock::Instant;
use crate::rollback::{Data, Decision, Samples, TriggerState, Verdict};
use serde_json::Value;

/// Data behind a published verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataState {
    /// Every required trigger has data.
    Ok,
    /// A required trigger never had data.
    NoData,
    /// A trigger had data, and has none any more.
    Stale,
    /// The process was started, and does not know what it knew before.
    Restarted,
}

impl DataState {
    /// Its name in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoData => "no_data",
            Self::Stale => "stale",
            Self::Restarted => "restarted",
        }
    }
}

impl From<Data> for DataState {
    fn from(data: Data) -> Self {
        match data {
            Data::Ok => Self::Ok,
            Data::NoData => Self::NoData,
            Data::Stale => Self::Stale,
        }
    }
}

/// The verdict of a look.
#[derive(Debug)]
pub struct Published {
    pub(super) number: u64,
    pub(super) service: String,
    pub(super) rollout: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) data: DataState,
    pub(super) evidence_id: String,
    pub(super) at: Instant,
    pub(super) json: String,
    pub(super) metrics: Lines,
}

impl Published {
    /// Name of the rollout; `None` until a controller has named it.
    pub fn rollout(&self) -> Option<&str> {
        self.rollout.as_deref()
    }

    /// The verdict. Its warnings include those of the source and of the state on disk.
    pub fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// [`Verdict::decision`].
    pub fn decision(&self) -> Decision {
        self.verdict.decision
    }

    /// Data behind it.
    pub fn data(&self) -> DataState {
        self.data
    }

    /// Id of the evidence that was kept last.
    pub fn evidence_id(&self) -> &str {
        &self.evidence_id
    }

    /// All of it as JSON: the fields of [`Verdict`], and `service`, `rollout`, `data` and `evidence_id`.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// The same verdict as `collecting`: nothing is known that a decision could rest on.
    pub(crate) fn collecting(&self, rollout: Option<&str>, data: DataState, sentence: &str) -> Self {
        let mut verdict = self.verdict.clone();
        (verdict.decision, verdict.code) = (Decision::Collecting, Decision::Collecting.code());
        sentence.clone_into(&mut verdict.sentence);
        let rollout = rollout.map(str::to_owned);
        Self::new(self.number, &self.service, rollout, verdict, data, &self.evidence_id, self.at)
    }

    /// The verdict on another rollout, of which nothing is known: `collecting`, and nothing of the one that was judged.
    pub(crate) fn unknown(&self, rollout: &str, sentence: &str) -> Self {
        let mut begun = self.collecting(Some(rollout), DataState::NoData, sentence);
        let verdict = &mut begun.verdict;
        (verdict.at, verdict.stage, verdict.n, verdict.log_e, verdict.overridden) =
            (0.0, None, Samples::default(), 0.0, None);
        verdict.warnings.clear();
        for trigger in &mut verdict.triggers {
            (trigger.state, trigger.samples, trigger.log_e) = (TriggerState::Collecting, 0.0, None);
            (trigger.canary, trigger.baseline, trigger.ratio) = (None, None, None);
            sentence.clone_into(&mut trigger.sentence);
        }
        Self::new(begun.number, &begun.service, begun.rollout, begun.verdict, begun.data, "", begun.at)
    }

    pub(super) fn new(
        number: u64,
        service: &str,
        rollout: Option<String>,
        verdict: Verdict,
        data: DataState,
        evidence_id: &str,
        at: Instant,
    ) -> Self {
        let mut value = serde_json::to_value(&verdict).unwrap_or_default();
        if let Value::Object(fields) = &mut value {
            fields.insert("service".to_owned(), service.into());
            fields.insert("rollout".to_owned(), rollout.clone().into());
            fields.insert("data".to_owned(), data.as_str().into());
            fields.insert("evidence_id".to_owned(), evidence_id.into());
        }
        let (service, evidence_id) = (service.to_owned(), evidence_id.to_owned());
        let (json, metrics) = (value.to_string(), Lines::default());
        Self { number, service, rollout, verdict, data, evidence_id, at, json, metrics }
    }
}
