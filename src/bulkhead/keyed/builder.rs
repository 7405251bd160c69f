//! The settings of a group of bulkheads.

use super::group::{Group, no_partitions};
use super::handle::KeyedBulkhead;
use crate::bulkhead::config::BulkheadConfig;
use crate::clock::Clock;
use crate::config::{ConfigError, Named, Problems, setters};
use crate::keyed_table::{Key, check_max_keys};
use crate::sync::Arc;
use std::marker::PhantomData;

/// Builds a [`KeyedBulkhead`]. Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
pub struct KeyedBulkheadBuilder<K> {
    target: Named,
    config: BulkheadConfig,
    max_keys: usize,
    key: PhantomData<fn(K)>,
}

setters! { KeyedBulkheadBuilder<K>:
    /// The settings of every key's bulkhead. Default: those of one bulkhead.
    pub fn config(config: BulkheadConfig);

    /// Keys that are kept at most. Default: 10,000. Valid: 1 to 100,000,000.
    ///
    /// The table has parts that share the number equally; a part can be full a little before the whole is.
    pub fn max_keys(keys: usize);
}

setters! { KeyedBulkheadBuilder<K>.target:
    /// The clock. Default: the system's monotonic clock.
    pub fn clock(clock: Clock);
}

impl<K: Key> KeyedBulkheadBuilder<K> {
    /// Checks the settings and makes the group.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<KeyedBulkhead<K>, ConfigError> {
        let mut problems = Problems::default();
        check_max_keys(&mut problems, self.max_keys);
        no_partitions(&mut problems, &self.config);
        let (name, ()) = self.target.with(problems.into_result(()))?;
        Ok(KeyedBulkhead::new(Arc::new(Group::new(name, self.config, self.max_keys, self.target.clock))))
    }
}

impl<K: Key> KeyedBulkhead<K> {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> KeyedBulkheadBuilder<K> {
        let (target, config) = (Named::new(name.into()), BulkheadConfig::default());
        KeyedBulkheadBuilder { target, config, max_keys: 10_000, key: PhantomData }
    }
}
