//! State machine of one check: its status after each result.
//!
//! ```text
//!           success_threshold passes in a row
//!  Pending ──────────────────────────────────▶ Passing ◀─┐
//!     │                                           │      │ success_threshold passes in a row
//!     │ failure_threshold failures in a row       ▼      │
//!     └────────────────────────────────────────▶ Failing ┘
//! ```
//!
//! A result that is not renewed for three periods and a timeout is stale, and shown as a failure until the next one.

use super::event::Event;
use super::report::CheckReport;
use super::state::{Reason, Role, Status};
use crate::clock::Instant;
use std::sync::Arc;
use std::time::Duration;

/// A check that was declared, with its settings checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) name: &'static str,
    pub(super) role: Role,
    pub(super) period: Duration,
    pub(super) timeout: Duration,
    pub(super) failure_threshold: u32,
    pub(super) success_threshold: u32,
}

/// A failed run: its reason, and the text of the check's error, for the log and listeners.
pub(super) type Failure = (Reason, Option<Arc<str>>);

/// One check.
#[derive(Debug)]
pub(super) struct Machine {
    settings: Settings,
    /// As of the last result.
    last: CheckReport,
    /// Time of the last result.
    at: Option<Instant>,
    /// Passes in a row.
    passes: u32,
}

impl Machine {
    pub(super) fn new(settings: Settings) -> Self {
        let Settings { name, role, .. } = settings;
        let last =
            CheckReport { name, role, status: Status::Pending, reason: None, failures: 0, age: None, took: None };
        Self { settings, last, at: None, passes: 0 }
    }

    /// Counts the result of a run; `Some` if it changes the status.
    pub(super) fn record(&mut self, result: Result<(), Failure>, begun: Instant, now: Instant) -> Option<Event> {
        let last = &mut self.last;
        let from = last.status;
        self.at = Some(now);
        last.took = Some(now.saturating_duration_since(begun));
        let error = match result {
            Ok(()) => {
                (self.passes, last.failures) = (self.passes.saturating_add(1), 0);
                if self.passes >= self.settings.success_threshold {
                    (last.status, last.reason) = (Status::Passing, None);
                }
                None
            }
            Err((reason, error)) => {
                (self.passes, last.failures) = (0, last.failures.saturating_add(1));
                last.reason = Some(reason);
                if last.failures >= self.settings.failure_threshold {
                    last.status = Status::Failing;
                }
                error
            }
        };
        let CheckReport { name: check, role, status: to, reason, .. } = *last;
        (from != to).then_some(Event { check, role, from, to, reason, error, at: now })
    }

    /// Returns whether it needs no more runs: a startup check that has passed.
    pub(super) fn is_over(&self) -> bool {
        self.settings.role == Role::Startup && self.last.status == Status::Passing
    }

    pub(super) fn report(&self, now: Instant) -> CheckReport {
        let Settings { period, timeout, .. } = self.settings;
        let mut report = self.last.clone();
        report.age = self.at.map(|at| now.saturating_duration_since(at));
        if !self.is_over() && report.age.is_some_and(|age| age > period * 3 + timeout) {
            (report.status, report.reason) = (Status::Failing, Some(Reason::Stale));
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        name: "stock",
        role: Role::Readiness,
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        failure_threshold: 3,
        success_threshold: 2,
    };

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// Gives it a result every ten seconds; returns the changes as (result, to).
    fn play(machine: &mut Machine, results: &str) -> Vec<(usize, Status)> {
        let mut changes = Vec::new();
        for (run, result) in results.chars().enumerate() {
            let now = at(run as u64 * 10);
            let result = if result == '+' { Ok(()) } else { Err((Reason::Failed, None)) };
            changes.extend(machine.record(result, now, now).map(|event| (run, event.to)));
        }
        changes
    }

    #[test]
    fn thresholds_count_results_in_a_row() {
        use Status::{Failing, Passing};
        for (results, expected) in [
            ("+", vec![]),
            ("++", vec![(1, Passing)]),
            ("+-+-+", vec![]),
            ("++--+--+---", vec![(1, Passing), (10, Failing)]),
            ("---+-++", vec![(2, Failing), (6, Passing)]),
            ("++---++", vec![(1, Passing), (4, Failing), (6, Passing)]),
        ] {
            assert_eq!(play(&mut Machine::new(SETTINGS), results), expected, "{results}");
        }
    }

    #[test]
    fn a_change_says_why_and_a_pass_clears_the_reason() {
        let mut machine = Machine::new(Settings { failure_threshold: 1, success_threshold: 1, ..SETTINGS });
        let event = machine.record(Err((Reason::Failed, Some("refused".into()))), at(0), at(1)).unwrap();
        assert_eq!((event.from, event.to, event.at), (Status::Pending, Status::Failing, at(1)));
        assert_eq!((event.reason, event.error.as_deref()), (Some(Reason::Failed), Some("refused")));
        let event = machine.record(Ok(()), at(10), at(12)).unwrap();
        assert_eq!((event.from, event.to, event.reason), (Status::Failing, Status::Passing, None));
        let report = machine.report(at(15));
        assert_eq!((report.age, report.took), (Some(Duration::from_secs(3)), Some(Duration::from_secs(2))));
    }

    #[test]
    fn an_old_result_is_a_failure_and_a_new_one_counts_again() {
        let mut machine = Machine::new(Settings { success_threshold: 1, ..SETTINGS });
        play(&mut machine, "+");
        assert_eq!(machine.report(at(31)).status, Status::Passing);
        let report = machine.report(at(32));
        assert_eq!((report.status, report.reason), (Status::Failing, Some(Reason::Stale)));
        assert_eq!(machine.record(Ok(()), at(40), at(40)), None);
        assert_eq!(machine.report(at(40)).status, Status::Passing);
        assert_eq!(Machine::new(SETTINGS).report(at(1_000)).status, Status::Pending, "not stale: there is none");
    }

    #[test]
    fn a_startup_check_is_over_once_it_passes() {
        let mut machine = Machine::new(Settings { role: Role::Startup, ..SETTINGS });
        play(&mut machine, "-+");
        assert!(!machine.is_over());
        play(&mut machine, "+");
        assert!(machine.is_over());
        assert_eq!(machine.report(at(100_000)).status, Status::Passing);
    }
}
