//! Snapshot of signals: counts since they were made.

use super::counts::Sums;
use super::outcome_class::OutcomeClass;
use std::collections::BTreeMap;

/// Counts of a service since its signals were made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// Requests in progress.
    pub in_flight: u64,
    /// Counts by segment.
    pub segments: BTreeMap<&'static str, SegmentCounts>,
}

/// Counts of a segment. Each finished request is in exactly one of the first seven.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct SegmentCounts {
    /// Requests that were served.
    pub successful: u64,
    /// Requests that cannot be served: 4xx, gRPC codes such as `NOT_FOUND`.
    pub client_errors: u64,
    /// Requests that the service failed: 5xx, gRPC codes such as `INTERNAL`, errors, panics, bodies that broke.
    pub server_errors: u64,
    /// Requests that an open circuit rejected.
    pub rejected_by_circuit_breaker: u64,
    /// Requests that a full bulkhead rejected.
    pub rejected_by_bulkhead: u64,
    /// Requests that an engaged kill switch rejected.
    pub rejected_by_kill_switch: u64,
    /// Requests that say nothing about the service: the client left before the answer.
    pub ignored: u64,
    /// Seconds in which a request ended that is evidence: served, a client error or a server error, or rejected by a circuit
    /// breaker or a bulkhead.
    pub active_seconds: u64,
    /// Those with a server error, or a request that a circuit breaker or a bulkhead rejected.
    pub error_seconds: u64,
    /// Latencies of requests that were served: a count for each of [`REQUEST_BUCKETS`](crate::telemetry::REQUEST_BUCKETS),
    /// and one above.
    pub success_latency: Vec<u64>,
    /// The same of client and server errors.
    pub failure_latency: Vec<u64>,
}

impl From<Sums> for SegmentCounts {
    fn from(sums: Sums) -> Self {
        let of = |class: OutcomeClass| sums.classes[class as usize];
        Self {
            successful: of(OutcomeClass::Success),
            client_errors: of(OutcomeClass::ClientError),
            server_errors: of(OutcomeClass::ServerError),
            rejected_by_circuit_breaker: of(OutcomeClass::RejectedByCircuitBreaker),
            rejected_by_bulkhead: of(OutcomeClass::RejectedByBulkhead),
            rejected_by_kill_switch: of(OutcomeClass::RejectedByKillSwitch),
            ignored: of(OutcomeClass::Ignored),
            active_seconds: sums.active_seconds,
            error_seconds: sums.error_seconds,
            success_latency: sums.successes.into(),
            failure_latency: sums.failures.into(),
        }
    }
}
