//! The Tower layer.

use super::handle::CircuitBreaker;
use super::service::CircuitBreakerService;
use crate::classify::Auto;
#[cfg(feature = "http")]
use crate::reject::Respond;
#[cfg(feature = "axum-core")]
use crate::reject::RespondInto;
use crate::reject::{AsError, Fallback, Recover, Rejected, RespondWith};
use tower_layer::Layer;

/// Puts a circuit breaker in front of services. All of them share its circuit.
///
/// `C` says how calls ended, `P` how rejected ones are answered. Servers of axum and tonic want
/// [`respond`](Self::respond), or one of the other answers: without, the compiler says
/// ``the trait bound `Infallible: From<Box<dyn Error + Send + Sync>>` is not satisfied`` (axum) or
/// ``expected `Infallible`, found `Box<dyn Error + Send + Sync>` `` (tonic).
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "axum-core")] {
/// use axum::body::Body;
/// use axum::extract::Request;
/// use axum::http::StatusCode;
/// use axum::response::{IntoResponse, Response};
/// use axum::{Router, routing::get};
/// use backstop::CircuitBreaker;
///
/// let payments = CircuitBreaker::new("payments");
/// let (respond, too_many, cached, recovered) = (
///     payments.layer().respond(),
///     payments.layer().respond_into(|rejected| (StatusCode::TOO_MANY_REQUESTS, rejected.reason())),
///     payments.layer().fallback(|request: Request<Body>, _| Ok(format!("{} of yesterday", request.uri()).into_response())),
///     payments.layer().respond().recover(|_failed: Result<Response, _>| Ok("of yesterday".into_response())),
/// );
/// let app: Router = Router::new()
///     .route("/pay", get(async || "paid").layer(respond))
///     .route("/refund", get(async || "refunded").layer(too_many))
///     .route("/prices", get(async || "dear").layer(cached))
///     .route("/stock", get(async || "none").layer(recovered));
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct CircuitBreakerLayer<C = Auto, P = AsError> {
    breaker: CircuitBreaker,
    classifier: C,
    on_reject: P,
    pends: bool,
}

impl CircuitBreakerLayer {
    pub(super) fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker, classifier: Auto, on_reject: AsError, pends: false }
    }
}

impl<C, P> CircuitBreakerLayer<C, P> {
    /// Sets what tells how a call ended: [`Errors`](crate::classify::Errors), a closure over the result, or
    /// another classifier.
    ///
    /// A closure names its argument's type, `|result: &Result<Response, _>|`;
    /// [`classify`](crate::classify#examples) has examples.
    pub fn classify<D>(self, classifier: D) -> CircuitBreakerLayer<D, P> {
        let Self { breaker, on_reject, pends, .. } = self;
        CircuitBreakerLayer { breaker, classifier, on_reject, pends }
    }

    /// Answers rejected requests in their own protocol: 503 with `Retry-After` and problem+json, or gRPC's
    /// `UNAVAILABLE`. The layer's error is then the service's own.
    #[cfg(feature = "http")]
    pub fn respond(self) -> CircuitBreakerLayer<C, Respond> {
        self.on_reject(Respond)
    }

    /// Answers rejected requests with a response that `make` builds; it is of the service's own type.
    ///
    /// An outer breaker ignores an HTTP response that has the rejection among its extensions:
    /// `response.extensions_mut().insert(rejected.clone())`.
    pub fn respond_with<F, R>(self, make: F) -> CircuitBreakerLayer<C, RespondWith<F>>
    where
        F: Fn(&Rejected) -> R,
    {
        self.on_reject(RespondWith(make))
    }

    /// Answers rejected requests with whatever axum can turn into a response.
    #[cfg(feature = "axum-core")]
    pub fn respond_into<F, T>(self, make: F) -> CircuitBreakerLayer<C, RespondInto<F>>
    where
        F: Fn(&Rejected) -> T,
        T: axum_core::response::IntoResponse,
    {
        self.on_reject(RespondInto(make))
    }

    /// Answers rejected requests with what `answer` makes of the request: cached data, a default. Counted.
    ///
    /// A closure that looks into the request names its type: `|request: Request<Body>, rejected|`.
    pub fn fallback<F, Request, R, E>(self, answer: F) -> CircuitBreakerLayer<C, Fallback<F>>
    where
        F: Fn(Request, Rejected) -> Result<R, E>,
    {
        self.on_reject(Fallback(answer))
    }

    /// Lets `recover` replace the result of a call that was let through and failed. Counted as a fallback.
    ///
    /// The breaker still counts the failure. A failure that only the end of the body tells comes too late.
    pub fn recover<F, R, E>(self, recover: F) -> CircuitBreakerLayer<C, Recover<P, F>>
    where
        F: Fn(Result<R, E>) -> Result<R, E>,
    {
        let Self { breaker, classifier, on_reject, pends } = self;
        CircuitBreakerLayer { breaker, classifier, on_reject: Recover { on_reject, recover }, pends }
    }

    /// Sets what answers rejected requests.
    pub fn on_reject<Q>(self, on_reject: Q) -> CircuitBreakerLayer<C, Q> {
        let Self { breaker, classifier, pends, .. } = self;
        CircuitBreakerLayer { breaker, classifier, on_reject, pends }
    }

    /// Load-balancer mode: `poll_ready` is pending while calls would be rejected, and wakes when one may pass.
    ///
    /// For endpoints of a balancer, which then sends requests elsewhere. It needs tokio's timer. Readiness
    /// reserves nothing: of several callers that were told so at once, some may still be rejected.
    #[cfg(feature = "tokio")]
    pub fn pending_while_open(mut self) -> Self {
        self.pends = true;
        self
    }
}

impl<S, C: Clone, P: Clone> Layer<S> for CircuitBreakerLayer<C, P> {
    type Service = CircuitBreakerService<S, C, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let (classifier, on_reject) = (self.classifier.clone(), self.on_reject.clone());
        let service = CircuitBreakerService::new(self.breaker.clone(), inner, classifier, on_reject);
        if self.pends { service.pending() } else { service }
    }
}
