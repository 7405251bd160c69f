//! The circuit breaker that users hold.

use super::config::{CircuitBreakerBuilder, CircuitBreakerConfig, Named};
use super::control::manual_control;
use super::future;
use super::layer::CircuitBreakerLayer;
use super::locked::Sample;
use super::machine::Command;
use super::permit::{Holder, Permit, Ticket};
use super::service::CircuitBreakerService;
use super::shared::Shared;
use super::snapshot::{Event, Snapshot, State, Totals};
use crate::classify::{Auto, Classify, Errors};
use crate::clock::{Clock, Instant};
use crate::config::{ConfigError, intern};
use crate::events::Subscription;
use crate::outcome::Classification;
use crate::reject::{AsError, CallError, Rejected};
use crate::shared_ref::SharedRef;
use crate::sync::Arc;
use std::fmt;
use std::future::Future;
use std::time::Duration;

/// A circuit breaker: a cheap handle to shared state.
///
/// Clones, layers and services of a handle share one circuit, however often they are made. See the
/// [module](super) for what it does and when.
#[derive(Clone)]
pub struct CircuitBreaker {
    pub(super) shared: SharedRef<Shared>,
}

impl CircuitBreaker {
    /// A breaker with the default settings.
    ///
    /// # Panics
    ///
    /// When the name is empty, longer than 128 bytes or has control characters: it is written in the program,
    /// so that is a mistake there. For a name that comes from elsewhere use [`builder`](Self::builder).
    pub fn new(name: &'static str) -> Self {
        match intern("name", name) {
            Ok(name) => Self::make(name, CircuitBreakerConfig::default(), Clock::system()),
            Err(error) => panic!("CircuitBreaker::new: {error}"),
        }
    }

    /// Starts from the defaults.
    pub fn builder(name: impl Into<String>) -> CircuitBreakerBuilder<Named> {
        CircuitBreakerBuilder::named(name.into())
    }

    /// A breaker with settings made or read elsewhere.
    ///
    /// # Errors
    ///
    /// A name that is empty, longer than 128 bytes or has control characters.
    pub fn from_config(name: &str, config: CircuitBreakerConfig) -> Result<Self, ConfigError> {
        Ok(Self::make(intern("name", name)?, config, Clock::system()))
    }

    pub(super) fn make(name: &'static str, config: CircuitBreakerConfig, clock: Clock) -> Self {
        Self { shared: SharedRef::new(Shared::new(name, config, clock)) }
    }

    /// Keeps the circuit for the rest of the process and stops counting references to it.
    ///
    /// For breakers that live as long as the process: it saves about 10 ns a call, and more where threads
    /// share one. The memory, some 2 kB, is never returned.
    #[must_use]
    pub fn leak(self) -> Self {
        Self { shared: self.shared.leak() }
    }

