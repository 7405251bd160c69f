//! The Tower service.

use super::future::ResponseFuture;
use super::handle::CircuitBreaker;
use super::owner::PermitOwner;
use super::permit::Permit;
use super::readiness::poll_inner;
use super::ticket::Ticket;
use super::waiters::Place;
use crate::classify::{Auto, Classify};
use crate::guarded::{State, settle_broken, wrapper};
use crate::outcome::{OnBehalf, Settle, Side};
use crate::reject::{AsError, OnReject, Rejected, is_inbound};
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A service with a circuit breaker in front.
///
/// `poll_ready` reserves nothing: an idle connection holds no probe. While calls are rejected the inner service is not
/// polled, and a caller that waits for it is woken when the circuit opens. Clones share the circuit.
#[derive(Debug)]
pub struct CircuitBreakerService<S, C = Auto, P = AsError> {
    breaker: CircuitBreaker,
    inner: S,
    classifier: C,
    on_reject: P,
    side: Option<Side>,
    readiness: Readiness,
    /// While the caller waits for the inner service.
    place: Place,
    #[cfg(feature = "tokio")]
    wait: Option<crate::circuit_breaker::readiness::Wait>,
}

/// Result of the last `poll_ready` on the inner service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readiness {
    /// It was polled, or the caller calls without polling and answers for it.
    Polled,
    /// It was not: the call was going to be rejected.
    Skipped,
}

impl<S, C, P> CircuitBreakerService<S, C, P> {
    pub(super) fn new(breaker: CircuitBreaker, inner: S, classifier: C, on_reject: P, side: Option<Side>) -> Self {
        Self {
            breaker,
            inner,
            classifier,
            on_reject,
            side,
            readiness: Readiness::Polled,
            place: Place::default(),
            #[cfg(feature = "tokio")]
            wait: None,
        }
    }

    #[cfg(feature = "tokio")]
    pub(super) fn pending(mut self) -> Self {
        self.wait = Some(crate::circuit_breaker::readiness::Wait::default());
        self
    }

    #[cfg(not(feature = "tokio"))]
    pub(super) fn pending(self) -> Self {
        self
    }
}

wrapper!(CircuitBreakerService<S, C, P>, "breaker");

impl<S, C, P, Request> Service<Request> for CircuitBreakerService<S, C, P>
where
    S: Service<Request>,
    Request: 'static,
    C: Classify<S::Response, S::Error> + Clone,
    P: OnReject<Request, S::Response, C::Response<Permit>, S::Error> + Clone,
{
    type Response = C::Response<Permit>;
    type Error = P::Error;
    type Future = ResponseFuture<S::Future, C, P, P::Rejection, Request>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        #[cfg(feature = "tokio")]
        if let Some(wait) = &mut self.wait {
            ready!(wait.poll(&self.breaker, cx));
        }
        let inner = &mut self.inner;
        let polled = ready!(poll_inner(&self.breaker, &mut self.place, cx, |cx| inner.poll_ready(cx)));
        let Some(polled) = polled else {
            self.readiness = Readiness::Skipped;
            return Poll::Ready(Ok(()));
        };
        self.readiness = Readiness::Polled;
        let is_inbound = is_inbound::<P, _, _, _, _>(self.side);
        Poll::Ready(polled.map_err(|error| P::carry(self.count_broken(error, is_inbound))))
    }

    #[inline]
    fn call(&mut self, mut request: Request) -> Self::Future {
        let (classifier, on_reject) = (self.classifier.clone(), self.on_reject.clone());
        let free = self.breaker.shared.try_admit_fast().filter(|_| self.readiness == Readiness::Polled);
        let ticket = match free {
            Some(ticket) => ticket,
            None => match self.admit() {
                Ok(ticket) => ticket,
                Err(rejected) => return reject(request, &self.breaker, rejected, classifier, on_reject),
            },
        };
        let is_inbound = is_inbound::<P, _, _, _, _>(self.side);
        let permit = Permit::carried(&self.breaker, ticket, is_inbound, &mut request);
        start(&mut self.inner, request, permit, classifier, on_reject)
    }
}

/// Calls the service under a permit.
#[inline]
pub(super) fn start<S, Request, C, P, Rejection, G>(
    inner: &mut S,
    request: Request,
    mut permit: G,
    classifier: C,
    on_reject: P,
) -> ResponseFuture<S::Future, C, P, Rejection, Request, G>
where
    S: Service<Request>,
    G: Settle,
{
    let running = OnBehalf::begin(&mut permit);
    let future = inner.call(request);
    running.end();
    ResponseFuture::new(State::Called { future, guard: Some(permit) }, classifier, on_reject)
}

/// Rejects the request.
pub(super) fn reject<F, Request, C, P, R, E, G, H>(
    request: Request,
    holder: &H,
    rejected: Rejected,
    classifier: C,
    on_reject: P,
) -> ResponseFuture<F, C, P, P::Rejection, Request, G>
where
    C: Classify<R, E>,
    P: OnReject<Request, R, C::Response<G>, E>,
    G: Settle,
    H: PermitOwner,
{
    let state = State::rejected(request, rejected, &on_reject, |_| holder.count_fallback());
    ResponseFuture::new(state, classifier, on_reject)
}

impl<S, C, P> CircuitBreakerService<S, C, P> {
    /// Asks for a call that the circuit does not admit freely, or whose service was not polled.
    #[inline(never)]
    fn admit(&self) -> Result<Ticket, Rejected> {
        match self.breaker.shared.admit() {
            Ok(ticket) if self.readiness == Readiness::Skipped => Err(self.breaker.shared.withdraw(ticket)),
            admitted => admitted,
        }
    }

    /// A service that says it is finished has failed a call.
    fn count_broken<R, E>(&self, error: E, is_inbound: bool) -> E
    where
        C: Classify<R, E>,
    {
        match Permit::enter(&self.breaker, is_inbound) {
            Ok(permit) => settle_broken(permit, &self.classifier, error),
            Err(_) => error,
        }
    }
}

impl<S: Clone, C: Clone, P: Clone> Clone for CircuitBreakerService<S, C, P> {
    fn clone(&self) -> Self {
        Self {
            breaker: self.breaker.clone(),
            inner: self.inner.clone(),
            classifier: self.classifier.clone(),
            on_reject: self.on_reject.clone(),
            side: self.side,
            readiness: Readiness::Polled,
            place: Place::default(),
            #[cfg(feature = "tokio")]
            wait: self.wait.as_ref().map(|_| crate::circuit_breaker::readiness::Wait::default()),
        }
    }
}

impl CircuitBreaker {
    /// Puts the breaker in front of a client of HTTP or gRPC: `layer().layer(service)`.
    ///
    /// Any other service needs a [classifier](super::CircuitBreakerLayer::classify), and one that takes requests of
    /// many types, an axum `Router`, the layer: here the type would be ambiguous.
    ///
    /// ```compile_fail,E0277
    /// # use backstop::CircuitBreaker;
    /// # let inventory = CircuitBreaker::new("inventory");
    /// inventory.wrap(tower::service_fn(|id: u32| async move { Ok::<_, std::io::Error>(id) }));
    /// // error[E0277]: `Auto` cannot classify a call whose result is `Result<u32, std::io::Error>`
    /// ```
    pub fn wrap<S, Request>(&self, service: S) -> CircuitBreakerService<S>
    where
        S: tower_service::Service<Request>,
        Auto: Classify<S::Response, S::Error>,
    {
        CircuitBreakerService::new(self.clone(), service, Auto, AsError, None)
    }
}
