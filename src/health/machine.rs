//! State machine of one check: when it runs, and what its results make of it.
//!
//! ```text
//!           success_threshold passes in a row
//!  Pending ──────────────────────────────────▶ Passing ◀─┐
//!     │                                           │      │ success_threshold passes in a row
//!     │ failure_threshold failures in a row       ▼      │
//!     └────────────────────────────────────────▶ Failing ┘
//! ```
//!
//! A run that exceeds its timeout is a failure and is dropped. One that cannot be dropped, because it blocks its thread,
//! is a failure again each period, and no other begins until it has ended.

use super::state::{Failure, Reason, Status};
use crate::clock::Instant;
use std::time::Duration;

/// Settings of a check, checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) period: Duration,
    pub(super) timeout: Duration,
    pub(super) failure_threshold: u32,
    pub(super) success_threshold: u32,
    pub(super) max_age: Duration,
    /// Whether it is over once it passes.
    pub(super) is_startup: bool,
}

/// What the caller has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start a run.
    Start,
    /// Drop the run.
    Cancel,
}

/// A change of status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) from: Status,
    pub(super) to: Status,
    /// Of the last failure, unless it passes.
    pub(super) failure: Option<Failure>,
}

#[derive(Clone, Copy, Debug)]
enum Run {
    Idle,
    Running {
        since: Instant,
    },
    /// It has timed out and not ended.
    Late,
}

/// One check.
#[derive(Debug)]
pub(super) struct Machine {
    settings: Settings,
    status: Status,
    run: Run,
    /// Time of the next run.
    starts_at: Instant,
    /// Results in a row.
    failures: u32,
    successes: u32,
    /// Last failure, until a success.
    failure: Option<Failure>,
    /// Time of the last result, and the time that it took.
    answered: Option<(Instant, Duration)>,
}

/// A check at one moment.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) status: Status,
    pub(super) failure: Option<Failure>,
    pub(super) failures: u32,
    pub(super) age: Option<Duration>,
    pub(super) took: Option<Duration>,
}

