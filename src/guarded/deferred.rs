//! A request that is not called at once: it waits for its permits, or for the service to be ready.

use super::state::{State, StateProjected};
use crate::outcome::{Settle, on_behalf_of};
use crate::reject::{OnReject, Rejected};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// Admission of a deferred request by its mechanisms.
pub(crate) trait Admission {
    /// The permits of the call.
    type Guard: Settle;

    /// Waits until the request may be called, or is rejected.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejected>>;

    /// The permits, just before the call. Called once, after [`poll`](Self::poll).
    fn admit(&mut self) -> Result<Self::Guard, Rejected>;

    /// The rejection of a request that waits for the service to be ready; `None` while it may be called. It is told
    /// when that changes.
    fn reject_waiting(&mut self, _cx: &mut Context<'_>) -> Option<Rejected> {
        None
    }

    /// The permits that end with the error of a service that is finished.
    fn broken(&mut self) -> Self::Guard;

    /// Counts a rejection that a fallback answers.
    fn count_fallback(&mut self, rejected: &Rejected);
}

/// A deferred request, and the service that was polled ready for it.
pub(crate) struct Deferred<S, Request, A> {
    service: S,
    request: Option<Request>,
    is_ready: bool,
    admission: A,
}

/// Progress of a call that may be deferred.
pub(crate) type Progress<S, Request, F, A, Rejection> =
    State<F, <A as Admission>::Guard, Box<Deferred<S, Request, A>>, Rejection>;

/// The error of a service that is finished, and the permits that end with it.
pub(crate) type Broken<S, Request, A> = (<S as Service<Request>>::Error, <A as Admission>::Guard);

type Resolved<S, Request, A, Rejection> =
    Result<Progress<S, Request, <S as Service<Request>>::Future, A, Rejection>, Broken<S, Request, A>>;

impl<S: Service<Request>, Request, A: Admission, Rejection> Progress<S, Request, S::Future, A, Rejection> {
    /// Defers a request. It takes the service that was polled ready, if it was, and leaves a fresh one.
    pub(crate) fn deferred(service: &mut S, request: Request, is_ready: bool, admission: A) -> Self
    where
        S: Clone,
    {
        let fresh = service.clone();
        let service = std::mem::replace(service, fresh);
        Self::Deferred { deferred: Box::new(Deferred { service, request: Some(request), is_ready, admission }) }
    }

    /// Waits until the call is made or rejected.
    #[inline]
    pub(crate) fn poll_deferred<P, O>(
        mut self: Pin<&mut Self>,
        on_reject: &P,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Broken<S, Request, A>>>
    where
        P: OnReject<Request, S::Response, O, S::Error, Rejection = Rejection>,
    {
        if let StateProjected::Deferred { deferred } = self.as_mut().project() {
            let next = ready!(deferred.poll(on_reject, cx))?;
            self.set(next);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Service<Request>, Request, A: Admission> Deferred<S, Request, A> {
    #[inline(never)]
    fn poll<P, O>(&mut self, on_reject: &P, cx: &mut Context<'_>) -> Poll<Resolved<S, Request, A, P::Rejection>>
    where
        P: OnReject<Request, S::Response, O, S::Error>,
    {
        let mut admitted = ready!(self.admission.poll(cx));
        if admitted.is_ok() && !self.is_ready {
            match self.service.poll_ready(cx) {
                Poll::Ready(Ok(())) => self.is_ready = true,
                Poll::Ready(Err(error)) => {
                    drop(self.request.take()); // it will not be called
                    return Poll::Ready(Err((error, self.admission.broken())));
                }
                Poll::Pending => match self.admission.reject_waiting(cx) {
                    Some(rejected) => admitted = Err(rejected),
                    None => return Poll::Pending,
                },
            }
        }
        let request = self.request.take().expect("polled after it was ready");
        Poll::Ready(Ok(match admitted.and_then(|()| self.admission.admit()) {
            Ok(mut guard) => {
                let future = on_behalf_of(&mut guard, || self.service.call(request));
                State::Called { future, guard }
            }
            Err(rejected) => State::rejected(request, rejected, on_reject, |rejected| {
                self.admission.count_fallback(rejected);
            }),
        }))
    }
}
