//! The Tower layer.

use super::handle::Signals;
use super::segments::Undivided;
use super::service::SignalsService;
use crate::classify::Auto;
use tower_layer::Layer;

/// Counts the requests of services. All of them share its counts.
///
/// `F` says in which segment a request is, `C` how it ended. Put it outside of every other layer that may answer.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "http")] {
/// use axum::{Router, extract::Request, routing::get};
/// use backstop::signals::Signals;
///
/// let checkout = Signals::builder("checkout").segments(["web", "mobile"]).build()?;
/// let layer = checkout.layer().segment(|request: &Request| match request.headers().get("x-client") {
///     Some(client) if client == "mobile" => "mobile",
///     _ => "web",
/// });
/// let app: Router = Router::new().route("/pay", get(async || "paid")).layer(layer);
/// # }
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it is applied to a service"]
pub struct SignalsLayer<F = Undivided, C = Auto> {
    signals: Signals,
    segments: F,
    classifier: C,
}

impl<F, C> SignalsLayer<F, C> {
    /// Sets the segment of a request: a configured name. Any other counts as `other`, and the first one that is not
    /// `other` is [reported](Signals::unknown_segment).
    pub fn segment<Request, G>(self, segments: G) -> SignalsLayer<G, C>
    where
        G: for<'a> Fn(&'a Request) -> &'a str,
    {
        SignalsLayer { signals: self.signals, segments, classifier: self.classifier }
    }

    /// Sets the classifier: [`Errors`](crate::classify::Errors), a closure over the result, or your own.
    ///
    /// A closure names the type of its argument, `|result: &Result<Response, _>|`;
    /// [`Classification::by_caller`](crate::outcome::Classification::by_caller) is a client error.
    pub fn classify<D>(self, classifier: D) -> SignalsLayer<F, D> {
        SignalsLayer { signals: self.signals, segments: self.segments, classifier }
    }
}

impl<S, F: Clone, C: Clone> Layer<S> for SignalsLayer<F, C> {
    type Service = SignalsService<S, F, C>;

    fn layer(&self, inner: S) -> Self::Service {
        let Self { signals, segments, classifier } = self.clone();
        SignalsService::new(signals, inner, segments, classifier)
    }
}

impl Signals {
    /// A Tower layer for a service of axum or tonic. A response is judged by its own protocol.
    pub fn layer(&self) -> SignalsLayer {
        SignalsLayer { signals: self.clone(), segments: Undivided, classifier: Auto }
    }
}
