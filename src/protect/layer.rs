//! The layer, and how it is put together.

use super::begin::Mechanisms;
use super::targets::Anyone;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::classify::{AnyResult, Auto};
use crate::outcome::Side;
use crate::reject::{AsError, answers, sides};

/// Begins a layer of several mechanisms. See the [module](super).
pub fn protect() -> Protect {
    Protect {
        mechanisms: Mechanisms::default(),
        targets: Anyone,
        classifier: Auto,
        on_reject: AsError,
        load: AnyResult,
        holds_body: false,
        side: None,
    }
}

/// A layer of several mechanisms in their right order. Made by [`protect`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct Protect<T = Anyone, C = Auto, P = AsError, B = AnyResult> {
    pub(super) mechanisms: Mechanisms,
    pub(super) targets: T,
    pub(super) classifier: C,
    pub(super) on_reject: P,
    pub(super) load: B,
    pub(super) holds_body: bool,
    pub(super) side: Option<Side>,
}

impl<T, C, P, B> Protect<T, C, P, B> {
    answers!(Protect, T; B);
    sides!();

    fn with<D, Q>(self, change: impl FnOnce(C, P) -> (D, Q)) -> Protect<T, D, Q, B> {
        let Self { mechanisms, targets, classifier, on_reject, load, holds_body, side } = self;
        let (classifier, on_reject) = change(classifier, on_reject);
        Protect { mechanisms, targets, classifier, on_reject, load, holds_body, side }
    }

    /// Adds a kill switch, in the place of one that was added before. It is asked first.
    #[cfg(feature = "kill-switch")]
    pub fn kill_switch(mut self, switch: &crate::kill_switch::KillSwitch) -> Self {
        self.mechanisms.switch = Some(switch.clone());
        self
    }

    /// Sets the target of a request for the kill switch; see
    /// [`KillSwitchLayer::target`](crate::kill_switch::KillSwitchLayer::target).
    #[cfg(feature = "kill-switch")]
    pub fn target<Request, F>(self, targets: F) -> Protect<F, C, P, B>
    where
        F: for<'a> Fn(&'a Request) -> crate::kill_switch::Target<'a>,
    {
        let Self { mechanisms, classifier, on_reject, load, holds_body, side, .. } = self;
        Protect { mechanisms, targets, classifier, on_reject, load, holds_body, side }
    }

    /// Adds a circuit breaker, in the place of one that was added before.
    pub fn circuit_breaker(mut self, breaker: &CircuitBreaker) -> Self {
        self.mechanisms.breaker = Some(breaker.clone());
        self
    }

    /// Adds a bulkhead, in the place of one that was added before.
    pub fn bulkhead(mut self, bulkhead: &Bulkhead) -> Self {
        self.mechanisms.bulkhead = Some(bulkhead.clone());
        self
    }

    /// Sets the classifier that gives outcomes to an adaptive limit of the bulkhead. Default: as in its own
    /// [layer](crate::bulkhead::BulkheadLayer::classify), every response is a success and every error says nothing.
    ///
    /// The one of [`classify`](Self::classify) is the breaker's: a dependency that fails is not slower for it.
    pub fn classify_for_bulkhead<D>(self, load: D) -> Protect<T, C, P, D> {
        let Self { mechanisms, targets, classifier, on_reject, holds_body, side, .. } = self;
        Protect { mechanisms, targets, classifier, on_reject, load, holds_body, side }
    }
}

/// With a classifier that watches bodies.
#[cfg(feature = "http")]
impl<T, P, B> Protect<T, Auto, P, B> {
    /// Holds the bulkhead's permit until the response's *body* ends, breaks or is dropped; see
    /// [`BulkheadLayer::until_body_end`](crate::bulkhead::BulkheadLayer::until_body_end). A time limit of the bulkhead
    /// gives the place to another call here and does not break the body.
    ///
    /// It is for responses that [`Auto`] watches, HTTP and gRPC: with another classifier afterwards, and for responses
    /// of reqwest, the permit ends with the head.
    pub fn until_body_end(mut self) -> Self {
        self.holds_body = true;
        self
    }
}
