//! The settings of a group of bulkheads.

use super::group::{Group, no_partitions};
use super::handle::KeyedBulkhead;
use crate::bulkhead::config::BulkheadConfig;
use crate::clock::Clock;
use crate::config::{ConfigError, Named, Problems, setters};
use crate::keyed_table::{Key, KeyLabel, check_max_keys};
use crate::shared_ref::Counted;
use std::marker::PhantomData;

/// Builds a [`KeyedBulkhead`]. Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
pub struct KeyedBulkheadBuilder<K> {
    target: Named,
    config: BulkheadConfig,
    max_keys: usize,
    label: KeyLabel<K>,
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
    pub fn build(self) -> Result<KeyedBulkhead<K>, ConfigError> {
        let mut problems = Problems::default();
        check_max_keys(&mut problems, self.max_keys);
        no_partitions(&mut problems, &self.config);
        let (name, ()) = self.target.with(problems.into_result(()))?;
        let group = Group::new(name, self.config, self.max_keys, self.target.clock, self.label);
        Ok(KeyedBulkhead::new(Counted::new(group)))
    }
}

impl<K: Key> KeyedBulkhead<K> {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> KeyedBulkheadBuilder<K> {
        let (target, config) = (Named::new(name.into()), BulkheadConfig::default());
        KeyedBulkheadBuilder { target, config, max_keys: 10_000, label: KeyLabel::default(), key: PhantomData }
    }
}
