//! The future of a call in front of which a bulkhead stands.

use super::calls::{Entry, Wait};
use super::handle::Bulkhead;
use super::hold::{Hold, UntilResponse};
use super::holder::Holder;
use super::permit::Permit;
use super::service::Later;
use super::wait::{self, Place, Waiting, enter_as_future};
use crate::classify::{Classified, Classify, judge};
use crate::outcome::Outcome;
use crate::reject::{CallError, OnReject, Rejected};
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
    pub struct ResponseFuture<S, Request, F, H, C, P, Refusal, G: Holder = Bulkhead> {
        #[pin]
        state: State<S, Request, F, Refusal, G>,
        hold: H,
        classifier: C,
        on_reject: P,
    }
}

pin_project! {
    #[project = StateProjected]
    enum State<S, Request, F, Refusal, G: Holder> {
        Called { #[pin] future: F, permit: Option<Permit<G>> },
        Deferred { deferred: Box<Deferred<S, Request, G>> },
        Refused { refusal: Option<Refusal> },
    }
}

impl<S, Request, F, H, C, P, Refusal, G: Holder> ResponseFuture<S, Request, F, H, C, P, Refusal, G> {
    #[inline]
    pub(super) fn called(future: F, permit: Permit<G>, hold: H, classifier: C, on_reject: P) -> Self {
        Self { state: State::Called { future, permit: Some(permit) }, hold, classifier, on_reject }
    }

    #[inline]
    pub(super) fn later(later: Later<S, Request, G, Refusal>, hold: H, classifier: C, on_reject: P) -> Self {
        let state = match later {
            Later::Deferred(deferred) => State::Deferred { deferred },
            Later::Refused(refusal) => State::Refused { refusal: Some(refusal) },
        };
        Self { state, hold, classifier, on_reject }
    }
}

impl<S, Request, H, C, P, G> Future for ResponseFuture<S, Request, S::Future, H, C, P, P::Refusal, G>
where
    S: Service<Request>,
    H: Hold<S::Response>,
    C: Classify<S::Response, S::Error>,
    P: OnReject<Request, S::Response, H::Response<G>, S::Error>,
    G: Holder,
{
    type Output = Result<H::Response<G>, P::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (hold, classifier, on_reject) = (&*this.hold, &*this.classifier, &*this.on_reject);
        loop {
            let next = match this.state.as_mut().project() {
                StateProjected::Called { future, permit } => {
                    let result = ready!(future.poll(cx));
                    let outcome = outcome(classifier, &result);
                    return Poll::Ready(match result {
                        Ok(response) if !is_failure(outcome) => Ok(hold.hold(response, outcome, permit)),
                        failed => finish_failed(failed, outcome, permit, hold, on_reject),
                    });
                }
                StateProjected::Refused { refusal } => {
                    let refusal = refusal.take().expect("polled after it was ready");
                    return Poll::Ready(
                        on_reject.answer(refusal, |response| hold.hold(response, Outcome::Ignored, &mut None)),
                    );
                }
                StateProjected::Deferred { deferred } => match ready!(deferred.poll(cx)) {
                    Undeferred::Called(future, permit) => State::Called { future, permit: Some(permit) },
                    Undeferred::Rejected(request, rejected) => {
                        if P::IS_FALLBACK {
                            deferred.count_fallback();
                        }
                        State::Refused { refusal: Some(on_reject.refuse(request, rejected)) }
                    }
                    Undeferred::Broken(error) => return Poll::Ready(Err(P::carry(error))),
                },
            };
            this.state.set(next);
        }
    }
}

/// How the call went, for an adaptive limit.
#[inline]
fn outcome<C: Classify<R, E>, R, E>(classifier: &C, result: &Result<R, E>) -> Outcome {
    match judge(classifier, result) {
        Classified::Now(classification) => classification.outcome(),
        Classified::AtEnd => Outcome::Success, // the answer has come: that was the round trip
    }
}

fn is_failure(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failure | Outcome::Panicked)
}

