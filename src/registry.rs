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
use crate::circuit_breaker::keyed::{Key, KeyedCircuitBreaker};
use crate::config::{ConfigError, Problem};
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;

/// Mechanisms by name. Clones share the same list.
#[derive(Clone, Default)]
pub struct Registry {
    entries: Arc<Mutex<BTreeMap<&'static str, Entry>>>,
}

/// Breakers and groups of them share one space of names, as their metrics do.
#[derive(Clone)]
enum Entry {
    Breaker(CircuitBreaker),
    Keyed(Arc<dyn Fn() + Send + Sync>),
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
    /// When another of that name is there: their metrics could not be told apart.
    pub fn add(&self, breaker: CircuitBreaker) -> Result<CircuitBreaker, ConfigError> {
        let is_known = |entry: &Entry| matches!(entry, Entry::Breaker(known) if known.is_same(&breaker));
        self.insert(breaker.name(), Entry::Breaker(breaker.clone()), is_known)?;
        Ok(breaker)
    }

    /// Adds a group of circuit breakers, for its metrics, and gives it back.
    ///
    /// # Errors
    ///
    /// When another of that name is there.
    pub fn add_keyed<K: Key>(&self, breakers: KeyedCircuitBreaker<K>) -> Result<KeyedCircuitBreaker<K>, ConfigError> {
        let published = breakers.clone();
        self.insert(breakers.name(), Entry::Keyed(Arc::new(move || published.publish())), |_| false)?;
        Ok(breakers)
    }

    fn insert(
        &self,
        name: &'static str,
        entry: Entry,
        is_known: impl FnOnce(&Entry) -> bool,
    ) -> Result<(), ConfigError> {
        let mut entries = self.entries.lock();
        match entries.get(name) {
            Some(other) if !is_known(other) => {
                let allowed = "a name that nothing else in the registry has";
                Err(ConfigError::of(Problem::new("name", format!("\"{name}\""), allowed)))
            }
            _ => {
                entries.insert(name, entry);
                Ok(())
            }
        }
    }

    /// Takes a breaker or a group out. False where there was none of that name.
    pub fn remove(&self, name: &str) -> bool {
        let removed = self.entries.lock().remove(name);
        removed.is_some() // it is dropped without the lock: what its listeners own may use the registry
    }

    /// The circuit breaker of this name.
    pub fn circuit_breaker(&self, name: &str) -> Option<CircuitBreaker> {
        match self.entries.lock().get(name) {
            Some(Entry::Breaker(breaker)) => Some(breaker.clone()),
            _ => None,
        }
    }

    /// All circuit breakers, by name; groups are not among them.
    pub fn circuit_breakers(&self) -> Vec<CircuitBreaker> {
        let entries = self.entries.lock();
        let breakers = entries.values().filter_map(|entry| match entry {
            Entry::Breaker(breaker) => Some(breaker.clone()),
            Entry::Keyed(_) => None,
        });
        breakers.collect()
    }

    /// Brings the metrics of everything here up to date. Call it before rendering a scrape.
    pub fn publish(&self) {
        let entries: Vec<_> = self.entries.lock().values().cloned().collect();
        for entry in entries {
            match entry {
                Entry::Breaker(breaker) => breaker.publish(),
                Entry::Keyed(publish) => publish(),
            }
        }
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("circuit_breakers", &self.circuit_breakers()).finish()
    }
}

#[cfg(all(test, not(backstop_loom)))]
mod tests {
    use super::*;

    /// Uses the registry when it is dropped.
    struct Owned(Registry);

    impl Drop for Owned {
        fn drop(&mut self) {
            self.0.publish();
        }
    }

    #[test]
    fn what_a_removed_breaker_owns_may_use_the_registry() {
        let registry = Registry::new();
        let breaker = registry.add(CircuitBreaker::new("owner")).unwrap();
        let owned = Owned(registry.clone());
        breaker.subscribe(move |_| owned.0.publish()).forever();
        drop(breaker);
        assert!(registry.remove("owner"));
        assert!(!registry.remove("owner"));
    }

    #[test]
    fn a_name_is_given_once() {
        let registry = Registry::new();
        let breaker = registry.add(CircuitBreaker::new("twice")).unwrap();
        assert!(registry.add(breaker).is_ok(), "the same circuit again");
        let error = registry.add(CircuitBreaker::new("twice")).unwrap_err();
        assert_eq!(error.problems()[0].value(), "\"twice\"");
    }
}
