//! Events: changes of state, and what a shadow breaker would have done.

use super::snapshot::Snapshot;
use super::state::{Reason, State};
use crate::clock::Instant;
use std::sync::Arc;
/// One change of state.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Transition {
    /// The circuit breaker's name.
    pub name: &'static str,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// The reason of the change.
    pub reason: Reason,
    /// The reason that was given for a [manual](Reason::Manual) change.
    pub note: Option<Arc<str>>,
    /// Time on the breaker's clock.
    pub at: Instant,
    /// The number of this event among the breaker's events, from 1, without a gap.
    pub sequence: u64,
    /// The evidence at that moment, frozen.
    pub snapshot: Snapshot,
}

/// An event of a circuit breaker.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(tag = "event", rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Event {
    /// The state changed.
    Transition(Transition),
    /// In [`State::Shadow`] a rule was met that would have opened the circuit: `from` and `to` are both
    /// `shadow`, the reason is the rule. Each rule is reported once until the state changes.
    WouldOpen(Transition),
}

impl Event {
    /// The circuit breaker's name.
    pub const fn name(&self) -> &'static str {
        self.details().name
    }

    /// Time on the breaker's clock.
    pub const fn at(&self) -> Instant {
        self.details().at
    }

    /// The values of the event.
    pub const fn details(&self) -> &Transition {
        match self {
            Self::Transition(transition) | Self::WouldOpen(transition) => transition,
        }
    }

    pub(crate) fn details_mut(&mut self) -> &mut Transition {
        match self {
            Self::Transition(transition) | Self::WouldOpen(transition) => transition,
        }
    }
}

/// Every change of state that can happen, and why.
pub(crate) const TRANSITIONS: &[(State, State, Reason)] = &{
    use Reason as R;
    use State::{Closed, Disabled, ForcedOpen, HalfOpen, Open, Shadow};
    [
        (Closed, Open, R::FailureRate),
        (Closed, Open, R::SlowCallRate),
        (Closed, Open, R::FailureCount),
        (Closed, Open, R::ConsecutiveFailures),
        (Closed, Open, R::NoAnswer),
        (Closed, Open, R::RetryAfter),
        (Open, HalfOpen, R::OpenTimeElapsed),
        (HalfOpen, Closed, R::ProbesSucceeded),
        (HalfOpen, Closed, R::HalfOpenTimeout),
        (HalfOpen, Open, R::ProbesFailed),
        (HalfOpen, Open, R::NoAnswer),
        (HalfOpen, Open, R::HalfOpenTimeout),
        (Closed, Open, R::Manual),
        (Closed, HalfOpen, R::Manual),
        (Closed, ForcedOpen, R::Manual),
        (Closed, Disabled, R::Manual),
        (Closed, Shadow, R::Manual),
        (Open, Closed, R::Manual),
        (Open, HalfOpen, R::Manual),
        (Open, ForcedOpen, R::Manual),
        (Open, Disabled, R::Manual),
        (Open, Shadow, R::Manual),
        (HalfOpen, Closed, R::Manual),
        (HalfOpen, Open, R::Manual),
        (HalfOpen, ForcedOpen, R::Manual),
        (HalfOpen, Disabled, R::Manual),
        (HalfOpen, Shadow, R::Manual),
        (ForcedOpen, Closed, R::Manual),
        (ForcedOpen, Open, R::Manual),
        (ForcedOpen, HalfOpen, R::Manual),
        (ForcedOpen, Disabled, R::Manual),
        (ForcedOpen, Shadow, R::Manual),
        (Disabled, Closed, R::Manual),
        (Disabled, Open, R::Manual),
        (Disabled, HalfOpen, R::Manual),
        (Disabled, ForcedOpen, R::Manual),
        (Disabled, Shadow, R::Manual),
        (Shadow, Closed, R::Manual),
        (Shadow, Open, R::Manual),
        (Shadow, HalfOpen, R::Manual),
        (Shadow, ForcedOpen, R::Manual),
        (Shadow, Disabled, R::Manual),
    ]
};

/// The place of a change in [`TRANSITIONS`].
pub(crate) fn transition_index(from: State, to: State, reason: Reason) -> Option<usize> {
    TRANSITIONS.iter().position(|known| *known == (from, to, reason))
}
