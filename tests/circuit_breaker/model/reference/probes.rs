//! A half-open round, and what its results decide.

use super::{For, Reference};
use backstop::circuit_breaker::{HalfOpenDecision, ProbeLimit, Reason, State, TimeoutTo};

/// The failure rate that fails a round of probes in which no rule of the user's on failures can be met.
const DEFAULT_RATE: f64 = 0.5;

impl Reference {
    pub(super) fn judge_probe(&mut self, failed: bool, slow: bool, at_least: u64) {
        let half_open = &self.settings.half_open;
        let decision = half_open.decision;
        self.round.in_flight -= 1;
        self.round.used_up += u32::from(half_open.limit == ProbeLimit::PerRound);
        self.round.results.push((failed, slow));
        let kept = match decision {
            HalfOpenDecision::Rate { calls } | HalfOpenDecision::ConsecutiveSuccesses { calls } => calls as usize,
            HalfOpenDecision::Successes { of, .. } => of as usize,
            _ => unreachable!("the strategy knows three"),
        };
        let gone = self.round.results.len().saturating_sub(kept);
        self.round.results.drain(..gone);
        let verdict = match decision {
            HalfOpenDecision::Rate { calls } => self.by_rate(u64::from(calls)),
            HalfOpenDecision::ConsecutiveSuccesses { calls } => self.by_successes(calls as usize, calls as usize),
            HalfOpenDecision::Successes { successes, of } => self.by_successes(successes as usize, of as usize),
            _ => unreachable!("the strategy knows three"),
        };
        match verdict {
            Some(true) => self.enter(State::Closed, Reason::ProbesSucceeded, self.now, For::Trip(0)),
            Some(false) => self.enter(State::Open, Reason::ProbesFailed, self.now, For::Trip(at_least)),
            None => self.end_without_places(at_least),
        }
    }

    /// A probe ended without a result: its caller left, after it had waited long enough or not; or it says nothing.
    pub(super) fn lose_probe(&mut self, left: Option<bool>) {
        let is_per_round = self.settings.half_open.limit == ProbeLimit::PerRound;
        self.round.in_flight -= 1;
        match left {
            None => {}
            Some(true) => {
                self.round.unanswered += 1;
                self.round.used_up += u32::from(is_per_round);
            }
            Some(false) => {
                self.round.left_early += 1;
                self.round.used_up += u32::from(self.round.left_early > self.round.places);
            }
        }
        self.end_without_places(0);
    }

    pub(super) fn has_place(&self) -> bool {
        let round = &self.round;
        round.places > round.in_flight + round.used_up && (self.hanging == 0 || round.in_flight == 0)
    }

    /// The time that a round has from its first probe on.
    pub(super) fn limit(&self) -> u64 {
        self.settings.half_open.timeout.max(self.settings.unanswered_after)
    }

    pub(super) fn end_without_places(&mut self, at_least: u64) {
        let round = &self.round;
        if round.unanswered >= round.places || round.in_flight == 0 && round.used_up >= round.places {
            self.end_by_what_is_there(Reason::ProbesFailed, Reason::NoAnswer, self.now, at_least);
        }
    }

    /// The end of a round at its limit.
    pub(super) fn end_round(&mut self) {
        let Some(due) = self.round.until.filter(|due| self.state == State::HalfOpen && *due <= self.now) else {
            return;
        };
        let waiting = self.round.in_flight;
        if self.settings.half_open.timeout_to == TimeoutTo::Closed {
            self.enter(State::Closed, Reason::HalfOpenTimeout, due, For::Trip(0));
        } else {
            self.round.until = None;
            self.end_by_what_is_there(Reason::HalfOpenTimeout, Reason::HalfOpenTimeout, due, 0);
            self.hanging += if self.state == State::Open { waiting } else { 0 };
        }
    }

    fn end_by_what_is_there(&mut self, failed: Reason, no_answer: Reason, at: u64, at_least: u64) {
        let (calls, failures, slow) = self.probes();
        let by_rate = matches!(self.settings.half_open.decision, HalfOpenDecision::Rate { .. });
        let slow_is_bad = self.settings.rules.slow_rate.is_some();
        let is_bad = if by_rate { self.is_bad(calls, failures, slow) } else { failures > 0 || slow > 0 && slow_is_bad };
        let (hung, early) = (self.round.unanswered + self.round.in_flight, self.round.left_early);
        match calls {
            0 if hung > 0 => self.enter(State::Open, no_answer, at, For::Trip(0)),
            0 if early > 0 => self.enter(State::Open, no_answer, at, For::SameAgain),
            0 => {}
            _ if is_bad => self.enter(State::Open, failed, at, For::Trip(at_least)),
            _ => self.enter(State::Closed, Reason::ProbesSucceeded, at, For::Trip(0)),
        }
    }

    /// Tries every way in which the missing results may still turn out: certain is what all of them agree on.
    fn by_rate(&self, calls: u64) -> Option<bool> {
        let (done, failed, slow) = self.probes();
        let missing = calls.saturating_sub(done);
        if missing > 0 && !self.settings.half_open.is_early {
            return None;
        }
        let outcomes: Vec<bool> = (0..=missing)
            .flat_map(|more_failed| (0..=missing).map(move |more_slow| (more_failed, more_slow)))
            .map(|(more_failed, more_slow)| !self.is_bad(done + missing, failed + more_failed, slow + more_slow))
            .collect();
        outcomes.iter().all(|closes| *closes == outcomes[0]).then_some(outcomes[0])
    }

    fn is_bad(&self, calls: u64, failed: u64, slow: u64) -> bool {
        let rules = &self.settings.rules;
        let share = |part: u64| part as f64 / calls as f64;
        let no_rule = rules.failure_rate.is_none() && rules.failures.is_none_or(|most| u64::from(most) > calls);
        let by_default = no_rule && share(failed) >= DEFAULT_RATE;
        by_default
            || rules.failure_rate.is_some_and(|rate| share(failed) >= rate)
            || rules.slow_rate.is_some_and(|rate| share(slow) >= rate)
            || rules.failures.is_some_and(|most| failed >= u64::from(most))
    }

    /// A slow probe is no success where slow calls trip.
    fn by_successes(&self, needed: usize, of: usize) -> Option<bool> {
        let is_bad = |(failed, slow): &&(bool, bool)| *failed || *slow && self.settings.rules.slow_rate.is_some();
        let results = &self.round.results[self.round.results.len().saturating_sub(of)..];
        let bad = results.iter().filter(is_bad).count();
        if results.len() - bad >= needed {
            Some(true)
        } else if bad > of - needed {
            Some(false)
        } else {
            None
        }
    }

    pub(super) fn probes(&self) -> (u64, u64, u64) {
        let results = &self.round.results;
        let failed = results.iter().filter(|(failed, _)| *failed).count();
        let slow = results.iter().filter(|(_, slow)| *slow).count();
        (results.len() as u64, failed as u64, slow as u64)
    }
}
