//! The time after a start, in which an earlier process may have known more.

use crate::rollback::{Decision, Verdict};

/// Seconds with data after a start during which `continue` is held back.
const HELD: f64 = 60.0;

/// Knowledge that a start may have lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Restarted {
    No,
    /// Since data came first.
    Since(Option<f64>),
}

impl Restarted {
    /// Notes that there was data.
    pub(super) fn measured(&mut self, at: f64) {
        if *self == Self::Since(None) {
            *self = Self::Since(Some(at));
        }
    }

    /// Holds a `continue` back; returns whether the verdict is one after a start.
    pub(super) fn hold(&mut self, verdict: &mut Verdict, now: f64) -> bool {
        let Self::Since(since) = *self else { return false };
        if since.is_some_and(|since| now - since >= HELD) {
            *self = Self::No;
            return false;
        }
        if verdict.decision == Decision::Continue {
            (verdict.decision, verdict.code) = (Decision::Collecting, Decision::Collecting.code());
            verdict.sentence = format!(
                "judging was started anew and does not know what it knew before: it needs {HELD:.0} s of data; {}",
                verdict.sentence
            );
        }
        true
    }
}
