//! Ticks as the judging process makes and keeps them.

use crate::rollback::{Arm, Judge, Tick, Verdict};

/// A tick without measurements.
pub(super) fn nothing(at: f64) -> Tick {
    Tick { at, stage: None, canary: Arm::default(), baseline: None }
}

/// The verdict before the first tick.
pub(super) fn first_verdict(judge: &Judge) -> Verdict {
    judge.clone().observe(nothing(0.0))
}

/// A tick as a line.
pub(super) fn line(tick: &Tick) -> String {
    let mut line = serde_json::json!({ "at": tick.at, "canary": tick.canary });
    if let Some(stage) = tick.stage {
        line["stage"] = stage.into();
    }
    if let Some(baseline) = &tick.baseline {
        line["baseline"] = serde_json::json!(baseline);
    }
    line.to_string()
}
