//! Admissions and results.

use super::queries::time_left;
use super::types::{Admission, Denial, Ended, Kind, Recorded};
use super::{Machine, Mode};
use crate::circuit_breaker::config::{AbandonedPolicy, EvaluateOn, PanicPolicy, RetryAfterPolicy};
use crate::circuit_breaker::probes::Decision;
use crate::circuit_breaker::state::{Reason, State};
use crate::circuit_breaker::window::counts::Stamp;
use crate::clock::Instant;
use crate::outcome::Outcome;
use crate::reject::RejectReason;
use std::time::Duration;

impl Machine {
    /// Asks to let a call through.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Admission, Denial> {
        self.poll(now);
        // ## Open => HalfOpen, at the first call after the open time
        if self.open_until().is_reached(self.latest) {
            self.enter(State::HalfOpen, Reason::OpenTimeElapsed, self.latest, None);
        }
        let would_reject = match self.rejection() {
            Some(denial) if self.state() != State::Shadow => return Err(denial),
            would_reject => would_reject.is_some(),
        };
        let follow = self.config.detect_slow_calls_in_flight && self.is_judging();
        let flight = if follow { self.flights.get_or_insert_default().begin(self.latest) } else { 0 };
        Ok(Admission { generation: self.generation, flight, would_reject })
    }

    /// Admits the next call, and takes a probe's place or a share of the ramp; `Err` is the reason of a rejection.
    pub(super) fn rejection(&mut self) -> Option<Denial> {
        let now = self.latest;
        let throttled = self.is_throttled();
        let reason = match &mut self.mode {
            // Not `now < until`: at the end of time itself, what never ends has still not ended.
            Mode::Open { until, .. } | Mode::Shadow { would_reject_until: until } if !until.is_reached(now) => {
                let retry_after = time_left(*until, now);
                return Some(Denial { reason: RejectReason::Open, retry_after });
            }
            Mode::ForcedOpen => Some(RejectReason::ForcedOpen),
            Mode::HalfOpen(probes) => (!probes.try_begin()).then_some(RejectReason::HalfOpen),
            Mode::Closed { ramp: Some(ramp) } => {
                (!ramp.admits(now, self.config.ramp.unwrap_or_default())).then_some(RejectReason::Ramp)
            }
            Mode::Closed { .. } | Mode::Shadow { .. } => throttled.then_some(RejectReason::Throttled),
            Mode::Open { .. } | Mode::Disabled => None,
        };
        reason.map(|reason| Denial { reason, retry_after: None })
    }

    /// Returns whether a call would be let through, without letting one through. A share of the calls may still not be.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_permitting(&mut self, now: Instant) -> bool {
        self.poll(now);
        match &self.mode {
            Mode::Open { until, .. } => until.is_reached(self.latest),
            Mode::HalfOpen(_) => self.has_free_probe(),
            Mode::ForcedOpen => false,
            Mode::Closed { .. } | Mode::Disabled | Mode::Shadow { .. } => true,
        }
    }

    /// Takes back an admission that was not used.
    pub(crate) fn cancel(&mut self, admission: Admission, now: Instant) {
        let (generation, flight) = (admission.generation, admission.flight);
        let outcome = Outcome::Ignored;
        self.record(Ended { generation, flight, outcome, is_slow: false, retry_after: None }, now);
    }

    /// Records how a call ended.
    pub(crate) fn record(&mut self, call: Ended, now: Instant) -> Recorded {
        self.poll(now);
        let is_slow = call.is_slow;
        if call.generation != self.generation {
            return Recorded { kind: Kind::Stale, is_slow: false };
        }
        let kind = kind(call.outcome, self.config.on_panic);
        let Some(failed) = self.verdict(call.outcome, is_slow) else {
            self.record_neutral(kind, call.flight);
            return Recorded { kind, is_slow: false };
        };
        let retry_after = self.retry_after_of(call);
        match &mut self.mode {
            Mode::HalfOpen(probes) => {
                match probes.finish(failed, is_slow, &self.config.half_open, &self.config.rules) {
                    // ## HalfOpen => Closed
                    Some(Decision::Close) => self.enter(State::Closed, Reason::ProbesSucceeded, self.latest, None),
                    // ## HalfOpen => Open
                    Some(Decision::Open) => self.enter(State::Open, Reason::ProbesFailed, self.latest, retry_after),
                    None => {}
                }
            }
            Mode::Closed { .. } | Mode::Shadow { .. } => self.record_closed(failed, call, retry_after),
            Mode::Open { .. } | Mode::ForcedOpen | Mode::Disabled => {}
        }
        Recorded { kind, is_slow }
    }

    /// Returns whether the outcome counts as a failure; `None` where it counts as nothing.
    pub(super) fn verdict(&self, outcome: Outcome, is_slow: bool) -> Option<bool> {
        match outcome {
            Outcome::Success => Some(false),
            Outcome::Failure => Some(true),
            Outcome::Ignored => None,
            Outcome::Panicked => (self.config.on_panic == PanicPolicy::Failure).then_some(true),
            Outcome::Abandoned => match self.config.on_abandoned {
                AbandonedPolicy::Failure => Some(true),
                AbandonedPolicy::Judge => is_slow.then_some(true),
                AbandonedPolicy::Ignore => None,
            },
        }
    }

    pub(super) fn record_neutral(&mut self, kind: Kind, flight: u64) {
        self.end_flight(flight);
        let is_judged = kind == Kind::Abandoned && self.config.on_abandoned == AbandonedPolicy::Judge;
        match &mut self.mode {
            Mode::HalfOpen(probes) => probes.give_back(),
            Mode::Closed { .. } | Mode::Shadow { .. } if is_judged => {
                self.window.add_abandoned();
                self.evaluate(None);
            }
            _ => {}
        }
    }

    /// Counts a call that ended while the circuit was closed, and looks at the rules.
    pub(super) fn record_closed(&mut self, failed: bool, call: Ended, retry_after: Option<Duration>) {
        match self.end_flight(call.flight) {
            Some(counted) if failed => self.window.mark_failed(counted),
            Some(_) => {}
            None => drop(self.window.add(failed, call.is_slow)),
        }
        self.consecutive_failures = if failed { self.consecutive_failures.saturating_add(1) } else { 0 };
        if let (Some(settings), false) = (&self.config.throttle, failed) {
            self.traffic.get_or_insert_default().accept(settings, self.latest);
        }
        let opens_at_once = call.retry_after.is_some() && self.config.retry_after == RetryAfterPolicy::OpensAtOnce;
        if opens_at_once && matches!(self.mode, Mode::Closed { .. }) {
            self.trip(Reason::RetryAfter, retry_after);
        } else if failed || self.config.evaluate_on == EvaluateOn::AnyCall {
            self.evaluate(retry_after);
        }
    }

    pub(super) fn end_flight(&mut self, flight: u64) -> Option<Stamp> {
        self.flights.as_mut().filter(|_| flight > 0).and_then(|flights| flights.end(flight))
    }

    pub(super) fn is_throttled(&mut self) -> bool {
        let Some(settings) = self.config.throttle.as_ref().filter(|_| self.is_judging()) else { return false };
        let random = self.random.f64();
        self.traffic.get_or_insert_default().is_rejected(settings, self.latest, random)
    }

    /// The open time that the dependency asked for. A wait of 0 asks for the configured one.
    pub(super) fn retry_after_of(&self, call: Ended) -> Option<Duration> {
        let asked = call.retry_after.filter(|_| self.config.retry_after != RetryAfterPolicy::Ignore)?;
        (!asked.is_zero()).then(|| asked.min(self.config.retry_after_max))
    }
}

fn kind(outcome: Outcome, on_panic: PanicPolicy) -> Kind {
    match outcome {
        Outcome::Success => Kind::Successful,
        Outcome::Failure => Kind::Failed,
        Outcome::Panicked if on_panic == PanicPolicy::Failure => Kind::Failed,
        Outcome::Panicked | Outcome::Ignored => Kind::Ignored,
        Outcome::Abandoned => Kind::Abandoned,
    }
}
