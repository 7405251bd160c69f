//! Changes of state: by time, by rules, by hand. All of them go through [`Machine::enter`].

use super::types::{Command, OpenFor};
use super::{Asks, FALLBACK_OPEN_TIME, Machine, Mode};
use crate::circuit_breaker::config::{AbandonedPolicy, CircuitBreakerConfig, TimeoutTo};
use crate::circuit_breaker::event::{Event, Transition};
use crate::circuit_breaker::open_time::with_jitter;
use crate::circuit_breaker::probes::{Decision, Probes};
use crate::circuit_breaker::ramp::Ramp;
use crate::circuit_breaker::snapshot::Snapshot;
use crate::circuit_breaker::state::{Reason, State};
use crate::circuit_breaker::window::Window;
use crate::circuit_breaker::window::counts::Counts;
use crate::clock::Instant;
use std::sync::Arc;
use std::time::Duration;

impl Machine {
    /// Makes the changes that time alone makes, at their own time: two at most, as no round ends that nothing began in.
    pub(crate) fn poll(&mut self, now: Instant) {
        self.latest = self.latest.max(now);
        self.end_round();
        // ## Open => HalfOpen, without a call
        if let Mode::Open { until, .. } = self.mode
            && self.config.automatic_half_open
            && until.is_reached(self.latest)
        {
            self.enter(State::HalfOpen, Reason::OpenTimeElapsed, until, OpenFor::TRIP);
            self.end_round(); // to `Closed`, if its settings say so
        }
        if self.is_judging() {
            self.poll_window();
        }
    }

    // ## HalfOpen => (Open | Closed), at its limit
    fn end_round(&mut self) {
        let limit = self.round_limit();
        let Mode::HalfOpen(probes) = &mut self.mode else { return };
        let due = probes.deadline;
        if due.is_reached(self.latest) {
            let (half_open, rules) = (&self.config.half_open, &self.config.rules);
            let decision = probes.at_limit(self.latest, limit, half_open, rules);
            if decision.is_some() {
                self.hanging = self.hanging.saturating_add(probes.waiting());
            }
            self.decide(decision, Reason::HalfOpenTimeout, due, Duration::ZERO);
        }
    }

    /// Ends a half-open round. The dependency may have `asked` for an open time.
    pub(super) fn decide(&mut self, decision: Option<Decision>, failed: Reason, at: Instant, asked: Duration) {
        let is_at_limit = failed == Reason::HalfOpenTimeout;
        match decision {
            // ## HalfOpen => Closed
            Some(Decision::Close) if is_at_limit && self.config.half_open.timeout_to == TimeoutTo::Closed => {
                self.enter(State::Closed, Reason::HalfOpenTimeout, at, OpenFor::TRIP);
            }
            Some(Decision::Close) => self.enter(State::Closed, Reason::ProbesSucceeded, at, OpenFor::TRIP),
            // ## HalfOpen => Open
            Some(Decision::Open) => self.enter(State::Open, failed, at, OpenFor::Trip { asked }),
            Some(Decision::NoAnswer { has_hung }) => {
                let reason = if is_at_limit { failed } else { Reason::NoAnswer };
                self.enter(State::Open, reason, at, if has_hung { OpenFor::TRIP } else { OpenFor::SameAgain });
            }
            None => {}
        }
    }

    pub(super) fn poll_window(&mut self) {
        self.expire();
        let detects = self.config.detect_slow_calls_in_flight;
        let threshold = self.config.slow_call_duration_threshold.filter(|_| detects);
        if let (Some(flights), Some(threshold)) = (&mut self.flights, threshold) {
            let window = &mut self.window;
            if flights.count_slow(self.latest, threshold, || window.add(false, true)) {
                self.evaluate(OpenFor::TRIP);
            }
        }
    }

