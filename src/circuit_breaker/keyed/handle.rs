//! The handles that users hold: of the group, and of one key's circuit.

use super::entry::Entry;
use super::group::{Group, KeyedEvent};
use crate::circuit_breaker::call::call_surface;
use crate::circuit_breaker::config::CircuitBreakerConfig;
use crate::circuit_breaker::control::manual_control;
use crate::circuit_breaker::machine::types::{Command, Left};
use crate::circuit_breaker::owner::Owner;
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::select::Select;
use crate::circuit_breaker::slow_calls::Stopwatch;
use crate::circuit_breaker::snapshot::Snapshot;
use crate::circuit_breaker::state::State;
use crate::circuit_breaker::ticket::Ticket;
use crate::circuit_breaker::totals::Totals;
use crate::circuit_breaker::usual_time::UsualTime;
use crate::classify::{ByType, Classify};
use crate::events::Subscription;
use crate::keyed_table::{Key, keyed_handles};
use crate::outcome::Classification;
#[cfg(feature = "axum")]
use crate::registry::GroupState;
#[cfg(feature = "axum")]
use crate::reject::Mechanism;
use crate::reject::{CallError, Rejected};
use crate::shared_ref::Counted;
use crate::sync::Arc;
use crate::upload::Upload;
use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

/// A circuit breaker for each key: a cheap handle to the group. See the [module](super).
pub struct KeyedCircuitBreaker<K> {
    group: Counted<Group<K>>,
}

impl<K: Key> KeyedCircuitBreaker<K> {
    /// Number of circuits that are open or half-open.
    pub fn open_len(&self) -> u64 {
        self.group.open_len()
    }

    /// The keys whose circuits are not closed; `None` is the overflow circuit. Looks at every key.
    pub fn not_closed(&self) -> Vec<(Option<K>, State)> {
        self.group.not_closed()
    }

    /// Openings that [`max_open_fraction`](super::KeyedCircuitBreakerBuilder::max_open_fraction) did not allow.
    pub fn suppressed(&self) -> u64 {
        self.group.suppressed()
    }

    /// Totals over all keys.
    pub fn totals(&self) -> Totals {
        self.group.totals()
    }

    /// Calls `listener` with every event of every key until the subscription is dropped. See
    /// [`CircuitBreaker::subscribe`](crate::CircuitBreaker::subscribe).
    pub fn subscribe(&self, listener: impl Fn(&KeyedEvent<K>) + Send + Sync + 'static) -> Subscription {
        self.group.events.subscribe(Arc::new(listener))
    }

    /// Takes new settings for all keys. States, evidence and remaining open times stay.
    pub fn reconfigure(&self, config: CircuitBreakerConfig) {
        self.group.reconfigure(config);
    }

    /// The circuits that are not closed, for the admin page.
    #[cfg(feature = "axum")]
    fn group_state(&self) -> GroupState {
        let states = self.not_closed().into_iter().map(|(key, state)| (key, state.as_str()));
        GroupState::new((Mechanism::CircuitBreaker, self.name(), self.len()), &self.group.label, states)
    }

    /// Brings the metrics up to date.
    pub fn publish(&self) {
        self.group.publish_now();
    }
}

/// One key's circuit. While one of these is held, the key is not evicted.
pub struct KeyHandle<K> {
    group: Counted<Group<K>>,
    entry: Arc<Entry<K>>,
}

impl<K: Key> KeyHandle<K> {
    /// Asks for one call. See [`CircuitBreaker::try_acquire`](crate::CircuitBreaker::try_acquire).
    ///
    /// # Errors
    ///
    /// [`Rejected`], under the name of the group.
    pub fn try_acquire(&self) -> Result<Permit<Self>, Rejected> {
        let ticket = self.group.admit(&self.entry)?;
        Ok(Permit::bare(self.for_call(), ticket))
    }

    call_surface!();

    /// The state now.
    pub fn state(&self) -> State {
        self.group.with_machine(&self.entry, |machine, now| {
            machine.poll(now);
            machine.state()
        })
    }

    /// The evidence now; while open, that which tripped the circuit.
    pub fn snapshot(&self) -> Snapshot {
        self.group.with_machine(&self.entry, |machine, now| {
            machine.poll(now);
            machine.snapshot()
        })
    }

    manual_control!();

    fn command(&self, command: Command, reason: &str) {
        let note = crate::events::note(reason);
        self.group.with_machine(&self.entry, |machine, now| machine.command(command, &note, now));
    }
}

impl<K: Key> Owner for KeyHandle<K> {
    fn label(&self) -> &'static str {
        self.group.name()
    }

    fn for_call(&self) -> Self {
        Self { group: self.group.for_call(), entry: Arc::clone(&self.entry) }
    }

    fn admit(&self) -> Result<Ticket, Rejected> {
        self.group.admit(&self.entry)
    }

    fn reject_now(&self) -> Option<Rejected> {
        self.group.reject_now(&self.entry)
    }

    fn record(&self, ticket: &Ticket, classification: Classification, is_slow: bool) {
        self.group.record(&self.entry, ticket, classification, is_slow);
    }

    fn stopwatch(&self) -> &Stopwatch {
        &self.group.stopwatch
    }

    fn usual(&self) -> &UsualTime {
        &self.entry.value.usual
    }

    fn follow_upload(&self, ticket: &Ticket, upload: &Upload) {
        self.group.follow_upload(&self.entry, ticket, upload);
    }

    fn abandon(&self, ticket: &Ticket, classification: Classification, is_slow: bool, left: Left) {
        self.group.record_locked(&self.entry, ticket, classification, is_slow, left);
    }

    fn record_head(&self, ticket: &mut Ticket) {
        self.group.record_head(&self.entry, ticket);
    }

    fn count_fallback(&self) {
        self.group.count_fallback();
    }
}

/// The circuit of the key that a function finds in the request.
#[derive(Debug)]
pub struct ByKey<K, F> {
    breakers: KeyedCircuitBreaker<K>,
    key: F,
}

impl<K: Key> KeyedCircuitBreaker<K> {
    /// Selects the circuit of each request with `key`.
    pub(crate) fn by_key<F>(&self, key: F) -> ByKey<K, F> {
        ByKey { breakers: self.clone(), key }
    }
}

impl<K, F> crate::sealed::Sealed for ByKey<K, F> {}

impl<K: Key, Request, F: Fn(&Request) -> K> Select<Request> for ByKey<K, F> {
    type PermitOwner = KeyHandle<K>;

    fn select<'a>(&'a self, request: &Request) -> Cow<'a, KeyHandle<K>> {
        Cow::Owned(self.breakers.key(&(self.key)(request)))
    }
}

impl<K, F: Clone> Clone for ByKey<K, F> {
    fn clone(&self) -> Self {
        Self { breakers: self.breakers.clone(), key: self.key.clone() }
    }
}

keyed_handles!(KeyedCircuitBreaker<K>, KeyHandle<K> = "KeyCircuitBreaker", "circuit");
crate::registry::registered!(KeyedCircuitBreaker<K>, CircuitBreaker, K, group_state);
