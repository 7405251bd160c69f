//! Inputs and outputs of the machine.

use crate::circuit_breaker::open_time::OpenTime;
use crate::circuit_breaker::snapshot::Snapshot;
use crate::outcome::Outcome;
use crate::reject::RejectReason;
use std::time::Duration;

/// A call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) generation: u64,
    /// Its number among the calls in flight; 0 where they are not followed.
    pub(crate) flight: u64,
    pub(crate) would_reject: bool,
}

/// A call was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: RejectReason,
    pub(crate) retry_after: Option<Duration>,
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) generation: u64,
    pub(crate) flight: u64,
    pub(crate) outcome: Outcome,
    pub(crate) is_slow: bool,
    pub(crate) retry_after: Option<Duration>,
}

/// As what a call was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) kind: Kind,
    pub(crate) is_slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Successful,
    Failed,
    Ignored,
    Abandoned,
    Stale,
}

/// A manual command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Reset,
    Trip { wait: Option<Duration> },
    HalfOpen,
    ForceOpen,
    Disable,
    Shadow,
}

/// The user's function has to say how long the circuit stays open.
#[derive(Clone, Debug)]
pub(crate) struct OpenTimeQuestion {
    pub(crate) time: OpenTime,
    pub(crate) trips: u32,
    pub(crate) snapshot: Snapshot,
    pub(crate) generation: u64,
}
