//! The future of a call behind a bulkhead.

use super::acquire::Held;
use super::handle::Bulkhead;
use super::owner::PermitOwner;
use super::permit::Permit;
use super::release_point::{ReleasePoint, UntilResponse};
use crate::classify::{Classified, Classify, classify};
use crate::guarded::{Admission, Progress, StateProjected, has_failed};
use crate::outcome::{Outcome, on_behalf_of};
use crate::reject::{OnReject, Rejected};
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
        pub(super) state: Progress<S, Request, F, Held<G>, Rejection>,
        pub(super) hold: H,
        pub(super) classifier: C,
        pub(super) on_reject: P,
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
        if let Err((error, _abandoned)) = ready!(this.state.as_mut().poll_deferred(on_reject, cx)) {
            return Poll::Ready(Err(P::carry(error)));
        }
        match this.state.project() {
            StateProjected::Called { future, guard: permit } => {
                let result = ready!(on_behalf_of(permit, || future.poll(cx)));
                let outcome = outcome(classifier, &result);
                Poll::Ready(match result {
                    Ok(response) if !has_failed(outcome) => Ok(hold.hold(response, outcome, permit)),
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

impl<H: PermitOwner> Admission for Held<H> {
    type Guard = Option<Permit<H>>;

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejected>> {
        self.poll(cx)
    }

    fn admit(&mut self) -> Result<Option<Permit<H>>, Rejected> {
        Ok(self.take())
    }

    fn broken(&mut self) -> Option<Permit<H>> {
        self.take()
    }

    fn count_fallback(&mut self, _: &Rejected) {
        Self::count_fallback(self);
    }
}

/// Outcome of the call, for an adaptive limit.
#[inline]
pub(crate) fn outcome<C: Classify<R, E>, R, E>(classifier: &C, result: &Result<R, E>) -> Outcome {
    match classify(classifier, result, false) {
        Classified::Now(classification) => classification.outcome(),
        Classified::AtEnd => Outcome::Success, // the answer has come: that was the round trip
    }
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
