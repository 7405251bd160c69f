//! Seconds that had an error, at least: one burst does not decide.

use crate::rollback::stats::errors::{Counts, Seconds};

/// Errors of a tick in all segments, and the instance-seconds of the segments that had some, if those are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    errors: f64,
    seconds: Option<Seconds>,
}

impl Spread {
    pub(super) const fn new() -> Self {
        Self { errors: 0.0, seconds: Some(Seconds { error: 0.0, active: 0.0 }) }
    }

    pub(super) fn add(&mut self, counts: &Counts) {
        if counts.errors > 0.0 {
            let both = self.seconds.zip(counts.seconds);
            self.seconds =
                both.map(|(sum, of)| Seconds { error: sum.error + of.error, active: sum.active + of.active });
            self.errors += counts.errors;
        }
    }

    /// Seconds with an error so far, after a tick of so many seconds. `evidence` is that before the tick: errors of the usual
    /// rate, in a time in which it was none, are no second burst.
    pub(super) fn distinct(&self, before: f64, evidence: f64, seconds: f64) -> f64 {
        if self.errors <= 0.0 {
            return before;
        }
        let kept = if evidence < 1.0 { 0.0 } else { before };
        // A long tick may have had all of its errors in one second, unless they are counted by second or go on.
        let distinct = match self.seconds {
            Some(counted) => seconds * counted.error / counted.active.max(1.0),
            None if kept > 0.0 => seconds,
            None => 1.0,
        };
        kept + distinct.max(1.0).min(seconds).min(self.errors)
    }
}
