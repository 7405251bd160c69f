//! A half-open round, and what its results decide.

use super::Reference;
use backstop::circuit_breaker::{HalfOpenDecision, ProbeLimit, Reason, State};

/// The failure rate that fails a round of probes in which no rule of the user's on failures can be met.
const DEFAULT_RATE: f64 = 0.5;

impl Reference {
    pub(super) fn judge_probe(&mut self, failed: bool, slow: bool, retry_after: Option<u64>) {
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
            Some(true) => self.enter(State::Closed, Reason::ProbesSucceeded, self.now, None),
            Some(false) => self.enter(State::Open, Reason::ProbesFailed, self.now, retry_after),
            None => {}
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
