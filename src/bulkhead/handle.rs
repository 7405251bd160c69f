//! The bulkhead that users hold.

use super::calls::{Entry, Wait, enter_freely};
use super::common::count;
use super::config::{BulkheadBuilder, BulkheadConfig, WAIT_MAX, check_limit};
use super::control;
use super::direct;
use super::hold::UntilResponse;
use super::holder::Holder;
use super::layer::BulkheadLayer;
use super::partitions::UNPARTITIONED;
use super::permit::Permit;
use super::service::BulkheadService;
use super::shared::Shared;
use super::snapshot::{Event, Snapshot, Totals};
use super::wait::{self, Place, Waiting};
use crate::classify::{AnyResult, Classify};
use crate::clock::Clock;
use crate::config::{ConfigError, Named, Problem, Problems, intern};
use crate::events::{Subscription, note};
use crate::reject::{AsError, CallError, Rejected};
use crate::shared_ref::SharedRef;
use crate::sync::Arc;
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// A bulkhead: a cheap handle to shared permits.
///
/// Clones, layers and services of a handle share its permits, however often they are made. See the
/// [module](super) for what it does and when.
#[derive(Clone)]
pub struct Bulkhead {
    pub(super) shared: SharedRef<Shared>,
    /// Whose permits this handle takes first.
    pub(super) partition: u8,
}

/// How a call fares that enters a bulkhead.
pub(crate) enum Entered {
    Permit(Permit),
    Waiting(Waiting<Bulkhead>),
    Refused(Rejected),
}

impl Bulkhead {
    /// A bulkhead with the default settings: 25 calls, none waits.
    ///
    /// # Panics
    ///
    /// When the name is empty, longer than 128 bytes or has control characters: it is written in the program,
    /// so that is a mistake there. For a name that comes from elsewhere use [`builder`](Self::builder).
    pub fn new(name: &'static str) -> Self {
        match intern("name", name) {
            Ok(name) => Self::make(name, BulkheadConfig::default(), Clock::system()),
            Err(error) => panic!("Bulkhead::new: {error}"),
        }
    }

    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> BulkheadBuilder<Named> {
        BulkheadBuilder::named(name.into())
    }

    /// A bulkhead with settings made or read elsewhere.
    ///
    /// # Errors
    ///
    /// A name that is empty, longer than 128 bytes or has control characters.
    pub fn from_config(name: &str, config: BulkheadConfig) -> Result<Self, ConfigError> {
        Ok(Self::make(intern("name", name)?, config, Clock::system()))
    }

    pub(super) fn make(name: &'static str, config: BulkheadConfig, clock: Clock) -> Self {
        let bulkhead = Self { shared: SharedRef::new(Shared::new(name, config, clock)), partition: 0 };
        Holder::publish(&bulkhead);
        bulkhead
    }

    /// Keeps the bulkhead for the rest of the process and stops counting references to it.
    ///
    /// For bulkheads that live as long as the process: it saves about 10 ns a call, and more where threads share
    /// one. The memory, less than 1 kB, is never returned.
    #[must_use]
    pub fn leak(self) -> Self {
        Self { shared: self.shared.leak(), partition: self.partition }
    }

