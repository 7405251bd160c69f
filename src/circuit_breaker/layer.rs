//! The Tower layer.

use super::handle::CircuitBreaker;
use super::service::CircuitBreakerService;
use crate::classify::Auto;
use crate::outcome::Side;
use crate::reject::{AsError, answers, sides};
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
///     payments.layer().fallback(|request: Request<Body>, _| Ok(format!("{} of yesterday",
/// request.uri()).into_response())),
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
    side: Option<Side>,
    pends: bool,
}

impl CircuitBreakerLayer {
    pub(super) fn new(breaker: CircuitBreaker) -> Self {
        Self { breaker, classifier: Auto, on_reject: AsError, side: None, pends: false }
    }
}

impl<C, P> CircuitBreakerLayer<C, P> {
    answers!(CircuitBreakerLayer);
    sides!();

    fn with<D, Q>(self, change: impl FnOnce(C, P) -> (D, Q)) -> CircuitBreakerLayer<D, Q> {
        let Self { breaker, classifier, on_reject, side, pends } = self;
        let (classifier, on_reject) = change(classifier, on_reject);
        CircuitBreakerLayer { breaker, classifier, on_reject, side, pends }
    }

    /// Load-balancer mode: `poll_ready` is pending while calls would be rejected, and wakes when one may pass.
    ///
    /// For endpoints of a balancer, which then sends requests elsewhere. It wakes by itself when the open time is over,
    /// on any runtime. Readiness reserves nothing: of several callers that are woken at once, some may still be
    /// rejected.
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
        let service = CircuitBreakerService::new(self.breaker.clone(), inner, classifier, on_reject, self.side);
        if self.pends { service.pending() } else { service }
    }
}

impl CircuitBreaker {
    /// A Tower layer. By default its error is boxed and a response is judged by its own protocol.
    ///
    /// Servers of axum and tonic want [`.respond()`](CircuitBreakerLayer::respond) after it; what the compiler
    /// says without is in [`reject`](crate::reject#what-the-compiler-says-without-a-responder).
    pub fn layer(&self) -> CircuitBreakerLayer {
        CircuitBreakerLayer::new(self.clone())
    }
}
