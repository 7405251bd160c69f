//! The Tower service.

use super::begin::{Begun, Mechanisms, Pending};
use super::future::ResponseFuture;
use super::guards::Guards;
use super::layer::Protect;
use super::targets::{Anyone, Targets};
use crate::bulkhead::EventSink as _;
use crate::circuit_breaker::Place;
use crate::circuit_breaker::owner::Owner as _;
use crate::classify::{AnyResult, Auto, Classify};
use crate::guarded::{Progress, State, settle_broken, wrapper};
use crate::outcome::on_behalf_of;
use crate::reject::{AsError, Mechanism, OnReject, Rejected, is_inbound};
use std::task::{Context, Poll, ready};
use tower_layer::Layer;
use tower_service::Service;

/// A service with several mechanisms in front. Made by [`protect`](super::protect).
///
/// `poll_ready` reserves nothing. A request that has to wait takes the service that was polled ready with it, so the
/// service is cloned. Clones share the mechanisms.
#[derive(Clone, Debug)]
pub struct ProtectService<S, T = Anyone, C = Auto, P = AsError, B = AnyResult> {
    inner: S,
    layer: Protect<T, C, P, B>,
    /// The inner service was not asked whether it is ready: the call was going to be rejected.
    is_unasked: bool,
    place: Place,
}

impl<S, T, C, P, B> ProtectService<S, T, C, P, B> {
    fn new(inner: S, layer: Protect<T, C, P, B>) -> Self {
        Self { inner, layer, is_unasked: false, place: Place::default() }
    }
}

wrapper!(ProtectService<S, T, C, P, B>, "mechanisms");

impl<S, T, C, P, B, Request> Service<Request> for ProtectService<S, T, C, P, B>
where
    S: Service<Request> + Clone,
    Request: 'static,
    T: Targets<Request>,
    C: Classify<S::Response, S::Error> + Clone,
    P: OnReject<Request, S::Response, C::Response<Guards>, S::Error> + Clone,
    B: Classify<S::Response, S::Error> + Clone,
{
    type Response = C::Response<Guards>;
    type Error = P::Error;
    type Future = ResponseFuture<S, Request, S::Future, C, P, P::Rejection, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        let inner = &mut self.inner;
        let polled = ready!(self.layer.mechanisms.poll_inner(&mut self.place, cx, |cx| inner.poll_ready(cx)));
        self.is_unasked = polled.is_none();
        let is_inbound = is_inbound::<P, _, _, _, _>(self.layer.side);
        Poll::Ready(polled.unwrap_or(Ok(())).map_err(|error| P::carry(self.count_broken(error, is_inbound))))
    }

    #[inline]
    fn call(&mut self, mut request: Request) -> Self::Future {
        if let Err(rejected) = self.layer.mechanisms.check_switch(&self.layer.targets, &request) {
            return self.reject(request, rejected);
        }
        let is_inbound = is_inbound::<P, _, _, _, _>(self.layer.side);
        if !self.is_unasked
            && let Some(guards) = self.layer.mechanisms.try_enter_fast(is_inbound)
        {
            return self.start(request, guards);
        }
        match self.layer.mechanisms.enter(!self.is_unasked, is_inbound) {
            Ok(Begun::Free(guards)) => self.start(request, guards),
            Ok(Begun::Held(held)) => {
                let pending = Pending::new(self.layer.mechanisms.clone(), held, is_inbound, &mut request);
                self.defer(request, pending)
            }
            Err(rejected) => self.reject(request, rejected),
        }
    }
}

impl<S, T, C: Clone, P: Clone, B: Clone> ProtectService<S, T, C, P, B> {
    #[inline]
    fn future<Request, Rejection>(
        &self,
        state: Progress<S, Request, S::Future, Pending, Rejection>,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection, B>
    where
        S: Service<Request>,
    {
        let Protect { classifier, on_reject, load, .. } = &self.layer;
        let (classifier, on_reject, load) = (classifier.clone(), on_reject.clone(), load.clone());
        ResponseFuture { state, classifier, on_reject, load, holds_body: self.layer.holds_body }
    }

    #[inline]
    fn start<Request: 'static, Rejection>(
        &mut self,
        mut request: Request,
        mut guard: Guards,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection, B>
    where
        S: Service<Request>,
    {
        if let Some(permit) = &mut guard.breaker {
            request = permit.time_upload(request);
        }
        let future = on_behalf_of(&mut guard, || self.inner.call(request));
        self.future(State::Called { future, guard })
    }

    #[cold]
    #[inline(never)]
    fn defer<Request, Rejection>(
        &mut self,
        request: Request,
        pending: Pending,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection, B>
    where
        S: Service<Request> + Clone,
    {
        let state = State::deferred(&mut self.inner, request, !self.is_unasked, pending);
        self.future(state)
    }

    #[inline(never)]
    fn reject<Request, O>(
        &self,
        request: Request,
        rejected: Rejected,
    ) -> ResponseFuture<S, Request, S::Future, C, P, P::Rejection, B>
    where
        S: Service<Request>,
        P: OnReject<Request, S::Response, O, S::Error>,
    {
        let count = |rejected: &Rejected| self.layer.mechanisms.count_fallback(rejected);
        self.future(State::rejected(request, rejected, &self.layer.on_reject, count))
    }

    /// A service that says it is finished has failed a call.
    fn count_broken<R, E>(&self, error: E, is_inbound: bool) -> E
    where
        C: Classify<R, E>,
    {
        match self.layer.mechanisms.breaker.as_ref().map(|breaker| breaker.enter(is_inbound)) {
            Some(Ok(permit)) => settle_broken(permit, &self.layer.classifier, error),
            _ => error,
        }
    }
}

impl Mechanisms {
    /// Counts a fallback at the mechanism that rejected.
    pub(super) fn count_fallback(&self, rejected: &Rejected) {
        #[cfg(feature = "kill-switch")]
        if let Some(switch) = &self.switch
            && rejected.by() == Mechanism::KillSwitch
        {
            return switch.count_fallback();
        }
        match (&self.breaker, &self.bulkhead) {
            (_, Some(bulkhead)) if rejected.by() == Mechanism::Bulkhead => bulkhead.count_fallback(),
            (Some(breaker), _) => breaker.count_fallback(),
            _ => {}
        }
    }
}

impl<T, C, P, B> Protect<T, C, P, B> {
    /// Wraps a client: the same as `layer(service)`, with a clear compiler error if the classifier does not fit.
    pub fn wrap<S, Request>(self, service: S) -> ProtectService<S, T, C, P, B>
    where
        S: tower_service::Service<Request>,
        C: Classify<S::Response, S::Error>,
    {
        ProtectService::new(service, self)
    }
}

impl<S, T: Clone, C: Clone, P: Clone, B: Clone> Layer<S> for Protect<T, C, P, B> {
    type Service = ProtectService<S, T, C, P, B>;

    fn layer(&self, inner: S) -> Self::Service {
        ProtectService::new(inner, self.clone())
    }
}
