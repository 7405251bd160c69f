//! The gate as a Tower service.

pub(crate) use super::target::{Anyone, Targets};
use crate::guarded::{State, StateProjected, wrapper};
use crate::kill_switch::KillSwitch;
use crate::reject::{OnReject, RejectReason};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A service with a kill switch in front. Clones share the switch.
///
/// The decision is taken once for each request, in `call`. While everybody is rejected, the service is not asked
/// whether it is ready: a disabled capability may hang. A switch that is released between the two rejects that one
/// request as not ready.
#[derive(Debug)]
pub struct KillSwitchService<S, T = Anyone, P = crate::reject::AsError> {
    switch: KillSwitch,
    inner: S,
    targets: T,
    degraded: P,
    /// Whether the inner service was not asked whether it is ready, because everybody is rejected.
    is_unasked: bool,
}

/// A clone was never asked.
impl<S: Clone, T: Clone, P: Clone> Clone for KillSwitchService<S, T, P> {
    fn clone(&self) -> Self {
        let (switch, inner) = (self.switch.clone(), self.inner.clone());
        Self::new(switch, inner, self.targets.clone(), self.degraded.clone())
    }
}

impl<S, T, P> KillSwitchService<S, T, P> {
    pub(super) fn new(switch: KillSwitch, inner: S, targets: T, degraded: P) -> Self {
        Self { switch, inner, targets, degraded, is_unasked: false }
    }
}

wrapper!(KillSwitchService<S, T, P>, "switch");

impl<S, T, P, Request> Service<Request> for KillSwitchService<S, T, P>
where
    S: Service<Request>,
    T: Targets<Request>,
    P: OnReject<Request, S::Response, S::Response, S::Error> + Clone,
{
    type Response = S::Response;
    type Error = P::Error;
    type Future = ResponseFuture<S::Future, P, P::Rejection, Request>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        if !self.switch.gate.is_released() && self.switch.gate.blocks_everybody() {
            self.is_unasked = true;
            return Poll::Ready(Ok(()));
        }
        self.is_unasked = false;
        self.inner.poll_ready(cx).map_err(P::carry)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        if self.switch.gate.is_released() && !self.is_unasked {
            let future = self.inner.call(request);
            return ResponseFuture { state: State::Called { future, guard: () }, request: PhantomData };
        }
        self.call_with_care(request)
    }
}

impl<S, T, P> KillSwitchService<S, T, P> {
    #[inline(never)]
    fn call_with_care<Request>(&mut self, request: Request) -> ResponseFuture<S::Future, P, P::Rejection, Request>
    where
        S: Service<Request>,
        T: Targets<Request>,
        P: OnReject<Request, S::Response, S::Response, S::Error> + Clone,
    {
        let checked = self.switch.check(&self.targets.target(&request));
        let checked = match checked {
            Ok(_) if self.is_unasked => Err(self.switch.gate.rejected(RejectReason::NotReady)),
            checked => checked,
        };
        let state = match checked {
            Ok(_) => State::Called { future: self.inner.call(request), guard: () },
            Err(rejected) => {
                if P::IS_FALLBACK {
                    self.switch.count_fallback();
                }
                let rejection = self.degraded.reject(request, rejected);
                State::Rejected { rejection: Some((rejection, self.degraded.clone())) }
            }
        };
        ResponseFuture { state, request: PhantomData }
    }
}

pin_project! {
    /// Resolves to the service's response, or to the degraded mode's answer.
    ///
    /// # Cancel safety
    ///
    /// That of the service's own future.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, P, Rejection, Request> {
        #[pin]
        state: State<F, (), Infallible, (Rejection, P)>,
        request: PhantomData<fn(Request)>,
    }
}

impl<F, P, Request, R, E> Future for ResponseFuture<F, P, P::Rejection, Request>
where
    F: Future<Output = Result<R, E>>,
    P: OnReject<Request, R, R, E>,
{
    type Output = Result<R, P::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjected::Called { future, .. } => Poll::Ready(ready!(future.poll(cx)).map_err(P::carry)),
            StateProjected::Deferred { deferred } => match *deferred {},
            StateProjected::Rejected { rejection } => {
                let (rejection, degraded) = rejection.take().expect("polled after it was ready");
                Poll::Ready(degraded.answer(rejection, |response| response))
            }
        }
    }
}
