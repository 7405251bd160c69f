//! The future of a call behind several mechanisms.

use super::begin::Pending;
use super::guards::Guards;
use crate::bulkhead::{self, Bulkhead, outcome};
use crate::circuit_breaker::{self, CircuitBreaker};
use crate::classify::{AnyResult, Classified, Classify};
use crate::guarded::{Progress, StateProjected, has_failed, judge, poll_call, settle_broken};
use crate::outcome::{Outcome, Settle};
use crate::reject::OnReject;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

pin_project! {
    /// Resolves to the service's response, or to the answer to a rejection.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the call counts as abandoned, and every place it holds is free at once.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<
        S, Request, F, C, P, Rejection, L = AnyResult,
        B: circuit_breaker::PermitOwner = CircuitBreaker, H: bulkhead::PermitOwner = Bulkhead
    > {
        #[pin]
        pub(super) state: Progress<S, Request, F, Pending<B, H>, Rejection>,
        pub(super) classifier: C,
        pub(super) on_reject: P,
        pub(super) load: L,
    }
}

impl<S, Request, C, P, L, B, H> Future for ResponseFuture<S, Request, S::Future, C, P, P::Rejection, L, B, H>
where
    S: Service<Request>,
    C: Classify<S::Response, S::Error>,
    P: OnReject<Request, S::Response, C::Response<Guards<B, H>>, S::Error>,
    L: Classify<S::Response, S::Error>,
    B: circuit_breaker::PermitOwner,
    H: bulkhead::PermitOwner,
{
    type Output = Result<C::Response<Guards<B, H>>, P::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (classifier, on_reject) = (&*this.classifier, &*this.on_reject);
        if let Err((error, guards)) = ready!(this.state.as_mut().poll_deferred(on_reject, cx)) {
            return Poll::Ready(Err(P::carry(settle_broken(guards, classifier, error))));
        }
        match this.state.project() {
            StateProjected::Called { future, guard } => {
                let result = ready!(poll_call(future, guard, cx));
                let recover = |failed| on_reject.recover(failed);
                Poll::Ready(finish(result, guard, classifier, &*this.load, recover, P::carry))
            }
            StateProjected::Rejected { rejection } => {
                let rejection = rejection.take().expect("polled after it was ready");
                Poll::Ready(on_reject.answer(rejection, |response| classifier.watch(response, None)))
            }
            StateProjected::Deferred { .. } => unreachable!("it has been waited for"),
        }
    }
}

/// Settles the permits, or hands them on to the response's body. `load` is the bulkhead's own classifier.
#[inline]
pub(super) fn finish<C, R, E, X, L, B, H>(
    mut result: Result<R, E>,
    guards: &mut Guards<B, H>,
    classifier: &C,
    load: &L,
    recover: impl FnOnce(Result<R, E>) -> (Result<R, E>, bool),
    carry: impl FnOnce(E) -> X,
) -> Result<C::Response<Guards<B, H>>, X>
where
    C: Classify<R, E>,
    L: Classify<R, E>,
    B: circuit_breaker::PermitOwner,
    H: bulkhead::PermitOwner,
{
    let verdict = judge(&result, guards, classifier);
    let load = guards.bulkhead.as_ref().map_or(Outcome::Ignored, |_| outcome(load, &result));
    if let Classified::Now(classification) = verdict {
        guards.breaker.settle(classification);
        if has_failed(classification.outcome()) {
            let is_fallback;
            (result, is_fallback) = recover(result);
            if is_fallback {
                guards.fallback_used();
            }
        }
    }
    let mut goes_on = verdict == Classified::AtEnd;
    match guards.held_on() {
        Some(permit) if result.is_ok() => {
            permit.answered(load);
            if let Classified::Now(classification) = verdict {
                guards.bulkhead.settle(classification); // and the permit is held on
            }
            goes_on = true;
        }
        _ => guards.release_bulkhead(load),
    }
    match result {
        Ok(response) => Ok(classifier.watch(response, goes_on.then(|| std::mem::take(guards)))),
        Err(error) => Err(carry(error)),
    }
}
