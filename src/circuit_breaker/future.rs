//! The future of a call behind a breaker.

use super::permit::Permit;
use crate::classify::{Classified, Classify};
use crate::guarded::{State, StateProjected, has_failed, judge, poll_call};
use crate::outcome::Settle;
use crate::reject::OnReject;
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Resolves to the service's response, or to the answer to a rejection.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the call counts as abandoned and its probe's place is free at once.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C, P, Rejection, Request, G = Permit> {
        #[pin]
        state: State<F, Option<G>, Infallible, Rejection>,
        classifier: C,
        on_reject: P,
        request: PhantomData<fn(Request)>,
    }
}

impl<F, C, P, Rejection, Request, G> ResponseFuture<F, C, P, Rejection, Request, G> {
    #[inline]
    pub(super) fn new(state: State<F, Option<G>, Infallible, Rejection>, classifier: C, on_reject: P) -> Self {
        Self { state, classifier, on_reject, request: PhantomData }
    }
}

impl<F, C, P, Request, R, E, G> Future for ResponseFuture<F, C, P, P::Rejection, Request, G>
where
    G: Settle,
    F: Future<Output = Result<R, E>>,
    C: Classify<R, E>,
    P: OnReject<Request, R, C::Response<G>, E>,
{
    type Output = Result<C::Response<G>, P::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (classifier, on_reject) = (&*this.classifier, &*this.on_reject);
        match this.state.project() {
            StateProjected::Called { future, guard } => {
                let permit = guard.as_mut().expect("polled after it was ready");
                let result = ready!(poll_call(future, permit, cx));
                Poll::Ready(finish(result, guard, classifier, |failed| on_reject.recover(failed), P::carry))
            }
            StateProjected::Deferred { deferred } => match *deferred {},
            StateProjected::Rejected { rejection } => {
                let rejection = rejection.take().expect("polled after it was ready");
                Poll::Ready(on_reject.answer(rejection, |response| classifier.watch(response, None)))
            }
        }
    }
}

/// Settles the call, or hands the permit on to the response's body.
#[expect(clippy::inline_always, reason = "as `poll_call`")]
#[inline(always)]
pub(super) fn finish<C: Classify<R, E>, R, E, X, G: Settle>(
    mut result: Result<R, E>,
    permit: &mut Option<G>,
    classifier: &C,
    recover: impl FnOnce(Result<R, E>) -> (Result<R, E>, bool),
    carry: impl FnOnce(E) -> X,
) -> Result<C::Response<G>, X> {
    let Classified::Now(classification) = judge(&result, permit, classifier) else {
        return match result {
            Ok(response) => Ok(classifier.watch(response, permit.take())),
            Err(error) => Err(carry(error)),
        };
    };
    permit.settle(classification);
    if has_failed(classification.outcome()) {
        let is_fallback;
        (result, is_fallback) = recover(result);
        if is_fallback {
            permit.fallback_used();
        }
    }
    match result {
        Ok(response) => Ok(classifier.watch(response, None)),
        Err(error) => Err(carry(error)),
    }
}
