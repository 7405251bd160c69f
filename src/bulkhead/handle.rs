//! The bulkhead that users hold.

use super::compartment::Compartment;
use super::config::BulkheadConfig;
use super::config::check::check_limit;
use super::control;
use super::counters::{Counters, count};
use super::event::Event;
use super::owner::Owner;
use super::partitions::UNPARTITIONED;
use super::permit::Permit;
use super::shared::Shared;
use super::sink::EventSink;
use super::snapshot::{Snapshot, Totals};
use crate::clock::Clock;
use crate::config::{ConfigError, Problem, Problems};
use crate::events::{Subscription, note};
use crate::shared_ref::SharedRef;
use crate::sync::Arc;
use std::fmt;
use std::time::Duration;

/// A bulkhead: a cheap handle to shared permits.
///
/// Clones, layers and services of a handle share its permits, however often they are made. See the
/// [module](super) for what it does and when.
#[derive(Clone)]
pub struct Bulkhead {
    pub(super) shared: SharedRef<Shared>,
    /// Index of the partition whose share this handle uses.
    pub(super) partition: u8,
}

impl Bulkhead {
    pub(super) fn make(name: &'static str, config: BulkheadConfig, clock: Clock) -> Self {
        Self { shared: SharedRef::new(Shared::new(name, config, clock)), partition: 0 }
    }

    /// Keeps the bulkhead for the rest of the process and stops counting references to it.
    ///
    /// Its gauges never end, and the memory, less than 1 kB, is never returned. Calls take about the same time without:
    /// threads keep the references that they count. It saves the count that axum writes as it clones the layer's service
    /// for a request.
    #[must_use]
    pub fn leak(self) -> Self {
        Self { shared: self.shared.leak(), partition: self.partition }
    }

