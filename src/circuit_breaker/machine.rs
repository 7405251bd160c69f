//! The decisions of a circuit breaker: a function of its arguments.
//!
//! ```text
//!              a rule is met                 open time over
//!   ┌────────┐ ───────────────▶ ┌──────┐ ───────────────────▶ ┌───────────┐
//!   │ Closed │                  │ Open │                      │ Half-open │
//!   └────────┘                  └──────┘ ◀─────────────────── └───────────┘
//!        ▲                        probes failed, or too long         │
//!        └───────────────────────────────────────────────────────────┘
//!                              probes succeeded
//!
//!   by hand, from and to everywhere: Forced open, Disabled, Shadow
//! ```
//!
//! Each admission carries the generation it was made in, and each change of state begins a new one: a result
//! from an earlier generation is counted and changes nothing. Whoever holds the machine may count plain
//! successes elsewhere while [`Machine::steady_until`] allows it, and hand them in with [`Machine::absorb`].

use super::config::{Abandonment, CircuitBreakerConfig, EvaluateOn, PanicPolicy, RetryAfter, Rules, TimeoutTo};
use super::flights::Flights;
use super::open_time::{OpenTime, with_jitter};
use super::probes::{Decision, Probes};
use super::snapshot::{Event, Reason, Snapshot, State, Transition};
use super::throttle::Traffic;
use super::window::{Counts, Window};
use crate::clock::Instant;
use crate::outcome::Outcome;
use crate::reject::RejectReason;
use std::sync::Arc;
use std::time::Duration;

/// Changes that fell due unseen are made one by one, at their own time, up to this many.
const CATCH_UP_MAX: u32 = 16;

/// Where a function of the user's should have said how long.
const FALLBACK_OPEN_TIME: Duration = Duration::from_secs(60);

/// The state of one circuit.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    config: Arc<CircuitBreakerConfig>,
    mode: Mode,
    generation: u64,
    /// Time never goes back here, whatever order threads arrive in.
    latest: Instant,
    window: Window,
    consecutive_failures: u32,
    /// Trips since the circuit was last closed.
    trips: u32,
    half_open_attempts: u32,
    /// Rules that a shadow breaker has told of.
    announced: u16,
    /// Whether the holder is asked before a rule opens the circuit: a group limits how many are open.
    asks: bool,
    /// What would have opened it.
    wanted: Option<(Reason, Option<Duration>)>,
    random: fastrand::Rng,
    tripped_by: Option<Box<Snapshot>>,
    flights: Option<Box<Flights>>,
    traffic: Option<Box<Traffic>>,
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
enum Mode {
    Closed { ramp: Option<Ramp> },
    Open { since: Instant, until: Instant, asks: bool },
    HalfOpen(Box<Probes>),
    ForcedOpen,
    Disabled,
    Shadow { would_reject_until: Instant },
}

/// A share of the calls that grows from nothing to all.
#[derive(Clone, Copy, Debug)]
struct Ramp {
    since: Instant,
    /// Admissions earned and not yet used.
    credit: f64,
}

/// A call was let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) generation: u64,
    /// Its number among the calls in flight; 0 where they are not followed.
    pub(crate) flight: u64,
    pub(crate) would_reject: bool,
}

/// A call was not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) reason: RejectReason,
    pub(crate) retry_after: Option<Duration>,
}

/// A call that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) generation: u64,
    pub(crate) flight: u64,
    pub(crate) outcome: Outcome,
    pub(crate) is_slow: bool,
    pub(crate) retry_after: Option<Duration>,
}

/// As what a call was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) kind: Kind,
    pub(crate) is_slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Successful,
    Failed,
    Ignored,
    Abandoned,
    Stale,
}

/// A change that somebody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Reset,
    Trip { wait: Option<Duration> },
    HalfOpen,
    ForceOpen,
    Disable,
    Shadow,
}

/// The user's function has to say how long the circuit stays open.
#[derive(Clone, Debug)]
pub(crate) struct OpenTimeQuestion {
    pub(crate) time: OpenTime,
    pub(crate) trips: u32,
    pub(crate) snapshot: Snapshot,
    pub(crate) generation: u64,
}

impl Machine {
    /// A circuit in its initial state. `seed` makes its random numbers.
    pub(crate) fn new(config: Arc<CircuitBreakerConfig>, seed: u64, now: Instant) -> Self {
        let initial = config.initial_state;
        let mut machine = Self {
            window: Window::new(config.window, now),
            mode: Mode::Closed { ramp: None },
            generation: 0,
            latest: now,
            consecutive_failures: 0,
            trips: 0,
            half_open_attempts: 0,
            announced: 0,
            asks: false,
            wanted: None,
            random: fastrand::Rng::with_seed(config.jitter_seed.unwrap_or(seed)),
            tripped_by: None,
            flights: None,
            traffic: None,
            events: Vec::new(),
            config,
        };
        machine.enter(initial, Reason::Manual, now, None);
        machine.mode = match machine.mode {
            Mode::Closed { .. } => Mode::Closed { ramp: None },
            other => other,
        };
        machine.events.clear();
        machine
    }

