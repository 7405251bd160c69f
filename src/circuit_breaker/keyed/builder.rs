//! The settings of a group of breakers.

use super::group::Group;
use super::handle::KeyedCircuitBreaker;
use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::state::State;
use crate::clock::Clock;
use crate::config::{ConfigError, Named, Problems, setters};
use crate::keyed_table::{Key, KeyLabel, check_max_keys};
use crate::shared_ref::Counted;
use std::marker::PhantomData;

/// Builds a [`KeyedCircuitBreaker`]. Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
pub struct KeyedCircuitBreakerBuilder<K> {
    target: Named,
    config: CircuitBreakerConfig,
    max_keys: usize,
    max_open_fraction: f64,
    label: KeyLabel<K>,
    key: PhantomData<fn(K)>,
}

setters! { KeyedCircuitBreakerBuilder<K>:
    /// The settings of every key's circuit. Default: those of one breaker.
    ///
    /// Keys see a share of the traffic: a smaller minimum of calls usually fits them.
    pub fn config(config: CircuitBreakerConfig);

    /// Keys that are kept at most. Default: 10,000. Valid: 1 to 100,000,000.
    ///
    /// The table has parts that share the number equally; a part can be full a little before the whole is.
    pub fn max_keys(keys: usize);

    /// The share of the known keys that may be open or half-open at once; one key always may. Default: 1, no
    /// bound. Valid: above 0, at most 1.
    ///
    /// A key whose rule is met beyond it stays closed, and its calls go through. Commands are not bound by it.
    pub fn max_open_fraction(fraction: f64);
}

setters! { KeyedCircuitBreakerBuilder<K>.target:
    /// The clock. Default: the system's monotonic clock.
    pub fn clock(clock: Clock);
}

impl<K: Key> KeyedCircuitBreakerBuilder<K> {
    /// Text of a key in the log and on the admin page, for example a shortened one. Default: the key itself if it is a
    /// text, a number or an address; otherwise keys are not shown. At most 128 characters.
    ///
    /// It is never a label of a metric.
    #[must_use]
    pub fn key_label(mut self, label: impl Fn(&K) -> String + Send + Sync + 'static) -> Self {
        self.label = KeyLabel::new(label);
        self
    }

    /// Checks the settings and makes the group.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<KeyedCircuitBreaker<K>, ConfigError> {
        let mut problems = Problems::default();
        check_max_keys(&mut problems, self.max_keys);
        let max_open_fraction = problems.ratio("max_open_fraction", self.max_open_fraction);
        let initial = self.config.initial_state;
        let is_allowed = matches!(initial, State::Closed | State::Disabled | State::Shadow);
        let allowed = "closed, disabled or shadow: keys appear while calls come in";
        problems.require(is_allowed, "config.initial_state", initial, allowed);
        let (name, ()) = self.target.with(problems.into_result(()))?;
        let group = Group::new(name, self.config, self.max_keys, max_open_fraction, self.target.clock, self.label);
        Ok(KeyedCircuitBreaker::new(Counted::new(group)))
    }
}

impl<K: Key> KeyedCircuitBreaker<K> {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> KeyedCircuitBreakerBuilder<K> {
        let (target, config) = (Named::new(name.into()), CircuitBreakerConfig::default());
        let label = KeyLabel::default();
        KeyedCircuitBreakerBuilder { target, config, max_keys: 10_000, max_open_fraction: 1.0, label, key: PhantomData }
    }
}
