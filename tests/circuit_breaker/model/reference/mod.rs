//! The reference: what the documentation of a circuit breaker says, in the plainest words.
//!
//! It keeps a list of everything it saw and counts the list again for each question. Nothing here is shared
//! with the crate but the words of its public interface.

mod calls;
mod changes;
mod probes;
mod rules;

use super::settings::{Settings, Wait, Window};
use backstop::Outcome;
use backstop::circuit_breaker::{Reason, Snapshot, State, Totals};
use backstop::reject::RejectReason;

/// The open time where the user's function has to be asked and cannot be.
const UNKNOWN_WAIT: u64 = 60_000_000_000;

/// The whole circuit. Times are in nanoseconds; `None` is never.
#[derive(Debug)]
pub(crate) struct Reference {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    pub(crate) totals: Totals,
    /// Every event so far.
    pub(crate) told: Vec<Told>,
    initial: State,
    now: u64,
    /// Counts the changes of state: a call that began before the last one is stale.
    generation: u64,
    /// Everything judged since the window began.
    seen: Vec<Seen>,
    interval_began: u64,
    in_a_row: u32,
    /// Calls without an answer since the last answer.
    unanswered: u32,
    /// Probes of earlier rounds that have not ended.
    hanging: u32,
    trips: u32,
    attempts: u32,
    open: Open,
    round: Round,
    would_reject_until: u64,
    announced: Vec<Reason>,
    calls_begun: u64,
    /// Calls in flight that are followed: number, beginning, and whether they count as slow by now.
    followed: Vec<(u64, u64, bool)>,
}

#[derive(Clone, Debug)]
struct Seen {
    at: u64,
    failed: bool,
    slow: bool,
    /// The followed call that it stands for.
    call: Option<u64>,
}

/// How long a circuit opens for.
#[derive(Clone, Copy, Debug)]
pub(super) enum For {
    /// The configured time after one more trip, and at least so long.
    Trip(u64),
    /// The configured time as after the last trip.
    SameAgain,
    Exactly(u64),
}

#[derive(Debug, Default)]
struct Open {
    since: u64,
    until: Option<u64>,
    at_least: u64,
    /// The user's function has not been asked yet.
    asks: bool,
    evidence: Evidence,
}

#[derive(Debug, Default)]
struct Round {
    places: u32,
    in_flight: u32,
    /// Places that results and lost probes have used up for good.
    used_up: u32,
    /// Probes whose callers left: after a moment, and after they had waited long enough.
    left_early: u32,
    unanswered: u32,
    until: Option<u64>,
    /// (failed, slow)
    results: Vec<(bool, bool)>,
}

/// An admitted call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) generation: u64,
    pub(crate) is_probe: bool,
    number: u64,
    began: u64,
}

/// An event: (from, to, reason, time, number, by hand, evidence); both states are the same for "would open".
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) reason: Reason,
    pub(crate) at: u64,
    pub(crate) sequence: u64,
    pub(crate) evidence: Evidence,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Evidence {
    pub(crate) calls: u64,
    pub(crate) failed: u64,
    pub(crate) slow: u64,
    pub(crate) unanswered: u32,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_rate: Option<f64>,
    pub(crate) attempts: u32,
}

impl From<&Snapshot> for Evidence {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            calls: snapshot.calls,
            failed: snapshot.failed,
            slow: snapshot.slow,
            unanswered: snapshot.unanswered,
            failure_rate: snapshot.failure_rate,
            slow_rate: snapshot.slow_call_rate,
            attempts: snapshot.half_open_attempts,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Command {
    Reset,
    Trip,
    TripFor(u64),
    Probe,
    ForceOpen,
    Disable,
    Shadow,
}

impl Reference {
    pub(crate) fn new(settings: Settings) -> Self {
        let mut reference = Self {
            state: State::Closed,
            totals: Totals::default(),
            told: Vec::new(),
            initial: settings.initial,
            now: 0,
            generation: 0,
            seen: Vec::new(),
            interval_began: 0,
            in_a_row: 0,
            unanswered: 0,
            hanging: 0,
            trips: 0,
            attempts: 0,
            open: Open::default(),
            round: Round::default(),
            would_reject_until: 0,
            announced: Vec::new(),
            calls_begun: 0,
            followed: Vec::new(),
            settings,
        };
        reference.enter(reference.initial, Reason::Manual, 0, For::Trip(0));
        reference.told.clear();
        reference.answer();
        reference
    }

    // ---- one method for each that a user can call

    pub(crate) fn advance(&mut self, by: u64) {
        self.now = self.now.saturating_add(by);
    }

    /// `Err` holds the reason and the time left.
    pub(crate) fn admit(&mut self) -> Result<Call, (RejectReason, Option<u64>)> {
        self.let_time_pass();
        if self.state == State::Open && self.open.until.is_some_and(|until| until <= self.now) {
            self.enter(State::HalfOpen, Reason::OpenTimeElapsed, self.now, For::Trip(0));
        }
        let admitted = match self.state {
            State::Closed | State::Disabled => Ok(()),
            State::Open => Err((RejectReason::Open, self.time_left())),
            State::HalfOpen if self.has_place() => {
                if self.round.in_flight == 0 && self.round.results.is_empty() {
                    self.round.until = after(self.now, self.limit());
                }
                self.round.in_flight += 1;
                Ok(())
            }
            State::HalfOpen => Err((RejectReason::HalfOpen, None)),
            State::ForcedOpen => Err((RejectReason::ForcedOpen, None)),
            State::Shadow => {
                self.totals.would_reject += u64::from(self.now < self.would_reject_until);
                Ok(())
            }
        };
        let admitted = admitted.map(|()| self.begin());
        self.totals.not_permitted += u64::from(admitted.is_err());
        self.answer();
        admitted
    }