    /// A closed circuit that has seen these successes and nothing else.
    pub(crate) fn resume(
        config: Arc<CircuitBreakerConfig>,
        seed: u64,
        now: Instant,
        generation: u64,
        successes: u64,
    ) -> Self {
        let mut machine = Self::new(config, seed, now);
        machine.generation = machine.generation.max(generation);
        machine.absorb(successes);
        machine
    }

    // ---- what holders read

    pub(crate) fn state(&self) -> State {
        match &self.mode {
            Mode::Closed { .. } => State::Closed,
            Mode::Open { .. } => State::Open,
            Mode::HalfOpen(_) => State::HalfOpen,
            Mode::ForcedOpen => State::ForcedOpen,
            Mode::Disabled => State::Disabled,
            Mode::Shadow { .. } => State::Shadow,
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn config(&self) -> &Arc<CircuitBreakerConfig> {
        &self.config
    }

    /// When the open time is over; [`Instant::NEVER`] in every other state.
    pub(crate) fn open_until(&self) -> Instant {
        match self.mode {
            Mode::Open { until, .. } => until,
            _ => Instant::NEVER,
        }
    }

    /// When time alone will change the state or let a call through; [`Instant::NEVER`] where it will not.
    #[cfg(feature = "tokio")]
    pub(crate) fn next_change(&self) -> Instant {
        match &self.mode {
            Mode::Open { until, .. } => *until,
            Mode::HalfOpen(probes) => probes.deadline,
            _ => Instant::NEVER,
        }
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self.mode {
            Mode::Open { until, .. } => time_left(until, self.latest),
            _ => None,
        }
    }

    /// The evidence now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        match &self.mode {
            Mode::Open { .. } => self.tripped_by.as_deref().copied().unwrap_or_default(),
            _ => self.evidence(),
        }
    }

    /// Whether calls can be admitted without asking: nothing but a recorded result can change the answer.
    pub(crate) fn admits_freely(&self) -> bool {
        let is_watched = self.config.throttle.is_some() || self.config.detect_slow_calls_in_flight;
        match self.mode {
            Mode::Disabled => true,
            Mode::Closed { ramp } => ramp.is_none() && !is_watched && self.window.steady_until().is_some(),
            Mode::Shadow { would_reject_until } => {
                self.latest >= would_reject_until && !is_watched && self.window.steady_until().is_some()
            }
            _ => false,
        }
    }

    /// Until when successes that are not slow may be counted elsewhere: they can change nothing before it.
    ///
    /// A success lowers every rate once each rule has its minimum of calls, and before anything expires. A rule
    /// that is met all the same (in shadow; after something expired or new settings came) has to be looked at.
    pub(crate) fn steady_until(&self) -> Option<Instant> {
        if matches!(self.mode, Mode::Disabled) {
            return Some(Instant::NEVER);
        }
        let has_evidence = self.window.counts().calls >= self.config.rules.most_minimum_calls();
        let is_steady = self.admits_freely() && has_evidence && self.rules_met().next().is_none();
        if is_steady { self.window.steady_until() } else { None }
    }

    /// Everything that a caller who waits to be let through waits for: when it changes, look again.
    pub(crate) fn door(&self) -> (u64, Instant, bool) {
        (self.generation, self.open_until(), self.has_free_probe())
    }

    /// Whether a half-open circuit can let one more probe through.
    pub(crate) fn has_free_probe(&self) -> bool {
        matches!(&self.mode, Mode::HalfOpen(probes) if probes.has_place())
    }

