//! The Tower service.

use super::acquire::{Place, enter_as_future};
use super::admission::{Entry, Wait, try_enter_fast};
use super::counters::count;
use super::deferred::Deferred;
use super::future::{ResponseFuture, State};
use super::handle::Bulkhead;
use super::owner::PermitOwner;
use super::permit::Permit;
use super::release_point::{ReleasePoint, UntilResponse};
use super::select::Select;
use crate::classify::{AnyResult, Classify};
use crate::reject::{AsError, OnReject};
use std::borrow::Cow;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A service with a bulkhead in front.
///
/// `poll_ready` reserves nothing: an idle connection that only polled ready holds no permit. It is taken in `call`,
/// where a request that may wait also enters the queue; the service is then cloned, and the one that was polled
/// ready is the one that is called. Clones share the permits.
#[derive(Clone, Debug)]
pub struct BulkheadService<S, B = Bulkhead, H = UntilResponse, C = AnyResult, P = AsError> {
    bulkhead: B,
    inner: S,
    hold: H,
    classifier: C,
    on_reject: P,
    /// The inner service was not asked whether it is ready: there was no permit. Whoever calls without polling
    /// answers for it.
    is_unasked: bool,
}

impl<S, B, H, C, P> BulkheadService<S, B, H, C, P> {
    pub(super) fn new(bulkhead: B, inner: S, hold: H, classifier: C, on_reject: P) -> Self {
        Self { bulkhead, inner, hold, classifier, on_reject, is_unasked: false }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// Takes the bulkhead away again.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, H, C, P, Request> Service<Request> for BulkheadService<S, B, H, C, P>
where
    S: Service<Request> + Clone,
    B: Select<Request>,
    H: ReleasePoint<S::Response> + Clone,
    C: Classify<S::Response, S::Error> + Clone,
    P: OnReject<Request, S::Response, H::Response<B::PermitOwner>, S::Error> + Clone,
{
    type Response = H::Response<B::PermitOwner>;
    type Error = P::Error;
    type Future = ResponseFuture<S, Request, S::Future, H, C, P, P::Rejection, B::PermitOwner>;

    /// A full bulkhead is ready: it answers, or lets the request wait. Whether the inner service is ready matters
    /// only to a request that is let through.
    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        self.is_unasked = self.bulkhead.is_full();
        if self.is_unasked {
            return Poll::Ready(Ok(()));
        }
        Poll::Ready(ready!(self.inner.poll_ready(cx)).map_err(P::carry))
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let (hold, classifier, on_reject) = (self.hold.clone(), self.classifier.clone(), self.on_reject.clone());
        let bypasses = self.bulkhead.bypasses(&request);
        let holder = if bypasses { self.bulkhead.any() } else { self.bulkhead.select(&request) };
        if !self.is_unasked
            && !bypasses
            && let Ok(ticket) = try_enter_fast(&*holder)
        {
            let permit = Permit::new(holder.into_owned(), ticket).carried(); // before the call, which may panic
            let state = State::called(self.inner.call(request), permit);
            return ResponseFuture { state, hold, classifier, on_reject };
        }
        let inner = Inner { service: &mut self.inner, is_unasked: self.is_unasked };
        let state = inner.start_slow(request, holder, bypasses, &on_reject);
        ResponseFuture { state, hold, classifier, on_reject }
    }
}

/// The service that is called, and whether it was not asked whether it is ready.
struct Inner<'a, S> {
    service: &'a mut S,
    is_unasked: bool,
}

impl<S: Clone> Inner<'_, S> {
    /// Begins a call that needs thought.
    #[inline(never)]
    fn start_slow<Request, P, O, G: PermitOwner>(
        self,
        request: Request,
        holder: Cow<'_, G>,
        bypasses: bool,
        on_reject: &P,
    ) -> State<S, Request, S::Future, P::Rejection, G>
    where
        S: Service<Request>,
        P: OnReject<Request, S::Response, O, S::Error>,
    {
        let permit = if bypasses {
            count(&holder.counters().bypassed);
            Permit::bypass(holder.into_owned())
        } else {
            match enter_as_future(&*holder, Wait::AsConfigured) {
                Entry::Permit(ticket) => Permit::new(holder.into_owned(), ticket).carried(),
                Entry::Queued(id) => {
                    let (service, is_ready) = self.take_readied();
                    let place = Place::new(holder.into_owned(), id);
                    return State::deferred(Deferred::waiting(service, request, is_ready, place));
                }
                Entry::Rejected(rejected) => {
                    if P::IS_FALLBACK {
                        holder.count_fallback();
                    }
                    return State::Rejected { rejection: Some(on_reject.reject(request, rejected)) };
                }
            }
        };
        if self.is_unasked {
            let (service, is_ready) = self.take_readied();
            return State::deferred(Deferred::permitted(service, request, is_ready, permit));
        }
        State::called(self.service.call(request), permit)
    }

    /// Takes the service that was polled ready, if it was, and leaves a fresh one.
    fn take_readied(self) -> (S, bool) {
        let fresh = self.service.clone();
        (std::mem::replace(self.service, fresh), !self.is_unasked)
    }
}

/// tonic routes by the service's name.
#[cfg(feature = "grpc")]
impl<S: tonic::server::NamedService, B, H, C, P> tonic::server::NamedService for BulkheadService<S, B, H, C, P> {
    const NAME: &'static str = S::NAME;
}

impl Bulkhead {
    /// Puts the bulkhead in front of a client: `layer().layer(service)`.
    pub fn wrap<S>(&self, service: S) -> BulkheadService<S> {
        BulkheadService::new(self.clone(), service, UntilResponse, AnyResult, AsError)
    }
}
