//! The future of a call behind a bulkhead.

use super::deferred::{Deferred, Resolved};
use super::handle::Bulkhead;
use super::owner::PermitOwner;
use super::permit::Permit;
use super::release_point::{ReleasePoint, UntilResponse};
use crate::classify::{Classified, Classify, classify};
use crate::outcome::{Outcome, on_behalf_of};
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
    /// Dropped before its end, it leaves the queue or gives its place back at once.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, Request, F, H, C, P, Rejection, G: PermitOwner = Bulkhead> {
        #[pin]
        pub(super) state: State<S, Request, F, Rejection, G>,
        pub(super) hold: H,
        pub(super) classifier: C,
        pub(super) on_reject: P,
    }
}

pin_project! {
    #[project = StateProjected]
    /// Progress of the call.
    pub(super) enum State<S, Request, F, Rejection, G: PermitOwner> {
        Called { #[pin] future: F, permit: Option<Permit<G>> },
        Deferred { deferred: Box<Deferred<S, Request, G>> },
        Rejected { rejection: Option<Rejection> },
    }
}

impl<S, Request, F, Rejection, G: PermitOwner> State<S, Request, F, Rejection, G> {
    #[inline]
    pub(super) fn called(future: F, permit: Permit<G>) -> Self {
        Self::Called { future, permit: Some(permit) }
    }

    pub(super) fn deferred(deferred: Deferred<S, Request, G>) -> Self {
        Self::Deferred { deferred: Box::new(deferred) }
    }
}

impl<S, Request, H, C, P, G> Future for ResponseFuture<S, Request, S::Future, H, C, P, P::Rejection, G>
where
    S: Service<Request>,
    H: ReleasePoint<S::Response>,
    C: Classify<S::Response, S::Error>,
    P: OnReject<Request, S::Response, H::Response<G>, S::Error>,
    G: PermitOwner,
{
    type Output = Result<H::Response<G>, P::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (hold, classifier, on_reject) = (&*this.hold, &*this.classifier, &*this.on_reject);
        if let StateProjected::Deferred { .. } = this.state.as_mut().project()
            && let Some(error) = ready!(this.state.as_mut().poll_deferred(on_reject, cx))
        {
            return Poll::Ready(Err(P::carry(error)));
        }
        match this.state.project() {
            StateProjected::Called { future, permit } => {
                let result = ready!(on_behalf_of(permit, || future.poll(cx)));
                let outcome = outcome(classifier, &result);
                Poll::Ready(match result {
                    Ok(response) if !is_failure(outcome) => Ok(hold.hold(response, outcome, permit)),
                    failed => finish_failed(failed, outcome, permit, hold, on_reject),
                })
            }
            StateProjected::Rejected { rejection } => {
                let rejection = rejection.take().expect("polled after it was ready");
                let pass = |response| hold.hold(response, Outcome::Ignored, &mut None);
                Poll::Ready(on_reject.answer(rejection, pass))
            }
            StateProjected::Deferred { .. } => unreachable!("it has been waited for"),
        }
    }
}

impl<S: Service<Request>, Request, Rejection, G: PermitOwner> State<S, Request, S::Future, Rejection, G> {
    /// Waits until the call is made or rejected. The error is that of a service that is finished.
    #[inline(never)]
    fn poll_deferred<P, O>(mut self: Pin<&mut Self>, on_reject: &P, cx: &mut Context<'_>) -> Poll<Option<S::Error>>
    where
        P: OnReject<Request, S::Response, O, S::Error, Rejection = Rejection>,
    {
        let StateProjected::Deferred { deferred } = self.as_mut().project() else { return Poll::Ready(None) };
        let next = match ready!(deferred.poll(cx)) {
            Resolved::Called(future, permit) => Self::called(future, permit),
            Resolved::Rejected(request, rejected) => {
                if P::IS_FALLBACK {
                    deferred.count_fallback();
                }
                Self::Rejected { rejection: Some(on_reject.reject(request, rejected)) }
            }
            Resolved::Broken(error) => return Poll::Ready(Some(error)),
        };
        self.set(next);
        Poll::Ready(None)
    }
}

/// Outcome of the call, for an adaptive limit.
#[inline]
pub(super) fn outcome<C: Classify<R, E>, R, E>(classifier: &C, result: &Result<R, E>) -> Outcome {
    match classify(classifier, result) {
        Classified::Now(classification) => classification.outcome(),
        Classified::AtEnd => Outcome::Success, // the answer has come: that was the round trip
    }
}

fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failure | Outcome::Panicked)
}

/// A call that failed may be answered otherwise.
#[inline(never)]
fn finish_failed<Request, R, E, G: PermitOwner, H: ReleasePoint<R>, P: OnReject<Request, R, H::Response<G>, E>>(
    failed: Result<R, E>,
    outcome: Outcome,
    permit: &mut Option<Permit<G>>,
    hold: &H,
    on_reject: &P,
) -> Result<H::Response<G>, P::Error> {
    let (result, is_fallback) = on_reject.recover(failed);
    if is_fallback && let Some(permit) = permit {
        permit.holder().count_fallback();
    }
    match result {
        Ok(response) => Ok(hold.hold(response, outcome, permit)),
        Err(error) => {
            UntilResponse.hold((), outcome, permit);
            Err(P::carry(error))
        }
    }
}
