//! One key's circuit, small while it is healthy.

use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::core::seed;
use crate::circuit_breaker::machine::Machine;
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::usual_time::UsualTime;
use crate::clock::Instant;
use crate::keyed_table::{self, Evict};
use crate::sync::{Arc, Mutex, MutexGuard};

/// A key and its circuit.
pub(super) type Entry<K> = keyed_table::Entry<K, Circuit>;

/// A circuit behind its lock.
#[derive(Debug)]
pub(super) struct Circuit {
    slot: Mutex<Slot>,
    pub(super) usual: UsualTime,
}

/// A circuit that is closed and has seen successes only is described by two numbers.
#[derive(Debug)]
pub(super) struct Slot {
    generation: u64,
    successes: u32,
    /// Time of the last call of a circuit that is written out, in seconds.
    used_at: u32,
    machine: Option<Box<Machine>>,
    /// Whether it is in the group's list of circuits that are open.
    pub(super) is_listed: bool,
}

/// Seconds without a call after which a closed circuit with failures makes room if no healthy one does: a client that
/// sends one bad call for each of many keys must not fill the table for good.
const IDLE: u32 = 2;

impl Circuit {
    pub(super) fn new() -> Self {
        let slot = Slot { generation: 1, successes: 0, used_at: 0, machine: None, is_listed: false };
        Self { slot: Mutex::new(slot), usual: UsualTime::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock()
    }

    /// For one circuit while another is locked, which may be locked the other way round at the same time.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Slot>> {
        self.slot.try_lock()
    }

    /// Returns whether it is open and can be forgotten. `false` if it is locked.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        let slot = self.slot.try_lock();
        slot.is_some_and(|mut slot| slot.open().is_some_and(|machine| machine.is_forgettable(now)))
    }

    /// Cost of evicting an unused circuit: nothing, some evidence, or a state.
    pub(super) fn may_evict(&self, now: Instant) -> Evict {
        let Some(mut slot) = self.slot.try_lock() else { return Evict::Never };
        let is_idle = seconds(now).saturating_sub(slot.used_at) >= IDLE;
        let Some(machine) = &mut slot.machine else { return Evict::Gladly };
        if machine.is_forgettable(now) {
            Evict::Gladly
        } else if is_idle && machine.state() == machine.config().initial_state {
            Evict::Reluctantly
        } else {
            Evict::Never
        }
    }
}

fn seconds(time: Instant) -> u32 {
    u32::try_from(time.as_nanos() / 1_000_000_000).unwrap_or(u32::MAX)
}

/// Returns whether a circuit in this state takes one of the places of those that may be open.
pub(super) fn is_open(state: State) -> bool {
    matches!(state, State::Open | State::HalfOpen)
}

impl Slot {
    /// The whole circuit, written out if it was not.
    pub(super) fn machine(&mut self, config: impl FnOnce() -> Arc<CircuitBreakerConfig>, now: Instant) -> &mut Machine {
        let (generation, successes) = (self.generation, self.successes);
        self.used_at = seconds(now);
        self.machine.get_or_insert_with(|| {
            let mut machine = Machine::resume(config(), seed(), now, generation, u64::from(successes));
            machine.ask_before_opening();
            Box::new(machine)
        })
    }

    /// Keeps its place in the list of those that are open: `None` once it is not, otherwise whether it has been without
    /// calls for so long that it can be forgotten.
    pub(super) fn stay_listed(&mut self, now: Instant) -> Option<bool> {
        let is_dead = self.open().map(|machine| machine.is_forgettable(now));
        self.is_listed = is_dead.is_some();
        is_dead
    }

    /// The circuit, if it is open.
    fn open(&mut self) -> Option<&mut Machine> {
        self.machine.as_deref_mut().filter(|machine| is_open(machine.state()))
    }

    /// The state, without the changes that time makes.
    pub(super) fn state(&self, config: &CircuitBreakerConfig) -> State {
        self.machine.as_ref().map_or(config.initial_state, |machine| machine.state())
    }

    pub(super) fn is_written_out(&self) -> bool {
        self.machine.is_some()
    }

    /// The generation of a circuit that is not written out.
    pub(super) fn healthy_generation(&self) -> Option<u64> {
        self.machine.is_none().then_some(self.generation)
    }

    /// Counts a success of a circuit that is not written out; those past a full window add nothing.
    pub(super) fn count_success(&mut self, window: u32) {
        self.successes = self.successes.saturating_add(1).min(window);
    }

    /// Folds a circuit that is closed and clean into its two numbers.
    pub(super) fn fold(&mut self) {
        if let Some(machine) = self.machine.take_if(|machine| machine.is_pristine()) {
            self.generation = machine.generation();
            self.successes = u32::try_from(machine.snapshot().calls).unwrap_or(u32::MAX);
        }
    }
}
