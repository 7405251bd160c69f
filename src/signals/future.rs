//! The future of a request that is counted.

use super::observation::Observation;
use crate::classify::{Classified, Classify};
use crate::guarded::{judge, poll_call};
use crate::outcome::Settle as _;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// Resolves to the service's response.
    ///
    /// # Cancel safety
    ///
    /// Dropped before its end, the request says nothing: the client has left.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C> {
        #[pin]
        future: F,
        observation: Option<Observation>,
        classifier: C,
    }
}

impl<F, C> ResponseFuture<F, C> {
    #[inline]
    pub(super) fn new(future: F, observation: Observation, classifier: C) -> Self {
        Self { future, observation: Some(observation), classifier }
    }
}

impl<F, C, R, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<R, E>>,
    C: Classify<R, E>,
{
    type Output = Result<C::Response<Observation>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let observation = this.observation.as_mut().expect("polled after it was ready");
        let result = ready!(poll_call(this.future, observation, cx));
        let verdict = judge(&result, observation, this.classifier);
        Poll::Ready(match verdict {
            Classified::Now(classification) => {
                this.observation.settle(classification);
                result.map(|response| this.classifier.watch(response, None))
            }
            Classified::AtEnd => result.map(|response| this.classifier.watch(response, this.observation.take())),
        })
    }
}
