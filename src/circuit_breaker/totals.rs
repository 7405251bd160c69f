//! Totals, transition counts and open time of a breaker or a group.

use super::event::{Event, TRANSITIONS, transition_index};
use super::machine::types::{Kind, Recorded};
use super::state::State;
use crate::clock::Instant;
use std::time::Duration;

/// Totals, transitions and time spent open. Lives behind a lock of its holder.
#[derive(Clone, Debug)]
pub(crate) struct Accumulator {
    pub(crate) totals: Totals,
    pub(crate) transitions: [u64; TRANSITIONS.len()],
    /// The number of the last event.
    sequence: u64,
    /// Number of open circuits, the time since at least one is open, and the open time before that.
    open: u32,
    open_since: Instant,
    open_time: Duration,
}

impl Accumulator {
    pub(crate) fn new() -> Self {
        Self {
            totals: Totals::default(),
            transitions: [0; TRANSITIONS.len()],
            sequence: 0,
            open: 0,
            open_since: Instant::NEVER,
            open_time: Duration::ZERO,
        }
    }

    /// Counts a call that ended.
    pub(crate) fn count(&mut self, recorded: Recorded) {
        let totals = &mut self.totals;
        let (total, slow) = match recorded.kind {
            Kind::Successful => (&mut totals.successful, Some(&mut totals.slow_successful)),
            Kind::Failed => (&mut totals.failed, Some(&mut totals.slow_failed)),
            Kind::Ignored => (&mut totals.ignored, None),
            Kind::Abandoned => (&mut totals.abandoned, None),
            Kind::Stale => (&mut totals.stale, None),
        };
        *total += 1;
        if let Some(slow) = slow.filter(|_| recorded.is_slow) {
            *slow += 1;
        }
    }

    /// Gives events their name and number, and counts them.
    pub(crate) fn enter(&mut self, name: &'static str, events: &mut [Event]) {
        for event in events {
            self.sequence += 1;
            let details = event.details_mut();
            details.name = name;
            details.sequence = self.sequence;
            let (from, to, at) = (details.from, details.to, details.at);
            if let Event::Transition(transition) = event {
                if let Some(i) = transition_index(from, to, transition.reason) {
                    self.transitions[i] += 1;
                }
                self.change(from, to, at);
            }
        }
    }

    /// A circuit went from one state to another, or began in `to` if both are the same.
    pub(crate) fn change(&mut self, from: State, to: State, at: Instant) {
        match (is_open(from) && from != to, is_open(to)) {
            (false, true) => {
                if self.open == 0 {
                    self.open_since = at;
                }
                self.open += 1;
            }
            (true, false) => {
                self.open = self.open.saturating_sub(1);
                if self.open == 0 {
                    self.open_time += at.saturating_duration_since(self.open_since);
                }
            }
            _ => {}
        }
    }

    /// The time during which at least one circuit was open or forced open.
    pub(crate) fn open_time(&self, now: Instant) -> Duration {
        let running = if self.open > 0 { now.saturating_duration_since(self.open_since) } else { Duration::ZERO };
        self.open_time + running
    }
}

fn is_open(state: State) -> bool {
    matches!(state, State::Open | State::ForcedOpen)
}

/// Everything a circuit breaker has counted since it was made. Totals only ever grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Totals {
    /// Calls that succeeded.
    pub successful: u64,
    /// Calls that failed, panics among them.
    pub failed: u64,
    /// Calls that say nothing about the dependency.
    pub ignored: u64,
    /// Calls dropped before an outcome.
    pub abandoned: u64,
    /// Calls that were rejected.
    pub not_permitted: u64,
    /// Results from before the last change of state: counted, without effect.
    pub stale: u64,
    /// Calls that a shadow breaker let pass and an armed one would have rejected.
    pub would_reject: u64,
    /// Slow calls that succeeded.
    pub slow_successful: u64,
    /// Slow calls that failed.
    pub slow_failed: u64,
    /// Calls answered by a fallback.
    pub fallbacks: u64,
    /// Events that a listener did not get: it panicked, or was too slow.
    pub events_lost: u64,
}
