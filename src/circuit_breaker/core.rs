//! State behind the lock of a breaker, and a sample of it.

use super::config::CircuitBreakerConfig;
use super::event::TRANSITIONS;
use super::machine::Machine;
use super::machine::types::OpenTimeQuestion;
use super::snapshot::Snapshot;
use super::state::State;
use super::thread_counters::ThreadCounters;
use super::totals::{Accumulator, Totals};
use crate::clock::Instant;
use crate::panic::catch_panic;
use crate::sync::Arc;
use std::time::Duration;

/// State behind the lock.
pub(super) struct Core {
    pub(super) machine: Machine,
    pub(super) accumulated: Accumulator,
    /// Successes of this generation that the machine has taken in.
    pub(super) absorbed: (u64, u64),
}

/// Everything that can be read of a breaker, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "published as metrics"))]
    pub(crate) config: Arc<CircuitBreakerConfig>,
    pub(crate) state: State,
    pub(crate) snapshot: Snapshot,
    pub(crate) totals: Totals,
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "published as metrics"))]
    pub(crate) transitions: [u64; TRANSITIONS.len()],
    pub(crate) open_time: Duration,
    pub(crate) retry_after: Option<Duration>,
}

impl Core {
    /// Hands the machine the successes that were counted without it.
    pub(super) fn absorb(&mut self, thread_counters: &ThreadCounters) {
        let generation = self.machine.generation();
        let successes = thread_counters.successes_of(generation);
        let known = if self.absorbed.0 == generation { self.absorbed.1 } else { 0 };
        self.machine.absorb(successes - known);
        self.absorbed = (generation, successes);
    }

    pub(super) fn sample(&self, now: Instant) -> Sample {
        Sample {
            config: Arc::clone(self.machine.config()),
            state: self.machine.state(),
            snapshot: self.machine.snapshot(),
            totals: self.accumulated.totals,
            transitions: self.accumulated.transitions,
            open_time: self.accumulated.open_time(now),
            retry_after: self.machine.retry_after(),
        }
    }
}

/// Asks the user's function how long to stay open. Call it without a lock.
pub(crate) fn ask_open_time(question: &OpenTimeQuestion) -> Option<Duration> {
    let function = question.time.function()?;
    catch_panic(|| function(question.trips, &question.snapshot))
}

/// A seed that differs from breaker to breaker and from process to process.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}
