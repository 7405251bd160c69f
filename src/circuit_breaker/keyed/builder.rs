//! The settings of a group of breakers.

use super::group::Group;
use super::handle::KeyedCircuitBreaker;
use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::state::State;
use crate::clock::Clock;
use crate::config::{ConfigError, Problems, intern};
use crate::keyed_table::Key;
use crate::sync::Arc;
use std::marker::PhantomData;

/// The most keys that can be asked for: about 20 GB of healthy ones.
const MAX_KEYS_MAX: usize = 100_000_000;

/// Builds a [`KeyedCircuitBreaker`]. Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
pub struct KeyedCircuitBreakerBuilder<K> {
    name: String,
    config: CircuitBreakerConfig,
    max_keys: usize,
    max_open_fraction: f64,
    clock: Clock,
    key: PhantomData<fn(K)>,
}

impl<K> KeyedCircuitBreakerBuilder<K> {
    pub(super) fn new(name: String) -> Self {
        Self {
            name,
            config: CircuitBreakerConfig::default(),
            max_keys: 10_000,
            max_open_fraction: 1.0,
            clock: Clock::system(),
            key: PhantomData,
        }
    }

    /// The settings of every key's circuit. Default: those of one breaker.
    ///
    /// Keys see a share of the traffic: a smaller minimum of calls usually fits them.
    #[must_use]
    pub fn config(mut self, config: CircuitBreakerConfig) -> Self {
        self.config = config;
        self
    }

    /// Keys that are kept at most. Default: 10,000. Valid: 1 to 100,000,000.
    ///
    /// The table has parts that share the number equally; a part can be full a little before the whole is.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// The share of the known keys that may be open or half-open at once; one key always may. Default: 1, no
    /// bound. Valid: above 0, at most 1.
    ///
    /// A key whose rule is met beyond it stays closed, and its calls go through. Commands are not bound by it.
    #[must_use]
    pub fn max_open_fraction(mut self, fraction: f64) -> Self {
        self.max_open_fraction = fraction;
        self
    }

    /// The clock. Default: the system's monotonic clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

impl<K: Key> KeyedCircuitBreakerBuilder<K> {
    /// Checks the settings and makes the group.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<KeyedCircuitBreaker<K>, ConfigError> {
        let mut problems = Problems::default();
        let name = intern("name", &self.name).unwrap_or_else(|error| {
            problems.extend(error);
            ""
        });
        if self.max_keys == 0 || self.max_keys > MAX_KEYS_MAX {
            problems.add("max_keys", self.max_keys, format!("from 1 to {MAX_KEYS_MAX}"));
        }
        let max_open_fraction = problems.ratio("max_open_fraction", self.max_open_fraction);
        let initial = self.config.initial_state;
        if !matches!(initial, State::Closed | State::Disabled | State::Shadow) {
            problems.add(
                "config.initial_state",
                initial,
                "closed, disabled or shadow: keys appear while calls come in",
            );
        }
        problems.into_result(())?;
        let group = Group::new(name, self.config, self.max_keys, max_open_fraction, self.clock);
        Ok(KeyedCircuitBreaker::new(Arc::new(group)))
    }
}

impl<K: Key> KeyedCircuitBreaker<K> {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> KeyedCircuitBreakerBuilder<K> {
        KeyedCircuitBreakerBuilder::new(name.into())
    }
}
