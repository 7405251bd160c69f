//! Getters of the machine.

use super::{Machine, Mode};
use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::snapshot::Snapshot;
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::window::counts::Counts;
use crate::clock::Instant;
use std::sync::Arc;
use std::time::Duration;

impl Machine {
    pub(crate) fn state(&self) -> State {
        match &self.mode {
            Mode::Closed { .. } => State::Closed,
            Mode::Open { .. } => State::Open,
            Mode::HalfOpen(_) => State::HalfOpen,
            Mode::ForcedOpen => State::ForcedOpen,
            Mode::Disabled => State::Disabled,
            Mode::Shadow { .. } => State::Shadow,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn config(&self) -> &Arc<CircuitBreakerConfig> {
        &self.config
    }

    /// End of the open time; [`Instant::NEVER`] in every other state.
    pub(crate) fn open_until(&self) -> Instant {
        match self.mode {
            Mode::Open { until, .. } => until,
            _ => Instant::NEVER,
        }
    }

    /// Time at which the state changes, or a call passes, without a call; [`Instant::NEVER`] if there is none.
    #[cfg(feature = "tokio")]
    pub(crate) fn next_change(&self) -> Instant {
        match &self.mode {
            Mode::Open { until, .. } => *until,
            Mode::HalfOpen(probes) => probes.deadline,
            _ => Instant::NEVER,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.mode {
            Mode::Open { until, .. } => time_left(until, self.latest),
            _ => None,
        }
    }

    /// The evidence now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        match &self.mode {
            Mode::Open { .. } => self.tripped_by.as_deref().copied().unwrap_or_default(),
            _ => self.evidence(),
        }
    }

    /// Returns whether calls can be admitted without asking: nothing but a recorded result can change the answer.
    pub(crate) fn admits_freely(&self) -> bool {
        let is_watched = self.config.throttle.is_some() || self.config.detect_slow_calls_in_flight;
        match self.mode {
            Mode::Disabled => true,
            Mode::Closed { ramp } => ramp.is_none() && !is_watched && self.window.steady_until().is_some(),
            Mode::Shadow { would_reject_until } => {
                self.latest >= would_reject_until && !is_watched && self.window.steady_until().is_some()
            }
            _ => false,
        }
    }

    /// End successes that are not slow may be counted elsewhere: they can change nothing before it.
    ///
    /// A success lowers every rate once each rule has its minimum of calls, and before anything expires. A rule
    /// that is met all the same (in shadow; after something expired or new settings came) has to be looked at.
    pub(crate) fn steady_until(&self) -> Option<Instant> {
        if matches!(self.mode, Mode::Disabled) {
            return Some(Instant::NEVER);
        }
        let has_evidence = self.window.counts().calls >= self.config.rules.most_minimum_calls();
        let is_steady = self.admits_freely() && has_evidence && self.rules_met().next().is_none();
        if is_steady { self.window.steady_until() } else { None }
    }

    /// Time of the next change of a circuit that rejects every call; [`Instant::NEVER`] if only a result changes it.
    pub(crate) fn rejects_until(&self) -> Option<Instant> {
        match &self.mode {
            Mode::Open { until, .. } => Some(*until),
            Mode::HalfOpen(probes) if !self.has_free_probe() => Some(probes.deadline),
            Mode::ForcedOpen => Some(Instant::NEVER),
            _ => None,
        }
    }

    /// Returns whether calls went without an answer since the last one: an answer has to be recorded.
    pub(crate) fn awaits_answer(&self) -> bool {
        self.unanswered > 0
    }

    /// Everything that a caller who waits to be let through waits for: when it changes, look again.
    pub(crate) fn door(&self) -> (u64, Instant, bool) {
        (self.generation, self.open_until(), self.has_free_probe())
    }

    /// Returns whether calls are timed while they are in flight.
    pub(crate) fn follows_flights(&self) -> bool {
        self.config.detect_slow_calls_in_flight
    }

    /// Returns whether a half-open circuit can let one more probe through.
    pub(crate) fn has_free_probe(&self) -> bool {
        matches!(&self.mode, Mode::HalfOpen(probes) if probes.has_place(self.hanging > 0))
    }

    /// Returns whether the circuit is closed and has only seen successes, so that a count of calls is its whole state.
    pub(crate) fn is_pristine(&self) -> bool {
        let Counts { failed, slow, .. } = self.window.counts();
        matches!(self.mode, Mode::Closed { ramp: None })
            && (failed, slow, self.unanswered, self.consecutive_failures) == (0, 0, 0, 0)
    }

    pub(in crate::circuit_breaker) fn evidence(&self) -> Snapshot {
        let rules = &self.config.rules;
        let (counts, minimum, slow_minimum) = match &self.mode {
            Mode::HalfOpen(probes) => {
                let calls = self.config.half_open.results_needed();
                (probes.counts(), calls, calls)
            }
            _ => (self.window.counts(), rules.minimum_calls, rules.slow_call_minimum_calls),
        };
        let snapshot = Snapshot::new(counts, u64::from(minimum), u64::from(slow_minimum), self.half_open_attempts);
        Snapshot { unanswered: self.unanswered, ..snapshot }
    }

    pub(in crate::circuit_breaker) fn is_judging(&self) -> bool {
        matches!(self.mode, Mode::Closed { .. } | Mode::Shadow { .. })
    }
}

/// The time until a deadline; `None` if it never comes.
pub(in crate::circuit_breaker) fn time_left(until: Instant, now: Instant) -> Option<Duration> {
    (until != Instant::NEVER).then(|| until.saturating_duration_since(now))
}
