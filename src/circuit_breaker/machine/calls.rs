//! Admissions and results.

use super::queries::time_left;
use super::types::{Admission, Denial, Ended, Kind, Left, OpenFor, Part, Recorded};
use super::{Machine, Mode};
use crate::circuit_breaker::config::{AbandonedPolicy, EvaluateOn, PanicPolicy, RetryAfterPolicy};
use crate::circuit_breaker::probes::Lost;
use crate::circuit_breaker::state::{Reason, State};
use crate::circuit_breaker::window::counts::Stamp;
use crate::clock::Instant;
use crate::outcome::Outcome;
use crate::reject::RejectReason;
use crate::upload::Upload;
use std::time::Duration;

impl Machine {
    /// Asks to let a call through.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Admission, Denial> {
        self.poll(now);
        // ## Open => HalfOpen, at the first call after the open time
        if self.open_until().is_reached(self.latest) {
            self.enter(State::HalfOpen, Reason::OpenTimeElapsed, self.latest, OpenFor::TRIP);
        }
        let would_reject = match self.rejection() {
            Some(denial) if self.state() != State::Shadow => return Err(denial),
            would_reject => would_reject.is_some(),
        };
        let part = match self.mode {
            Mode::HalfOpen(_) => Part::PROBE,
            _ if self.config.detect_slow_calls_in_flight && self.is_judging() => {
                Part::followed(self.flights.get_or_insert_default().begin(self.latest))
            }
            _ => Part::PLAIN,
        };
        Ok(Admission { generation: self.generation, part, would_reject })
    }

    /// Admits the next call, and takes a probe's place or a share of the ramp; `Err` is the reason of a rejection.
    pub(super) fn rejection(&mut self) -> Option<Denial> {
        let (now, limit) = (self.latest, self.round_limit());
        let throttled = self.is_throttled();
        let reason = match &mut self.mode {
            // Not `now < until`: at the end of time itself, what never ends has still not ended.
            Mode::Open { until, .. } | Mode::Shadow { would_reject_until: until } if !until.is_reached(now) => {
                let retry_after = time_left(*until, now);
                return Some(Denial { reason: RejectReason::Open, retry_after });
            }
            Mode::ForcedOpen => Some(RejectReason::ForcedOpen),
            Mode::HalfOpen(probes) => {
                (!probes.try_begin(now, limit, self.hanging > 0)).then_some(RejectReason::HalfOpen)
            }
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
        let (generation, part, left) = (admission.generation, admission.part, Left::Early);
        let outcome = Outcome::Ignored;
        self.record(Ended { generation, part, outcome, is_slow: false, retry_after: None, left }, now);
    }

    /// Records how a call ended.
    pub(crate) fn record(&mut self, call: Ended, now: Instant) -> Recorded {
        self.poll(now);
        if call.generation != self.generation {
            self.end_hanging(call.part);
            return Recorded { kind: Kind::Stale, is_slow: false };
        }
        let kind = self.kind(call.outcome);
        let failed = match kind {
            Kind::Successful => false,
            Kind::Failed => true,
            _ => {
                self.record_neutral(call);
                return Recorded { kind, is_slow: false };
            }
        };
        let asked = self.retry_after_of(call);
        if let Mode::HalfOpen(probes) = &mut self.mode {
            let (was_flowing, result) = (call.part == Part::FLOWING_PROBE, (failed, call.is_slow));
            let decision = probes.finish(was_flowing, result, &self.config.half_open, &self.config.rules);
            self.decide(decision, Reason::ProbesFailed, self.latest, asked);
        } else if self.is_judging() {
            self.record_closed(failed, call, asked);
        }
        Recorded { kind, is_slow: call.is_slow }
    }

    /// As what an outcome is counted: the totals and the rules agree.
    fn kind(&self, outcome: Outcome) -> Kind {
        match outcome {
            Outcome::Success => Kind::Successful,
            Outcome::Failure => Kind::Failed,
            Outcome::Panicked if self.config.on_panic == PanicPolicy::Failure => Kind::Failed,
            Outcome::Panicked | Outcome::Ignored => Kind::Ignored,
            Outcome::Abandoned if self.config.on_abandoned == AbandonedPolicy::Failure => Kind::Failed,
            Outcome::Abandoned => Kind::Abandoned,
        }
    }

    fn record_neutral(&mut self, call: Ended) {
        self.end_flight(call.part);
        let left = Some(call.left)
            .filter(|_| call.outcome == Outcome::Abandoned && self.config.on_abandoned == AbandonedPolicy::Judge);
        match &mut self.mode {
            Mode::HalfOpen(probes) => {
                let lost = match left {
                    _ if call.left == Left::Excused => Lost::Excused,
                    None | Some(Left::Inbound) => Lost::Nothing,
                    Some(left) => Lost::Abandoned { is_unanswered: left == Left::Unanswered },
                };
                let (half_open, rules) = (&self.config.half_open, &self.config.rules);
                let decision = probes.lose(call.part == Part::FLOWING_PROBE, lost, half_open, rules);
                self.decide(decision, Reason::ProbesFailed, self.latest, Duration::ZERO);
            }
            Mode::Closed { .. } | Mode::Shadow { .. } if left == Some(Left::Unanswered) => {
                if let Some(settings) = &self.config.throttle {
                    self.traffic.get_or_insert_default().abandon(settings, self.latest);
                }
                self.unanswered = self.unanswered.saturating_add(1);
                self.evaluate(OpenFor::TRIP);
            }
            _ => {}
        }
    }

    /// The head of a response has arrived, and its body decides the outcome. Returns the part that the call plays on.
    pub(crate) fn record_head(&mut self, generation: u64, part: Part, now: Instant) -> Part {
        self.poll(now);
        if generation != self.generation {
            self.end_hanging(part);
            return Part::PLAIN;
        }
        self.unanswered = 0;
        match &mut self.mode {
            Mode::HalfOpen(probes) if part == Part::PROBE => {
                probes.flow(&self.config.half_open);
                Part::FLOWING_PROBE
            }
            _ => {
                let flights = self.flights.as_mut().zip(part.number());
                let is_counted = flights.is_some_and(|(flights, number)| flights.answer(number));
                if is_counted || part == Part::FLOWING_PROBE { part } else { Part::PLAIN }
            }
        }
    }

    /// The handler of a call that has just begun may wait for its caller's body, which is not its slowness.
    pub(crate) fn follow_upload(&mut self, generation: u64, part: Part, upload: Upload, now: Instant) {
        self.poll(now);
        if generation != self.generation {
            return;
        }
        match &mut self.mode {
            Mode::HalfOpen(probes) if part == Part::PROBE => probes.follow_upload(upload, self.latest),
            _ => {
                if let Some((flights, number)) = self.flights.as_mut().zip(part.number()) {
                    flights.follow_upload(number, upload);
                }
            }
        }
    }

    fn end_hanging(&mut self, part: Part) {
        if part == Part::PROBE {
            self.hanging = self.hanging.saturating_sub(1);
        }
    }

    /// Counts a call that ended while the circuit was closed, and looks at the rules. The dependency may have `asked` for an open time.
    fn record_closed(&mut self, failed: bool, call: Ended, asked: Duration) {
        self.unanswered = 0;
        match self.end_flight(call.part) {
            Some(counted) if failed => self.window.mark_failed(counted),
            Some(_) => {}
            None => drop(self.window.add(failed, call.is_slow)),
        }
        self.consecutive_failures = if failed { self.consecutive_failures.saturating_add(1) } else { 0 };
        if let Some(settings) = &self.config.throttle {
            self.traffic.get_or_insert_default().answer(settings, self.latest, !failed);
        }
        let opens_at_once = call.retry_after.is_some() && self.config.retry_after == RetryAfterPolicy::OpensAtOnce;
        if opens_at_once && matches!(self.mode, Mode::Closed { .. }) {
            self.trip(Reason::RetryAfter, if asked.is_zero() { OpenFor::TRIP } else { OpenFor::Exactly(asked) });
            return;
        }
        if opens_at_once {
            self.would_open(Reason::RetryAfter, asked); // in shadow
        }
        if failed || self.config.evaluate_on == EvaluateOn::AnyCall {
            self.evaluate(OpenFor::Trip { asked });
        }
    }

    fn end_flight(&mut self, part: Part) -> Option<Stamp> {
        self.flights.as_mut().zip(part.number()).and_then(|(flights, number)| flights.end(number))
    }

    pub(super) fn is_throttled(&mut self) -> bool {
        let Some(settings) = self.config.throttle.as_ref().filter(|_| self.is_judging()) else { return false };
        let random = self.random.f64();
        let traffic = self.traffic.get_or_insert_default();
        let is_rejected = traffic.is_rejected(settings, self.latest, random);
        // In shadow, the call is made and counted when it ends.
        if is_rejected && matches!(self.mode, Mode::Closed { ramp: None }) {
            traffic.reject(settings, self.latest);
        }
        is_rejected
    }

    /// The open time that the dependency asked for, 0 for none.
    fn retry_after_of(&self, call: Ended) -> Duration {
        let asked = call.retry_after.filter(|_| self.config.retry_after != RetryAfterPolicy::Ignore);
        asked.unwrap_or_default().min(self.config.retry_after_max)
    }
}
