//! The decisions of a circuit breaker: a function of its arguments.
//!
//! ```text
//!              a rule is met                 open time over
//!   ┌────────┐ ───────────────▶ ┌──────┐ ───────────────────▶ ┌───────────┐
//!   │ Closed │                  │ Open │                      │ Half-open │
//!   └────────┘                  └──────┘ ◀─────────────────── └───────────┘
//!        ▲                  probes failed, or none was answered      │
//!        └───────────────────────────────────────────────────────────┘
//!                              probes succeeded
//!
//!   by hand, from and to everywhere: Forced open, Disabled, Shadow
//! ```
//!
//! Each admission carries the generation it was made in, and each change of state begins a new one: a result
//! from an earlier generation is counted and changes nothing. The owner of the machine may count plain
//! successes elsewhere while [`Machine::steady_until`] allows it, and hand them in with [`Machine::absorb`].
//!
//! - `types`: inputs and outputs
//! - `calls`: admissions and results
//! - `changes`: changes of state, by time, by rules and by hand
//! - `queries`: getters

pub(super) mod calls;
pub(super) mod changes;
pub(super) mod queries;
pub(super) mod types;

pub(crate) use types::OpenTimeQuestion;

use types::OpenFor;

use super::config::CircuitBreakerConfig;
use super::event::Event;
use super::in_flight::InFlight;
use super::probes::Probes;
use super::ramp::Ramp;
use super::snapshot::Snapshot;
use super::state::Reason;
use super::throttle::Traffic;
use super::window::Window;
use crate::clock::Instant;
use std::sync::Arc;
use std::time::Duration;

/// Open time until the user's function has answered.
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
    /// Calls without an answer since the last answer.
    unanswered: u32,
    /// How long a caller usually waits for an answer before its leaving says something.
    usual_wait: Duration,
    /// Probes that had no answer when their round was over, and have none so far.
    hanging: u32,
    /// Trips since the circuit was last closed.
    trips: u32,
    half_open_attempts: u32,
    /// Rules that a shadow breaker has reported in this incident.
    announced: u16,
    /// Whether the holder is asked before a rule opens the circuit: a group limits how many are open.
    asks: bool,
    /// Rules that would have opened it.
    wanted: Option<(Reason, OpenFor)>,
    random: fastrand::Rng,
    tripped_by: Option<Box<Snapshot>>,
    flights: Option<Box<InFlight>>,
    traffic: Option<Box<Traffic>>,
    events: Vec<Event>,
}

#[derive(Clone, Debug)]
enum Mode {
    Closed { ramp: Option<Ramp> },
    Open { since: Instant, until: Instant, at_least: Duration, asks: Asks },
    HalfOpen(Box<Probes>),
    ForcedOpen,
    Disabled,
    Shadow { would_reject_until: Instant },
}

/// Whether a function of the user's has to say how long the circuit stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    Nothing,
    Now,
    /// The question is out: the function may use the breaker, and must not be asked again from there.
    Already,
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
            unanswered: 0,
            usual_wait: Duration::MAX,
            hanging: 0,
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
        machine.enter(initial, Reason::Manual, now, OpenFor::TRIP);
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
        machine.random = fastrand::Rng::with_seed(seed);
        machine.generation = machine.generation.max(generation);
        machine.absorb(successes);
        machine
    }

    /// Takes in successes that were counted elsewhere in this generation.
    pub(crate) fn absorb(&mut self, successes: u64) {
        if successes > 0 {
            (self.consecutive_failures, self.unanswered) = (0, 0);
            if self.is_judging() {
                self.window.add_successes(successes);
            }
        }
    }

    /// Sets how long a caller waits for an answer before its leaving says something, if the settings do not.
    pub(crate) fn set_usual_wait(&mut self, wait: Duration) {
        self.usual_wait = wait;
    }

    /// The limit of a half-open round. A call may last longer than its time: as long as others did, and some.
    fn round_limit(&self) -> Duration {
        self.config.half_open.timeout.max(self.config.unanswered_after.unwrap_or(self.usual_wait))
    }

    /// The question to the user's function, once for each opening.
    pub(crate) fn take_open_time_question(&mut self) -> Option<OpenTimeQuestion> {
        match &mut self.mode {
            Mode::Open { asks, .. } if *asks == Asks::Now => *asks = Asks::Already,
            _ => return None,
        }
        Some(OpenTimeQuestion {
            time: self.config.open_time.clone(),
            trips: self.trips,
            snapshot: self.snapshot(),
            generation: self.generation,
        })
    }

    pub(crate) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }
}
