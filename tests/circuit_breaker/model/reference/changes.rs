//! What a change of state does, and what it leaves as evidence.

use super::{Evidence, For, Open, Reference, Round, Told, after};
use crate::model::settings::{Wait, Window};
use backstop::circuit_breaker::{HalfOpenDecision, Reason, State};

impl Reference {
    pub(super) fn evidence(&self) -> Evidence {
        let rules = &self.settings.rules;
        let half_open = &self.settings.half_open;
        let ((calls, failed, slow), minimum, slow_minimum) = match self.state {
            State::Open => return self.open.evidence,
            State::HalfOpen => {
                let minimum = match half_open.decision {
                    HalfOpenDecision::Rate { calls } => calls,
                    _ => half_open.places,
                };
                (self.probes(), minimum, minimum)
            }
            _ => (self.counts(), rules.minimum, rules.slow_minimum),
        };
        let rate =
            |part: u64, minimum: u32| (calls > 0 && calls >= u64::from(minimum)).then(|| part as f64 / calls as f64);
        let (failure_rate, slow_rate) = (rate(failed, minimum), rate(slow, slow_minimum));
        Evidence { calls, failed, slow, unanswered: self.unanswered, failure_rate, slow_rate, attempts: self.attempts }
    }

    /// The open time after this many trips; `None` where a function has to be asked.
    pub(super) fn wait(&self, trips: u32) -> Option<u64> {
        match self.settings.open_time {
            Wait::Fixed(wait) => Some(wait),
            Wait::Doubling(initial, max) => {
                Some((0..trips.saturating_sub(1)).fold(initial, |wait, _| (2 * wait).min(max)))
            }
            Wait::Asked(_) => None,
        }
    }

    pub(super) fn enter(&mut self, to: State, reason: Reason, at: u64, open: For) {
        let (from, evidence) = (self.state, self.evidence());
        self.generation += 1;
        self.followed.clear();
        self.state = to;
        match to {
            State::Open => {
                let (at_least, wait) = match open {
                    For::Exactly(wait) => (0, Some(wait)),
                    For::SameAgain => {
                        self.trips = self.trips.max(1);
                        (0, self.wait(self.trips))
                    }
                    For::Trip(at_least) => {
                        self.trips += 1;
                        let is_first = self.trips == 1 && at_least > 0;
                        let wait = if is_first { Some(at_least) } else { self.wait(self.trips) };
                        (at_least, wait.map(|wait| wait.max(at_least)))
                    }
                };
                let until = wait.and_then(|wait| after(at, wait));
                self.open = Open { since: at, until, at_least, asks: wait.is_none(), evidence };
            }
            State::HalfOpen => {
                self.attempts += 1;
                let half_open = &self.settings.half_open;
                let until = after(at, half_open.timeout);
                self.round = Round { places: half_open.places, until, ..Round::default() };
            }
            State::Closed => (self.trips, self.attempts) = (0, 0),
            State::ForcedOpen | State::Disabled => {}
            State::Shadow => self.would_reject_until = at,
        }
        if !matches!(to, State::Open | State::HalfOpen) {
            self.seen.clear();
            (self.in_a_row, self.unanswered, self.hanging) = (0, 0, 0);
            self.announced.clear();
            self.interval_began = at;
            if let Window::Tumbling { interval } = self.settings.window
                && self.now - at > interval
            {
                self.interval_began = self.now;
            }
        }
        if from != to {
            self.tell(from, to, reason, at, evidence);
        }
    }

    pub(super) fn tell(&mut self, from: State, to: State, reason: Reason, at: u64, evidence: Evidence) {
        let sequence = self.told.len() as u64 + 1;
        self.told.push(Told { from, to, reason, at, sequence, evidence });
    }
}