    /// Whether the circuit is closed and has seen successes only: its number of calls tells all.
    pub(crate) fn is_pristine(&self) -> bool {
        let Counts { failed, slow, abandoned, .. } = self.window.counts();
        matches!(self.mode, Mode::Closed { ramp: None })
            && (failed, slow, abandoned, self.consecutive_failures) == (0, 0, 0, 0)
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub(crate) fn open_time_question(&self) -> Option<OpenTimeQuestion> {
        match self.mode {
            Mode::Open { asks: true, .. } => Some(OpenTimeQuestion {
                time: self.config.open_time.clone(),
                trips: self.trips,
                snapshot: self.snapshot(),
                generation: self.generation,
            }),
            _ => None,
        }
    }

    // ---- what happens to it

    /// Takes in successes that were counted elsewhere in this generation.
    pub(crate) fn absorb(&mut self, successes: u64) {
        if successes > 0 {
            self.consecutive_failures = 0;
            if self.is_judging() {
                self.window.add_successes(successes);
            }
        }
    }

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

    fn poll_window(&mut self) {
        if self.window.expire(self.latest) {
            self.generation += 1;
            self.consecutive_failures = 0;
            self.flights = None;
        }
        if let Mode::Closed { ramp } = &mut self.mode {
            let over = self.config.ramp.unwrap_or_default();
            *ramp = ramp.filter(|ramp| self.latest.saturating_duration_since(ramp.since) < over);
        }
        let detects = self.config.detect_slow_calls_in_flight;
        let threshold = self.config.slow_call_duration_threshold.filter(|_| detects);
        if let (Some(flights), Some(threshold)) = (&mut self.flights, threshold) {
            let window = &mut self.window;
            if flights.count_slow(self.latest, threshold, || window.add(false, true)) {
                self.evaluate(None);
            }
        }
    }

    /// Asks to let a call through.
    pub(crate) fn admit(&mut self, now: Instant) -> Result<Admission, Denial> {
        self.poll(now);
        // ## Open => HalfOpen, at the first call after the open time
        if self.open_until().is_reached(self.latest) {
            self.enter(State::HalfOpen, Reason::OpenTimeElapsed, self.latest, None);
        }
        let would_reject = match self.refusal() {
            Some(denial) if self.state() != State::Shadow => return Err(denial),
            would_reject => would_reject.is_some(),
        };
        let follow = self.config.detect_slow_calls_in_flight && self.is_judging();
        let flight = if follow { self.flights.get_or_insert_default().begin(self.latest) } else { 0 };
        Ok(Admission { generation: self.generation, flight, would_reject })
    }

    /// Why the next call is not let through. Takes a probe's place, or a share of the ramp, if it is.
    fn refusal(&mut self) -> Option<Denial> {
        let now = self.latest;
        let throttled = self.is_throttled();
        let reason = match &mut self.mode {
            // Not `now < until`: at the end of time itself, what never ends has still not ended.
            Mode::Open { until, .. } | Mode::Shadow { would_reject_until: until } if !until.is_reached(now) => {
                let retry_after = time_left(*until, now);
                return Some(Denial { reason: RejectReason::Open, retry_after });
            }
            Mode::ForcedOpen => Some(RejectReason::ForcedOpen),
            Mode::HalfOpen(probes) => (!probes.try_begin()).then_some(RejectReason::HalfOpen),
            Mode::Closed { ramp: Some(ramp) } => (!ramp.admits(now, self.config.ramp)).then_some(RejectReason::Ramp),
            Mode::Closed { .. } | Mode::Shadow { .. } => throttled.then_some(RejectReason::Throttled),
            Mode::Open { .. } | Mode::Disabled => None,
        };
        reason.map(|reason| Denial { reason, retry_after: None })
    }

    /// Whether a call would be let through, without letting one through. A share of the calls may still not be.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_permitting(&mut self, now: Instant) -> bool {
        self.poll(now);
        match &self.mode {
            Mode::Open { until, .. } => until.is_reached(self.latest),
            Mode::HalfOpen(_) => self.has_free_probe(),
            Mode::ForcedOpen => false,
            Mode::Closed { .. } | Mode::Disabled | Mode::Shadow { .. } => true,
        }
    }

    /// Takes back an admission that was not used.
    pub(crate) fn cancel(&mut self, admission: Admission, now: Instant) {
        let (generation, flight) = (admission.generation, admission.flight);
        let outcome = Outcome::Ignored;
        self.record(Ended { generation, flight, outcome, is_slow: false, retry_after: None }, now);
    }

    /// Records how a call ended.
    pub(crate) fn record(&mut self, call: Ended, now: Instant) -> Recorded {
        self.poll(now);
        let is_slow = call.is_slow;
        if call.generation != self.generation {
            return Recorded { kind: Kind::Stale, is_slow: false };
        }
        let kind = kind(call.outcome, self.config.on_panic);
        let Some(failed) = self.verdict(call.outcome, is_slow) else {
            self.record_neutral(kind, call.flight);
            return Recorded { kind, is_slow: false };
        };
        let retry_after = self.retry_after_of(call);
        match &mut self.mode {
            Mode::HalfOpen(probes) => {
                match probes.finish(failed, is_slow, &self.config.half_open, &self.config.rules) {
                    // ## HalfOpen => Closed
                    Some(Decision::Close) => self.enter(State::Closed, Reason::ProbesSucceeded, self.latest, None),
                    // ## HalfOpen => Open
                    Some(Decision::Open) => self.enter(State::Open, Reason::ProbesFailed, self.latest, retry_after),
                    None => {}
                }
            }
            Mode::Closed { .. } | Mode::Shadow { .. } => self.judge(failed, call, retry_after),
            Mode::Open { .. } | Mode::ForcedOpen | Mode::Disabled => {}
        }
        Recorded { kind, is_slow }
    }

