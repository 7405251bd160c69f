//! The Tower service.

use super::begin::{Begun, Chosen, Pending};
use super::future::ResponseFuture;
use super::guards::{Guards, GuardsOf};
use super::layer::Protect;
use super::targets::{Anyone, Targets};
use crate::bulkhead::{self, Bulkhead};
use crate::circuit_breaker::{self, CircuitBreaker, Permit, Place};
use crate::classify::{AnyResult, Auto, Classify};
use crate::guarded::{Progress, State, settle_broken, wrapper};
use crate::outcome::OnBehalf;
use crate::reject::{AsError, OnReject, Rejected, is_inbound};
use crate::sync::Arc;
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// A service with several mechanisms in front. Made by [`protect`](super::protect).
///
/// `poll_ready` reserves nothing. A request that has to wait takes the service that was polled ready with it, so the
/// service is cloned. Clones share the mechanisms.
#[derive(Debug)]
pub struct ProtectService<S, T = Anyone, C = Auto, P = AsError, L = AnyResult, B = CircuitBreaker, H = Bulkhead> {
    inner: S,
    /// Clones are one user of each mechanism: axum clones a service for each request, and one count is written for that.
    layer: Arc<Protect<T, C, P, L, B, H>>,
    /// The inner service was not asked whether it is ready: the call was going to be rejected.
    is_unasked: bool,
    place: Place,
}

impl<S, T, C, P, L, B, H> ProtectService<S, T, C, P, L, B, H> {
    fn new(inner: S, layer: Protect<T, C, P, L, B, H>) -> Self {
        Self { inner, layer: Arc::new(layer), is_unasked: false, place: Place::default() }
    }
}

impl<S: Clone, T, C, P, L, B, H> Clone for ProtectService<S, T, C, P, L, B, H> {
    fn clone(&self) -> Self {
        let (inner, layer) = (self.inner.clone(), Arc::clone(&self.layer));
        Self { inner, layer, is_unasked: self.is_unasked, place: Place::default() }
    }
}

wrapper!(ProtectService<S, T, C, P, L, B, H>, "mechanisms");

impl<S, T, C, P, L, B, H, Request> Service<Request> for ProtectService<S, T, C, P, L, B, H>
where
    S: Service<Request> + Clone,
    Request: 'static,
    T: Targets<Request>,
    C: Classify<S::Response, S::Error> + Clone,
    P: OnReject<Request, S::Response, C::Response<GuardsOf<Request, B, H>>, S::Error> + Clone,
    L: Classify<S::Response, S::Error> + Clone,
    B: circuit_breaker::Select<Request>,
    H: bulkhead::Select<Request>,
{
    type Response = C::Response<GuardsOf<Request, B, H>>;
    type Error = P::Error;
    type Future = ResponseFuture<S, Request, S::Future, C, P, P::Rejection, L, B::PermitOwner, H::PermitOwner>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        let inner = &mut self.inner;
        let polled = ready!(self.layer.mechanisms.poll_inner(&mut self.place, cx, |cx| inner.poll_ready(cx)));
        self.is_unasked = polled.is_none();
        let is_inbound = is_inbound::<P, _, _, _, _>(self.layer.side);
        let count = |error| {
            // A service that says it is finished has failed a call.
            match self.layer.mechanisms.breaker().map(|breaker| Permit::enter(breaker, is_inbound)) {
                Some(Ok(permit)) => settle_broken(permit, &self.layer.classifier, error),
                _ => error,
            }
        };
        Poll::Ready(polled.unwrap_or(Ok(())).map_err(|error| P::carry(count(error))))
    }

    #[inline]
    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Err(rejected) = self.layer.mechanisms.check_switch(&self.layer.targets, &request) {
            return self.reject(request, rejected, &self.layer.mechanisms.only_switch());
        }
        let is_inbound = is_inbound::<P, _, _, _, _>(self.layer.side);
        if !self.is_unasked
            && let Some(guards) = self.layer.mechanisms.try_enter_fast(is_inbound, &mut request)
        {
            return self.start(request, guards);
        }
        let chosen = self.layer.mechanisms.choose(&request);
        match chosen.enter(!self.is_unasked, is_inbound) {
            Ok(Begun::Free(mut guards)) => {
                guards.watch_upload(&mut request, is_inbound);
                self.start(request, guards)
            }
            Ok(Begun::Held(held)) => {
                let mut pending = Pending::new(chosen, held, is_inbound);
                pending.watch_upload(&mut request);
                self.defer(request, pending)
            }
            Err(rejected) => self.reject(request, rejected, &chosen),
        }
    }
}

