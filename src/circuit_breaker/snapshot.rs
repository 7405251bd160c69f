//! Snapshot of the evidence of a circuit.

use super::window::counts::Counts;

/// The evidence at one moment: the window while closed, the probes while half-open, and while open the
/// window that tripped the circuit, frozen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Calls with an outcome.
    pub calls: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Calls that took longer than the slow-call threshold, whether they failed or not.
    pub slow: u64,
    /// Calls in a row whose callers left after they had waited too long for an answer; not among `calls`.
    pub unanswered: u32,
    /// Share of calls that failed, 0 to 1; `None` below the minimum number of calls.
    pub failure_rate: Option<f64>,
    /// Share of slow calls, 0 to 1; `None` below the minimum number of calls.
    pub slow_call_rate: Option<f64>,
    /// Times the circuit has been half-open since it was last closed.
    pub half_open_attempts: u32,
}

impl Snapshot {
    pub(crate) fn new(counts: Counts, minimum: u64, slow_minimum: u64, half_open_attempts: u32) -> Self {
        let rate = |part: u64, minimum: u64| {
            (counts.calls >= minimum && counts.calls > 0).then(|| part as f64 / counts.calls as f64)
        };
        Self {
            calls: counts.calls,
            failed: counts.failed,
            slow: counts.slow,
            unanswered: 0,
            failure_rate: rate(counts.failed, minimum),
            slow_call_rate: rate(counts.slow, slow_minimum),
            half_open_attempts,
        }
    }

    /// Calls that succeeded.
    pub const fn successful(&self) -> u64 {
        self.calls - self.failed
    }
}
