//! Evidence of a rollout, line by line, in bounded memory.

use super::draw::{Lane, Series};
use super::trigger::{STATES_MAX, Trigger, TriggerLine};
use crate::rollback::{Arm, Decision, Tick};
use crate::rollout::redact::clean;
use crate::rollout::verify::Health;
use serde::Deserialize;
use std::collections::BTreeMap;

/// Most triggers and segments that are kept.
const TRIGGERS_MAX: usize = 64;
const SEGMENTS_MAX: usize = 1_000;
/// Longest name of a trigger or segment, in bytes.
const NAME_MAX: usize = 500;
/// Most spans of time that ticks are added up in, and the seconds of one at first.
const SPANS_MAX: usize = 600;
const SPAN: f64 = 5.0;
/// Seconds without ticks that break a line.
const GAP: f64 = 60.0;
/// Latest time in seconds: three years.
const TIME_MAX: f64 = 1e8;
/// Error rate that counts as none.
const LEAST_RATE: f64 = 0.001;

/// A verdict as it is on the disk; a field that is missing costs only itself.
#[derive(Deserialize)]
struct VerdictLine {
    /// Seconds since the rollout began, as its controller counts them.
    elapsed: Option<f64>,
    /// The same as its judge counts them: in lines of another origin.
    at: Option<f64>,
    decision: Decision,
    #[serde(default)]
    sentence: String,
    #[serde(default)]
    triggers: Vec<TriggerLine>,
}

#[derive(Deserialize)]
struct TickLine {
    elapsed: Option<f64>,
    /// Time of the source: of the day, or since any moment.
    at: Option<f64>,
    canary: Arm,
    baseline: Option<Arm>,
}

/// Requests of both versions in a segment.
#[derive(Clone, Copy, Default)]
pub(super) struct Both {
    pub(super) canary: (f64, f64),
    pub(super) baseline: (f64, f64),
}

#[derive(Clone, Default)]
struct Span {
    ticks: u32,
    /// Time of its last tick.
    until: f64,
    canary: Health,
    baseline: Health,
}

/// Everything that is kept of verdicts and ticks.
#[derive(Default)]
pub(super) struct Evidence {
    pub(super) decisions: Lane<&'static str>,
    pub(super) triggers: Vec<Trigger>,
    /// Time and sentence of the first verdict to roll back.
    pub(super) rollback: Option<(f64, String)>,
    /// Requests of segments since this time, while the release has any.
    pub(super) since: f64,
    /// Time of the verdict, if more failures than usual are its reason: the requests are those since they began.
    pub(super) failing_until: Option<f64>,
    /// Failures beyond the usual since they began, and that time.
    excess: f64,
    pub(super) onset: Option<f64>,
    /// Requests of the previous version so far.
    usual: (f64, f64),
    pub(super) segments: BTreeMap<String, Both>,
    /// Requests of both versions since then, with their latencies.
    pub(super) canary: Health,
    pub(super) baseline: Health,
    /// Requests before the rollout.
    pub(super) before: Option<Health>,
    /// Seconds since 1970 at which the rollout began.
    pub(super) began: f64,
    pub(super) from: Option<f64>,
    pub(super) to: f64,
    spans: Vec<Span>,
    span: f64,
}

/// Error rates and latencies of both versions.
#[derive(Default)]
pub(super) struct Arms {
    pub(super) errors: (Series, Series),
    pub(super) p99: (Series, Series),
    pub(super) rates: (Series, Series),
}

impl Evidence {
    /// Nothing yet, beside what was measured before the rollout.
    pub(super) fn of(before: Option<Health>) -> Self {
        Self { before, ..Self::default() }
    }