    /// The name, as it stands in metrics and events.
    pub fn name(&self) -> &'static str {
        self.shared.common.name
    }

    /// The clock that the bulkhead reads.
    pub fn clock(&self) -> &Clock {
        &self.shared.common.clock
    }

    /// Whether both handles are of the same permits.
    pub fn is_same(&self, other: &Self) -> bool {
        self.shared.is_same(&other.shared)
    }

    /// The same bulkhead, for the calls of one of its partitions; `None` where it has none of that name.
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
    /// let permit = live.try_acquire().expect("nobody is there yet");
    /// assert_eq!(live.partition_permits(), Some((1, 7)));
    /// # Ok::<(), backstop::ConfigError>(())
    /// ```
    pub fn partition(&self, name: &str) -> Option<Self> {
        let place = self.config().partitions().position(|(known, _)| known == name)?;
        Some(Self { shared: self.shared.clone(), partition: u8::try_from(place + 1).ok()? })
    }

    /// The same bulkhead, for calls without a partition.
    pub(super) fn whole(&self) -> Self {
        Self { shared: self.shared.clone(), partition: 0 }
    }

    /// Calls of this handle's partition in flight, and the permits that are its own; `None` without a partition.
    pub fn partition_permits(&self) -> Option<(u32, u32)> {
        let limit = self.snapshot().limit;
        let partition = Holder::partition(self);
        (partition != UNPARTITIONED)
            .then(|| self.shared.compartment.core(&self.shared.common).machine.partition(partition, limit))
    }

    // ---- in front of a service

    /// A Tower layer. By default its error is boxed, and a call holds its permit until its response is there.
    ///
    /// Servers of axum and tonic want [`.respond()`](BulkheadLayer::respond) after it; what the compiler says
    /// without is in [`reject`](crate::reject#what-the-compiler-says-without-a-responder).
    pub fn layer(&self) -> BulkheadLayer {
        BulkheadLayer::new(self.clone())
    }

    /// Puts the bulkhead in front of a client: `layer().layer(service)`.
    pub fn wrap<S>(&self, service: S) -> BulkheadService<S> {
        BulkheadService::new(self.clone(), service, UntilResponse, AnyResult, AsError)
    }

    // ---- without Tower

    /// Asks for a permit. Never waits.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when there is none, or when others wait for one already.
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        wait::enter_at_once(self)
    }

    /// Asks for a permit, and waits for it as long as [`max_wait`](super::BulkheadBuilder::max_wait) allows. Outside of
    /// a tokio runtime, whose timer ends the wait, it does not wait.
    ///
    /// # Errors
    ///
    /// [`Rejected`] when the queue is full, or none came in time.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it leaves the queue; a permit that has come meanwhile goes to the next in turn.
    #[cfg(feature = "tokio")]
    pub async fn acquire(&self) -> Result<Permit, Rejected> {
        wait::acquire(self, Wait::AsConfigured).await
    }

    /// Asks for a permit, and waits for it at most so long, and never longer than a day; zero does not wait.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    #[cfg(feature = "tokio")]
    pub async fn acquire_within(&self, max_wait: Duration) -> Result<Permit, Rejected> {
        wait::acquire(self, Wait::Within(max_wait.min(WAIT_MAX))).await
    }

    /// Asks for a permit, and blocks this thread at most so long, and never longer than a day; zero does not block.
    /// Needs no runtime, and does not belong on one.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_blocking(&self, max_wait: Duration) -> Result<Permit, Rejected> {
        wait::acquire_blocking(self, Wait::Within(max_wait.min(WAIT_MAX)))
    }

    /// A permit that takes no place and is not counted among those in flight: for calls that must go through, such
    /// as health checks.
    pub fn bypass(&self) -> Permit {
        count(&self.shared.common.bypassed);
        Permit::bypass(self.clone())
    }

    /// Runs a future with a permit, for which it waits as long as the settings allow.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it gives its place back or leaves the queue; the future is dropped with it.
    pub fn call<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.call_with(future, &AnyResult)
    }

    /// Runs a future with a permit; `classifier` tells an [adaptive](super::limit) limit how it went.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub fn call_with<T, E, C: Classify<T, E>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        classifier: &C,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        direct::call_with(self, future, classifier)
    }

    /// Runs a future with a permit; a rejected or failed call is answered by `fallback`, which is counted.
    ///
    /// # Errors
    ///
    /// What `fallback` returns.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_or<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        fallback: impl FnOnce(CallError<E>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.call(future).await {
            Ok(value) => Ok(value),
            Err(error) => {
                self.count_fallback();
                fallback(error)
            }
        }
    }

    /// Runs a closure with a permit, for which this thread waits as long as the settings allow. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the closure's own error in [`CallError::Inner`].
    pub fn call_blocking<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        direct::call_blocking(self, work)
    }

    // ---- for layers of several mechanisms

    /// A permit that travels with a future, if that needs no thought.
    #[inline]
    pub(crate) fn enter_freely(&self) -> Option<Permit> {
        enter_freely(self).ok().map(|ticket| Permit::new(self.clone(), ticket).carried())
    }

    /// A permit that travels with a future, or a place in the queue.
    pub(crate) fn enter(&self) -> Entered {
        match wait::enter_as_future(self, Wait::AsConfigured) {
            Entry::Permit(ticket) => Entered::Permit(Permit::new(self.clone(), ticket).carried()),
            Entry::Queued(id) => Entered::Waiting(Waiting::new(Place::new(self.clone(), id))),
            Entry::Refused(rejected) => Entered::Refused(rejected),
        }
    }

    /// Whether it is not worth asking the inner service whether it is ready.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.shared.compartment.is_full()
    }

    // ---- reading

    /// Calls in flight, the limit, the queue.
    pub fn snapshot(&self) -> Snapshot {
        self.shared.compartment.snapshot(self)
    }

    /// What has been counted since the bulkhead was made.
    pub fn totals(&self) -> Totals {
        let (permitted, rejected_full) = self.shared.compartment.counted(&self.shared.common);
        let events_lost = self.shared.events.lost();
        Totals { permitted, rejected_full, events_lost, ..self.shared.common.totals() }
    }

    /// The age of the oldest call in flight. Calls are timed where there is a `max_hold`, an adaptive limit or a
    /// partition; otherwise this is `None`.
    pub fn oldest_call(&self) -> Option<Duration> {
        self.shared.compartment.oldest_age(self.clock().now())
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<BulkheadConfig> {
        self.shared.common.config()
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
        Holder::publish(self);
    }

    // ---- by hand: each takes effect at once, from any thread

    /// Sets the limit. Growing wakes calls that wait; shrinking waits for nobody: calls in flight end, and none is
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
        control::reconfigure(self, &config, || self.shared.common.set_config(Arc::clone(&config)));
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