    /// Makes a change that somebody asked for. It wins over whatever the circuit was about to do.
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
            && let Mode::Open { since, until, asks: asks @ true } = &mut self.mode
        {
            *until = since.saturating_add(wait);
            *asks = false;
        }
    }

    // ---- how it decides

    fn is_judging(&self) -> bool {
        matches!(self.mode, Mode::Closed { .. } | Mode::Shadow { .. })
    }

    /// Whether the outcome counts as a failure; `None` where it counts as nothing.
    fn verdict(&self, outcome: Outcome, is_slow: bool) -> Option<bool> {
        match outcome {
            Outcome::Success => Some(false),
            Outcome::Failure => Some(true),
            Outcome::Ignored => None,
            Outcome::Panicked => (self.config.on_panic == PanicPolicy::Failure).then_some(true),
            Outcome::Abandoned => match self.config.on_abandoned {
                Abandonment::Failure => Some(true),
                Abandonment::Judge => is_slow.then_some(true),
                Abandonment::Ignore => None,
            },
        }
    }

    fn record_neutral(&mut self, kind: Kind, flight: u64) {
        self.end_flight(flight);
        let is_judged = kind == Kind::Abandoned && self.config.on_abandoned == Abandonment::Judge;
        match &mut self.mode {
            Mode::HalfOpen(probes) => probes.give_back(),
            Mode::Closed { .. } | Mode::Shadow { .. } if is_judged => {
                self.window.add_abandoned();
                self.evaluate(None);
            }
            _ => {}
        }
    }

    /// Counts a call that ended while the circuit was closed, and looks at the rules.
    fn judge(&mut self, failed: bool, call: Ended, retry_after: Option<Duration>) {
        match self.end_flight(call.flight) {
            Some(counted) if failed => self.window.mark_failed(counted),
            Some(_) => {}
            None => drop(self.window.add(failed, call.is_slow)),
        }
        self.consecutive_failures = if failed { self.consecutive_failures.saturating_add(1) } else { 0 };
        if let (Some(settings), false) = (&self.config.throttle, failed) {
            self.traffic.get_or_insert_default().accept(settings, self.latest);
        }
        let opens_at_once = call.retry_after.is_some() && self.config.retry_after == RetryAfter::OpensAtOnce;
        if opens_at_once && matches!(self.mode, Mode::Closed { .. }) {
            self.trip(Reason::RetryAfter, retry_after);
        } else if failed || self.config.evaluate_on == EvaluateOn::AnyCall {
            self.evaluate(retry_after);
        }
    }

    fn end_flight(&mut self, flight: u64) -> Option<super::window::Stamp> {
        self.flights.as_mut().filter(|_| flight > 0).and_then(|flights| flights.end(flight))
    }

    // ## Closed => Open
    fn trip(&mut self, reason: Reason, wait: Option<Duration>) {
        if self.asks {
            self.wanted = Some((reason, wait));
        } else {
            self.enter(State::Open, reason, self.latest, wait);
        }
    }

    /// Looks at the rules after something was counted.
    fn evaluate(&mut self, retry_after: Option<Duration>) {
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

    fn rules_met(&self) -> impl Iterator<Item = Reason> + use<> {
        let met = self.config.rules.met(self.window.counts(), self.consecutive_failures);
        let judges_abandoned = self.config.on_abandoned == Abandonment::Judge;
        met.into_iter().flatten().filter(move |reason| judges_abandoned || *reason != Reason::AbandonedRate)
    }

    fn would_open(&mut self, reason: Reason) {
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

    fn is_throttled(&mut self) -> bool {
        let Some(settings) = self.config.throttle.as_ref().filter(|_| self.is_judging()) else { return false };
        let random = self.random.f64();
        self.traffic.get_or_insert_default().is_rejected(settings, self.latest, random)
    }

    /// The open time that the dependency asked for. A wait of 0 asks for the configured one.
    fn retry_after_of(&self, call: Ended) -> Option<Duration> {
        let asked = call.retry_after.filter(|_| self.config.retry_after != RetryAfter::Ignore)?;
        (!asked.is_zero()).then(|| asked.min(self.config.retry_after_max))
    }

    fn jittered(&mut self, wait: Duration) -> Duration {
        with_jitter(wait, self.config.open_time_jitter, self.random.f64())
    }

    fn evidence(&self) -> Snapshot {
        let rules = &self.config.rules;
        let (counts, minimum, slow_minimum) = match &self.mode {
            Mode::HalfOpen(probes) => {
                let calls = self.config.half_open.results_needed();
                (probes.counts(), calls, calls)
            }
            _ => (self.window.counts(), rules.minimum_calls, rules.slow_call_minimum_calls),
        };
        Snapshot::new(counts, u64::from(minimum), u64::from(slow_minimum), self.half_open_attempts)
    }

    /// Every change of state goes through here. `wait` overrules the open time and does not count as a trip.
    fn enter(&mut self, to: State, reason: Reason, at: Instant, wait: Option<Duration>) {
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
                Mode::Closed { ramp: self.config.ramp.map(|_| Ramp { since: at, credit: 1.0 }) }
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

    fn open(&mut self, since: Instant, wait: Option<Duration>) -> Mode {
        if wait.is_none() {
            self.trips = self.trips.saturating_add(1);
        }
        match wait.or_else(|| self.config.open_time.wait(self.trips).map(|wait| self.jittered(wait))) {
            Some(wait) => Mode::Open { since, until: since.saturating_add(wait), asks: false },
            None => Mode::Open { since, until: Instant::NEVER, asks: true },
        }
    }
}

impl Ramp {
    fn admits(&mut self, now: Instant, over: Option<Duration>) -> bool {
        let share = now.saturating_duration_since(self.since).as_secs_f64() / over.unwrap_or_default().as_secs_f64();
        self.credit += share.clamp(0.0, 1.0);
        let admits = self.credit >= 1.0;
        self.credit -= if admits { 1.0 } else { 0.0 };
        admits
    }
}

impl Rules {
    /// The rules that the evidence meets, failures first: slowness is the reason where nothing failed too much.
    fn met(&self, counts: Counts, consecutive_failures: u32) -> [Option<Reason>; 5] {
        let enough = |minimum: u32| counts.calls > 0 && counts.calls >= u64::from(minimum);
        let reaches = |part: u64, of: u64, rate: f64| part as f64 / of as f64 >= rate;
        let rule = |is_met: bool, reason| is_met.then_some(reason);
        let failure_rate = self
            .failure_rate
            .is_some_and(|rate| enough(self.minimum_calls) && reaches(counts.failed, counts.calls, rate.get()));
        let slow_call_rate = self
            .slow_call_rate
            .is_some_and(|rate| enough(self.slow_call_minimum_calls) && reaches(counts.slow, counts.calls, rate.get()));
        let failure_count = self
            .failure_count
            .is_some_and(|failures| enough(self.failure_count_minimum_calls) && counts.failed >= u64::from(failures));
        let offered = counts.calls + counts.abandoned;
        let abandoned_rate = counts.abandoned > 0
            && offered >= u64::from(self.minimum_calls)
            && reaches(counts.abandoned, offered, self.abandoned_rate.get());
        [
            rule(failure_rate, Reason::FailureRate),
            rule(failure_count, Reason::FailureCount),
            rule(
                self.consecutive_failures.is_some_and(|failures| consecutive_failures >= failures),
                Reason::ConsecutiveFailures,
            ),
            rule(slow_call_rate, Reason::SlowCallRate),
            rule(abandoned_rate, Reason::AbandonedRate),
        ]
    }

    fn most_minimum_calls(&self) -> u64 {
        u64::from(self.minimum_calls.max(self.slow_call_minimum_calls).max(self.failure_count_minimum_calls))
    }
}

/// The time until a deadline; `None` where it never comes.
fn time_left(until: Instant, now: Instant) -> Option<Duration> {
    (until != Instant::NEVER).then(|| until.saturating_duration_since(now))
}

fn kind(outcome: Outcome, on_panic: PanicPolicy) -> Kind {
    match outcome {
        Outcome::Success => Kind::Successful,
        Outcome::Failure => Kind::Failed,
        Outcome::Panicked if on_panic == PanicPolicy::Failure => Kind::Failed,
        Outcome::Panicked | Outcome::Ignored => Kind::Ignored,
        Outcome::Abandoned => Kind::Abandoned,
    }
}

/// Name and number are the holder's to give.
fn transition(from: State, to: State, reason: Reason, at: Instant, snapshot: Snapshot) -> Transition {
    Transition { name: "", from, to, reason, note: None, at, sequence: 0, snapshot }
}
