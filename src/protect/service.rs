//! The Tower service.

use super::begin::{Begun, Deferred, Held, Mechanisms};
use super::future::ResponseFuture;
use super::guards::Guards;
use super::targets::{Anyone, Targets};
use crate::bulkhead::EventSink as _;
use crate::circuit_breaker::CircuitBreaker;
use crate::circuit_breaker::owner::Owner as _;
use crate::classify::{Auto, Classified, Classify, classify};
use crate::outcome::on_behalf_of;
use crate::reject::{AsError, Mechanism, OnReject, Rejected};
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A service with several mechanisms in front. Made by [`protect`](super::protect).
///
/// `poll_ready` reserves nothing. A request that has to wait takes the service that was polled ready with it, so the
/// service is cloned. Clones share the mechanisms.
#[derive(Clone, Debug)]
pub struct ProtectService<S, T = Anyone, C = Auto, P = AsError> {
    mechanisms: Mechanisms,
    inner: S,
    targets: T,
    classifier: C,
    on_reject: P,
    holds_body: bool,
    /// The inner service was not asked whether it is ready: the call was going to be rejected.
    is_unasked: bool,
}

impl<S, T, C, P> ProtectService<S, T, C, P> {
    pub(super) fn new(
        mechanisms: Mechanisms,
        inner: S,
        targets: T,
        classifier: C,
        on_reject: P,
        holds_body: bool,
    ) -> Self {
        Self { mechanisms, inner, targets, classifier, on_reject, holds_body, is_unasked: false }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Takes the mechanisms away again.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, T, C, P, Request> Service<Request> for ProtectService<S, T, C, P>
where
    S: Service<Request> + Clone,
    T: Targets<Request>,
    C: Classify<S::Response, S::Error> + Clone,
    P: OnReject<Request, S::Response, C::Response<Guards>, S::Error> + Clone,
{
    type Response = C::Response<Guards>;
    type Error = P::Error;
    type Future = ResponseFuture<S, Request, S::Future, C, P, P::Rejection>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        self.is_unasked = self.mechanisms.is_rejecting();
        if self.is_unasked {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(ready!(self.inner.poll_ready(cx)).map_err(|error| P::carry(self.count_broken(error))))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        if let Err(rejected) = self.mechanisms.check_switch(&self.targets, &request) {
            return self.reject(request, rejected);
        }
        if !self.is_unasked
            && let Some(guards) = self.mechanisms.try_enter_fast()
        {
            return self.start(request, guards);
        }
        match self.mechanisms.enter(!self.is_unasked) {
            Begun::Free(guards) => self.start(request, guards),
            Begun::Held(held) => self.defer(request, held),
            Begun::Rejected(rejected) => self.reject(request, rejected),
        }
    }
}

impl<S, T, C: Clone, P: Clone> ProtectService<S, T, C, P> {
    #[inline]
    fn start<Request, Rejection>(
        &mut self,
        request: Request,
        mut guards: Guards,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection>
    where
        S: Service<Request>,
    {
        let future = on_behalf_of(&mut guards, || self.inner.call(request));
        ResponseFuture::called(future, guards, self.classifier.clone(), self.on_reject.clone(), self.holds_body)
    }

    #[cold]
    #[inline(never)]
    fn defer<Request, Rejection>(
        &mut self,
        request: Request,
        held: Held,
    ) -> ResponseFuture<S, Request, S::Future, C, P, Rejection>
    where
        S: Service<Request> + Clone,
    {
        let fresh = self.inner.clone();
        let readied = std::mem::replace(&mut self.inner, fresh);
        let deferred = Deferred::new(self.mechanisms.clone(), readied, request, !self.is_unasked, held);
        ResponseFuture::deferred(deferred, self.classifier.clone(), self.on_reject.clone(), self.holds_body)
    }

    #[inline(never)]
    fn reject<Request, O>(
        &self,
        request: Request,
        rejected: Rejected,
    ) -> ResponseFuture<S, Request, S::Future, C, P, P::Rejection>
    where
        S: Service<Request>,
        P: OnReject<Request, S::Response, O, S::Error>,
    {
        if P::IS_FALLBACK {
            self.mechanisms.count_fallback(&rejected);
        }
        let rejection = self.on_reject.reject(request, rejected);
        ResponseFuture::rejected(rejection, self.classifier.clone(), self.on_reject.clone())
    }

    /// A service that says it is finished has failed a call.
    fn count_broken<R, E>(&self, error: E) -> E
    where
        C: Classify<R, E>,
    {
        let result = Err(error);
        if let Some(Ok(permit)) = self.mechanisms.breaker.as_ref().map(CircuitBreaker::try_acquire) {
            match classify(&self.classifier, &result) {
                Classified::Now(classification) => permit.end(classification),
                Classified::AtEnd => permit.failure(),
            }
        }
        match result {
            Ok(never) => {
                let _: R = never;
                unreachable!("it was made an error above")
            }
            Err(error) => error,
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

/// tonic routes by the service's name.
#[cfg(feature = "grpc")]
impl<S: tonic::server::NamedService, T, C, P> tonic::server::NamedService for ProtectService<S, T, C, P> {
    const NAME: &'static str = S::NAME;
}
