//! One half-open round: how many probes may pass, and what their results decide.
//!
//! ```text
//!            while a place is free           success, failure
//!   ┌───────┐ ─────────────────▶ ┌─────────┐ ────────────────▶ a result: decides as soon as it is certain
//!   │ place │                    │ waiting │
//!   └───────┘ ◀───────────────── └─────────┘ ────────────────▶ lost: every place lost ──▶ Open
//!       ▲      it says nothing        │       its caller left
//!       │                             │ head of the response
//!       │      its place, once        ▼
//!       └─────────────────────── ┌─────────┐ ────────────────▶ a result
//!                                │ flowing │  the body ends
//!                                └─────────┘ ────────────────▶ flowed
//!                                             its caller left
//!
//!   at the limit, or when no place is left:
//!     results, flowing, flowed    ──▶ Close or Open by their rate; what flows or flowed is a success
//!     only waiting for its caller ──▶ stay: all places are given out anew, and the limit counts anew
//!     only waiting or lost        ──▶ Open
//!     nothing                     ──▶ stay, silently
//! ```
//!
//! The limit counts from the first probe, so that a round without traffic has none. The place of a probe whose response
//! flows, and one that was lost to a caller who left after a moment, is given out again, as many times in a round as there
//! are places: enough for a hedge and for calls beside streams, too few for a flood. A round of twice as many streams
//! waits for its limit. Of a limit on probes in flight, a response that flows takes no place at all. A probe that fails after
//! the body of its own request broke off says nothing, also while it flows: its place is free again.

use super::config::{HalfOpen, HalfOpenDecision, ProbeLimit, Rules, TimeoutTo};
use super::window::counts::Counts;
use crate::clock::Instant;
use crate::upload::Upload;
use std::collections::VecDeque;
use std::time::Duration;

/// The failure rate that reopens if no trip rule of the user can be met by the failures of a round.
const DEFAULT_FAILURE_RATE: f64 = 0.5;

/// Decision of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    Close,
    /// Probes failed or were slow.
    Open,
    /// No probe was answered. Whether one of them hung: then the open time grows.
    NoAnswer {
        has_hung: bool,
    },
}

/// How a probe without a result ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// It says nothing: its place is free again.
    Nothing,
    /// So does a failure of it, as the body of its own request broke off: its place is free again, also if it flowed.
    Excused,
    /// Its caller left before an answer. Whether it had lasted too long for one.
    Abandoned { is_unanswered: bool },
}

/// The probes of one round.
#[derive(Clone, Debug)]
pub(crate) struct Probes {
    /// When what is there decides; [`Instant::NEVER`] while nothing is.
    pub(crate) deadline: Instant,
    /// Probes that may still begin; negative where new settings have fewer places than were taken.
    left: i64,
    /// Places of this round, by the settings of now: more or fewer than it began with.
    places: u32,
    /// Probes without an answer so far.
    waiting: u32,
    /// Probes whose responses flow, and those that flowed until their callers had enough.
    flowing: u32,
    flowed: u32,
    /// Probes whose callers left: after a moment, and after they had waited long enough.
    left_early: u32,
    unanswered: u32,
    /// Places that were given out again, of probes that flow or whose callers left after a moment.
    again: u32,
    /// Probes whose handlers may wait for their callers' bodies, and when they began.
    uploads: Vec<(Instant, Upload)>,
    /// The newest results, as many as the decision looks at: (failed, slow).
    results: VecDeque<(bool, bool)>,
}

impl Probes {
    pub(crate) fn new(settings: &HalfOpen, now: Instant) -> Self {
        let places = settings.max_calls;
        Self {
            deadline: now.saturating_add(settings.timeout),
            left: places.into(),
            places,
            waiting: 0,
            flowing: 0,
            flowed: 0,
            left_early: 0,
            unanswered: 0,
            again: 0,
            uploads: Vec::new(),
            results: VecDeque::new(),
        }
    }