    /// Adds a line of verdicts; returns whether it could be read.
    pub(super) fn verdict(&mut self, line: &[u8]) -> bool {
        let Ok(line) = serde_json::from_slice::<VerdictLine>(line) else { return false };
        let Some(at) = line.elapsed.or(line.at).and_then(|at| self.seen(at)) else { return false };
        if self.decisions.0.len() < STATES_MAX {
            self.decisions.add(at, line.decision.as_str());
        }
        if line.decision == Decision::Rollback && self.rollback.is_none() {
            self.rollback = Some((at, clean(&line.sentence)));
        }
        for of in line.triggers.into_iter().take(TRIGGERS_MAX).filter(|of| of.name.len() <= NAME_MAX) {
            let known = self.triggers.iter().position(|trigger| trigger.name == of.name);
            let place = known.unwrap_or(self.triggers.len());
            if known.is_none() {
                if place >= TRIGGERS_MAX {
                    continue;
                }
                self.triggers.push(Trigger::new(of.name.clone()));
            }
            self.triggers[place].add(at, &of);
        }
        true
    }

    /// Adds a line of ticks; returns whether it could be read.
    pub(super) fn tick(&mut self, line: &[u8]) -> bool {
        let Ok(TickLine { elapsed, at, canary, baseline }) = serde_json::from_slice(line) else { return false };
        let since = |at: f64| if at > TIME_MAX { at - self.began } else { at };
        let Some(elapsed) = elapsed.or(at.map(since)) else { return false };
        let Ok(Tick { canary, baseline, .. }) = Tick::new(elapsed, canary, baseline) else { return false };
        let Some(at) = self.seen(elapsed) else { return false };
        let (own, other) = (Health::of(&canary), baseline.as_ref().map(Health::of).unwrap_or_default());
        self.usual = (self.usual.0 + other.requests, self.usual.1 + other.errors);
        let is_counted = self.find_onset(at, &own);
        if is_counted && at >= self.since && own.requests > 0.0 {
            self.canary.add(&own);
            self.baseline.add(&other);
            self.count(&canary, |both| &mut both.canary);
            if let Some(baseline) = &baseline {
                self.count(baseline, |both| &mut both.baseline);
            }
        }
        let span = self.span_of(at);
        (span.ticks, span.until) = (span.ticks + 1, at);
        span.canary.add(&own);
        span.baseline.add(&other);
        true
    }

    /// The line of both versions' values over time.
    pub(super) fn arms(&self) -> Arms {
        let mut arms = Arms::default();
        let (mut last, mut before): (Option<f64>, f64) = (None, self.from.unwrap_or(0.0) - 1.0);
        for (i, span) in self.spans.iter().enumerate().filter(|(_, span)| span.ticks > 0) {
            let at = (i as f64 + 0.5) * self.span;
            if last.is_some_and(|last| at - last > GAP.max(3.0 * self.span)) {
                for (canary, baseline) in [&mut arms.errors, &mut arms.p99, &mut arms.rates] {
                    canary.add(at, None);
                    baseline.add(at, None);
                }
            }
            let seconds = (span.until - before).max(1.0);
            (last, before) = (Some(at), span.until);
            let add = |of: &Health, errors: &mut Series, p99: &mut Series, rates: &mut Series| {
                errors.add(at, (of.requests > 0.0).then(|| of.error_rate()));
                p99.add(at, of.p99());
                rates.add(at, Some(of.requests / seconds));
            };
            add(&span.canary, &mut arms.errors.0, &mut arms.p99.0, &mut arms.rates.0);
            add(&span.baseline, &mut arms.errors.1, &mut arms.p99.1, &mut arms.rates.1);
        }
        arms
    }

    /// Change point of the error rate: the sum of what is beyond twice the usual was last at 0 there. Sums begin anew at
    /// it; returns whether this tick belongs to them.
    fn find_onset(&mut self, at: f64, own: &Health) -> bool {
        if self.failing_until.is_none_or(|until| at > until) {
            return true;
        }
        let rate = if self.usual.0 > 0.0 { self.usual.1 / self.usual.0 } else { 0.0 };
        self.excess = (self.excess + own.errors - own.requests * (2.0 * rate).max(LEAST_RATE)).max(0.0);
        if self.excess <= 0.0 {
            (self.onset, self.canary, self.baseline) = (None, Health::default(), Health::default());
            self.segments.clear();
        } else {
            self.onset.get_or_insert(at);
        }
        self.excess > 0.0
    }

