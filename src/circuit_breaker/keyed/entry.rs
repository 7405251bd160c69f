//! One key's circuit, small while it is healthy.

use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::core::seed;
use crate::circuit_breaker::machine::Machine;
use crate::circuit_breaker::state::State;
use crate::clock::Instant;
use crate::keyed_table;
use crate::sync::{Arc, Mutex, MutexGuard};

/// A key and its circuit.
pub(super) type Entry<K> = keyed_table::Entry<K, Circuit>;

/// A circuit behind its lock.
#[derive(Debug)]
pub(super) struct Circuit {
    slot: Mutex<Slot>,
}

/// A circuit that is closed and has seen successes only is described by two numbers.
#[derive(Debug)]
pub(super) struct Slot {
    generation: u64,
    successes: u32,
    machine: Option<Box<Machine>>,
}

impl Circuit {
    pub(super) fn new() -> Self {
        Self { slot: Mutex::new(Slot { generation: 1, successes: 0, machine: None }) }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock()
    }

    /// Returns whether nothing is lost by forgetting an unused circuit.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let slot = self.slot.try_lock();
        slot.is_some_and(|mut slot| slot.machine.as_mut().is_none_or(|machine| machine.is_forgettable(now)))
    }

    /// Returns whether it is open or half-open and could be forgotten.
    pub(super) fn is_dead(&self, now: Instant) -> bool {
        let slot = self.slot.try_lock();
        slot.is_some_and(|mut slot| {
            let machine = slot.machine.as_mut().filter(|machine| is_open(machine.state()));
            machine.is_some_and(|machine| machine.is_forgettable(now))
        })
    }
}

/// Returns whether a circuit in this state takes one of the places of those that may be open.
pub(super) fn is_open(state: State) -> bool {
    matches!(state, State::Open | State::HalfOpen)
}

impl Slot {
    /// The whole circuit, written out if it was not.
    pub(super) fn machine(&mut self, config: impl FnOnce() -> Arc<CircuitBreakerConfig>, now: Instant) -> &mut Machine {
        let (generation, successes) = (self.generation, self.successes);
        self.machine.get_or_insert_with(|| {
            let mut machine = Machine::resume(config(), seed(), now, generation, u64::from(successes));
            machine.ask_before_opening();
            Box::new(machine)
        })
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
