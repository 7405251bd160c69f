//! The circuit breaker that users hold.

use super::config::CircuitBreakerConfig;
use super::control::manual_control;
use super::core::Sample;
use super::event::Event;
use super::machine::types::{Command, Left};
use super::owner::Owner;
use super::shared::Shared;
use super::slow_calls::Stopwatch;
use super::snapshot::Snapshot;
use super::state::State;
use super::ticket::Ticket;
use super::totals::Totals;
use super::usual_time::UsualTime;
use super::waiters::Place;
use crate::clock::Clock;
use crate::events::Subscription;
use crate::outcome::Classification;
use crate::reject::Rejected;
use crate::shared_ref::SharedRef;
use crate::sync::Arc;
use crate::upload::Upload;
use std::fmt;
use std::task::Context;
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
    pub(super) fn make(name: &'static str, config: CircuitBreakerConfig, clock: Clock) -> Self {
        Self { shared: SharedRef::new(Shared::new(name, config, clock)) }
    }

    /// Keeps the circuit for the rest of the process and stops counting references to it.
    ///
    /// Its gauges never end, and the memory, some 2 kB, is never returned. Calls take about the same time without: threads
    /// keep the references that they count. It saves the count that axum writes as it clones the layer's service for a
    /// request.
    #[must_use]
    pub fn leak(self) -> Self {
        Self { shared: self.shared.leak() }
    }

    /// The name in metrics and events.
    pub fn name(&self) -> &'static str {
        self.shared.name()
    }

    /// The clock that the breaker reads.
    pub fn clock(&self) -> &Clock {
        self.shared.clock()
    }

    /// Returns whether both handles are of the same circuit.
    pub fn is_same(&self, other: &Self) -> bool {
        self.shared.is_same(&other.shared)
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

    /// Totals since the breaker was made.
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
        self.shared.publish_now();
    }

    /// Adds the state to an arm of a tick.
    #[cfg(feature = "rollback")]
    fn observe(&self, arm: &mut crate::rollback::Arm) {
        use crate::rollback::{BreakerReport, BreakerState};
        let state = match self.state() {
            State::Closed => BreakerState::Closed,
            State::Open => BreakerState::Open,
            State::HalfOpen => BreakerState::HalfOpen,
            State::ForcedOpen => BreakerState::ForcedOpen,
            State::Disabled => BreakerState::Disabled,
            State::Shadow => BreakerState::Shadow,
        };
        arm.breakers.insert(self.name().to_owned(), BreakerReport::State(state));
    }

    // ---- by hand: each takes effect at once, from any thread, and holds until the next command

    manual_control!();

    fn command(&self, command: Command, reason: &str) {
        let note = crate::events::note(reason);
        self.shared.with_machine(|machine, now| machine.command(command, &note, now));
    }

    /// Takes new settings. State, evidence and the remaining open time stay; nothing waits.
    ///
    /// A count window keeps the newest calls that fit, a time window keeps its buckets while their width stays
    /// the same; a window of another kind starts empty. A half-open round goes on with as many places as the new settings
    /// have, and not longer than they allow.
    pub fn reconfigure(&self, config: CircuitBreakerConfig) {
        let config = Arc::new(config);
        self.shared.with_machine(|machine, now| machine.reconfigure(config, now));
    }
}

impl Owner for CircuitBreaker {
    fn label(&self) -> &'static str {
        self.shared.name()
    }

    #[inline]
    fn record(&self, ticket: &Ticket, classification: Classification, is_slow: bool) {
        self.shared.record(ticket, classification, is_slow);
    }

    #[inline]
    fn for_call(&self) -> Self {
        Self { shared: self.shared.for_call() }
    }

    fn admit(&self) -> Result<Ticket, Rejected> {
        self.shared.admit()
    }

    #[inline]
    fn try_admit_fast(&self) -> Option<Ticket> {
        self.shared.try_admit_fast()
    }

    #[inline]
    fn is_rejecting(&self) -> bool {
        self.shared.is_rejecting()
    }

    #[inline]
    fn reject_now(&self) -> Option<Rejected> {
        self.shared.reject_now()
    }

    #[cold]
    #[inline(never)]
    fn wake_when_rejecting(&self, place: &mut Place, cx: &mut Context<'_>) -> bool {
        // Register first and look again: a change in between wakes, or is seen.
        self.shared.waiters.wake_later(place, cx.waker());
        self.is_rejecting()
    }

    #[inline]
    fn stopwatch(&self) -> &Stopwatch {
        &self.shared.stopwatch
    }

    #[inline]
    fn usual(&self) -> &UsualTime {
        &self.shared.usual
    }

    fn follow_upload(&self, ticket: &Ticket, upload: &Upload) {
        self.shared.follow_upload(ticket, upload);
    }

    fn abandon(&self, ticket: &Ticket, classification: Classification, is_slow: bool, left: Left) {
        self.shared.record_locked(ticket, classification, is_slow, left);
    }

    #[inline]
    fn record_head(&self, ticket: &mut Ticket) {
        self.shared.record_head(ticket);
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

crate::registry::registered!(CircuitBreaker, CircuitBreaker; observe);
