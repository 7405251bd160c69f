//! Handles by name, for whoever looks at all of them: a scrape, health checks, an admin page.
//!
//! There is no hidden global: a program makes a registry and gives it what it wants to see there.
//!
//! # Examples
//!
//! ```
//! use backstop::{CircuitBreaker, Registry};
//!
//! let registry = Registry::new();
//! let payments = registry.add(CircuitBreaker::new("payments"))?;
//! payments.force_open("maintenance");
//! assert_eq!(registry.circuit_breaker("payments").unwrap().state().as_str(), "forced_open");
//! registry.publish(); // before a scrape
//! # Ok::<(), backstop::ConfigError>(())
//! ```

use crate::circuit_breaker::CircuitBreaker;
use crate::config::{ConfigError, Problem};
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;

/// Mechanisms by name. Clones share the same list.
#[derive(Clone, Default)]
pub struct Registry {
    circuit_breakers: Arc<Mutex<BTreeMap<&'static str, CircuitBreaker>>>,
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a circuit breaker and gives it back.
    ///
    /// # Errors
    ///
    /// When another breaker of that name is there: their metrics could not be told apart.
    pub fn add(&self, breaker: CircuitBreaker) -> Result<CircuitBreaker, ConfigError> {
        let mut breakers = self.circuit_breakers.lock();
        let known = breakers.entry(breaker.name()).or_insert_with(|| breaker.clone());
        if known.is_same(&breaker) {
            Ok(breaker)
        } else {
            let allowed = "a name that no other circuit breaker in the registry has";
            Err(ConfigError::of(Problem::new("name", format!("\"{}\"", breaker.name()), allowed)))
        }
    }

    /// Takes a circuit breaker out.
    pub fn remove_circuit_breaker(&self, name: &str) -> Option<CircuitBreaker> {
        self.circuit_breakers.lock().remove(name)
    }

    /// The circuit breaker of this name.
    pub fn circuit_breaker(&self, name: &str) -> Option<CircuitBreaker> {
        self.circuit_breakers.lock().get(name).cloned()
    }

    /// All circuit breakers, by name.
    pub fn circuit_breakers(&self) -> Vec<CircuitBreaker> {
        self.circuit_breakers.lock().values().cloned().collect()
    }

    /// Brings the metrics of everything here up to date. Call it before rendering a scrape.
    pub fn publish(&self) {
        self.circuit_breakers().iter().for_each(CircuitBreaker::publish);
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("circuit_breakers", &self.circuit_breakers()).finish()
    }
}