    /// Goes on under new settings, with as many places: never longer than `limit`, from now on.
    pub(crate) fn adopt(
        &mut self,
        now: Instant,
        limit: Duration,
        settings: &HalfOpen,
        rules: &Rules,
    ) -> Option<Decision> {
        self.deadline = self.deadline.min(now.saturating_add(limit));
        self.left += i64::from(settings.max_calls) - i64::from(self.places);
        self.places = settings.max_calls;
        self.when_over(settings, rules)
    }

    /// Takes a place, if there is one. The first probe has all of `limit`.
    pub(crate) fn try_begin(&mut self, now: Instant, limit: Duration, has_hanging: bool) -> bool {
        if !self.has_place(has_hanging) {
            return false;
        }
        if self.is_empty() {
            self.deadline = now.saturating_add(limit);
        }
        self.left -= 1;
        self.waiting += 1;
        true
    }

    /// Returns whether a probe may begin. While probes of earlier rounds hang, they do so one by one.
    pub(crate) fn has_place(&self, has_hanging: bool) -> bool {
        self.left > 0 && (self.waiting == 0 || !has_hanging)
    }

    /// Probes without an answer so far.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting
    }

    fn is_empty(&self) -> bool {
        self.waiting + self.flowing + self.flowed == 0 && self.results.is_empty()
    }

    /// The handler of a probe that has just begun may wait for its caller's body.
    pub(crate) fn follow_upload(&mut self, upload: Upload, now: Instant) {
        self.uploads.retain(|(_, upload)| !upload.is_over());
        self.uploads.push((now, upload));
    }

    /// The response of a probe flows.
    pub(crate) fn flow(&mut self, settings: &HalfOpen) {
        self.waiting -= 1;
        self.flowing += 1;
        if settings.limit == ProbeLimit::InFlight || self.is_given_again() {
            self.give_back();
        }
    }

    /// Returns whether one more place may be given out again.
    fn is_given_again(&mut self) -> bool {
        self.again += 1;
        self.again <= self.places
    }

    /// Takes back that a place was given out again; returns whether it was not, as others were.
    fn is_kept(&mut self) -> bool {
        let is_kept = self.again > self.places;
        self.again = self.again.saturating_sub(1);
        is_kept
    }

    /// A place is free again. They are never more than the round has: it may have given them out anew.
    fn give_back(&mut self) {
        self.left = (self.left + 1).min(self.places.into());
    }

    fn end(&mut self, was_flowing: bool) {
        *(if was_flowing { &mut self.flowing } else { &mut self.waiting }) -= 1;
    }

    /// A probe ended without a result.
    pub(crate) fn lose(
        &mut self,
        was_flowing: bool,
        lost: Lost,
        settings: &HalfOpen,
        rules: &Rules,
    ) -> Option<Decision> {
        self.end(was_flowing);
        let is_free_again = match lost {
            Lost::Nothing if was_flowing => {
                self.flowed += 1;
                false
            }
            Lost::Nothing => true,
            Lost::Excused => !was_flowing || settings.limit != ProbeLimit::InFlight && self.is_kept(),
            Lost::Abandoned { is_unanswered: true } => {
                self.unanswered += 1;
                settings.limit == ProbeLimit::InFlight && !was_flowing
            }
            Lost::Abandoned { is_unanswered: false } => {
                self.left_early += 1;
                !was_flowing && self.is_given_again()
            }
        };
        if is_free_again {
            self.give_back();
        }
        self.when_over(settings, rules)
    }

    /// A probe ended with a result.
    pub(crate) fn finish(
        &mut self,
        was_flowing: bool,
        (failed, slow): (bool, bool),
        settings: &HalfOpen,
        rules: &Rules,
    ) -> Option<Decision> {
        self.end(was_flowing);
        if settings.limit == ProbeLimit::InFlight && !was_flowing {
            self.give_back();
        }
        self.results.push_back((failed, slow));
        let decided = match settings.decision {
            HalfOpenDecision::Rate { calls } => {
                self.keep(calls);
                self.by_rate(calls, settings.is_early, rules)
            }
            HalfOpenDecision::ConsecutiveSuccesses { calls } => self.by_successes(calls, calls, rules),
            HalfOpenDecision::Successes { successes, of } => self.by_successes(successes, of, rules),
        };
        decided.or_else(|| self.when_over(settings, rules))
    }

    /// The decision at the limit, that lasts so long; `None` to stay, as nothing has begun, or nothing but uploads.
    pub(crate) fn at_limit(
        &mut self,
        now: Instant,
        limit: Duration,
        settings: &HalfOpen,
        rules: &Rules,
    ) -> Option<Decision> {
        match settings.timeout_to {
            TimeoutTo::Closed => return Some(Decision::Close),
            TimeoutTo::Open => {}
        }
        if self.waits_for_callers(now, limit) {
            (self.left, self.again, self.deadline) = (self.places.into(), 0, now.saturating_add(limit));
            return None;
        }
        let decided = self.by_what_is_there(settings, rules);
        if decided.is_none() {
            self.deadline = Instant::NEVER;
        }
        decided
    }

    /// Returns whether there are probes only that have not lasted for so long without the waits for their callers.
    fn waits_for_callers(&self, now: Instant, limit: Duration) -> bool {
        let is_excused = |(began, upload): &&(Instant, Upload)| {
            let lasted = now.saturating_duration_since(began.saturating_add(upload.waited_until(now)));
            !upload.is_over() && lasted < limit
        };
        let is_undecided = self.results.is_empty() && self.flowing + self.flowed == 0 && self.waiting > 0;
        is_undecided && self.uploads.iter().filter(is_excused).count() == self.waiting as usize
    }

    /// The decision of a round that no further probe can come to, or that has seen as many end as it has places.
    fn when_over(&self, settings: &HalfOpen, rules: &Rules) -> Option<Decision> {
        let is_over = self.flowed >= self.places
            || self.unanswered >= self.places && self.flowing == 0
            || self.left <= 0 && self.waiting + self.flowing == 0;
        is_over.then(|| self.by_what_is_there(settings, rules)).flatten()
    }

    /// The results so far decide; those that flow are successes. Without any it is the callers who left.
    fn by_what_is_there(&self, settings: &HalfOpen, rules: &Rules) -> Option<Decision> {
        let counts = self.counts();
        let counts = Counts { calls: counts.calls + u64::from(self.flowing + self.flowed), ..counts };
        if counts.calls == 0 {
            let has_hung = self.unanswered + self.waiting > 0;
            return (has_hung || self.left_early > 0).then_some(Decision::NoAnswer { has_hung });
        }
        let is_bad = match settings.decision {
            HalfOpenDecision::Rate { .. } => is_exceeded(rules, counts),
            _ => counts.failed > 0 || counts.slow > 0 && rules.slow_call_rate.is_some(),
        };
        Some(if is_bad { Decision::Open } else { Decision::Close })
    }

    fn keep(&mut self, results: u32) {
        let gone = self.results.len().saturating_sub(results as usize);
        self.results.drain(..gone);
    }

    /// Over `calls` results; early if the missing ones cannot change it.
    fn by_rate(&self, calls: u32, is_early: bool, rules: &Rules) -> Option<Decision> {
        let counts = self.counts();
        let all = u64::from(calls);
        let missing = all.saturating_sub(counts.calls);
        if missing > 0 && !is_early {
            return None;
        }
        let total = counts.calls.max(all);
        let best = Counts { calls: total, ..counts };
        let worst = Counts { calls: total, failed: counts.failed + missing, slow: counts.slow + missing };
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
        let finish = |result: &(bool, bool)| {
            probes.try_begin(Instant::default(), Duration::MAX, false);
            probes.finish(false, *result, &config.half_open, &config.rules)
        };
        results.iter().map(finish).collect()
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
