//! The layer, and how it is put together.

use super::begin::Mechanisms;
use super::service::ProtectService;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::classify::{Auto, Classify};
use crate::reject::{AsError, answers};
use tower_layer::Layer;

/// Begins a layer of several mechanisms. See the [module](super).
pub fn protect() -> Protect {
    Protect { mechanisms: Mechanisms::default(), classifier: Auto, on_reject: AsError, holds_body: false }
}

/// A layer of several mechanisms in their right order. Made by [`protect`].
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct Protect<C = Auto, P = AsError> {
    mechanisms: Mechanisms,
    classifier: C,
    on_reject: P,
    holds_body: bool,
}

impl<C, P> Protect<C, P> {
    answers!(Protect);

    fn with<D, Q>(self, change: impl FnOnce(C, P) -> (D, Q)) -> Protect<D, Q> {
        let Self { mechanisms, classifier, on_reject, holds_body } = self;
        let (classifier, on_reject) = change(classifier, on_reject);
        Protect { mechanisms, classifier, on_reject, holds_body }
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

    /// Puts the mechanisms in front of a client: `layer(service)`, with a message where the classifier does not fit.
    pub fn wrap<S, Request>(self, service: S) -> ProtectService<S, C, P>
    where
        S: tower_service::Service<Request>,
        C: Classify<S::Response, S::Error>,
    {
        ProtectService::new(self.mechanisms, service, self.classifier, self.on_reject, self.holds_body)
    }
}

/// With a classifier that watches bodies.
#[cfg(feature = "http")]
impl<P> Protect<Auto, P> {
    /// Holds the bulkhead's permit until the response's *body* ends, breaks or is dropped; see
    /// [`BulkheadLayer::until_body_end`](crate::bulkhead::BulkheadLayer::until_body_end). A time limit of the bulkhead
    /// gives the place to another call here and does not break the body.
    pub fn until_body_end(mut self) -> Self {
        self.holds_body = true;
        self
    }
}

impl<S, C: Clone, P: Clone> Layer<S> for Protect<C, P> {
    type Service = ProtectService<S, C, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { mechanisms, classifier, on_reject, holds_body } = self.clone();
        ProtectService::new(mechanisms, inner, classifier, on_reject, holds_body)
    }
}
