//! How a call begins and ends.

use super::{Call, Reference, Seen, What};
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
            is_timed: self.settings.slow_after.is_some(),
        };
        if self.settings.follows && self.is_judging() {
            self.followed.push((call.number, self.now, false));
        }
        call
    }

    pub(super) fn record(&mut self, call: &Call, outcome: Outcome, slow: bool, retry_after: Option<u64>) {
        if call.generation != self.generation {
            self.totals.stale += 1;
            return;
        }
        let is_panic_ignored = outcome == Outcome::Panicked && self.settings.on_panic == PanicPolicy::Ignore;
        let verdict = match outcome {
            Outcome::Success => Some(false),
            Outcome::Failure => Some(true),
            Outcome::Panicked if !is_panic_ignored => Some(true),
            Outcome::Abandoned if self.settings.abandonment == AbandonedPolicy::Failure => Some(true),
            Outcome::Abandoned if self.settings.abandonment == AbandonedPolicy::Judge && slow => Some(true),
            _ => None,
        };
        match outcome {
            Outcome::Success => self.totals.successful += 1,
            Outcome::Abandoned => self.totals.abandoned += 1,
            Outcome::Failure => self.totals.failed += 1,
            Outcome::Panicked if !is_panic_ignored => self.totals.failed += 1,
            _ => self.totals.ignored += 1,
        }
        match (outcome, verdict) {
            (Outcome::Success, _) => self.totals.slow_successful += u64::from(slow),
            (Outcome::Failure | Outcome::Panicked, Some(_)) => self.totals.slow_failed += u64::from(slow),
            _ => {}
        }
        let is_counted = self.followed.iter().any(|(number, _, is_counted)| *number == call.number && *is_counted);
        self.followed.retain(|(number, ..)| *number != call.number);
        let has_asked = retry_after.is_some();
        let retry_after = retry_after.and_then(|asked| self.believed(asked));
        let is_set_aside = outcome == Outcome::Abandoned && self.settings.abandonment == AbandonedPolicy::Judge;
        match (self.state, verdict) {
            (State::HalfOpen, None) => self.round.in_flight -= 1,
            (State::HalfOpen, Some(failed)) => self.judge_probe(failed, slow, retry_after),
            (State::Closed | State::Shadow, None) if is_set_aside => {
                self.seen.push(Seen { at: self.now, what: What::Abandoned, call: None });
                self.forget_abandoned();
                self.evaluate(None);
            }
            (State::Closed | State::Shadow, Some(failed)) => {
                if is_counted {
                    self.mark_failed(call.number, failed);
                } else {
                    self.seen.push(Seen { at: self.now, what: What::Call { failed, slow }, call: None });
                }
                self.in_a_row = if failed { self.in_a_row + 1 } else { 0 };
                self.judge(failed, has_asked, retry_after);
            }
            _ => {}
        }
    }

    /// A followed call was counted as slow; now it failed as well.
    fn mark_failed(&mut self, number: u64, has_failed: bool) {
        for seen in self.seen.iter_mut().filter(|seen| seen.call == Some(number)) {
            seen.what = What::Call { failed: has_failed, slow: true };
        }
    }

    /// The open time that the dependency asked for; 0 asks for the configured one.
    fn believed(&self, asked: u64) -> Option<u64> {
        let is_believed = self.settings.retry_after != RetryAfterPolicy::Ignore && asked > 0;
        is_believed.then(|| asked.min(self.settings.retry_after_max))
    }

    fn judge(&mut self, failed: bool, has_asked: bool, retry_after: Option<u64>) {
        let opens_at_once = has_asked && self.settings.retry_after == RetryAfterPolicy::OpensAtOnce;
        if opens_at_once && self.state == State::Closed {
            self.enter(State::Open, Reason::RetryAfter, self.now, retry_after);
        } else if failed || self.settings.evaluates_on == EvaluateOn::AnyCall {
            self.evaluate(retry_after);
        }
    }
}
