//! Recording of a baseline while judging.

use super::process::Judging;
use crate::clock::timestamp;
use crate::rollback::{Decision, Tick};
use crate::signals::{Baseline, BaselineRecorder};
use std::time::Duration;

impl Judging {
    /// Also records known-good values of the stable version, going on with a baseline: the hour of each tick whose verdict
    /// is `continue`. The stable version is the baseline, or the canary where there is none. Default: off.
    #[must_use]
    pub fn recording(mut self, baseline: Baseline) -> Self {
        self.recorder = Some(BaselineRecorder::new(baseline));
        self
    }

    /// The recorded baseline, without the hour that has not ended; `None` if nothing is [recorded](Self::recording).
    pub fn baseline(&self) -> Option<&Baseline> {
        self.recorder.as_ref().map(BaselineRecorder::baseline)
    }

    /// Ends the recording with the hour that has not ended.
    pub fn finish_recording(&mut self) -> Option<Baseline> {
        self.recorder.take().map(BaselineRecorder::finish)
    }

    pub(super) fn record(&mut self, tick: &Tick, seconds: f64, decision: Decision) {
        let Some(recorder) = &mut self.recorder else { return };
        let stable = tick.baseline.as_ref().unwrap_or(&tick.canary);
        recorder.observe(timestamp(), Duration::from_secs_f64(seconds.clamp(0.0, 3_600.0)), stable, decision);
    }
}
