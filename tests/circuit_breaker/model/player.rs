//! Plays a history on the breaker and on the reference, and compares them after every step.

use super::history::{End, History, Jump, Step};
use super::reference::{Call, Command, Evidence, Reference, Told};
use super::settings::{Settings, Wait, Window, in_nanos, nanos};
use backstop::circuit_breaker::Permit;
use backstop::circuit_breaker::{Event, State};
use backstop::clock::{Clock, ManualClock};
use backstop::outcome::Classification;
use backstop::{CircuitBreaker, Outcome};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

type Checked = Result<(), TestCaseError>;

/// Plays a history to its end and returns the number of calls.
pub(crate) fn play(history: &History) -> Result<u64, TestCaseError> {
    let mut player = Player::new(history)?;
    for step in &history.steps {
        player.step(step)?;
        player.compare_events()?;
        if history.looks_always {
            player.look()?;
        }
    }
    player.look()?;
    while let Some((permit, call)) = player.in_flight.pop() {
        player.end(permit, &call, End::With { outcome: Outcome::Success, retry_after: None });
    }
    player.look()?;
    Ok(player.admitted + player.rejected)
}

struct Player {
    breaker: CircuitBreaker,
    time: ManualClock,
    reference: Reference,
    in_flight: Vec<(Permit, Call)>,
    events: Arc<Mutex<Vec<Event>>>,
    /// Events compared so far.
    compared: usize,
    now: u64,
    admitted: u64,
    rejected: u64,
}

