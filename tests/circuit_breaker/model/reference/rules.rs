//! What is in the window, and which rules it meets.

use super::{For, Reference, Seen, UNKNOWN_WAIT};
use crate::model::settings::Window;
use backstop::circuit_breaker::{AbandonedPolicy, Reason, State};

impl Reference {
    pub(super) fn is_judging(&self) -> bool {
        matches!(self.state, State::Closed | State::Shadow)
    }

    /// What is in the window now.
    pub(super) fn window(&self) -> &[Seen] {
        let start = match self.settings.window {
            Window::Count { calls } => self.seen.len().saturating_sub(calls as usize),
            Window::Time { width, buckets } => {
                let oldest = (self.now / width + 1).saturating_sub(u64::from(buckets));
                self.seen.iter().position(|seen| seen.at / width >= oldest).unwrap_or(self.seen.len())
            }
            Window::Tumbling { .. } => 0,
        };
        &self.seen[start..]
    }

    pub(super) fn counts(&self) -> (u64, u64, u64) {
        let seen = self.window();
        let count = |is: fn(&Seen) -> bool| seen.iter().filter(|seen| is(seen)).count() as u64;
        (seen.len() as u64, count(|seen| seen.failed), count(|seen| seen.slow))
    }

    pub(super) fn evaluate(&mut self, open: For) {
        let rules = &self.settings.rules;
        let (calls, failed, slow) = self.counts();
        let has = |minimum: u32| calls > 0 && calls >= u64::from(minimum);
        let judges = self.settings.abandonment == AbandonedPolicy::Judge;
        let share = |part: u64, all: u64| part as f64 / all as f64;
        let mut met = Vec::new();
        if has(rules.minimum) && rules.failure_rate.is_some_and(|rate| share(failed, calls) >= rate) {
            met.push(Reason::FailureRate);
        }
        if has(rules.failures_minimum) && rules.failures.is_some_and(|most| failed >= u64::from(most)) {
            met.push(Reason::FailureCount);
        }
        if rules.in_a_row.is_some_and(|most| self.in_a_row >= most) {
            met.push(Reason::ConsecutiveFailures);
        }
        if has(rules.slow_minimum) && rules.slow_rate.is_some_and(|rate| share(slow, calls) >= rate) {
            met.push(Reason::SlowCallRate);
        }
        let most_unanswered = rules.in_a_row.unwrap_or(rules.minimum);
        if judges && self.unanswered >= most_unanswered {
            met.push(Reason::NoAnswer);
        }
        match (self.state, met.first()) {
            (State::Closed, Some(reason)) => self.enter(State::Open, *reason, self.now, open),
            (State::Shadow, Some(_)) => self.announce(met, None),
            _ => {}
        }
    }

    pub(super) fn announce(&mut self, met: Vec<Reason>, asked: Option<u64>) {
        let wait = self.wait(1).unwrap_or(UNKNOWN_WAIT);
        if self.now >= self.would_reject_until {
            if self.now >= self.would_reject_until.saturating_add(wait) {
                self.announced.clear(); // another incident
            }
            self.would_reject_until = self.now + asked.unwrap_or(wait);
        }
        for reason in met {
            if !self.announced.contains(&reason) {
                self.announced.push(reason);
                self.tell(State::Shadow, State::Shadow, reason, self.now, self.evidence());
            }
        }
    }
}
