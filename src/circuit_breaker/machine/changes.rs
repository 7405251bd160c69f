//! Changes of state: by time, by rules, by hand. All of them go through [`Machine::enter`].

use super::types::Command;
use super::{Asks, FALLBACK_OPEN_TIME, Machine, Mode};
use crate::circuit_breaker::config::{AbandonedPolicy, CircuitBreakerConfig, TimeoutTo};
use crate::circuit_breaker::event::{Event, Transition};
use crate::circuit_breaker::open_time::with_jitter;
use crate::circuit_breaker::probes::Probes;
use crate::circuit_breaker::ramp::Ramp;
use crate::circuit_breaker::snapshot::Snapshot;
use crate::circuit_breaker::state::{Reason, State};
use crate::circuit_breaker::window::Window;
use crate::circuit_breaker::window::counts::Counts;
use crate::clock::Instant;
use std::sync::Arc;
use std::time::Duration;

/// Changes that fell due unseen are made one by one, at their own time, up to this many.
const CATCH_UP_MAX: u32 = 16;

impl Machine {
    /// Makes the changes that time alone makes.
    pub(crate) fn poll(&mut self, now: Instant) {
        self.latest = self.latest.max(now);
        for made in 0.. {
            let (due, to, reason) = match &self.mode {
                // ## Open => HalfOpen, without a call
                Mode::Open { until, .. } if self.config.automatic_half_open => {
                    (*until, State::HalfOpen, Reason::OpenTimeElapsed)
                }
                // ## HalfOpen => (Open | Closed)
                Mode::HalfOpen(probes) => match self.config.half_open.timeout_to {
                    TimeoutTo::Open => (probes.deadline, State::Open, Reason::HalfOpenTimeout),
                    TimeoutTo::Closed => (probes.deadline, State::Closed, Reason::HalfOpenTimeout),
                },
                _ => break,
            };
            if !due.is_reached(self.latest) {
                break;
            }
            let at = if made < CATCH_UP_MAX { due } else { self.latest };
            self.enter(to, reason, at, None);
        }
        if self.is_judging() {
            self.poll_window();
        }
    }

    pub(super) fn poll_window(&mut self) {
        self.expire();
        let detects = self.config.detect_slow_calls_in_flight;
        let threshold = self.config.slow_call_duration_threshold.filter(|_| detects);
        if let (Some(flights), Some(threshold)) = (&mut self.flights, threshold) {
            let window = &mut self.window;
            if flights.count_slow(self.latest, threshold, || window.add(false, true)) {
                self.evaluate(None);
            }
        }
    }

    /// Lets go of what is over: old calls, and the ramp.
    fn expire(&mut self) {
        if self.window.expire(self.latest) {
            self.generation += 1;
            self.consecutive_failures = 0;
            self.flights = None;
        }
        if let Mode::Closed { ramp } = &mut self.mode {
            let length = self.config.ramp.unwrap_or_default();
            *ramp = ramp.filter(|ramp| !ramp.is_over(self.latest, length));
        }
    }

    /// Whether an unused circuit can be forgotten: it is as it was when it was made, or its probes have
    /// been due for longer than a round may last.
    pub(crate) fn is_forgettable(&mut self, now: Instant) -> bool {
        self.latest = self.latest.max(now);
        let patience = self.config.half_open.timeout;
        match &self.mode {
            Mode::Open { until, .. } => until.saturating_add(patience).is_reached(self.latest),
            Mode::HalfOpen(probes) => probes.deadline.saturating_add(patience).is_reached(self.latest),
            Mode::ForcedOpen => false,
            Mode::Closed { .. } | Mode::Disabled | Mode::Shadow { .. } => {
                self.expire();
                let Counts { failed, slow, abandoned, .. } = self.window.counts();
                let has_run = self.consecutive_failures > 0 && self.config.rules.consecutive_failures.is_some();
                let is_clean = (failed, slow, abandoned) == (0, 0, 0) && !has_run;
                let is_at_rest = !matches!(self.mode, Mode::Closed { ramp: Some(_) });
                is_clean && is_at_rest && self.state() == self.config.initial_state
            }
        }
    }

    /// Applies a manual command. It wins over whatever the circuit was about to do.
    pub(crate) fn command(&mut self, command: Command, note: &Arc<str>, now: Instant) {
        self.poll(now);
        let told = self.events.len();
        let (to, wait) = match command {
            Command::Reset => (State::Closed, None),
            Command::Trip { wait } => (State::Open, wait),
            Command::HalfOpen => (State::HalfOpen, None),
            Command::ForceOpen => (State::ForcedOpen, None),
            Command::Disable => (State::Disabled, None),
            Command::Shadow => (State::Shadow, None),
        };
        self.enter(to, Reason::Manual, self.latest, wait);
        if let Mode::Closed { ramp } = &mut self.mode {
            *ramp = None; // whoever resets wants all of it
        }
        for event in &mut self.events[told..] {
            event.details_mut().note = Some(Arc::clone(note));
        }
    }

    /// Takes new settings. State, evidence and the remaining open time stay.
    pub(crate) fn reconfigure(&mut self, config: Arc<CircuitBreakerConfig>, now: Instant) {
        self.poll(now);
        let keeps_calls = self.window.reshape(config.window, self.latest);
        if let Some(flights) = self.flights.as_mut().filter(|_| !keeps_calls) {
            flights.forget_stamps();
        }
        if config.throttle.is_none() {
            self.traffic = None;
        }
        self.config = config;
        // The round goes on under the new settings: with their time at most, and with the places they add.
        if let Mode::HalfOpen(probes) = &mut self.mode {
            probes.adopt(&self.config.half_open, self.latest);
        }
    }