    /// Seconds since the rollout began, which do not go back.
    fn seen(&mut self, elapsed: f64) -> Option<f64> {
        let at = Some(elapsed).filter(|at| (0.0..=TIME_MAX).contains(at))?;
        self.from.get_or_insert(at);
        self.to = self.to.max(at);
        Some(at)
    }

    fn count(&mut self, arm: &Arm, of: impl Fn(&mut Both) -> &mut (f64, f64)) {
        for (name, segment) in &arm.segments {
            let Some(requests) = segment.requests else { continue };
            let is_full = self.segments.len() >= SEGMENTS_MAX && !self.segments.contains_key(name);
            if is_full || name.len() > NAME_MAX {
                continue;
            }
            let sum = of(self.segments.entry(name.clone()).or_default());
            sum.0 += requests;
            sum.1 += segment.server_errors.unwrap_or(0.0);
        }
    }

    /// The span of a time; two become one while there are too many.
    fn span_of(&mut self, at: f64) -> &mut Span {
        if self.spans.is_empty() {
            self.span = SPAN;
        }
        while at / self.span >= SPANS_MAX as f64 {
            self.span *= 2.0;
            let merged = self.spans.chunks(2).map(|pair| {
                let mut span = pair[0].clone();
                if let Some(next) = pair.get(1) {
                    (span.ticks, span.until) = (span.ticks + next.ticks, span.until.max(next.until));
                    span.canary.add(&next.canary);
                    span.baseline.add(&next.baseline);
                }
                span
            });
            self.spans = merged.collect();
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is below the maximum above")]
        let place = (at / self.span) as usize;
        if self.spans.len() <= place {
            self.spans.resize_with(place + 1, Span::default);
        }
        &mut self.spans[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_anything_are_refused_or_bounded() {
        let mut evidence = Evidence::default();
        for line in [
            &b"{}"[..],
            b"\xff",
            b"[]",
            b"{\"elapsed\": 1, \"decision\": \"maybe\"}",
            b"{\"elapsed\": 1e300, \"canary\": {}}",
        ] {
            assert!(!evidence.verdict(line) && !evidence.tick(line));
        }
        let mut other = Evidence { began: 1.7e9, ..Evidence::default() };
        assert!(other.verdict(br#"{"at": 7, "decision": "pause"}"#), "without the controller's time");
        for at in ["3", "1700000009.5"] {
            assert!(other.tick(format!(r#"{{"at": {at}, "canary": {{}}}}"#).as_bytes()));
        }
        assert_eq!((other.from, other.to), (Some(7.0), 9.5));
        for i in 0..3_000 {
            let trigger = format!(r#"{{"name": "{i}", "state": "fired"}}"#);
            let decision = if i % 2 == 0 { "pause" } else { "continue" };
            assert!(evidence.verdict(
                format!(r#"{{"elapsed": {i}, "decision": "{decision}", "triggers": [{trigger}]}}"#).as_bytes()
            ));
            let arm = format!(r#"{{"segments": {{"{i}": {{"requests": 1}}}}}}"#);
            assert!(evidence.tick(format!(r#"{{"elapsed": {}, "canary": {arm}}}"#, i * 1_000).as_bytes()));
        }
        let sizes = (evidence.triggers.len(), evidence.segments.len(), evidence.decisions.0.len());
        assert_eq!(sizes, (TRIGGERS_MAX, SEGMENTS_MAX, STATES_MAX));
        assert!(evidence.spans.len() <= SPANS_MAX);
    }
}
