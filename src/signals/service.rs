//! The Tower service.

use super::future::ResponseFuture;
use super::handle::Signals;
use super::observation::Observation;
use super::segments::{Segments, Undivided};
use crate::classify::{Auto, Classify};
use crate::guarded::wrapper;
use crate::outcome::on_behalf_of;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose requests are counted. It rejects nothing. Clones share the counts.
#[derive(Clone, Debug)]
pub struct SignalsService<S, F = Undivided, C = Auto> {
    signals: Signals,
    inner: S,
    segments: F,
    classifier: C,
}

impl<S, F, C> SignalsService<S, F, C> {
    pub(super) fn new(signals: Signals, inner: S, segments: F, classifier: C) -> Self {
        Self { signals, inner, segments, classifier }
    }
}

wrapper!(SignalsService<S, F, C>, "counting");

impl<S, F, C, Request> Service<Request> for SignalsService<S, F, C>
where
    S: Service<Request>,
    F: Segments<Request>,
    C: Classify<S::Response, S::Error> + Clone,
{
    type Response = C::Response<Observation>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let mut observation = Observation::new(self.signals.shared.for_call());
        let name = on_behalf_of(&mut observation, || self.segments.segment(&request));
        observation.in_segment(name);
        let future = on_behalf_of(&mut observation, || self.inner.call(request));
        ResponseFuture::new(future, observation, self.classifier.clone())
    }
}