    /// The name in metrics and events.
    pub fn name(&self) -> &'static str {
        self.shared.counters.name
    }

    /// The clock that the bulkhead reads.
    pub fn clock(&self) -> &Clock {
        &self.shared.counters.clock
    }

    /// Returns whether both handles are of the same permits.
    pub fn is_same(&self, other: &Self) -> bool {
        self.shared.is_same(&other.shared)
    }

    /// The same bulkhead, for the calls of one of its partitions; `None` if it has none of that name.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::Bulkhead;
    ///
    /// let bulkhead = Bulkhead::builder("database")
    ///     .max_concurrent_calls(10)
    ///     .partition("live", 0.7)
    ///     .partition("batch", 0.3)
    ///     .build()?;
    /// let live = bulkhead.partition("live").expect("it was named above");
    /// let permit = live.try_acquire().expect("the first call");
    /// assert_eq!(live.partition_permits(), Some((1, 7)));
    /// # Ok::<(), backstop::ConfigError>(())
    /// ```
    pub fn partition(&self, name: &str) -> Option<Self> {
        let place = self.config().partitions().position(|(known, _)| known == name)?;
        Some(Self { shared: self.shared.clone(), partition: u8::try_from(place + 1).ok()? })
    }

    /// Returns a handle to the same bulkhead outside of any partition.
    pub(super) fn unpartitioned(&self) -> Self {
        Self { shared: self.shared.clone(), partition: 0 }
    }

    /// Calls of this handle's partition in flight, and the permits that are its own; `None` without a partition.
    pub fn partition_permits(&self) -> Option<(u32, u32)> {
        let limit = self.snapshot().limit;
        let partition = Owner::partition(self);
        (partition != UNPARTITIONED)
            .then(|| self.shared.compartment.core(&self.shared.counters).machine.partition(partition, limit))
    }

    /// A permit that takes no place and is not counted among those in flight: for calls that must go through, such
    /// as health checks.
    pub fn bypass(&self) -> Permit {
        count(&self.shared.counters.bypassed);
        self.shared.look_if_asked();
        Permit::bypass(self.for_call())
    }

    // ---- reading

    /// Calls in flight, the limit, the queue.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.compartment.snapshot(self)
    }

    /// Totals since the bulkhead was made.
    pub fn totals(&self) -> Totals {
        self.shared.totals()
    }

    /// The age of the oldest call in flight. Calls are timed if there is a `max_hold`, an adaptive limit or a
    /// partition; otherwise this is `None`.
    pub fn oldest_call(&self) -> Option<Duration> {
        self.shared.oldest_call()
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<BulkheadConfig> {
        self.shared.counters.config()
    }

    /// Calls `listener` with every event until the subscription is dropped.
    ///
    /// It runs on the thread that caused the event, outside every lock, in order, and may use the bulkhead. A panic
    /// in it is caught and counted.
    pub fn subscribe(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.shared.events.subscribe(Arc::new(listener))
    }

    /// Brings the metrics up to date. [`Registry::publish`](crate::Registry::publish) does it for all.
    pub fn publish(&self) {
        self.snapshot(); // ends what time alone ends
        EventSink::publish(self);
    }

    /// Adds saturation and queue depth to an arm of a tick.
    #[cfg(feature = "rollback")]
    fn observe(&self, arm: &mut crate::rollback::Arm) {
        let snapshot = self.snapshot();
        arm.gauges.insert(format!("bulkhead.{}", self.name()), snapshot.saturation());
        arm.gauges.insert(format!("bulkhead.{}.queue_depth", self.name()), f64::from(snapshot.queue_depth));
    }

    // ---- by hand: each takes effect at once, from any thread

    /// Sets the limit. Growing wakes calls that wait; shrinking does not wait: calls in flight end, and none is
    /// let in before there is room again. An adaptive limit goes on from there.
    ///
    /// # Errors
    ///
    /// A limit that is out of its range: 1 to 500,000, and the bounds of an adaptive one.
    pub fn resize(&self, max_concurrent_calls: u32, reason: impl AsRef<str>) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        check_limit(&mut problems, &self.config(), max_concurrent_calls);
        problems.into_result(())?;
        control::resize(self, max_concurrent_calls, &note(reason.as_ref()));
        Ok(())
    }

    /// Takes new settings. Calls in flight and calls that wait stay; nothing waits.
    ///
    /// # Errors
    ///
    /// Other partitions than before: handles of them are about. Their shares may differ.
    pub fn reconfigure(&self, config: BulkheadConfig) -> Result<(), ConfigError> {
        let names = |config: &BulkheadConfig| config.partitions().map(|(name, _)| name).collect::<Vec<_>>();
        let (before, after) = (names(&self.config()), names(&config));
        if before != after {
            let problem = Problem::new("partitions", format!("{after:?}"), format!("those of before, {before:?}"));
            return Err(ConfigError::of(problem));
        }
        let config = Arc::new(config);
        control::reconfigure(self, &config, || self.shared.counters.set_config(Arc::clone(&config)));
        Ok(())
    }

    /// Takes every permit away from its holder, as if all calls had ended: for permits that were leaked. Calls that
    /// are still in flight go on, beside those that are let in now; their permits return nothing.
    pub fn reset_in_flight(&self, reason: impl AsRef<str>) {
        control::reset_in_flight(self, &note(reason.as_ref()));
    }
}

#[expect(clippy::missing_fields_in_debug, reason = "it shows the state that its fields lead to")]
impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { in_flight, limit, queue_depth, .. } = self.shared.compartment.snapshot_as_it_is();
        let mut shown = f.debug_struct("Bulkhead");
        shown.field("name", &self.name()).field("in_flight", &in_flight);
        shown.field("limit", &limit).field("queue_depth", &queue_depth).finish()
    }
}

impl EventSink for Bulkhead {
    #[inline]
    fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    fn push(&self, event: Event) {
        self.shared.events.push([event]);
    }

    fn dispatch(&self) {
        self.shared.events.dispatch(super::log::event);
    }

    fn publish(&self) {
        self.shared.publish_now();
    }

    #[inline]
    fn look(&self) {
        self.shared.look();
    }

    fn count_fallback(&self) {
        count(&self.shared.counters.fallbacks);
        self.shared.look_if_asked();
    }
}

impl Owner for Bulkhead {
    #[inline]
    fn compartment(&self) -> &Compartment {
        &self.shared.compartment
    }

    #[inline]
    fn for_call(&self) -> Self {
        Self { shared: self.shared.for_call(), partition: self.partition }
    }

    fn partition(&self) -> usize {
        usize::from(self.partition)
    }
}

crate::registry::registered!(Bulkhead, Bulkhead; observe);
