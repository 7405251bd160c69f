//! A rollout that is played with a real judge, and leaves a state directory as the controller does.

use crate::plans::PLAN;
use backstop::rollback::plan::Plan;
use backstop::rollback::{Judge, Policy, TickReader};
use backstop::rollout::journal::{Journal, Record};
use backstop::rollout::soak::Finding;
use backstop::rollout::stages::{Action, Ask, Event, Look, Outcome, Ready, Rollout};
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// A name as hostile as a file may make it.
pub(crate) const HOSTILE: &str = "<img src=x onerror=alert(1)>|";
/// 2026-11-28T10:12:00Z.
const BEGAN: f64 = 1_795_860_720.0;
/// Seconds of a job.
const JOB: f64 = 0.4;
const READY: Ready = Ready { ready: 4, total: 4 };

pub(crate) struct Played {
    pub(crate) state: tempfile::TempDir,
    pub(crate) folder: PathBuf,
    pub(crate) at: f64,
    pub(crate) rollout: Rollout,
    journal: Journal,
    judge: Judge,
    reader: TickReader,
    jobs: Vec<(u64, f64)>,
    /// Outcomes of the next jobs, instead of success.
    pub(crate) failures: Vec<&'static str>,
    /// Share of the release's payments that fail.
    pub(crate) fault: f64,
    /// Times as many slow requests of the release.
    pub(crate) slow: f64,
    samples: f64,
    ticks: String,
    verdicts: String,
    pub(crate) is_watched: bool,
}

impl Played {
    pub(crate) fn new() -> Self {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("checkout/rollouts/0007");
        std::fs::create_dir_all(folder.join("evidence")).unwrap();
        let alert = "\nalert = [{ kind = \"slack\", url = \"https://hooks.slack.com/services/T0/B0/sesame\" }]";
        let text = format!("{PLAN}{alert}");
        std::fs::write(folder.join("plan.toml"), &text).unwrap();
        std::fs::write(folder.join("policy.toml"), "").unwrap();
        let mut played = Self {
            journal: Journal::new(folder.join("journal.jsonl")),
            rollout: Rollout::new(Arc::new(Plan::parse(&text).unwrap())),
            judge: Judge::new(Policy::default()),
            reader: TickReader::new(),
            state,
            folder,
            at: 0.0,
            jobs: Vec::new(),
            failures: Vec::new(),
            fault: 0.0,
            slow: 1.0,
            samples: 0.0,
            ticks: String::new(),
            verdicts: String::new(),
            is_watched: true,
        };
        played.take(&Event::Started { by: "mira".to_owned(), reason: Some("with API_KEY=sesame set".to_owned()) });
        played
    }

    pub(crate) fn take(&mut self, event: &Event) {
        let before = self.rollout.clone();
        let at = Duration::from_secs_f64(self.at);
        let actions = self.rollout.step(event, at);
        if !matches!(event, Event::Asked { .. }) && before == self.rollout && actions.is_empty() {
            return;
        }
        for action in &actions {
            match action {
                Action::Do { key, .. } => self.jobs.push((*key, self.at + JOB)),
                Action::Cancel => self.jobs.clear(),
                Action::Stage { .. } => self.samples = 0.0,
                _ => {}
            }
        }
        let start: backstop::clock::Timestamp = "2026-11-28T10:12:00Z".parse().unwrap();
        let record: Record = serde_json::from_value(json!({
            "at": start + at,
            "elapsed_ms": u64::try_from(at.as_millis()).unwrap(),
            "event": event,
            "state": self.rollout.name(),
            "weight": self.rollout.weight(),
            "why": self.rollout.why(),
            "actions": actions,
        }))
        .unwrap();
        self.journal.append(record).unwrap();
    }

    pub(crate) fn ask(&mut self, ask: Ask, reason: &str) -> &mut Self {
        let (id, by) = (format!("{}", self.at), "bo".to_owned());
        self.take(&Event::Asked { id, ask, by, reason: reason.to_owned() });
        self
    }

    /// Plays up to this second.
    pub(crate) fn until(&mut self, at: f64) -> &mut Self {
        while self.at < at {
            self.at += 0.5;
            while let Some(place) = self.jobs.iter().position(|(_, due)| *due <= self.at) {
                let (key, _) = self.jobs.remove(place);
                let why = (!self.failures.is_empty()).then(|| self.failures.remove(0).to_owned());
                let outcome = why.map_or(Outcome::Done, |why| Outcome::Failed { why, is_final: false });
                self.take(&Event::Finished { key, outcome });
            }
            if self.at.fract() == 0.0 && self.is_watched && self.rollout.end().is_none() {
                self.look();
            }
            self.take(&Event::Clock);
        }
        self
    }

    fn look(&mut self) {
        let weight = f64::from(self.rollout.weight());
        let arm = |requests: f64, fault: f64, slower: f64| {
            let segment = |requests: f64, fault: f64| {
                let errors = (requests * fault).round();
                let shares = [0.6, 0.3, 0.095, 0.004, 0.001];
                let counts: Vec<_> = shares
                    .iter()
                    .enumerate()
                    .map(|(i, share)| requests * share * if i > 2 { slower } else { 1.0 })
                    .collect();
                json!({ "requests": requests, "server_errors": errors,
                        "latency": { "success": { "le": [0.05, 0.1, 0.2, 0.4], "counts": counts } } })
            };
            let mut segments = serde_json::Map::new();
            segments.insert("pay".to_owned(), segment(requests / 2.0, fault));
            segments.insert(HOSTILE.to_owned(), segment(requests / 2.0, 0.0));
            json!({ "segments": segments, "instances": { "total": 4 } })
        };
        let wave = if self.at % 10.0 == 0.0 { 0.02 } else { 0.0 };
        let canary = arm(4.0 * weight, self.fault, self.slow + self.fault * 8.0);
        let baseline = arm(4.0 * (100.0 - weight), wave, 1.0);
        let mut line = json!({ "at": self.at, "stage": weight, "canary": canary, "baseline": baseline });
        let verdict = self.judge.observe(self.reader.read(&line.to_string()).unwrap().unwrap());
        // A source's times are those of the day.
        line["at"] = json!(BEGAN + self.at);
        line["elapsed"] = json!(self.at);
        writeln!(self.ticks, "{line}").unwrap();
        let mut kept = json!(verdict);
        kept["elapsed"] = json!(self.at);
        writeln!(self.verdicts, "{kept}").unwrap();
        self.samples += 4.0 * weight;
        let (decision, sentence, samples) = (verdict.decision, verdict.sentence, self.samples);
        // Without requests of one version, nothing can be compared.
        let decision =
            if matches!(self.rollout.weight(), 0 | 100) { backstop::rollback::Decision::Continue } else { decision };
        let (canary, stable, recovery) = (Some(READY), Some(READY), Finding::Good);
        self.take(&Event::Looked(Look {
            decision,
            sentence,
            canary,
            stable,
            samples,
            others: 0.0,
            watched: Duration::MAX,
            recovery,
        }));
    }

    /// Writes the evidence.
    pub(crate) fn written(&self) -> &Self {
        let files = self.folder.join("evidence");
        std::fs::write(files.join("ticks.jsonl"), &self.ticks).unwrap();
        std::fs::write(files.join("verdicts.jsonl"), &self.verdicts).unwrap();
        let before = json!({ "requests": 1000.0, "errors": 1.0, "latency": null });
        std::fs::write(files.join("before.json"), before.to_string()).unwrap();
        self
    }
}
