//! The Tower service.

use super::acquire::Held;
use super::admission::try_enter_fast;
use super::counters::count;
use super::future::ResponseFuture;
use super::handle::Bulkhead;
use super::owner::PermitOwner;
use super::permit::Permit;
use super::release_point::{ReleasePoint, UntilResponse};
use super::select::Select;
use crate::classify::{AnyResult, Classify};
use crate::guarded::{Progress, State, wrapper};
use crate::outcome::{OnBehalf, on_behalf_of};
use crate::reject::{AsError, OnReject, is_inbound};
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
    /// The inner service was not asked whether it is ready: there was no permit. A caller that calls without polling
    /// answers for it.
    is_unasked: bool,
}

impl<S, B, H, C, P> BulkheadService<S, B, H, C, P> {
    pub(super) fn new(bulkhead: B, inner: S, hold: H, classifier: C, on_reject: P) -> Self {
        Self { bulkhead, inner, hold, classifier, on_reject, is_unasked: false }
    }
}

wrapper!(BulkheadService<S, B, H, C, P>, "bulkhead");

impl<S, B, H, C, P, Request> Service<Request> for BulkheadService<S, B, H, C, P>
where
    S: Service<Request> + Clone,
    Request: 'static,
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
        if !self.is_unasked
            && let Some(holder) = self.bulkhead.always()
            && let Some(mut permit) = Held::try_enter_fast(holder)
        {
            // The permit exists before the call, which may panic.
            let running = OnBehalf::begin(&mut permit);
            let future = self.inner.call(request);
            running.end();
            let state = State::Called { future, guard: Some(permit) };
            return ResponseFuture { state, hold, classifier, on_reject };
        }
        let bypasses = self.bulkhead.bypasses(&request);
        let holder = if bypasses { self.bulkhead.any() } else { self.bulkhead.select(&request) };
        let is_selected = matches!(holder, Cow::Owned(_));
        let is_ready = !self.is_unasked;
        let state = start_slow(&mut self.inner, is_ready, request, &*holder, is_selected, bypasses, &on_reject);
        ResponseFuture { state, hold, classifier, on_reject }
    }
}

/// Begins a call that needs thought.
#[inline(never)]
fn start_slow<S, Request, P, O, G: PermitOwner>(
    service: &mut S,
    is_ready: bool,
    mut request: Request,
    holder: &G,
    is_selected: bool,
    bypasses: bool,
    on_reject: &P,
) -> Progress<S, Request, S::Future, Held<G>, P::Rejection>
where
    S: Service<Request> + Clone,
    Request: 'static,
    P: OnReject<Request, S::Response, O, S::Error>,
{
    let mut held = if bypasses {
        count(&holder.counters().bypassed);
        Permit::bypass(holder.for_call()).into()
    } else if is_selected && let Ok(ticket) = try_enter_fast(holder) {
        Permit::new(holder.for_call(), ticket).into()
    } else {
        match Held::enter(holder) {
            Ok(held) => held,
            Err(rejected) => return State::rejected(request, rejected, on_reject, |_| holder.count_fallback()),
        }
    };
    if is_inbound::<P, _, _, _, _>(None)
        && let Some(upload) = held.watch_upload(&mut request)
    {
        held.follow_upload(upload);
    }
    match held {
        Held::Permit(mut guard) if is_ready => {
            let future = on_behalf_of(&mut guard, || service.call(request));
            State::Called { future, guard }
        }
        held => State::deferred(service, request, is_ready, held),
    }
}

impl Bulkhead {
    /// Puts the bulkhead in front of a client: `layer().layer(service)`.
    pub fn wrap<S>(&self, service: S) -> BulkheadService<S> {
        BulkheadService::new(self.clone(), service, UntilResponse, AnyResult, AsError)
    }
}