    pub(crate) fn end(&mut self, call: &Call, outcome: Outcome, retry_after: Option<u64>) {
        let lasted = self.now - call.began;
        let slow = self.settings.slow_after.is_some_and(|threshold| lasted > threshold);
        let is_unanswered = lasted >= self.settings.unanswered_after;
        self.let_time_pass();
        self.record(call, outcome, slow, is_unanswered, retry_after);
        self.answer();
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.let_time_pass();
        let (to, wait) = match command {
            Command::Reset => (State::Closed, None),
            Command::Trip => (State::Open, None),
            Command::TripFor(wait) => (State::Open, Some(wait)),
            Command::Probe => (State::HalfOpen, None),
            Command::ForceOpen => (State::ForcedOpen, None),
            Command::Disable => (State::Disabled, None),
            Command::Shadow => (State::Shadow, None),
        };
        self.enter(to, Reason::Manual, self.now, wait.map_or(For::Trip(0), For::Exactly));
        self.answer();
    }

    pub(crate) fn reconfigure(&mut self, settings: Settings) {
        self.let_time_pass();
        // What has left the old window does not come back into the new one.
        self.seen = self.window().to_vec();
        let is_same = match (self.settings.window, settings.window) {
            (Window::Count { .. }, Window::Count { .. }) => true,
            (Window::Time { width, .. }, Window::Time { width: new, .. }) => width == new,
            (old, new) => old == new,
        };
        if !is_same {
            self.seen.clear();
            self.interval_began = self.now;
        }
        self.settings = settings;
        if self.state == State::HalfOpen {
            // The round goes on: not longer than the new settings allow, and with their places.
            let until = after(self.now, self.settings.half_open.timeout);
            self.round.until = self.round.until.into_iter().chain(until).min();
            self.round.places = self.settings.half_open.places;
            self.end_without_places(0);
        }
        self.answer();
    }

    /// State, evidence and time left, as three readings at once.
    pub(crate) fn look(&mut self) -> (State, Evidence, Option<u64>) {
        self.let_time_pass();
        self.answer();
        (self.state, self.evidence(), self.time_left())
    }

    /// The time spent open or forced open.
    pub(crate) fn open_time(&self) -> u64 {
        let is_open = |state| matches!(state, State::Open | State::ForcedOpen);
        let changes = self.told.iter().filter(|told| told.from != told.to);
        let (mut state, mut since, mut total) = (self.initial, 0, 0);
        for change in changes {
            if is_open(state) && !is_open(change.to) {
                total += change.at - since;
            }
            if is_open(change.to) && !is_open(state) {
                since = change.at;
            }
            state = change.to;
        }
        total + if is_open(state) { self.now - since } else { 0 }
    }

    /// Probes that may be in flight at once in this round.
    pub(crate) fn places(&self) -> u32 {
        self.round.places
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    // ---- time

    pub(super) fn let_time_pass(&mut self) {
        self.end_round();
        if self.state == State::Open
            && self.settings.is_automatic
            && let Some(due) = self.open.until.filter(|due| *due <= self.now)
        {
            self.enter(State::HalfOpen, Reason::OpenTimeElapsed, due, For::Trip(0));
            self.end_round();
        }
        if self.is_judging() {
            self.turn_over();
            self.count_hung_calls();
        }
    }

    /// An interval of a tumbling window ends with everything in it, and its calls in flight become stale.
    fn turn_over(&mut self) {
        let Window::Tumbling { interval } = self.settings.window else { return };
        if self.now - self.interval_began > interval {
            self.seen.clear();
            self.interval_began = self.now;
            (self.in_a_row, self.unanswered) = (0, 0);
            self.generation += 1;
            self.followed.clear();
        }
    }

    fn count_hung_calls(&mut self) {
        let Some(threshold) = self.settings.slow_after.filter(|_| self.settings.follows) else { return };
        let now = self.now;
        let mut found = false;
        for (number, began, is_counted) in &mut self.followed {
            if !*is_counted && now - *began > threshold {
                *is_counted = true;
                found = true;
                self.seen.push(Seen { at: now, failed: false, slow: true, call: Some(*number) });
            }
        }
        if found {
            self.evaluate(For::Trip(0));
        }
    }

    /// The user's function is asked once nothing is locked any more.
    pub(super) fn answer(&mut self) {
        if self.state == State::Open && self.open.asks {
            let wait = match self.settings.open_time {
                Wait::Asked(each) => Some(each * u64::from(self.trips)),
                _ => self.wait(self.trips), // other settings came in the same step
            };
            self.open.until = wait.and_then(|wait| after(self.open.since, wait.max(self.open.at_least)));
            self.open.asks = false;
        }
    }

    pub(super) fn time_left(&self) -> Option<u64> {
        self.open.until.filter(|_| self.state == State::Open).map(|until| until.saturating_sub(self.now))
    }
}

/// The end of a wait; `None` where it never ends.
fn after(at: u64, wait: u64) -> Option<u64> {
    at.checked_add(wait).filter(|until| *until != u64::MAX)
}
