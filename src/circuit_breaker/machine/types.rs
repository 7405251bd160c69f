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
    pub(crate) part: Part,
    pub(crate) would_reject: bool,
}

/// A call was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: RejectReason,
    pub(crate) retry_after: Option<Duration>,
}

/// The part that a call in flight plays for the machine, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part(u64);

impl Part {
    /// None: only its end counts.
    pub(crate) const PLAIN: Self = Self(0);
    /// A half-open probe that has no answer so far.
    pub(crate) const PROBE: Self = Self(u64::MAX);
    /// A half-open probe whose response flows.
    pub(crate) const FLOWING_PROBE: Self = Self(u64::MAX - 1);

    /// A call that is timed in flight, by its number from 1.
    pub(crate) const fn followed(number: u64) -> Self {
        Self(number)
    }

    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        self == Self::PLAIN
    }

    pub(crate) fn number(self) -> Option<u64> {
        (1..u64::MAX - 1).contains(&self.0).then_some(self.0)
    }
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) generation: u64,
    pub(crate) part: Part,
    pub(crate) outcome: Outcome,
    pub(crate) is_slow: bool,
    pub(crate) retry_after: Option<Duration>,
    /// How its caller left, if the outcome is [`Outcome::Abandoned`].
    pub(crate) left: Left,
}

/// How a caller left before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// On the inbound side: a client's business.
    Inbound,
    /// Before an answer could be expected.
    Early,
    /// After it had waited too long for one.
    Unanswered,
    /// The body of its own request broke off.
    Excused,
}

/// How long a circuit opens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenFor {
    /// The configured time after one more trip. On the first one the dependency may have `asked` for another time; from
    /// then on for a longer one only: it cannot turn back-off off.
    Trip { asked: Duration },
    /// The configured time as after the last trip: nothing has failed since.
    SameAgain,
    /// So long, which is no trip.
    Exactly(Duration),
}

impl OpenFor {
    pub(crate) const TRIP: Self = Self::Trip { asked: Duration::ZERO };
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
