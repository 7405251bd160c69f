//! The setters: plain values, checked together at the end.

use super::BulkheadConfig;
use super::check::Settings;
use crate::bulkhead::handle::Bulkhead;
use crate::bulkhead::limit::AdaptiveLimit;
use crate::bulkhead::partitions::PartitionTotal;
use crate::bulkhead::queue::QueueOrder;
use crate::bulkhead::shedding::Shedding;
use crate::clock::Clock;
use crate::config::{ConfigError, ConfigOnly, Named};
use std::time::Duration;

/// Builds a [`Bulkhead`] or, without a name, a [`BulkheadConfig`].
///
/// Setters never fail; `build` returns every problem at once.
#[derive(Clone, Debug)]
pub struct BulkheadBuilder<T> {
    settings: Settings,
    target: T,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Settings::default().check().expect("the defaults are in their own ranges: a test builds them")
    }
}

impl BulkheadConfig {
    /// Starts from the defaults.
    pub fn builder() -> BulkheadBuilder<ConfigOnly> {
        BulkheadBuilder { settings: Settings::default(), target: ConfigOnly(()) }
    }
}

impl BulkheadBuilder<ConfigOnly> {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range.
    pub fn build(self) -> Result<BulkheadConfig, ConfigError> {
        self.settings.check()
    }
}

impl BulkheadBuilder<Named> {
    pub(crate) fn named(name: String) -> Self {
        Self { settings: Settings::default(), target: Named::new(name) }
    }

    /// The clock. Default: the system's monotonic clock.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.target.clock = clock;
        self
    }

    /// Checks the settings and makes the bulkhead.
    ///
    /// # Errors
    ///
    /// Every setting that is out of its range, and a name that is empty, longer than 128 bytes or has control
    /// characters.
    pub fn build(self) -> Result<Bulkhead, ConfigError> {
        let (name, config) = self.target.with(self.settings.check())?;
        Ok(Bulkhead::make(name, config, self.target.clock))
    }
}

impl<T> BulkheadBuilder<T> {
    /// Calls in flight at most. Default: 25, as in Resilience4j. Valid: 1 to 500,000.
    ///
    /// Calls a second times the seconds that one takes are in flight when all is well (Little's law): take two or
    /// three times that. Smaller rejects bursts; larger lets a slow dependency hold more of the caller's tasks,
    /// sockets and memory.
    #[must_use]
    pub fn max_concurrent_calls(mut self, calls: u32) -> Self {
        self.settings.max_concurrent_calls = calls;
        self
    }

    /// How long a call may wait for a permit. Default: 0, a call that finds none is rejected at once. Valid: at
    /// most 1 day; above 0 it needs the feature `tokio`, whose timer ends the wait: a future that is polled outside of
    /// a tokio runtime does not wait.
    ///
    /// Longer survives longer bursts and answers later: less than what the caller has left after the call itself
    /// is no use to it.
    #[must_use]
    pub fn max_wait(mut self, wait: Duration) -> Self {
        self.settings.max_wait = wait;
        self
    }

    /// Calls that may wait at once; more are rejected. Default: 100. Valid: at most 1,000,000, and not 0 where
    /// `max_wait` lets calls wait.
    ///
    /// More than `max_wait` divided by the time of a call, times `max_concurrent_calls`, cannot be served in time.
    #[must_use]
    pub fn max_queue(mut self, calls: u32) -> Self {
        self.settings.max_queue = calls;
        self
    }

    /// Order in which waiting calls are served. Default: first in, first out.
    #[must_use]
    pub fn queue_order(mut self, order: QueueOrder) -> Self {
        self.settings.queue_order = order;
        self
    }

    /// Sheds calls that queue for too long, which depends on how long there has been a queue. Default: none; it
    /// needs a `max_wait`.
    #[must_use]
    pub fn shedding(mut self, shedding: impl Into<Option<Shedding>>) -> Self {
        self.settings.shedding = shedding.into();
        self
    }

    /// Longest time a call may hold its permit. Default: no limit. Valid: 1 ms to 1 day.
    ///
    /// After it the permit is revoked as soon as another call wants one, and a response body that holds it breaks with
    /// [`HoldExpired`](crate::bulkhead::HoldExpired), where the feature `tokio` has a timer for it. It is for clients
    /// that read their response a byte a minute, and for permits that were leaked. The call itself goes on: put a
    /// timeout round it.
    #[must_use]
    pub fn max_hold(mut self, hold: impl Into<Option<Duration>>) -> Self {
        self.settings.max_hold = hold.into();
        self
    }

    /// Guarantees a share of the permits to a partition, a tenant or a priority. Default: no partitions. Valid: at
    /// most 64 of different names, each share above 0, all together at most 1.
    ///
    /// A partition's own permits are its share of the limit rounded up, at least one. It borrows what the others
    /// leave idle; calls without a partition only borrow. [`Bulkhead::partition`] gives the handle.
    #[must_use]
    pub fn partition(mut self, name: impl Into<String>, share: f64) -> Self {
        self.settings.partitions.push((name.into(), share));
        self
    }

    /// Whether guaranteed shares may exceed the limit while others borrow them. Default: never.
    #[must_use]
    pub fn partition_total(mut self, total: PartitionTotal) -> Self {
        self.settings.partition_total = total;
        self
    }

    /// Lets the measured round trips set the limit, which begins with `max_concurrent_calls`. Default: none.
    ///
    /// A call that succeeds is a round trip; one that failed, or was given up by its caller after longer than calls
    /// usually take, is a drop. The layer's [classifier](crate::bulkhead::BulkheadLayer::classify) says which is which:
    /// by default every response is a success and every error says nothing; with
    /// [`Overload`](crate::classify::Overload) a 429, 503 or 504 is a drop.
    #[must_use]
    pub fn adaptive<A: Into<AdaptiveLimit>>(mut self, adaptive: impl Into<Option<A>>) -> Self {
        self.settings.adaptive = adaptive.into().map(A::into);
        self
    }
}

impl Bulkhead {
    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> BulkheadBuilder<Named> {
        BulkheadBuilder::named(name.into())
    }
}
