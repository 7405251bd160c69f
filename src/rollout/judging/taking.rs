//! Ticks of the source as they come, and looks without one.

use super::presence::Seen;
use super::process::{BEGIN, Judging};
use super::ticks::nothing;
use crate::rollback::{Arm, Decision, Tick};

/// Seconds without a tick, or gaps between ticks, after which there is no data.
const SILENT: f64 = 10.0;
const SILENT_GAPS: f64 = 3.0;
/// Longest gap that is usual.
const GAP_MAX: f64 = 60.0;

impl Judging {
    /// Takes in a tick of the source.
    pub(super) fn take(&mut self, mut tick: Tick, now: f64) {
        let has_requests = |arm: &Arm| !arm.segments.is_empty();
        if has_requests(&tick.canary) || tick.baseline.as_ref().is_some_and(has_requests) {
            self.measured = self.clock.now();
        }
        match self.presence.see(tick.canary.instances, now, self.is_begun) {
            Seen::Canary => {}
            Seen::Nothing => {
                // There is nothing to measure, and the source says so.
                self.measured = self.clock.now();
                self.hear();
                self.idle();
                return;
            }
            // A person decides about a pause, and may take a night: only another name ends it.
            Seen::Anew if self.rollout.is_some() && self.verdict.decision == Decision::Pause => {}
            Seen::Anew => {
                self.verdicts.begin(None);
                self.follow_names();
                self.presence.see(tick.canary.instances, BEGIN, false);
                return self.take_at(tick, BEGIN);
            }
        }
        let at = self.time.of_source(tick.at, now);
        tick.stage = tick.stage.or(self.stage);
        self.take_at(tick, at);
    }

    fn take_at(&mut self, mut tick: Tick, at: f64) {
        tick.at = at;
        tick.stage = tick.stage.or(self.stage);
        self.hear();
        if !tick.canary.segments.is_empty() {
            self.restarted.measured(at);
        }
        let recorded = self.recorder.is_some().then(|| tick.clone());
        self.observe(tick);
        if let Some(tick) = recorded {
            self.record(&tick, self.heard.1, self.verdict.decision);
        }
    }

    /// Without a canary there is nothing to judge. A decision against the rollout stays until the next one.
    pub(super) fn idle(&mut self) {
        if matches!(self.verdict.decision, Decision::Continue | Decision::Collecting) {
            (self.verdict.decision, self.verdict.code) = (Decision::Collecting, Decision::Collecting.code());
            "there is no canary: no instance is listed".clone_into(&mut self.verdict.sentence);
        }
    }

    fn hear(&mut self) {
        let gap = self.silence().min(GAP_MAX);
        self.heard = (self.clock.now(), gap);
        self.has_heard = true;
    }

    /// Seconds since the source had a tick.
    fn silence(&self) -> f64 {
        self.clock.now().saturating_duration_since(self.heard.0).as_secs_f64()
    }

    /// A look without a tick.
    pub(super) fn miss(&mut self, now: f64) {
        let is_idle = self.has_heard && !self.is_begun && !self.presence.was_there() || self.presence.is_gone();
        let is_silent = self.silence() > SILENT.max(SILENT_GAPS * self.heard.1);
        if is_silent && now - self.time.last() >= 1.0 && !is_idle {
            self.observe_nothing(now);
        }
    }

    /// A tick without measurements.
    pub(super) fn observe_nothing(&mut self, now: f64) {
        let at = self.time.own(now);
        self.observe(Tick { stage: self.stage, ..nothing(at) });
    }
}
