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
    /// `shadow`, the reason is the rule. Each rule is reported once an incident; one is over if no rule
    /// has been met for an open time after the circuit would have closed.
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

/// Every change of state that can happen, and why; `None` is any state. Changes by hand have one row a target: one for
/// each pair would be half of a breaker's series.
pub(crate) const TRANSITIONS: &[(Option<State>, State, Reason)] = &{
    use Reason as R;
    use State::{Closed, Disabled, ForcedOpen, HalfOpen, Open, Shadow};
    [
        (Some(Closed), Open, R::FailureRate),
        (Some(Closed), Open, R::SlowCallRate),
        (Some(Closed), Open, R::FailureCount),
        (Some(Closed), Open, R::ConsecutiveFailures),
        (Some(Closed), Open, R::RetryAfter),
        (Some(Open), HalfOpen, R::OpenTimeElapsed),
        (Some(HalfOpen), Closed, R::ProbesSucceeded),
        (Some(HalfOpen), Closed, R::HalfOpenTimeout),
        (Some(HalfOpen), Open, R::ProbesFailed),
        (Some(HalfOpen), Open, R::HalfOpenTimeout),
        (None, Open, R::NoAnswer), // of a closed or a half-open circuit: one series less
        (None, Closed, R::Manual),
        (None, Open, R::Manual),
        (None, HalfOpen, R::Manual),
        (None, ForcedOpen, R::Manual),
        (None, Disabled, R::Manual),
        (None, Shadow, R::Manual),
    ]
};

/// The place of a change in [`TRANSITIONS`].
pub(crate) fn transition_index(from: State, to: State, reason: Reason) -> Option<usize> {
    let is_it = |known: &(Option<State>, State, Reason)| {
        known.0.is_none_or(|known| known == from) && (known.1, known.2) == (to, reason)
    };
    TRANSITIONS.iter().position(is_it)
}