impl Player {
    fn new(history: &History) -> Result<Self, TestCaseError> {
        let (clock, time) = Clock::manual();
        let breaker = history.settings.fill(CircuitBreaker::builder("model")).clock(clock).build();
        let breaker = breaker.map_err(|error| TestCaseError::fail(error.to_string()))?;
        let events = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&events);
        breaker.subscribe(move |event| log.lock().unwrap().push(event.clone())).forever();
        let reference = Reference::new(history.settings.clone());
        let in_flight = Vec::new();
        Ok(Self { breaker, time, reference, in_flight, events, compared: 0, now: 0, admitted: 0, rejected: 0 })
    }

    fn step(&mut self, step: &Step) -> Checked {
        match step {
            Step::Admit => {
                let admitted = self.admit()?;
                if admitted.is_some() {
                    self.in_flight.extend(admitted);
                    self.compare_probes()?; // new settings may have fewer places than are taken
                }
            }
            Step::End { which, how } if !self.in_flight.is_empty() => {
                let (permit, call) = self.in_flight.swap_remove(which % self.in_flight.len());
                self.end(permit, &call, *how);
            }
            Step::End { .. } => {}
            Step::Calls { count, failed, lasting } => {
                for i in 0..*count {
                    self.call(failed >> (i % 32) & 1 == 1, *lasting)?;
                }
            }
            Step::Advance(jump) => self.jump(*jump),
            Step::Command(command) => self.command(*command),
            Step::Reconfigure(settings) => {
                self.breaker.reconfigure(settings.config());
                self.reference.reconfigure(Settings::clone(settings));
            }
            Step::Look => self.look()?,
        }
        Ok(())
    }

    fn call(&mut self, failed: bool, lasting: u64) -> Checked {
        if let Some((permit, call)) = self.admit()? {
            self.advance(lasting);
            let outcome = if failed { Outcome::Failure } else { Outcome::Success };
            self.end(permit, &call, End::With { outcome, retry_after: None });
        }
        self.compare_events()
    }

    fn admit(&mut self) -> Result<Option<(Permit, Call)>, TestCaseError> {
        match (self.breaker.try_acquire(), self.reference.admit()) {
            (Ok(permit), Ok(call)) => {
                self.admitted += 1;
                Ok(Some((permit, call)))
            }
            (Err(rejected), Err(expected)) => {
                self.rejected += 1;
                let time_left = rejected.retry_after().map(in_nanos);
                prop_assert_eq!((rejected.reason(), time_left), expected);
                Ok(None)
            }
            (got, expected) => Err(TestCaseError::fail(format!("admission: got {got:?}, expected {expected:?}"))),
        }
    }

    fn end(&mut self, permit: Permit, call: &Call, how: End) {
        let (outcome, retry_after) = match how {
            End::With { outcome, retry_after } => {
                let classification = Classification::new(outcome);
                permit.end(match retry_after {
                    Some(after) => classification.with_retry_after(nanos(after)),
                    None => classification,
                });
                (outcome, retry_after)
            }
            End::Drop => {
                drop(permit);
                (Outcome::Abandoned, None)
            }
            End::Panic => {
                let panicking = catch_unwind(AssertUnwindSafe(move || {
                    let _permit = permit;
                    resume_unwind(Box::new("the call panicked")) // does not reach the panic hook
                }));
                drop(panicking);
                (Outcome::Panicked, None)
            }
        };
        self.reference.end(call, outcome, retry_after);
    }

    fn command(&mut self, command: Command) {
        let (breaker, note) = (&self.breaker, "model");
        match command {
            Command::Reset => breaker.reset(note),
            Command::Trip => breaker.trip(note),
            Command::TripFor(wait) => breaker.trip_for(nanos(wait), note),
            Command::Probe => breaker.probe(note),
            Command::ForceOpen => breaker.force_open(note),
            Command::Disable => breaker.disable(note),
            Command::Shadow => breaker.shadow(note),
        }
        self.reference.command(command);
    }

    fn jump(&mut self, jump: Jump) {
        let settings = &self.reference.settings;
        let (by, off) = match jump {
            Jump::Nanos(by) => (by, 0),
            Jump::Edge { buckets, off } => match settings.window {
                Window::Time { width, .. } => (width - self.now % width + buckets * width, off),
                Window::Tumbling { interval } => (interval, off),
                Window::Count { .. } => (buckets, 0),
            },
            Jump::OpenTime { off } => match settings.open_time {
                Wait::Fixed(wait) | Wait::Doubling(wait, _) | Wait::Asked(wait) => (wait, off),
            },
            Jump::HalfOpenTime { off } if settings.half_open.timeout != u64::MAX => (settings.half_open.timeout, off),
            Jump::HalfOpenTime { .. } => (1, 0),
            Jump::SlowTime { off } => (settings.slow_after.unwrap_or(1), off),
            Jump::Hours(hours) => (hours * 3_600_000_000_000, 0),
        };
        self.advance(by.saturating_add_signed(off));
    }

    fn advance(&mut self, by: u64) {
        self.time.advance(nanos(by));
        self.reference.advance(by);
        self.now += by;
    }

    // ---- what is compared

    /// Events are the same, and so their states form a path and their numbers have no gap.
    fn compare_events(&mut self) -> Checked {
        let events = self.events.lock().unwrap();
        prop_assert_eq!(events.len(), self.reference.told.len(), "events: {:#?}", &events[self.compared..]);
        for (event, expected) in events.iter().zip(&self.reference.told).skip(self.compared) {
            let details = event.details();
            let told = Told {
                from: details.from,
                to: details.to,
                reason: details.reason,
                at: details.at.as_nanos(),
                sequence: details.sequence,
                evidence: Evidence::from(&details.snapshot),
            };
            prop_assert_eq!(&told, expected);
            prop_assert_eq!(matches!(event, Event::WouldOpen(_)), details.from == details.to);
        }
        self.compared = events.len();
        Ok(())
    }

    /// Reads everything. Each reading may make changes that fell due, so each has its own on the reference.
    fn look(&mut self) -> Checked {
        prop_assert_eq!(self.breaker.state(), self.reference.look().0);
        prop_assert_eq!(Evidence::from(&self.breaker.snapshot()), self.reference.look().1);
        let time_left = self.breaker.retry_after().map(in_nanos);
        prop_assert_eq!(time_left, self.reference.look().2);
        let totals = self.breaker.totals();
        let (state, evidence, _) = self.reference.look();
        prop_assert_eq!(totals, self.reference.totals);
        prop_assert_eq!(in_nanos(self.breaker.open_time()), {
            self.reference.look();
            self.reference.open_time()
        });
        self.compare_events()?;
        // Laws that hold whatever the reference says.
        let ended = totals.successful + totals.failed + totals.ignored + totals.abandoned + totals.stale;
        prop_assert_eq!(ended + self.in_flight.len() as u64, self.admitted, "no call is lost or counted twice");
        prop_assert_eq!(totals.not_permitted, self.rejected);
        prop_assert!(evidence.failed <= evidence.calls && evidence.slow <= evidence.calls);
        if let (Window::Count { calls }, State::Closed | State::Shadow) = (self.reference.settings.window, state) {
            prop_assert!(evidence.calls <= u64::from(calls));
        }
        self.compare_probes()
    }

    fn compare_probes(&self) -> Checked {
        let generation = self.reference.generation();
        let probes = self.in_flight.iter().filter(|(_, call)| call.is_probe && call.generation == generation).count();
        prop_assert!(probes <= self.reference.places() as usize, "{probes} probes at once");
        Ok(())
    }
}
