//! Until when a call holds its permit: until its response is there, or until the response's body ends.

use super::holder::Holder;
use super::permit::Permit;
use crate::outcome::Outcome;

/// What becomes of the permit when the response is there. Not for others to implement.
pub trait Hold<R> {
    /// The response that the caller gets.
    type Response<G: Holder>;

    /// The call has been answered, or there was none.
    #[doc(hidden)]
    fn hold<G: Holder>(&self, response: R, outcome: Outcome, permit: &mut Option<Permit<G>>) -> Self::Response<G>;
}

/// Until the response is there: its head, where it is one of HTTP. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct UntilResponse;

impl<R> Hold<R> for UntilResponse {
    type Response<G: Holder> = R;

    #[inline]
    fn hold<G: Holder>(&self, response: R, outcome: Outcome, permit: &mut Option<Permit<G>>) -> R {
        if let Some(permit) = permit {
            permit.finish(Some(outcome), false);
        }
        response
    }
}

#[cfg(feature = "http")]
pub use self::body::{HeldBody, HoldExpired, UntilBodyEnd};

#[cfg(feature = "http")]
mod body {
    use super::{Hold, Holder, Outcome, Permit, UntilResponse};
    use crate::bulkhead::timer::Timer;
    use crate::classify::WatchBody;
    use crate::reject::BoxError;
    use bytes::Bytes;
    use http::Response;
    use http_body::{Body, Frame, SizeHint};
    use pin_project_lite::pin_project;
    use std::fmt;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// Until the body of an HTTP or gRPC response ends, breaks or is dropped.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct UntilBodyEnd;

    impl<B: Body<Data = Bytes>> Hold<Response<B>> for UntilBodyEnd {
        type Response<G: Holder> = Response<HeldBody<B, G>>;

        fn hold<G: Holder>(
            &self,
            response: Response<B>,
            outcome: Outcome,
            permit: &mut Option<Permit<G>>,
        ) -> Self::Response<G> {
            let mut permit = permit.take();
            if response.body().is_end_stream() {
                UntilResponse.hold((), outcome, &mut permit); // nobody need poll such a body
                permit = None;
            }
            if let Some(permit) = &permit {
                permit.answered(outcome);
            }
            let mut timer = Timer::default();
            if let Some(left) = permit.as_ref().and_then(Permit::time_left) {
                timer.set(left);
            }
            WatchBody::watch(response, permit).map(|body| HeldBody { body, timer })
        }
    }

    pin_project! {
        /// A response body that holds a permit until it ends, breaks or is dropped.
        pub struct HeldBody<B, G: Holder> {
            #[pin]
            body: WatchBody<B, Permit<G>>,
            timer: Timer,
        }
    }

    /// A response body held its permit for longer than [`max_hold`](crate::bulkhead::BulkheadBuilder::max_hold).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("the response took longer than its bulkhead allows")]
    pub struct HoldExpired;

    impl<B: Body<Data = Bytes>, G: Holder> Body for HeldBody<B, G>
    where
        B::Error: Into<BoxError>,
    {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let mut this = self.project();
            if this.timer.poll(cx).is_ready() {
                this.body.as_mut().abandon();
                return Poll::Ready(Some(Err(HoldExpired.into())));
            }
            this.body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
        }

        fn is_end_stream(&self) -> bool {
            self.body.is_end_stream()
        }

        fn size_hint(&self) -> SizeHint {
            self.body.size_hint()
        }
    }

    /// A body of its own, that holds nothing.
    impl<B, G: Holder> From<Bytes> for HeldBody<B, G> {
        fn from(bytes: Bytes) -> Self {
            Self { body: bytes.into(), timer: Timer::default() }
        }
    }

    impl<B: fmt::Debug, G: Holder> fmt::Debug for HeldBody<B, G> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("HeldBody").field("body", &self.body).finish_non_exhaustive()
        }
    }
}