    /// Lets go of what is over: old calls, and the ramp.
    fn expire(&mut self) {
        if self.window.expire(self.latest) {
            self.generation += 1;
            (self.consecutive_failures, self.unanswered) = (0, 0);
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
                let Counts { failed, slow, .. } = self.window.counts();
                let has_run = self.consecutive_failures > 0 && self.config.rules.consecutive_failures.is_some();
                let is_clean = (failed, slow, self.unanswered) == (0, 0, 0) && !has_run;
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
        let open_for = wait.map_or(OpenFor::TRIP, OpenFor::Exactly);
        self.enter(to, Reason::Manual, self.latest, open_for);
        if let Mode::Closed { ramp } = &mut self.mode {
            *ramp = None; // a reset ends the ramp, too
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
        let window = |config: &CircuitBreakerConfig| config.throttle.as_ref().map(|throttle| throttle.window);
        if window(&config) != window(&self.config) {
            self.traffic = None; // its buckets are numbered by the window
        }
        self.config = config;
        let limit = self.round_limit();
        // The round goes on under the new settings: with their places, and with their time at most.
        if let Mode::HalfOpen(probes) = &mut self.mode {
            let (half_open, rules) = (&self.config.half_open, &self.config.rules);
            let decision = probes.adopt(self.latest, limit, half_open, rules);
            self.decide(decision, Reason::ProbesFailed, self.latest, Duration::ZERO);
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
        if let Some((reason, open_for)) = self.wanted.take().filter(|_| may_open) {
            self.enter(State::Open, reason, self.latest, open_for);
        }
    }

    /// The answer to an [`OpenTimeQuestion`]; too late, it is ignored.
    pub(crate) fn answer_open_time(&mut self, generation: u64, wait: Option<Duration>) {
        // Settings that came in between may know by themselves.
        let wait = wait.or_else(|| self.config.open_time.wait(self.trips)).unwrap_or(FALLBACK_OPEN_TIME);
        let wait = self.jittered(wait);
        if generation == self.generation
            && let Mode::Open { since, until, at_least, asks } = &mut self.mode
            && *asks != Asks::Nothing
        {
            *asks = Asks::Nothing;
            *until = since.saturating_add(wait.max(*at_least));
        }
    }

    // ## Closed => Open
    pub(super) fn trip(&mut self, reason: Reason, open_for: OpenFor) {
        if self.asks {
            self.wanted = Some((reason, open_for));
        } else {
            self.enter(State::Open, reason, self.latest, open_for);
        }
    }

    /// Looks at the rules after something was counted.
    pub(super) fn evaluate(&mut self, open_for: OpenFor) {
        if self.config.throttle.is_some() {
            return;
        }
        let mut met = self.rules_met();
        match self.mode {
            Mode::Closed { .. } => {
                if let Some(reason) = met.next() {
                    self.trip(reason, open_for);
                }
            }
            // ## Shadow => Shadow, but say so
            Mode::Shadow { .. } => met.for_each(|reason| self.would_open(reason, Duration::ZERO)),
            _ => {}
        }
    }

    pub(super) fn rules_met(&self) -> impl Iterator<Item = Reason> + use<> {
        let rules = &self.config.rules;
        let judges = self.config.on_abandoned == AbandonedPolicy::Judge;
        let no_answer = judges && self.unanswered >= rules.unanswered_calls();
        let met = rules.met(self.window.counts(), self.consecutive_failures);
        met.into_iter().flatten().chain(no_answer.then_some(Reason::NoAnswer))
    }

    /// A rule is met that would have opened the circuit. Reported once an incident: the next begins if no rule has been met
    /// for a whole open time after the circuit would have closed. The dependency may have `asked` for an open time.
    pub(super) fn would_open(&mut self, reason: Reason, asked: Duration) {
        let wait = self.config.open_time.wait(1).unwrap_or(FALLBACK_OPEN_TIME);
        if let Mode::Shadow { would_reject_until: until } = &mut self.mode
            && self.latest >= *until
        {
            if self.latest >= until.saturating_add(wait) {
                self.announced = 0;
            }
            *until = self.latest.saturating_add(if asked.is_zero() { wait } else { asked });
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

    /// Every change of state goes through here. `open_for` counts only towards `Open`.
    pub(super) fn enter(&mut self, to: State, reason: Reason, at: Instant, open_for: OpenFor) {
        let from = self.state();
        self.window.expire(self.latest); // it stood still if the circuit was open
        let evidence = self.snapshot();
        self.generation += 1;
        self.flights = None;
        self.wanted = None;
        self.mode = match to {
            State::Open => {
                self.tripped_by = Some(Box::new(evidence));
                self.open(at, open_for)
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
            (self.consecutive_failures, self.unanswered, self.hanging) = (0, 0, 0);
            self.announced = 0;
            self.traffic = None;
        }
        if from != to {
            let transition = transition(from, to, reason, at, evidence);
            self.events.push(Event::Transition(transition));
        }
    }

    fn open(&mut self, since: Instant, open_for: OpenFor) -> Mode {
        let at_least = match open_for {
            OpenFor::Exactly(wait) => {
                let until = since.saturating_add(wait);
                return Mode::Open { since, until, at_least: wait, asks: Asks::Nothing };
            }
            OpenFor::Trip { asked } => {
                self.trips = self.trips.saturating_add(1);
                if self.trips == 1 && !asked.is_zero() {
                    return self.open(since, OpenFor::Exactly(asked));
                }
                asked
            }
            OpenFor::SameAgain => {
                self.trips = self.trips.max(1);
                Duration::ZERO
            }
        };
        match self.config.open_time.wait(self.trips).map(|wait| self.jittered(wait).max(at_least)) {
            Some(wait) => Mode::Open { since, until: since.saturating_add(wait), at_least, asks: Asks::Nothing },
            None => Mode::Open { since, until: Instant::NEVER, at_least, asks: Asks::Now },
        }
    }
}

/// Name and number are the holder's to give.
fn transition(from: State, to: State, reason: Reason, at: Instant, snapshot: Snapshot) -> Transition {
    Transition { name: "", from, to, reason, note: None, at, sequence: 0, snapshot }
}
