//! What is in the window, and which rules it meets.

use super::{Reference, Seen, UNKNOWN_WAIT, What};
use crate::model::settings::Window;
use backstop::circuit_breaker::{AbandonedPolicy, Reason, State};

impl Reference {
    pub(super) fn is_judging(&self) -> bool {
        matches!(self.state, State::Closed | State::Shadow)
    }

    /// What is in the window now.
    pub(super) fn window(&self) -> &[Seen] {
        let calls = self.seen.iter().filter(|seen| seen.what != What::Abandoned).count();
        let start = match self.settings.window {
            Window::Count { calls: size } => {
                // An abandoned call leaves with the call before it.
                let gone = calls.saturating_sub(size as usize);
                let is_call = |i: &usize| self.seen[*i].what != What::Abandoned;
                if gone == 0 { 0 } else { (0..self.seen.len()).filter(is_call).nth(gone).unwrap_or(0) }
            }
            Window::Time { width, buckets } => {
                let oldest = (self.now / width + 1).saturating_sub(u64::from(buckets));
                self.seen.iter().position(|seen| seen.at / width >= oldest).unwrap_or(self.seen.len())
            }
            Window::Tumbling { .. } => 0,
        };
        &self.seen[start..]
    }

    /// A count window knows at most as many abandoned calls as it has places.
    pub(super) fn forget_abandoned(&mut self) {
        let Window::Count { calls } = self.settings.window else { return };
        let is_abandoned = |seen: &Seen| seen.what == What::Abandoned;
        let known = self.seen.iter().filter(|seen| is_abandoned(seen)).count();
        for _ in calls as usize..known {
            let oldest = self.seen.iter().position(is_abandoned).expect("it was counted");
            self.seen.remove(oldest);
        }
    }

    pub(super) fn counts(&self) -> (u64, u64, u64, u64) {
        let seen = self.window();
        let count = |is: fn(&What) -> bool| seen.iter().filter(|seen| is(&seen.what)).count() as u64;
        (
            count(|what| *what != What::Abandoned),
            count(|what| matches!(what, What::Call { failed: true, .. })),
            count(|what| matches!(what, What::Call { slow: true, .. })),
            count(|what| *what == What::Abandoned),
        )
    }

    pub(super) fn evaluate(&mut self, retry_after: Option<u64>) {
        let rules = &self.settings.rules;
        let (calls, failed, slow, abandoned) = self.counts();
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
        let all = calls + abandoned;
        let is_enough = abandoned > 0 && all >= u64::from(rules.minimum);
        if judges && is_enough && share(abandoned, all) >= rules.abandoned_rate {
            met.push(Reason::AbandonedRate);
        }
        match (self.state, met.first()) {
            (State::Closed, Some(reason)) => self.enter(State::Open, *reason, self.now, retry_after),
            (State::Shadow, Some(_)) => self.announce(met),
            _ => {}
        }
    }

    fn announce(&mut self, met: Vec<Reason>) {
        if self.now >= self.would_reject_until {
            self.would_reject_until = self.now + self.wait(1).unwrap_or(UNKNOWN_WAIT);
        }
        for reason in met {
            if !self.announced.contains(&reason) {
                self.announced.push(reason);
                self.tell(State::Shadow, State::Shadow, reason, self.now, self.evidence());
            }
        }
    }
}
