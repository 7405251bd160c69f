//! The future of a call behind a breaker.

use super::permit::Permit;
use crate::classify::{Classified, Classify, classify};
use crate::outcome::{Outcome, Settle, on_behalf_of};
use crate::reject::OnReject;
use pin_project_lite::pin_project;
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
        state: State<F, Rejection, G>,
        classifier: C,
        on_reject: P,
        request: PhantomData<fn(Request)>,
    }
}

pin_project! {
    #[project = StateProjected]
    enum State<F, Rejection, G> {
        Called { #[pin] future: F, permit: Option<G> },
        Rejected { rejection: Option<Rejection> },
    }
}

impl<F, C, P, Rejection, Request, G> ResponseFuture<F, C, P, Rejection, Request, G> {
    #[inline]
    pub(super) fn called(future: F, permit: G, classifier: C, on_reject: P) -> Self {
        let state = State::Called { future, permit: Some(permit) };
        Self { state, classifier, on_reject, request: PhantomData }
    }

    pub(super) fn rejected(rejection: Rejection, classifier: C, on_reject: P) -> Self {
        let state = State::Rejected { rejection: Some(rejection) };
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
            StateProjected::Called { future, permit } => {
                let guard = permit.as_mut().expect("polled after it was ready");
                let result = ready!(poll_call(future, guard, classifier, cx));
                Poll::Ready(finish(result, permit, classifier, |failed| on_reject.recover(failed)).map_err(P::carry))
            }
            StateProjected::Rejected { rejection } => {
                let rejection = rejection.take().expect("polled after it was ready");
                Poll::Ready(on_reject.answer(rejection, |response| classifier.watch(response, None)))
            }
        }
    }
}

/// A result, and what it says.
pub(super) type Judged<R, E> = (Result<R, E>, Classified);

/// Polls the call, and looks at its result.
#[expect(clippy::inline_always, reason = "one frame instead of three: 100 of 285 instructions a call")]
#[inline(always)]
pub(super) fn poll_call<F, C, R, E, G>(
    future: Pin<&mut F>,
    permit: &mut G,
    classifier: &C,
    cx: &mut Context<'_>,
) -> Poll<Judged<R, E>>
where
    G: Settle,
    F: Future<Output = Result<R, E>>,
    C: Classify<R, E>,
{
    let result = ready!(on_behalf_of(permit, || future.poll(cx)));
    permit.answered();
    let verdict = classify(classifier, &result);
    Poll::Ready((result, verdict))
}

/// Settles the call, or hands the permit on to the response's body.
#[expect(clippy::inline_always, reason = "as `poll_call`")]
#[inline(always)]
pub(super) fn finish<C: Classify<R, E>, R, E, G: Settle>(
    (result, verdict): Judged<R, E>,
    permit: &mut Option<G>,
    classifier: &C,
    recover: impl FnOnce(Result<R, E>) -> (Result<R, E>, bool),
) -> Result<C::Response<G>, E> {
    let classification = match (verdict, &result) {
        (Classified::Now(classification), _) => classification,
        (Classified::AtEnd, Ok(_)) => return result.map(|response| classifier.watch(response, permit.take())),
        (Classified::AtEnd, Err(_)) => Outcome::Failure.into(), // an error has no body to wait for
    };
    permit.settle(classification);
    let has_failed = matches!(classification.outcome(), Outcome::Failure | Outcome::Panicked);
    let (result, is_fallback) = if has_failed { recover(result) } else { (result, false) };
    if is_fallback {
        permit.fallback_used();
    }
    result.map(|response| classifier.watch(response, None))
}