    /// From now on a rule that is met asks, with [`Machine::wants_to_open`], instead of opening the circuit.
    pub(crate) fn ask_before_opening(&mut self) {
        self.asks = true;
    }

    pub(crate) fn wants_to_open(&self) -> bool {
        self.wanted.is_some()
    }

    /// The answer to that.
    pub(crate) fn answer_opening(&mut self, may_open: bool) {
        if let Some((reason, wait)) = self.wanted.take().filter(|_| may_open) {
            self.enter(State::Open, reason, self.latest, wait);
        }
    }

    /// The answer to an [`OpenTimeQuestion`]; too late, it is ignored.
    pub(crate) fn answer_open_time(&mut self, generation: u64, wait: Option<Duration>) {
        // Settings that came in between may know by themselves.
        let wait = wait.or_else(|| self.config.open_time.wait(self.trips)).unwrap_or(FALLBACK_OPEN_TIME);
        let wait = self.jittered(wait);
        if generation == self.generation
            && let Mode::Open { since, until, asks } = &mut self.mode
            && *asks != Asks::Nothing
        {
            *asks = Asks::Nothing;
            *until = since.saturating_add(wait);
        }
    }

    // ## Closed => Open
    pub(super) fn trip(&mut self, reason: Reason, wait: Option<Duration>) {
        if self.asks {
            self.wanted = Some((reason, wait));
        } else {
            self.enter(State::Open, reason, self.latest, wait);
        }
    }

    /// Looks at the rules after something was counted.
    pub(super) fn evaluate(&mut self, retry_after: Option<Duration>) {
        if self.config.throttle.is_some() {
            return;
        }
        let mut met = self.rules_met();
        match self.mode {
            Mode::Closed { .. } => {
                if let Some(reason) = met.next() {
                    self.trip(reason, retry_after);
                }
            }
            // ## Shadow => Shadow, but say so
            Mode::Shadow { .. } => met.for_each(|reason| self.would_open(reason)),
            _ => {}
        }
    }

    pub(super) fn rules_met(&self) -> impl Iterator<Item = Reason> + use<> {
        let met = self.config.rules.met(self.window.counts(), self.consecutive_failures);
        let judges_abandoned = self.config.on_abandoned == AbandonedPolicy::Judge;
        met.into_iter().flatten().filter(move |reason| judges_abandoned || *reason != Reason::AbandonedRate)
    }

    pub(super) fn would_open(&mut self, reason: Reason) {
        let wait = self.config.open_time.wait(1).unwrap_or(FALLBACK_OPEN_TIME);
        if let Mode::Shadow { would_reject_until } = &mut self.mode
            && self.latest >= *would_reject_until
        {
            *would_reject_until = self.latest.saturating_add(wait);
        }
        let mark = 1 << reason as u16;
        if self.announced & mark == 0 {
            self.announced |= mark;
            let transition = transition(State::Shadow, State::Shadow, reason, self.latest, self.evidence());
            self.events.push(Event::WouldOpen(transition));
        }
    }

    pub(super) fn jittered(&mut self, wait: Duration) -> Duration {
        with_jitter(wait, self.config.open_time_jitter, self.random.f64())
    }

    /// Every change of state goes through here. `wait` overrules the open time and does not count as a trip.
    pub(super) fn enter(&mut self, to: State, reason: Reason, at: Instant, wait: Option<Duration>) {
        let from = self.state();
        self.window.expire(self.latest); // it stood still if the circuit was open
        let evidence = self.snapshot();
        self.generation += 1;
        self.flights = None;
        self.wanted = None;
        self.mode = match to {
            State::Open => {
                self.tripped_by = Some(Box::new(evidence));
                self.open(at, wait)
            }
            State::HalfOpen => {
                self.half_open_attempts = self.half_open_attempts.saturating_add(1);
                Mode::HalfOpen(Box::new(Probes::new(&self.config.half_open, at)))
            }
            State::Closed => {
                (self.trips, self.half_open_attempts, self.tripped_by) = (0, 0, None);
                Mode::Closed { ramp: self.config.ramp.map(|_| Ramp::begin(at)) }
            }
            State::ForcedOpen => Mode::ForcedOpen,
            State::Disabled => Mode::Disabled,
            State::Shadow => Mode::Shadow { would_reject_until: at },
        };
        if !matches!(to, State::Open | State::HalfOpen) {
            self.window = Window::new(self.config.window, at);
            self.consecutive_failures = 0;
            self.announced = 0;
        }
        if from != to {
            let transition = transition(from, to, reason, at, evidence);
            self.events.push(Event::Transition(transition));
        }
    }

    pub(super) fn open(&mut self, since: Instant, wait: Option<Duration>) -> Mode {
        if wait.is_none() {
            self.trips = self.trips.saturating_add(1);
        }
        match wait.or_else(|| self.config.open_time.wait(self.trips).map(|wait| self.jittered(wait))) {
            Some(wait) => Mode::Open { since, until: since.saturating_add(wait), asks: Asks::Nothing },
            None => Mode::Open { since, until: Instant::NEVER, asks: Asks::Now },
        }
    }
}

/// Name and number are the holder's to give.
fn transition(from: State, to: State, reason: Reason, at: Instant, snapshot: Snapshot) -> Transition {
    Transition { name: "", from, to, reason, note: None, at, sequence: 0, snapshot }
}