impl<S, T, C: Clone, P: Clone, L: Clone, B, H> ProtectService<S, T, C, P, L, B, H> {
    /// Calls the service under its permits.
    #[inline]
    fn start<Request, Rejection, G: circuit_breaker::PermitOwner, I: bulkhead::PermitOwner>(
        &mut self,
        request: Request,
        mut guard: Guards<G, I>,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection, L, G, I>
    where
        S: Service<Request>,
    {
        let running = OnBehalf::begin(&mut guard);
        let future = self.inner.call(request);
        running.end();
        // Not by way of `future`: a state is copied.
        let Protect { classifier, on_reject, load, .. } = &*self.layer;
        let (classifier, on_reject, load) = (classifier.clone(), on_reject.clone(), load.clone());
        ResponseFuture { state: State::Called { future, guard }, classifier, on_reject, load }
    }

    #[inline]
    fn future<Request, Rejection, G: circuit_breaker::PermitOwner, I: bulkhead::PermitOwner>(
        &self,
        state: Progress<S, Request, S::Future, Pending<G, I>, Rejection>,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection, L, G, I>
    where
        S: Service<Request>,
    {
        let Protect { classifier, on_reject, load, .. } = &*self.layer;
        let (classifier, on_reject, load) = (classifier.clone(), on_reject.clone(), load.clone());
        ResponseFuture { state, classifier, on_reject, load }
    }

    #[cold]
    #[inline(never)]
    fn defer<Request, Rejection, G: circuit_breaker::PermitOwner, I: bulkhead::PermitOwner>(
        &mut self,
        request: Request,
        pending: Pending<G, I>,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection, L, G, I>
    where
        S: Service<Request> + Clone,
    {
        let state = State::deferred(&mut self.inner, request, !self.is_unasked, pending);
        self.future(state)
    }

    #[inline(never)]
    fn reject<Request, O, G: circuit_breaker::PermitOwner, I: bulkhead::PermitOwner>(
        &self,
        request: Request,
        rejected: Rejected,
        chosen: &Chosen<'_, G, I>,
    ) -> ResponseFuture<S, Request, S::Future, C, P, P::Rejection, L, G, I>
    where
        S: Service<Request>,
        P: OnReject<Request, S::Response, O, S::Error>,
    {
        let count = |rejected: &Rejected| chosen.count_fallback(rejected);
        self.future(State::rejected(request, rejected, &self.layer.on_reject, count))
    }
}

impl<T, C, P, L, B, H> Protect<T, C, P, L, B, H> {
    /// Wraps a client: the same as `layer(service)`, with a clear compiler error if the classifier does not fit.
    pub fn wrap<S, Request>(self, service: S) -> ProtectService<S, T, C, P, L, B, H>
    where
        S: tower_service::Service<Request>,
        C: Classify<S::Response, S::Error>,
    {
        ProtectService::new(service, self)
    }
}

impl<S, T: Clone, C: Clone, P: Clone, L: Clone, B: Clone, H: Clone> Layer<S> for Protect<T, C, P, L, B, H> {
    type Service = ProtectService<S, T, C, P, L, B, H>;

    fn layer(&self, inner: S) -> Self::Service {
        ProtectService::new(inner, self.clone())
    }
}
