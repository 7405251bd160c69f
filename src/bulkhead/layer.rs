//! The Tower layer.

use super::handle::Bulkhead;
use super::release_point::UntilResponse;
use super::select::{ByPartition, Bypass};
use super::service::BulkheadService;
use crate::classify::AnyResult;
use crate::reject::{AsError, answers};
use tower_layer::Layer;

/// Puts a bulkhead in front of services. All of them share its permits.
///
/// `B` chooses the permits, `H` says until when a call holds one, `C` gives outcomes to an adaptive limit, `P`
/// answers rejected ones. Servers of axum and tonic want [`respond`](Self::respond), or one of the other answers:
/// without, the compiler says ``the trait bound `Infallible: From<Box<dyn Error + Send + Sync>>` is not
/// satisfied`` (axum) or ``expected `Infallible`, found `Box<dyn Error + Send + Sync>` `` (tonic).
///
/// # Examples
///
/// ```
/// # #[cfg(all(feature = "axum-core", feature = "tokio"))] {
/// use axum::extract::Request;
/// use axum::{Router, routing::get};
/// use backstop::Bulkhead;
/// use std::time::Duration;
///
/// let database = Bulkhead::builder("database")
///     .max_concurrent_calls(40)
///     .max_wait(Duration::from_millis(100))
///     .partition("live", 0.8)
///     .partition("batch", 0.2)
///     .build()?;
/// let layer = database
///     .layer()
///     .until_body_end() // a client that reads slowly counts, too
///     .partition_by(|request: &Request| if request.uri().path() == "/export" { "batch" } else { "live" })
///     .bypass_when(|request: &Request| request.uri().path() == "/health")
///     .respond();
/// let app: Router = Router::new()
///     .route("/orders", get(async || "orders"))
///     .route("/export", get(async || "a long list"))
///     .route("/health", get(async || "fine"))
///     .layer(layer);
/// # }
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct BulkheadLayer<B = Bulkhead, H = UntilResponse, C = AnyResult, P = AsError> {
    bulkhead: B,
    hold: H,
    classifier: C,
    on_reject: P,
}

impl<B> BulkheadLayer<B> {
    pub(super) fn new(bulkhead: B) -> Self {
        Self { bulkhead, hold: UntilResponse, classifier: AnyResult, on_reject: AsError }
    }
}

impl<B, H, C, P> BulkheadLayer<B, H, C, P> {
    answers!(BulkheadLayer, B, H);

    fn with<D, Q>(self, change: impl FnOnce(C, P) -> (D, Q)) -> BulkheadLayer<B, H, D, Q> {
        let Self { bulkhead, hold, classifier, on_reject } = self;
        let (classifier, on_reject) = change(classifier, on_reject);
        BulkheadLayer { bulkhead, hold, classifier, on_reject }
    }

    /// Holds the permit until the response's *body* ends, breaks or is dropped. Otherwise a call is over when the
    /// head of its response is there, and a client that reads slowly escapes the limit.
    ///
    /// For responses of HTTP and gRPC whose data is `Bytes`. A stream that is meant to last for hours wants a
    /// bulkhead of its own, or [`max_hold`](super::BulkheadBuilder::max_hold). A response without a body, and one that
    /// upgrades its connection (a WebSocket), ends with its head: move a permit
    /// [into the socket's task](crate::guide::sizing_bulkheads#sockets-that-outlive-their-request).
    #[cfg(feature = "http")]
    pub fn until_body_end(self) -> BulkheadLayer<B, crate::bulkhead::release_point::UntilBodyEnd, C, P> {
        let Self { bulkhead, classifier, on_reject, .. } = self;
        BulkheadLayer { bulkhead, hold: crate::bulkhead::release_point::UntilBodyEnd, classifier, on_reject }
    }

    /// Lets requests through without a permit that `bypasses` says yes to: health checks, for example. They are not
    /// among the calls in flight.
    pub fn bypass_when<F, Request>(self, bypasses: F) -> BulkheadLayer<Bypass<B, F>, H, C, P>
    where
        F: Fn(&Request) -> bool,
    {
        let Self { bulkhead, hold, classifier, on_reject } = self;
        BulkheadLayer { bulkhead: Bypass { bulkhead, bypasses }, hold, classifier, on_reject }
    }
}

impl<H, C, P> BulkheadLayer<Bulkhead, H, C, P> {
    /// Takes the permits of the [partition](super::BulkheadBuilder::partition) that `name` finds in the request. A
    /// request of an unknown one has nothing of its own and only borrows.
    pub fn partition_by<F, Request, N>(self, name: F) -> BulkheadLayer<ByPartition<F>, H, C, P>
    where
        F: Fn(&Request) -> N,
        N: AsRef<str>,
    {
        let Self { bulkhead, hold, classifier, on_reject } = self;
        BulkheadLayer { bulkhead: ByPartition::new(&bulkhead, name), hold, classifier, on_reject }
    }
}

impl<S, B: Clone, H: Clone, C: Clone, P: Clone> Layer<S> for BulkheadLayer<B, H, C, P> {
    type Service = BulkheadService<S, B, H, C, P>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { bulkhead, hold, classifier, on_reject } = self.clone();
        BulkheadService::new(bulkhead, inner, hold, classifier, on_reject)
    }
}

impl Bulkhead {
    /// A Tower layer. By default its error is boxed, and a call holds its permit until its response is there.
    ///
    /// Servers of axum and tonic want [`.respond()`](BulkheadLayer::respond) after it; what the compiler says
    /// without is in [`reject`](crate::reject#what-the-compiler-says-without-a-responder).
    pub fn layer(&self) -> BulkheadLayer {
        BulkheadLayer::new(self.clone())
    }
}
