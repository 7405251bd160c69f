//! The settings of a group of bulkheads.

use super::group::{Group, no_partitions};
use super::handle::KeyedBulkhead;
use crate::bulkhead::config::BulkheadConfig;
use crate::clock::Clock;
use crate::config::{ConfigError, Named, Problems};
use crate::keyed_table::Key;
use crate::sync::Arc;
use std::marker::PhantomData;

/// The most keys that can be asked for: some 15 GB of them.
const MAX_KEYS_MAX: usize = 100_000_000;

/// Builds a [`KeyedBulkhead`]. Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
pub struct KeyedBulkheadBuilder<K> {
    target: Named,
    config: BulkheadConfig,
    max_keys: usize,
    key: PhantomData<fn(K)>,
}

impl<K> KeyedBulkheadBuilder<K> {
    pub(super) fn new(name: String) -> Self {
        Self { target: Named::new(name), config: BulkheadConfig::default(), max_keys: 10_000, key: PhantomData }
    }

    /// The settings of every key's bulkhead. Default: those of one bulkhead.
    #[must_use]
    pub fn config(mut self, config: BulkheadConfig) -> Self {
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

    /// The clock. Default: the system's monotonic clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.target.clock = clock;
        self
    }
}

impl<K: Key> KeyedBulkheadBuilder<K> {
    /// Checks the settings and makes the group.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<KeyedBulkhead<K>, ConfigError> {
        let mut problems = Problems::default();
        if self.max_keys == 0 || self.max_keys > MAX_KEYS_MAX {
            problems.add("max_keys", self.max_keys, format!("from 1 to {MAX_KEYS_MAX}"));
        }
        no_partitions(&mut problems, &self.config);
        let (name, ()) = self.target.with(problems.into_result(()))?;
        Ok(KeyedBulkhead::new(Arc::new(Group::new(name, self.config, self.max_keys, self.target.clock))))
    }
}

impl<K: Key> KeyedBulkhead<K> {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> KeyedBulkheadBuilder<K> {
        KeyedBulkheadBuilder::new(name.into())
    }
}
