//! A request that is not called at once: it waits for its permit, or for the service to be ready.

use super::acquire::{Place, Waiting};
use super::owner::PermitOwner;
use super::permit::Permit;
use crate::reject::Rejected;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A request that waits for its permit, or for the service.
pub(super) struct Deferred<S, Request, H: PermitOwner> {
    service: S,
    request: Option<Request>,
    is_ready: bool,
    holder: H,
    waiting: Option<Waiting<H>>,
    permit: Option<Permit<H>>,
}

/// Outcome of a deferred request.
pub(super) enum Resolved<F, Request, H: PermitOwner, E> {
    Called(F, Permit<H>),
    Rejected(Request, Rejected),
    /// The service said that it is finished.
    Broken(E),
}

impl<S, Request, H: PermitOwner> Deferred<S, Request, H> {
    pub(super) fn waiting(service: S, request: Request, is_ready: bool, place: Place<H>) -> Self {
        let holder = place.holder().clone();
        let waiting = Some(Waiting::new(place));
        Self { service, request: Some(request), is_ready, holder, waiting, permit: None }
    }

    pub(super) fn permitted(service: S, request: Request, is_ready: bool, permit: Permit<H>) -> Self {
        let holder = permit.holder().clone();
        Self { service, request: Some(request), is_ready, holder, waiting: None, permit: Some(permit) }
    }

    pub(super) fn count_fallback(&self) {
        self.holder.count_fallback();
    }
}

impl<S: Service<Request>, Request, H: PermitOwner> Deferred<S, Request, H> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Resolved<S::Future, Request, H, S::Error>> {
        if let Some(waiting) = &mut self.waiting {
            match ready!(waiting.poll(cx)) {
                Ok(permit) => self.permit = Some(permit.carried()),
                Err(rejected) => {
                    let request = self.request.take().expect("polled after it was ready");
                    return Poll::Ready(Resolved::Rejected(request, rejected));
                }
            }
            self.waiting = None;
        }
        if !self.is_ready {
            if let Err(error) = ready!(self.service.poll_ready(cx)) {
                self.permit = None;
                return Poll::Ready(Resolved::Broken(error));
            }
            self.is_ready = true;
        }
        let request = self.request.take().expect("polled after it was ready");
        let future = self.service.call(request); // its panic drops the permit with this
        let permit = self.permit.take().expect("it was there before the service was asked");
        Poll::Ready(Resolved::Called(future, permit))
    }
}
