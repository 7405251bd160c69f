//! The settings of a bulkhead.

pub(super) mod builder;
pub(super) mod check;

use super::limit::AdaptiveLimit;
use super::limit::limiter::Limiter;
use super::partitions::PartitionTotal;
use super::queue::QueueOrder;
use super::shedding::Shedding;
use crate::config::Ratio;
use std::time::Duration;

/// Checked settings of a bulkhead.
///
/// Made by [`BulkheadConfig::builder`] or read from a file (feature `serde`); both go through the same check.
/// The settings are described where they are set, on [`BulkheadBuilder`](super::BulkheadBuilder).
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "tokio")] {
/// use backstop::bulkhead::{BulkheadConfig, QueueOrder, Shedding};
/// use std::time::Duration;
///
/// let config = BulkheadConfig::builder()
///     .max_concurrent_calls(64)
///     .max_wait(Duration::from_millis(200))
///     .queue_order(QueueOrder::Lifo)
///     .shedding(Shedding::new())
///     .build()?;
/// assert_eq!(config.max_concurrent_calls(), 64);
/// # }
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(try_from = "check::Settings"))]
pub struct BulkheadConfig {
    pub(crate) max_concurrent_calls: u32,
    pub(crate) max_wait: Duration,
    pub(crate) max_queue: u32,
    pub(crate) queue_order: QueueOrder,
    pub(crate) shedding: Option<Shedding>,
    pub(crate) max_hold: Option<Duration>,
    pub(crate) partitions: Vec<(&'static str, Ratio)>,
    pub(crate) partition_total: PartitionTotal,
    pub(crate) adaptive: Option<AdaptiveLimit>,
}

impl BulkheadConfig {
    /// Calls in flight at most; with an adaptive limit, the initial limit.
    pub const fn max_concurrent_calls(&self) -> u32 {
        self.max_concurrent_calls
    }

    /// Longest wait of a call for a permit.
    pub const fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// Calls that may wait at once.
    pub const fn max_queue(&self) -> u32 {
        self.max_queue
    }

    /// Order in which waiting calls are served.
    pub const fn queue_order(&self) -> QueueOrder {
        self.queue_order
    }

    /// Shedding of calls that queue for too long.
    pub const fn shedding(&self) -> Option<Shedding> {
        self.shedding
    }

    /// Whether guaranteed shares may exceed the limit.
    pub const fn partition_total(&self) -> PartitionTotal {
        self.partition_total
    }

    /// Longest time a permit may be held.
    pub const fn max_hold(&self) -> Option<Duration> {
        self.max_hold
    }

    /// The names of the partitions and their shares.
    pub fn partitions(&self) -> impl Iterator<Item = (&'static str, Ratio)> {
        self.partitions.iter().copied()
    }

    /// The adaptive limit, if there is one.
    pub const fn adaptive(&self) -> Option<&AdaptiveLimit> {
        self.adaptive.as_ref()
    }

    /// Returns whether more is noted of each call than that it is in flight.
    pub(crate) fn needs_lock(&self) -> bool {
        self.max_hold.is_some() || self.adaptive.is_some() || !self.partitions.is_empty()
    }

    /// Returns whether calls wait unless they ask for something else.
    pub(crate) fn queues(&self) -> bool {
        !self.max_wait.is_zero() && self.max_queue > 0
    }

    /// The limit that a bulkhead begins with.
    pub(crate) fn first_limit(&self) -> u32 {
        self.limiter(self.max_concurrent_calls).map_or(self.max_concurrent_calls, |limiter| limiter.limit())
    }

    pub(crate) fn shares(&self) -> impl Iterator<Item = f64> {
        self.partitions.iter().map(|(_, share)| share.get())
    }

    /// The adaptive limit, starting as near to `start` as its bounds allow.
    pub(crate) fn limiter(&self, start: u32) -> Option<Limiter> {
        let adaptive = self.adaptive.clone()?;
        let (min, max) = adaptive.bounds();
        Some(Limiter::new(adaptive, start.clamp(min, max)).expect("the settings were checked, and it is within them"))
    }
}