/// A call that failed may be answered otherwise.
#[inline(never)]
fn finish_failed<Request, R, E, G: Holder, H: Hold<R>, P: OnReject<Request, R, H::Response<G>, E>>(
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

/// A request that waits for its permit, or for the service.
pub(super) struct Deferred<S, Request, H: Holder> {
    service: S,
    request: Option<Request>,
    is_ready: bool,
    holder: H,
    waiting: Option<Waiting<H>>,
    permit: Option<Permit<H>>,
}

/// What becomes of it.
enum Undeferred<F, Request, H: Holder, E> {
    Called(F, Permit<H>),
    Rejected(Request, Rejected),
    /// The service said that it is finished.
    Broken(E),
}

impl<S, Request, H: Holder> Deferred<S, Request, H> {
    pub(super) fn waiting(service: S, request: Request, is_ready: bool, place: Place<H>) -> Self {
        let holder = place.holder().clone();
        let waiting = Some(Waiting::new(place));
        Self { service, request: Some(request), is_ready, holder, waiting, permit: None }
    }

    pub(super) fn permitted(service: S, request: Request, is_ready: bool, permit: Permit<H>) -> Self {
        let holder = permit.holder().clone();
        Self { service, request: Some(request), is_ready, holder, waiting: None, permit: Some(permit) }
    }

    fn count_fallback(&self) {
        self.holder.count_fallback();
    }
}

impl<S: Service<Request>, Request, H: Holder> Deferred<S, Request, H> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Undeferred<S::Future, Request, H, S::Error>> {
        if let Some(waiting) = &mut self.waiting {
            match ready!(waiting.poll(cx)) {
                Ok(permit) => self.permit = Some(permit.carried()),
                Err(rejected) => {
                    let request = self.request.take().expect("polled after it was ready");
                    return Poll::Ready(Undeferred::Rejected(request, rejected));
                }
            }
            self.waiting = None;
        }
        if !self.is_ready {
            if let Err(error) = ready!(self.service.poll_ready(cx)) {
                self.permit = None;
                return Poll::Ready(Undeferred::Broken(error));
            }
            self.is_ready = true;
        }
        let request = self.request.take().expect("polled after it was ready");
        let future = self.service.call(request); // its panic drops the permit with this
        let permit = self.permit.take().expect("it was there before the service was asked");
        Poll::Ready(Undeferred::Called(future, permit))
    }
}

pin_project! {
    /// A call without Tower, which asks for its permit when it is first polled.
    struct Guarded<'h, 'c, H: Holder, F, C> {
        holder: &'h H,
        #[pin]
        future: F,
        stage: Stage<H>,
        classifier: &'c C,
    }
}

enum Stage<H: Holder> {
    New,
    Waiting(Waiting<H>),
    Called(Permit<H>),
    Over,
}

impl<T, E, H: Holder, F: Future<Output = Result<T, E>>, C: Classify<T, E>> Future for Guarded<'_, '_, H, F, C> {
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        loop {
            let permit = match this.stage {
                Stage::New => match enter_as_future(*this.holder, Wait::AsConfigured) {
                    Entry::Permit(ticket) => Permit::new(this.holder.clone(), ticket),
                    Entry::Queued(id) => {
                        *this.stage = Stage::Waiting(Waiting::new(Place::new(this.holder.clone(), id)));
                        continue;
                    }
                    Entry::Refused(rejected) => return Poll::Ready(Err(rejected.into())),
                },
                Stage::Waiting(waiting) => ready!(waiting.poll(cx))?,
                Stage::Called(_) | Stage::Over => break,
            };
            *this.stage = Stage::Called(permit.carried());
        }
        let result = ready!(this.future.poll(cx));
        if let Stage::Called(mut permit) = std::mem::replace(this.stage, Stage::Over) {
            permit.finish(Some(outcome(*this.classifier, &result)), false);
        }
        Poll::Ready(result.map_err(CallError::Inner))
    }
}

/// Runs a future with a permit.
///
/// A struct and no `async fn`: each of those holds the future twice.
pub(super) fn call_with<T, E, C: Classify<T, E>, H: Holder>(
    holder: &H,
    future: impl Future<Output = Result<T, E>>,
    classifier: &C,
) -> impl Future<Output = Result<T, CallError<E>>> {
    Guarded { holder, future, stage: Stage::New, classifier }
}

/// Runs a closure with a permit.
pub(super) fn call_blocking<T, E, H: Holder>(
    holder: &H,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, CallError<E>> {
    let permit = wait::acquire_blocking(holder, Wait::AsConfigured)?.carried();
    let result = work();
    permit.end(outcome(&crate::classify::AnyResult, &result));
    result.map_err(CallError::Inner)
}
