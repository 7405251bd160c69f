//! One half-open round: how many probes may pass, and what their results decide.

use super::config::{HalfOpen, HalfOpenDecision, ProbeLimit, Rules};
use super::window::counts::Counts;
use crate::clock::Instant;
use std::collections::VecDeque;

/// The failure rate that reopens where no trip rule of the user's can be met by the failures of a round.
const DEFAULT_FAILURE_RATE: f64 = 0.5;

/// Decision of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Close,
    Open,
}

/// The probes of one round.
#[derive(Clone, Debug)]
pub(crate) struct Probes {
    pub(crate) deadline: Instant,
    /// Probes that may still begin.
    left: u32,
    /// Places that this round began with, or was given since.
    places: u32,
    /// The newest results, as many as the decision looks at: (failed, slow).
    results: VecDeque<(bool, bool)>,
}

impl Probes {
    pub(crate) fn new(settings: &HalfOpen, now: Instant) -> Self {
        let places = settings.max_calls;
        Self { deadline: now.saturating_add(settings.timeout), left: places, places, results: VecDeque::new() }
    }

    /// Goes on under new settings: never longer than they allow, and never without a place for a result they need.
    pub(crate) fn adopt(&mut self, settings: &HalfOpen, now: Instant) {
        self.deadline = self.deadline.min(now.saturating_add(settings.timeout));
        self.left += settings.max_calls.saturating_sub(self.places);
        self.places = self.places.max(settings.max_calls);
    }

    /// Takes a place, if there is one.
    pub(crate) fn try_begin(&mut self) -> bool {
        let has_place = self.left > 0;
        self.left = self.left.saturating_sub(1);
        has_place
    }

    pub(crate) fn has_place(&self) -> bool {
        self.left > 0
    }

    /// A probe ended without a result: its place can be taken again.
    pub(crate) fn give_back(&mut self) {
        self.left += 1;
    }

    /// A probe ended with a result.
    pub(crate) fn finish(&mut self, failed: bool, slow: bool, settings: &HalfOpen, rules: &Rules) -> Option<Decision> {
        if settings.limit == ProbeLimit::InFlight {
            self.left += 1;
        }
        self.results.push_back((failed, slow));
        match settings.decision {
            HalfOpenDecision::Rate { calls } => {
                self.keep(calls);
                self.by_rate(calls, settings.is_early, rules)
            }
            HalfOpenDecision::ConsecutiveSuccesses { calls } => self.by_successes(calls, calls, rules),
            HalfOpenDecision::Successes { successes, of } => self.by_successes(successes, of, rules),
        }
    }

    fn keep(&mut self, results: u32) {
        let gone = self.results.len().saturating_sub(results as usize);
        self.results.drain(..gone);
    }

    /// Over `calls` results; early where the missing ones cannot change it.
    fn by_rate(&self, calls: u32, is_early: bool, rules: &Rules) -> Option<Decision> {
        let counts = self.counts();
        let all = u64::from(calls);
        let missing = all.saturating_sub(counts.calls);
        if missing > 0 && !is_early {
            return None;
        }
        let total = counts.calls.max(all);
        let best = Counts { calls: total, ..counts };
        let worst = Counts { calls: total, failed: counts.failed + missing, slow: counts.slow + missing, ..counts };
        if is_exceeded(rules, best) {
            Some(Decision::Open)
        } else if is_exceeded(rules, worst) {
            None
        } else {
            Some(Decision::Close)
        }
    }

    fn by_successes(&mut self, successes: u32, of: u32, rules: &Rules) -> Option<Decision> {
        self.keep(of);
        // A circuit that opens because of slowness must not close because of a slow probe.
        let slow_is_bad = rules.slow_call_rate.is_some();
        let bad = self.results.iter().filter(|(failed, slow)| *failed || *slow && slow_is_bad).count();
        let good = self.results.len() - bad;
        if good >= successes as usize {
            Some(Decision::Close)
        } else if bad > (of - successes) as usize {
            Some(Decision::Open)
        } else {
            None
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let count = |mark: fn(&(bool, bool)) -> bool| self.results.iter().filter(|result| mark(result)).count() as u64;
        Counts {
            calls: self.results.len() as u64,
            failed: count(|(failed, _)| *failed),
            slow: count(|(_, slow)| *slow),
            abandoned: 0,
        }
    }
}

/// The trip rules over the results of probes, whatever their minimum.
fn is_exceeded(rules: &Rules, counts: Counts) -> bool {
    let reaches = |part: u64, rate: f64| part as f64 / counts.calls as f64 >= rate;
    let failure_rate = match (rules.failure_rate, rules.failure_count) {
        (Some(rate), _) => Some(rate.get()),
        (None, Some(failures)) if u64::from(failures) <= counts.calls => None,
        (None, _) => Some(DEFAULT_FAILURE_RATE),
    };
    failure_rate.is_some_and(|rate| reaches(counts.failed, rate))
        || rules.slow_call_rate.is_some_and(|rate| reaches(counts.slow, rate.get()))
        || rules.failure_count.is_some_and(|failures| counts.failed >= u64::from(failures))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circuit_breaker::config::CircuitBreakerConfig;

    fn decide(decision: HalfOpenDecision, early: bool, results: &[(bool, bool)]) -> Vec<Option<Decision>> {
        let config = CircuitBreakerConfig::builder()
            .slow_call_duration_threshold(std::time::Duration::from_secs(1))
            .slow_call_rate_threshold(0.5)
            .half_open_max_calls(4)
            .half_open_decision(decision)
            .half_open_early_decision(early)
            .build()
            .unwrap();
        let mut probes = Probes::new(&config.half_open, Instant::default());
        results.iter().map(|(failed, slow)| probes.finish(*failed, *slow, &config.half_open, &config.rules)).collect()
    }

    const OK: (bool, bool) = (false, false);
    const SLOW: (bool, bool) = (false, true);
    const BAD: (bool, bool) = (true, false);

    #[test]
    fn a_rate_is_decided_as_soon_as_it_is_certain() {
        let rate = HalfOpenDecision::Rate { calls: 4 };
        assert_eq!(decide(rate, true, &[BAD, BAD]), [None, Some(Decision::Open)]);
        assert_eq!(decide(rate, true, &[OK, SLOW, OK]), [None, None, None]);
        assert_eq!(decide(rate, true, &[OK, OK, OK]), [None, None, Some(Decision::Close)]);
        assert_eq!(decide(rate, false, &[SLOW, SLOW, SLOW, OK])[..3], [None, None, None]);
        assert_eq!(decide(rate, false, &[SLOW, SLOW, SLOW, OK])[3], Some(Decision::Open));
    }

    #[test]
    fn a_slow_probe_never_closes_a_circuit_with_a_slow_call_rule() {
        assert_eq!(decide(HalfOpenDecision::ConsecutiveSuccesses { calls: 1 }, true, &[SLOW]), [Some(Decision::Open)]);
        let ratio = HalfOpenDecision::Successes { successes: 3, of: 4 };
        assert_eq!(decide(ratio, true, &[SLOW, OK, SLOW]), [None, None, Some(Decision::Open)]);
    }
}
