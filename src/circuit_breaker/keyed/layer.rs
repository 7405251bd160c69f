//! The Tower layer and service of a group: the key comes from the request.

use super::handle::{KeyHandle, KeyedCircuitBreaker};
use crate::circuit_breaker::future::ResponseFuture;
use crate::circuit_breaker::permit::Permit;
use crate::circuit_breaker::service::{reject, start};
use crate::classify::{Auto, Classify};
use crate::keyed_table::Key;
use crate::outcome::Side;
use crate::reject::{AsError, OnReject, answers, is_inbound, sides};
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Puts a circuit breaker for each key in front of services.
#[derive(Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct KeyedCircuitBreakerLayer<K, F, C = Auto, P = AsError> {
    breakers: KeyedCircuitBreaker<K>,
    key: F,
    classifier: C,
    on_reject: P,
    side: Option<Side>,
}

impl<K, F> KeyedCircuitBreakerLayer<K, F> {
    pub(super) fn new(breakers: KeyedCircuitBreaker<K>, key: F) -> Self {
        Self { breakers, key, classifier: Auto, on_reject: AsError, side: None }
    }
}

impl<K, F, C, P> KeyedCircuitBreakerLayer<K, F, C, P> {
    answers!(KeyedCircuitBreakerLayer, K, F);
    sides!();

    fn with<D, Q>(self, change: impl FnOnce(C, P) -> (D, Q)) -> KeyedCircuitBreakerLayer<K, F, D, Q> {
        let Self { breakers, key, classifier, on_reject, side } = self;
        let (classifier, on_reject) = change(classifier, on_reject);
        KeyedCircuitBreakerLayer { breakers, key, classifier, on_reject, side }
    }
}

impl<K, F: Clone, C: Clone, P: Clone> Clone for KeyedCircuitBreakerLayer<K, F, C, P> {
    fn clone(&self) -> Self {
        Self {
            breakers: self.breakers.clone(),
            key: self.key.clone(),
            classifier: self.classifier.clone(),
            on_reject: self.on_reject.clone(),
            side: self.side,
        }
    }
}

impl<S, K, F: Clone, C: Clone, P: Clone> Layer<S> for KeyedCircuitBreakerLayer<K, F, C, P> {
    type Service = KeyedCircuitBreakerService<S, K, F, C, P>;

    fn layer(&self, inner: S) -> Self::Service {
        KeyedCircuitBreakerService { inner, layer: self.clone() }
    }
}

/// A service with a circuit breaker for each key in front.
///
/// The key is known only in `call`, so `poll_ready` asks the inner service.
#[derive(Debug)]
pub struct KeyedCircuitBreakerService<S, K, F, C = Auto, P = AsError> {
    inner: S,
    layer: KeyedCircuitBreakerLayer<K, F, C, P>,
}

impl<S, K, F, C, P, Request> Service<Request> for KeyedCircuitBreakerService<S, K, F, C, P>
where
    S: Service<Request>,
    Request: 'static,
    K: Key,
    F: Fn(&Request) -> K,
    C: Classify<S::Response, S::Error> + Clone,
    P: OnReject<Request, S::Response, C::Response<Permit<KeyHandle<K>>>, S::Error> + Clone,
{
    type Response = C::Response<Permit<KeyHandle<K>>>;
    type Error = P::Error;
    type Future = ResponseFuture<S::Future, C, P, P::Rejection, Request, Permit<KeyHandle<K>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        self.inner.poll_ready(cx).map_err(P::carry)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let KeyedCircuitBreakerLayer { breakers, key, classifier, on_reject, side } = &self.layer;
        let circuit = breakers.key(&key(&request));
        let (classifier, on_reject) = (classifier.clone(), on_reject.clone());
        match circuit.try_acquire() {
            Ok(permit) => {
                let mut permit = permit.into_carried(is_inbound::<P, _, _, _, _>(*side));
                if let Some(upload) = permit.watch_upload(&mut request) {
                    permit.set_upload(upload);
                }
                start(&mut self.inner, request, permit, classifier, on_reject)
            }
            Err(rejected) => reject(request, &circuit, rejected, classifier, on_reject),
        }
    }
}

impl<S: Clone, K, F: Clone, C: Clone, P: Clone> Clone for KeyedCircuitBreakerService<S, K, F, C, P> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

/// tonic routes by the service's name.
#[cfg(feature = "grpc")]
impl<S: tonic::server::NamedService, K, F, C, P> tonic::server::NamedService
    for KeyedCircuitBreakerService<S, K, F, C, P>
{
    const NAME: &'static str = S::NAME;
}

impl<K: Key> KeyedCircuitBreaker<K> {
    /// A Tower layer that finds the key of each request with `key`.
    pub fn layer<F>(&self, key: F) -> KeyedCircuitBreakerLayer<K, F> {
        KeyedCircuitBreakerLayer::new(self.clone(), key)
    }
}