    /// The name, as it stands in metrics and events.
    pub fn name(&self) -> &'static str {
        self.shared.name()
    }

    /// The clock that the breaker reads.
    pub fn clock(&self) -> &Clock {
        self.shared.clock()
    }

    /// Whether both handles are of the same circuit.
    pub fn is_same(&self, other: &Self) -> bool {
        self.shared.is_same(&other.shared)
    }

    // ---- in front of a service

    /// A Tower layer. By default its error is boxed and a response is judged by its own protocol.
    ///
    /// Servers of axum and tonic want [`.respond()`](CircuitBreakerLayer::respond) after it; what the compiler
    /// says without is in [`reject`](crate::reject#what-the-compiler-says-without-a-responder).
    pub fn layer(&self) -> CircuitBreakerLayer {
        CircuitBreakerLayer::new(self.clone())
    }

    /// Puts the breaker in front of a client of HTTP or gRPC: `layer().layer(service)`.
    ///
    /// Any other service needs a [classifier](CircuitBreakerLayer::classify), and one that takes requests of
    /// many types, an axum `Router`, the layer: here the compiler could not tell which is meant.
    ///
    /// ```compile_fail,E0277
    /// # use backstop::CircuitBreaker;
    /// # let inventory = CircuitBreaker::new("inventory");
    /// inventory.wrap(tower::service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
    /// // error[E0277]: `Auto` cannot tell how a call ended whose result is `Result<u32, std::io::Error>`
    /// ```
    pub fn wrap<S, Request>(&self, service: S) -> CircuitBreakerService<S>
    where
        S: tower_service::Service<Request>,
        Auto: Classify<S::Response, S::Error>,
    {
        CircuitBreakerService::new(self.clone(), service, Auto, AsError)
    }

    // ---- without Tower

    /// Asks for one call.
    ///
    /// # Errors
    ///
    /// [`Rejected`], with the time after which to try again where it is known.
    ///
    /// # Cancel safety
    ///
    /// Dropping the permit ends the call as abandoned.
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        let ticket = self.shared.admit()?;
        Ok(Permit::bare(self.clone(), ticket))
    }

    /// Runs a future if the circuit lets it: `Ok` is a success, `Err` a failure.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the call counts as abandoned; dropped before its first poll, as nothing.
    pub fn call<T, E: 'static>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.call_with(future, &Errors)
    }

    /// Runs a future if the circuit lets it; `classifier` says how it ended.
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
    ) -> impl Future<Output = Result<C::Response<Permit>, CallError<E>>> {
        future::call_with(|| self.try_acquire(), future, classifier)
    }

    /// Runs a future if the circuit lets it; a rejected or failed call is answered by `fallback`, which is counted.
    ///
    /// # Errors
    ///
    /// What `fallback` returns.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_or<T, E: 'static>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        fallback: impl FnOnce(CallError<E>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.call_with_or(future, &Errors, fallback).await
    }

    /// Runs a future if the circuit lets it; `classifier` says how it ended. A rejected call, and one that
    /// returned an error, is answered by `fallback`, which is counted.
    ///
    /// With reqwest and [`Auto`] it takes the response as it is sent, so that a 404 is no failure and a
    /// `Retry-After` is heard; `error_for_status` would hide both.
    ///
    /// # Errors
    ///
    /// What `fallback` returns.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_with_or<T, E, C: Classify<T, E>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        classifier: &C,
        fallback: impl FnOnce(CallError<E>) -> Result<C::Response<Permit>, E>,
    ) -> Result<C::Response<Permit>, E> {
        match self.call_with(future, classifier).await {
            Ok(value) => Ok(value),
            Err(error) => {
                self.shared.count_fallback();
                fallback(error)
            }
        }
    }

    /// Runs a closure if the circuit lets it: `Ok` is a success, `Err` a failure. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the closure's own error in [`CallError::Inner`].
    pub fn call_blocking<T, E: 'static>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        future::call_blocking(self.try_acquire(), work)
    }

    // ---- reading

    /// The state now.
    pub fn state(&self) -> State {
        self.sample().state
    }

    /// The evidence now; while open, that which tripped the circuit.
    pub fn snapshot(&self) -> Snapshot {
        self.sample().snapshot
    }

    /// What has been counted since the breaker was made.
    pub fn totals(&self) -> Totals {
        self.sample().totals
    }

    /// The time until an open circuit probes; `None` in every other state.
    pub fn retry_after(&self) -> Option<Duration> {
        self.sample().retry_after
    }

    /// The time spent open or forced open.
    pub fn open_time(&self) -> Duration {
        self.sample().open_time
    }

    /// The settings in force.
    pub fn config(&self) -> Arc<CircuitBreakerConfig> {
        self.shared.with_machine(|machine, _| Arc::clone(machine.config()))
    }

    // ---- for layers of several mechanisms

    /// Lets a call through, if that needs no thought. Nothing is lost where it is not made.
    #[inline]
    pub(crate) fn admit_freely(&self) -> Option<Ticket> {
        self.shared.admit_freely()
    }

    /// The permit of a call that was let through, to travel with a future.
    #[inline]
    pub(crate) fn carry(&self, ticket: Ticket) -> Permit {
        Permit::carried(self.clone(), ticket)
    }

    /// A permit that travels with a future.
    pub(crate) fn enter(&self) -> Result<Permit, Rejected> {
        self.try_acquire().map(Permit::into_carried)
    }

    /// The rejection that the next call is certain to get.
    #[inline]
    pub(crate) fn reject_now(&self) -> Option<Rejected> {
        self.shared.reject_now()
    }

    /// Whether it is not worth asking the inner service whether it is ready.
    #[inline]
    pub(crate) fn is_rejecting(&self) -> bool {
        self.shared.is_rejecting()
    }

    fn sample(&self) -> Sample {
        self.shared.sample()
    }

    /// Calls `listener` with every event until the subscription is dropped.
    ///
    /// It runs on the thread that caused the event, outside every lock, in order, and may use the breaker. A
    /// slow listener holds that thread up: send the event to a channel if there is much to do. A panic in it
    /// is caught and counted.
    pub fn subscribe(&self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Subscription {
        self.shared.events.subscribe(Arc::new(listener))
    }

    /// Brings the metrics up to date. [`Registry::publish`](crate::Registry::publish) does it for all.
    pub fn publish(&self) {
        self.shared.sample();
        self.shared.publish();
    }

    // ---- by hand: each takes effect at once, from any thread, and holds until somebody says otherwise

    manual_control!();

    fn command(&self, command: Command, reason: &str) {
        let note = crate::events::note(reason);
        self.shared.with_machine(|machine, now| machine.command(command, &note, now));
    }

    /// Takes new settings. State, evidence and the remaining open time stay; nothing waits.
    ///
    /// A count window keeps the newest calls that fit, a time window keeps its buckets while their width stays
    /// the same; a window of another kind starts empty.
    pub fn reconfigure(&self, config: CircuitBreakerConfig) {
        let config = Arc::new(config);
        self.shared.with_machine(|machine, now| machine.reconfigure(config, now));
    }
}

impl Holder for CircuitBreaker {
    fn name(&self) -> &'static str {
        self.shared.name()
    }

    #[inline]
    fn record(&self, ticket: &Ticket, classification: Classification, is_slow: bool) {
        self.shared.record(ticket, classification, is_slow);
    }

    #[inline]
    fn is_slow(&self, ticket: Ticket) -> bool {
        self.shared.is_slow(ticket)
    }

    fn now(&self) -> Instant {
        self.shared.stopwatch().clock.coarse()
    }

    fn is_stalled(&self, ticket: Ticket) -> bool {
        self.shared.stopwatch().is_stalled(ticket.started)
    }

    fn count_fallback(&self) {
        self.shared.count_fallback();
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("name", &self.name()).field("state", &self.state()).finish()
    }
}
