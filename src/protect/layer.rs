//! The layer, and how it is put together.

use super::begin::Mechanisms;
use super::targets::Anyone;
use crate::bulkhead::keyed::KeyedBulkhead;
use crate::bulkhead::{self, Bulkhead};
use crate::circuit_breaker::keyed::KeyedCircuitBreaker;
use crate::circuit_breaker::{self, CircuitBreaker};
use crate::classify::{AnyResult, Auto};
use crate::keyed_table::Key;
use crate::outcome::Side;
use crate::reject::{AsError, answers, sides};

/// Begins a layer of several mechanisms. See the [module](super).
pub fn protect() -> Protect {
    Protect {
        mechanisms: Mechanisms { switch: None, breaker: None, bulkhead: None, holds_body: false },
        targets: Anyone,
        classifier: Auto,
        on_reject: AsError,
        load: AnyResult,
        side: None,
    }
}

/// A layer of several mechanisms in their right order. Made by [`protect`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct Protect<T = Anyone, C = Auto, P = AsError, L = AnyResult, B = CircuitBreaker, H = Bulkhead> {
    pub(super) mechanisms: Mechanisms<B, H>,
    pub(super) targets: T,
    pub(super) classifier: C,
    pub(super) on_reject: P,
    pub(super) load: L,
    pub(super) side: Option<Side>,
}

impl<T, C, P, L, B, H> Protect<T, C, P, L, B, H> {
    answers!(Protect, T; L, B, H);
    sides!();

    fn with<D, Q>(self, change: impl FnOnce(C, P) -> (D, Q)) -> Protect<T, D, Q, L, B, H> {
        let Self { mechanisms, targets, classifier, on_reject, load, side } = self;
        let (classifier, on_reject) = change(classifier, on_reject);
        Protect { mechanisms, targets, classifier, on_reject, load, side }
    }

    fn with_mechanisms<U, D, I>(
        self,
        change: impl FnOnce(T, Mechanisms<B, H>) -> (U, Mechanisms<D, I>),
    ) -> Protect<U, C, P, L, D, I> {
        let Self { mechanisms, targets, classifier, on_reject, load, side } = self;
        let (targets, mechanisms) = change(targets, mechanisms);
        Protect { mechanisms, targets, classifier, on_reject, load, side }
    }

    fn with_breaker<D>(self, breaker: D) -> Protect<T, C, P, L, D, H> {
        self.with_mechanisms(|targets, Mechanisms { switch, bulkhead, holds_body, .. }| {
            (targets, Mechanisms { switch, breaker: Some(breaker), bulkhead, holds_body })
        })
    }

    fn with_bulkhead<I>(self, bulkhead: I) -> Protect<T, C, P, L, B, I> {
        self.with_mechanisms(|targets, Mechanisms { switch, breaker, holds_body, .. }| {
            (targets, Mechanisms { switch, breaker, bulkhead: Some(bulkhead), holds_body })
        })
    }

    /// Adds a kill switch, in the place of one that was added before. It is asked first.
    #[cfg(feature = "kill-switch")]
    pub fn kill_switch(
        self,
        switch: &crate::kill_switch::KillSwitch,
    ) -> Protect<super::targets::Switched<T>, C, P, L, B, H> {
        self.with_mechanisms(|targets, mechanisms| {
            (super::targets::Switched(targets), Mechanisms { switch: Some(switch.clone()), ..mechanisms })
        })
    }

    /// Sets the target of a request for the kill switch; see
    /// [`KillSwitchLayer::target`](crate::kill_switch::KillSwitchLayer::target).
    #[cfg(feature = "kill-switch")]
    pub fn target<Request, F>(self, targets: F) -> Protect<F, C, P, L, B, H>
    where
        F: for<'a> Fn(&'a Request) -> crate::kill_switch::Target<'a>,
    {
        self.with_mechanisms(|_, mechanisms| (targets, mechanisms))
    }

    /// Adds a circuit breaker, in the place of one that was added before.
    pub fn circuit_breaker(self, breaker: &CircuitBreaker) -> Protect<T, C, P, L, CircuitBreaker, H> {
        self.with_breaker(breaker.clone())
    }

    /// Adds the circuit of the key that `key` finds in the request, in the place of a circuit breaker that was added
    /// before.
    ///
    /// The key is known only in `call`, so that `poll_ready` does not ask its circuit.
    pub fn keyed_circuit_breaker<K: Key, Request, F: Fn(&Request) -> K>(
        self,
        breakers: &KeyedCircuitBreaker<K>,
        key: F,
    ) -> Protect<T, C, P, L, circuit_breaker::keyed::ByKey<K, F>, H> {
        self.with_breaker(breakers.by_key(key))
    }

    /// Adds a bulkhead, in the place of one that was added before.
    pub fn bulkhead(self, bulkhead: &Bulkhead) -> Protect<T, C, P, L, B> {
        self.with_bulkhead(bulkhead.clone())
    }

    /// Adds the bulkhead of the key that `key` finds in the request, in the place of a bulkhead that was added before.
    pub fn keyed_bulkhead<K: Key, Request, F: Fn(&Request) -> K>(
        self,
        bulkheads: &KeyedBulkhead<K>,
        key: F,
    ) -> Protect<T, C, P, L, B, bulkhead::keyed::ByKey<K, F>> {
        self.with_bulkhead(bulkheads.by_key(key))
    }

    /// Sets the classifier that gives outcomes to an adaptive limit of the bulkhead. Default: as in its own
    /// [layer](crate::bulkhead::BulkheadLayer::classify), every response is a success and every error says nothing.
    ///
    /// The one of [`classify`](Self::classify) is the breaker's: a dependency that fails is not slower for it.
    pub fn classify_for_bulkhead<D>(self, load: D) -> Protect<T, C, P, D, B, H> {
        let Self { mechanisms, targets, classifier, on_reject, side, .. } = self;
        Protect { mechanisms, targets, classifier, on_reject, load, side }
    }
}

/// With a classifier that watches bodies.
#[cfg(feature = "http")]
impl<T, P, L, B, H> Protect<T, Auto, P, L, B, H> {
    /// Holds the bulkhead's permit until the response's *body* ends, breaks or is dropped; see
    /// [`BulkheadLayer::until_body_end`](crate::bulkhead::BulkheadLayer::until_body_end). A time limit of the bulkhead
    /// gives the place to another call here and does not break the body.
    ///
    /// It is for responses that [`Auto`] watches, HTTP and gRPC: with another classifier afterwards, and for responses
    /// of reqwest, the permit ends with the head.
    pub fn until_body_end(mut self) -> Self {
        self.mechanisms.holds_body = true;
        self
    }
}
