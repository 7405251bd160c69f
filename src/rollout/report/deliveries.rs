//! Deliveries of alerts: how many arrived at which receiver.

use crate::rollout::redact::clean;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most receivers that are counted.
const RECEIVERS_MAX: usize = 100;

/// A line of `evidence/alerts.jsonl`.
#[derive(Deserialize)]
struct Line {
    receiver: u64,
    kind: String,
    outcome: String,
}

/// Alerts that arrived and that did not, by receiver.
#[derive(Debug, Default, Serialize)]
pub(super) struct Deliveries(BTreeMap<String, (u64, u64)>);

impl Deliveries {
    /// Adds a line; returns whether it could be read.
    pub(super) fn add(&mut self, line: &[u8]) -> bool {
        let Ok(Line { receiver, kind, outcome }) = serde_json::from_slice(line) else { return false };
        let name = format!("alert[{receiver}] ({})", clean(&kind));
        if self.0.len() < RECEIVERS_MAX || self.0.contains_key(&name) {
            let counts = self.0.entry(name).or_default();
            *(if outcome == "sent" { &mut counts.0 } else { &mut counts.1 }) += 1;
        }
        true
    }

    /// A sentence for each receiver.
    pub(super) fn sentences(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(name, (sent, failed))| format!("{name}: {sent} arrived, {failed} did not"))
    }
}