impl Machine {
    /// A check that does not run before it is [armed](Self::arm).
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            status: Status::Pending,
            run: Run::Idle,
            starts_at: Instant::NEVER,
            failures: 0,
            successes: 0,
            failure: None,
            answered: None,
        }
    }

    /// The first run is due now. A no-op after the first time.
    pub(super) fn arm(&mut self, now: Instant) {
        if self.answered.is_none() && self.starts_at == Instant::NEVER {
            self.starts_at = now;
        }
    }

    /// Does what is due: at most one thing.
    pub(super) fn poll(&mut self, now: Instant) -> (Option<Action>, Option<Change>) {
        match self.run {
            // ## Idle => Running
            Run::Idle if self.starts_at.is_reached(now) => {
                self.run = Run::Running { since: now };
                self.starts_at = now.saturating_add(self.settings.period);
                (Some(Action::Start), None)
            }
            // ## Running => Late
            Run::Running { since } if since.saturating_add(self.settings.timeout).is_reached(now) => {
                self.run = Run::Late;
                if self.starts_at.is_reached(now) {
                    self.starts_at = now.saturating_add(self.settings.period); // it needs a moment to end
                }
                (Some(Action::Cancel), self.record(Err(Reason::TimedOut.into()), now, self.settings.timeout))
            }
            // ## Late => Late
            Run::Late if self.starts_at.is_reached(now) => {
                self.starts_at = now.saturating_add(self.settings.period);
                let took = self.answered.map_or(Duration::ZERO, |(_, took)| took);
                (None, self.record(Err(Reason::StillRunning.into()), now, took.saturating_add(self.settings.period)))
            }
            _ => (None, None),
        }
    }

    /// Time at which [`poll`](Self::poll) has something to do.
    pub(super) fn wakes_at(&self) -> Instant {
        match self.run {
            Run::Running { since } => since.saturating_add(self.settings.timeout),
            Run::Idle | Run::Late => self.starts_at,
        }
    }

    /// A run has ended; `None` if it was dropped. The result of one that has timed out comes too late.
    pub(super) fn finish(&mut self, result: Option<Result<(), Failure>>, now: Instant) -> Option<Change> {
        // ## Running | Late => Idle
        let run = std::mem::replace(&mut self.run, Run::Idle);
        match (run, result) {
            (Run::Running { since }, Some(result)) => self.record(result, now, now.saturating_duration_since(since)),
            _ => None,
        }
    }

    fn record(&mut self, result: Result<(), Failure>, now: Instant, took: Duration) -> Option<Change> {
        let Settings { failure_threshold, success_threshold, is_startup, .. } = self.settings;
        self.answered = Some((now, took));
        let from = self.status;
        match result {
            Ok(()) => {
                (self.successes, self.failures) = (self.successes.saturating_add(1), 0);
                if self.successes >= success_threshold {
                    (self.status, self.failure) = (Status::Passing, None);
                }
            }
            Err(failure) => {
                (self.failures, self.successes) = (self.failures.saturating_add(1), 0);
                self.failure = Some(failure);
                if self.failures >= failure_threshold {
                    self.status = Status::Failing;
                }
            }
        }
        if is_startup && self.status == Status::Passing {
            self.starts_at = Instant::NEVER;
        }
        (from != self.status).then(|| Change { from, to: self.status, failure: self.failure.clone() })
    }

    /// Returns whether it passed as of its last result, however old.
    pub(super) fn has_passed(&self) -> bool {
        self.status == Status::Passing
    }

    pub(super) fn sample(&self, now: Instant) -> Sample {
        let age = self.answered.map(|(at, _)| now.saturating_duration_since(at));
        let is_over = self.settings.is_startup && self.has_passed();
        let is_stale = !is_over && age.is_some_and(|age| age > self.settings.max_age);
        let (status, failure) =
            if is_stale { (Status::Failing, Some(Reason::Stale.into())) } else { (self.status, self.failure.clone()) };
        Sample { status, failure, failures: self.failures, age, took: self.answered.map(|(_, took)| took) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        period: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        failure_threshold: 3,
        success_threshold: 2,
        max_age: Duration::from_secs(31),
        is_startup: false,
    };

    fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// A machine whose first run is due at 0.
    fn armed(settings: Settings) -> Machine {
        let mut machine = Machine::new(settings);
        assert_eq!(machine.wakes_at(), Instant::NEVER);
        machine.arm(at(0));
        machine
    }

    /// Runs it every ten seconds, each time with the next result; returns the changes as (second, to).
    fn play(machine: &mut Machine, results: &str) -> Vec<(usize, Status)> {
        let mut changes = Vec::new();
        for (run, result) in results.chars().enumerate() {
            let now = at(run as u64 * 10);
            assert_eq!(machine.poll(now), (Some(Action::Start), None), "run {run}");
            let result = if result == '+' { Ok(()) } else { Err(Reason::Failed.into()) };
            changes.extend(machine.finish(Some(result), now).map(|change| (run, change.to)));
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
            assert_eq!(play(&mut armed(SETTINGS), results), expected, "{results}");
        }
    }

    #[test]
    fn a_run_past_its_timeout_fails_and_the_next_begins_on_time() {
        let mut machine = armed(SETTINGS);
        machine.poll(at(0));
        assert_eq!(machine.wakes_at(), at(1));
        assert_eq!(machine.poll(at(0)), (None, None));
        assert_eq!(machine.poll(at(1)), (Some(Action::Cancel), None));
        assert_eq!(machine.finish(None, at(1)), None, "dropped");
        assert_eq!((machine.sample(at(1)).failures, machine.wakes_at()), (1, at(10)));
        assert_eq!(machine.poll(at(10)), (Some(Action::Start), None));
    }

    #[test]
    fn one_that_cannot_be_dropped_fails_again_each_period_and_runs_alone() {
        let mut machine = armed(SETTINGS);
        machine.poll(at(0));
        machine.poll(at(1));
        assert_eq!(machine.poll(at(10)), (None, None), "no second run");
        let (action, change) = machine.poll(at(20));
        let change = change.expect("the third failure");
        assert_eq!((action, change.to), (None, Status::Failing));
        assert_eq!(change.failure, Some(Reason::StillRunning.into()));
        assert_eq!(machine.finish(Some(Ok(())), at(25)), None, "a result that comes too late");
        assert_eq!(machine.sample(at(25)).failures, 3);
        assert_eq!(machine.poll(at(30)), (Some(Action::Start), None));
    }

    #[test]
    fn a_timeout_as_long_as_the_period_fails_once_a_run() {
        let mut machine = armed(Settings { timeout: SETTINGS.period, ..SETTINGS });
        machine.poll(at(0));
        assert_eq!(machine.poll(at(10)).0, Some(Action::Cancel));
        assert_eq!(machine.poll(at(10)), (None, None));
        assert_eq!(machine.sample(at(10)).failures, 1);
    }

    #[test]
    fn an_old_result_is_a_failure_and_a_new_one_counts_again() {
        let mut machine = armed(Settings { success_threshold: 1, ..SETTINGS });
        play(&mut machine, "+");
        assert_eq!(machine.sample(at(31)).status, Status::Passing);
        let sample = machine.sample(at(32));
        assert_eq!((sample.status, sample.failure), (Status::Failing, Some(Reason::Stale.into())));
        machine.poll(at(40));
        machine.finish(Some(Ok(())), at(40));
        assert_eq!(machine.sample(at(40)).status, Status::Passing);
        assert_eq!(Machine::new(SETTINGS).sample(at(1_000)).status, Status::Pending, "not stale: there is none");
    }

    #[test]
    fn a_startup_check_is_over_once_it_passes() {
        let mut machine = armed(Settings { is_startup: true, ..SETTINGS });
        play(&mut machine, "-++");
        assert_eq!(machine.wakes_at(), Instant::NEVER);
        machine.arm(at(40));
        assert_eq!(machine.poll(at(50)), (None, None));
        assert_eq!(machine.sample(at(100_000)).status, Status::Passing);
    }
}
