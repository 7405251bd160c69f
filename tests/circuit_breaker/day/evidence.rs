//! Evidence against a circuit that stays closed in an outage.

use super::laws::End;
use super::plan::{Fault, seconds};
use super::recipe::{Evidence, Recipe};
use backstop::clock::Instant;
use std::collections::VecDeque;

/// Windows that a share of a tenth above the threshold may need, by chance. Of 20 calls, the smallest minimum, one
/// window in eight is below it.
const WINDOWS: u16 = 20;

/// Calls until five failures in a row, where half fail: all but one in 100,000 times.
const CALLS_TO_A_ROW: u64 = 700;

/// Outcomes since an outage began, the circuit closed, or a call of better times was answered.
pub(crate) struct Watch {
    since: Instant,
    bad: u64,
    outcomes: u64,
    recent: VecDeque<Instant>,
    /// Since when a window of time has been full.
    full_since: Option<Instant>,
}

impl Watch {
    pub(crate) fn new(since: Instant) -> Self {
        Self { since, bad: 0, outcomes: 0, recent: VecDeque::new(), full_since: None }
    }

    /// Takes in an outcome. Returns whether the circuit should be open by now.
    pub(crate) fn is_overdue(
        &mut self,
        recipe: Recipe,
        fault: Fault,
        (end, in_outage): (End, bool),
        now: Instant,
    ) -> bool {
        let counts = match fault {
            Fault::Hangs => (end == End::Unanswered).then_some(true),
            Fault::Fails | Fault::FailsInPart(_) => matches!(end, End::Good | End::Bad).then_some(end == End::Bad),
        };
        let is_answer = matches!(end, End::Good | End::Bad);
        match fault {
            Fault::Hangs if is_answer => *self = Self::new(now),
            Fault::Fails if end == End::Good => *self = Self::new(now),
            Fault::FailsInPart(_) if is_answer && !in_outage => *self = Self::new(now),
            _ => {}
        }
        let Some(is_bad) = counts.filter(|_| in_outage) else { return false };
        self.outcomes += 1;
        self.bad += u64::from(is_bad);
        let minimum = recipe.minimum_calls();
        match (fault, recipe.evidence()) {
            (Fault::Hangs, _) => self.bad >= minimum,
            (Fault::Fails, Evidence::Last(calls)) => self.bad >= minimum.max(calls / 2),
            (Fault::Fails, Evidence::Row(calls)) => self.bad >= calls,
            (Fault::FailsInPart(_), Evidence::Last(calls)) => self.outcomes >= u64::from(WINDOWS) * calls,
            (Fault::FailsInPart(_), Evidence::Row(_)) => self.outcomes >= CALLS_TO_A_ROW,
            (_, Evidence::Seconds(length, bucket)) => {
                self.look_back(now, length, length - bucket, minimum);
                let windows = if fault == Fault::Fails { 0.0 } else { f64::from(WINDOWS) };
                self.full_since.is_some_and(|since| now.saturating_duration_since(since) >= seconds(windows * length))
            }
        }
    }

    /// Whether everything older has left the window, and enough is in the part of it that is certain.
    fn look_back(&mut self, now: Instant, length: f64, certain: f64, minimum: u64) {
        self.recent.push_back(now);
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) > seconds(certain)) {
            self.recent.pop_front();
        }
        let is_full =
            now.saturating_duration_since(self.since) > seconds(length) && self.recent.len() as u64 >= minimum;
        self.full_since = if is_full { self.full_since.or(Some(now)) } else { None };
    }
}
