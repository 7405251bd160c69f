//! The future of a call behind several mechanisms.

use super::begin::{Deferred, Resolved};
use super::guards::Guards;
use crate::classify::{Classified, Classify, classify};
use crate::outcome::{Outcome, Settle, on_behalf_of};
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
    pub struct ResponseFuture<S, Request, F, C, P, Rejection> {
        #[pin]
        state: State<S, Request, F, Rejection>,
        classifier: C,
        on_reject: P,
        holds_body: bool,
    }
}

pin_project! {
    #[project = StateProjected]
    enum State<S, Request, F, Rejection> {
        Called { #[pin] future: F, guards: Guards },
        Deferred { deferred: Box<Deferred<S, Request>> },
        Rejected { rejection: Option<Rejection> },
    }
}

impl<S, Request, F, C, P, Rejection> ResponseFuture<S, Request, F, C, P, Rejection> {
    #[inline]
    pub(super) fn called(future: F, guards: Guards, classifier: C, on_reject: P, holds_body: bool) -> Self {
        Self { state: State::Called { future, guards }, classifier, on_reject, holds_body }
    }

    pub(super) fn deferred(deferred: Deferred<S, Request>, classifier: C, on_reject: P, holds_body: bool) -> Self {
        Self { state: State::Deferred { deferred: Box::new(deferred) }, classifier, on_reject, holds_body }
    }

    pub(super) fn rejected(rejection: Rejection, classifier: C, on_reject: P) -> Self {
        Self { state: State::Rejected { rejection: Some(rejection) }, classifier, on_reject, holds_body: false }
    }
}

impl<S, Request, C, P> Future for ResponseFuture<S, Request, S::Future, C, P, P::Rejection>
where
    S: Service<Request>,
    C: Classify<S::Response, S::Error>,
    P: OnReject<Request, S::Response, C::Response<Guards>, S::Error>,
{
    type Output = Result<C::Response<Guards>, P::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (classifier, on_reject) = (&*this.classifier, &*this.on_reject);
        if let StateProjected::Deferred { .. } = this.state.as_mut().project()
            && let Some((error, guards)) = ready!(this.state.as_mut().poll_deferred(on_reject, cx))
        {
            return Poll::Ready(Err(P::carry(broken(error, guards, classifier))));
        }
        match this.state.project() {
            StateProjected::Called { future, guards } => {
                let result = ready!(on_behalf_of(guards, || future.poll(cx)));
                guards.answered();
                let verdict = classify(classifier, &result);
                let recover = |failed| on_reject.recover(failed);
                let result = finish(result, verdict, guards, classifier, *this.holds_body, recover);
                Poll::Ready(result.map_err(P::carry))
            }
            StateProjected::Rejected { rejection } => {
                let rejection = rejection.take().expect("polled after it was ready");
                Poll::Ready(on_reject.answer(rejection, |response| classifier.watch(response, None)))
            }
            StateProjected::Deferred { .. } => unreachable!("it has been waited for"),
        }
    }
}

impl<S: Service<Request>, Request, Rejection> State<S, Request, S::Future, Rejection> {
    /// Waits until the call is made or rejected. The error is that of a service that is finished.
    #[inline(never)]
    fn poll_deferred<P, O>(
        mut self: Pin<&mut Self>,
        on_reject: &P,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(S::Error, Guards)>>
    where
        P: OnReject<Request, S::Response, O, S::Error, Rejection = Rejection>,
    {
        let StateProjected::Deferred { deferred } = self.as_mut().project() else { return Poll::Ready(None) };
        let next = match ready!(deferred.poll(cx)) {
            Resolved::Called(future, guards) => Self::Called { future, guards },
            Resolved::Rejected(request, rejected) => {
                if P::IS_FALLBACK {
                    deferred.mechanisms().count_fallback(&rejected);
                }
                Self::Rejected { rejection: Some(on_reject.reject(request, rejected)) }
            }
            Resolved::Broken(error, guards) => return Poll::Ready(Some((error, guards))),
        };
        self.set(next);
        Poll::Ready(None)
    }
}

/// A service that says it is finished has failed a call.
#[cold]
fn broken<C: Classify<R, E>, R, E>(error: E, mut guards: Guards, classifier: &C) -> E {
    let result = Err(error);
    guards.settle(match classify(classifier, &result) {
        Classified::Now(classification) => classification,
        Classified::AtEnd => Outcome::Failure.into(),
    });
    match result {
        Ok(never) => {
            let _: R = never;
            unreachable!("it was made an error above")
        }
        Err(error) => error,
    }
}

/// Settles the permits, or hands them on to the response's body.
#[inline]
fn finish<C: Classify<R, E>, R, E>(
    result: Result<R, E>,
    verdict: Classified,
    guards: &mut Guards,
    classifier: &C,
    holds_body: bool,
    recover: impl FnOnce(Result<R, E>) -> (Result<R, E>, bool),
) -> Result<C::Response<Guards>, E> {
    let classification = match (verdict, &result) {
        (Classified::Now(classification), _) => classification,
        (Classified::AtEnd, Ok(_)) => {
            match &guards.bulkhead {
                Some(permit) if holds_body => permit.answered(Outcome::Success),
                _ => guards.release_bulkhead(Outcome::Success),
            }
            return result.map(|response| classifier.watch(response, Some(std::mem::take(guards))));
        }
        (Classified::AtEnd, Err(_)) => Outcome::Failure.into(), // an error has no body to wait for
    };
    guards.breaker.settle(classification);
    let has_failed = matches!(classification.outcome(), Outcome::Failure | Outcome::Panicked);
    let (result, is_fallback) = if has_failed { recover(result) } else { (result, false) };
    if is_fallback {
        guards.fallback_used();
    }
    if !holds_body || result.is_err() {
        guards.release_bulkhead(classification.outcome());
        return result.map(|response| classifier.watch(response, None));
    }
    guards.bulkhead.settle(classification); // and the permit is held on
    result.map(|response| classifier.watch(response, Some(std::mem::take(guards))))
}
