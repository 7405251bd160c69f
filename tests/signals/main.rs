//! Signals in front of real servers, as metrics, and as ticks for a judge.

#[path = "../support/bodies.rs"]
mod bodies;
#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/common.rs"]
mod common;
#[expect(dead_code, reason = "this program needs a part of it")]
#[path = "../support/exposition.rs"]
mod exposition;

mod arm;
mod grpc;
mod http;
mod metrics;

use backstop::Signals;
use backstop::signals::SegmentCounts;

/// The counts of the only segment: successes, client errors, server errors, rejections by a circuit breaker, a bulkhead,
/// a kill switch, and requests that say nothing.
fn counted(signals: &Signals) -> [u64; 7] {
    classes(&signals.snapshot().segments["default"])
}

fn classes(counts: &SegmentCounts) -> [u64; 7] {
    [
        counts.successful,
        counts.client_errors,
        counts.server_errors,
        counts.rejected_by_circuit_breaker,
        counts.rejected_by_bulkhead,
        counts.rejected_by_kill_switch,
        counts.ignored,
    ]
}

fn sum(signals: &Signals) -> u64 {
    counted(signals).iter().sum()
}
