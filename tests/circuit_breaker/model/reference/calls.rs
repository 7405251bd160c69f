//! How a call begins and ends.

use super::{Call, For, Reference, Seen};
use backstop::Outcome;
use backstop::circuit_breaker::{AbandonedPolicy, EvaluateOn, PanicPolicy, Reason, RetryAfterPolicy, State};

impl Reference {
    pub(super) fn begin(&mut self) -> Call {
        self.calls_begun += 1;
        let call = Call {
            generation: self.generation,
            is_probe: self.state == State::HalfOpen,
            number: self.calls_begun,
            began: self.now,
        };
        if self.settings.follows && self.is_judging() {
            self.followed.push((call.number, self.now, false));
        }
        call
    }

    pub(super) fn record(
        &mut self,
        call: &Call,
        outcome: Outcome,
        slow: bool,
        is_unanswered: bool,
        retry_after: Option<u64>,
    ) {
        if call.generation != self.generation {
            self.totals.stale += 1;
            self.hanging = self.hanging.saturating_sub(u32::from(call.is_probe));
            return;
        }
        let is_panic_ignored = outcome == Outcome::Panicked && self.settings.on_panic == PanicPolicy::Ignore;
        let verdict = match outcome {
            Outcome::Success => Some(false),
            Outcome::Failure => Some(true),
            Outcome::Panicked if !is_panic_ignored => Some(true),
            Outcome::Abandoned if self.settings.abandonment == AbandonedPolicy::Failure => Some(true),
            _ => None,
        };
        match outcome {
            Outcome::Success => self.totals.successful += 1,
            Outcome::Abandoned if verdict.is_none() => self.totals.abandoned += 1,
            Outcome::Abandoned | Outcome::Failure => self.totals.failed += 1,
            Outcome::Panicked if !is_panic_ignored => self.totals.failed += 1,
            _ => self.totals.ignored += 1,
        }
        match (outcome, verdict) {
            (Outcome::Success, _) => self.totals.slow_successful += u64::from(slow),
            (_, Some(_)) => self.totals.slow_failed += u64::from(slow),
            _ => {}
        }
        let is_counted = self.followed.iter().any(|(number, _, is_counted)| *number == call.number && *is_counted);
        self.followed.retain(|(number, ..)| *number != call.number);
        let has_asked = retry_after.is_some();
        let at_least = retry_after.map_or(0, |asked| self.believed(asked));
        let is_set_aside = outcome == Outcome::Abandoned && self.settings.abandonment == AbandonedPolicy::Judge;
        match (self.state, verdict) {
            (State::HalfOpen, None) => self.lose_probe(is_set_aside.then_some(is_unanswered)),
            (State::HalfOpen, Some(failed)) => self.judge_probe(failed, slow, at_least),
            (State::Closed | State::Shadow, None) if is_set_aside && is_unanswered => {
                self.unanswered += 1;
                self.evaluate(For::Trip(0));
            }
            (State::Closed | State::Shadow, Some(failed)) => {
                if is_counted {
                    self.mark_failed(call.number, failed);
                } else {
                    self.seen.push(Seen { at: self.now, failed, slow, call: None });
                }
                self.unanswered = 0;
                self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
                self.judge(failed, has_asked, at_least);
            }
            _ => {}
        }
    }

    /// A followed call was counted as slow; now it failed as well.
    fn mark_failed(&mut self, number: u64, has_failed: bool) {
        for seen in self.seen.iter_mut().filter(|seen| seen.call == Some(number)) {
            (seen.failed, seen.slow) = (has_failed, true);
        }
    }

    /// The open time that the dependency asked for; 0 asks for the configured one.
    fn believed(&self, asked: u64) -> u64 {
        match self.settings.retry_after {
            RetryAfterPolicy::Ignore => 0,
            _ => asked.min(self.settings.retry_after_max),
        }
    }

    fn judge(&mut self, failed: bool, has_asked: bool, at_least: u64) {
        let opens_at_once = has_asked && self.settings.retry_after == RetryAfterPolicy::OpensAtOnce;
        if opens_at_once && self.state == State::Closed {
            let open = if at_least == 0 { For::Trip(0) } else { For::Exactly(at_least) };
            self.enter(State::Open, Reason::RetryAfter, self.now, open);
            return;
        }
        if opens_at_once {
            self.announce(vec![Reason::RetryAfter], Some(at_least).filter(|asked| *asked > 0));
        }
        if failed || self.settings.evaluates_on == EvaluateOn::AnyCall {
            self.evaluate(For::Trip(at_least));
        }
    }
}
