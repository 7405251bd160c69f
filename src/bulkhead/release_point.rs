//! Release of a permit: when the response is there, or when its body ends.

use super::owner::PermitOwner;
use super::permit::Permit;
use crate::outcome::Outcome;
use crate::sealed::Sealed;

/// Release of the permit after the response has come. Sealed.
pub trait ReleasePoint<R>: Sealed {
    /// The response that the caller gets.
    type Response<G: PermitOwner>;

    /// The call has been answered, or there was none.
    #[doc(hidden)]
    fn hold<G: PermitOwner>(&self, response: R, outcome: Outcome, permit: &mut Option<Permit<G>>) -> Self::Response<G>;
}

/// Until the response is there: its head, if it is one of HTTP. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct UntilResponse;

impl Sealed for UntilResponse {}

impl<R> ReleasePoint<R> for UntilResponse {
    type Response<G: PermitOwner> = R;

    #[inline]
    fn hold<G: PermitOwner>(&self, response: R, outcome: Outcome, permit: &mut Option<Permit<G>>) -> R {
        if let Some(permit) = permit {
            permit.finish(Some(outcome), false);
        }
        response
    }
}

#[cfg(feature = "http")]
pub use body::{HeldBody, HoldExpired, UntilBodyEnd};

#[cfg(feature = "http")]
mod body {
    use crate::bulkhead::owner::PermitOwner;
    use crate::bulkhead::permit::Permit;
    use crate::bulkhead::release_point::{Outcome, ReleasePoint, UntilResponse};
    use crate::classify::WatchBody;
    use crate::clock::Instant;
    use crate::reject::BoxError;
    use crate::timer::Timer;
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

    impl crate::sealed::Sealed for UntilBodyEnd {}

    impl<B: Body<Data = Bytes>> ReleasePoint<Response<B>> for UntilBodyEnd {
        type Response<G: PermitOwner> = Response<HeldBody<B, G>>;

        fn hold<G: PermitOwner>(
            &self,
            response: Response<B>,
            outcome: Outcome,
            permit: &mut Option<Permit<G>>,
        ) -> Self::Response<G> {
            let mut permit = permit.take();
            if response.body().is_end_stream() {
                UntilResponse.hold((), outcome, &mut permit); // a client may never poll such a body
                permit = None;
            }
            if let Some(permit) = &permit {
                permit.answered(outcome);
            }
            WatchBody::watch(response, permit).map(HeldBody::new)
        }
    }

    pin_project! {
        /// A response body that holds a permit until it ends, breaks or is dropped.
        pub struct HeldBody<B, G: PermitOwner> {
            #[pin]
            body: WatchBody<B, Permit<G>>,
            // When it has held its permit for too long, as last known.
            until: Instant,
            timer: Timer,
            is_broken: bool,
        }
    }

    impl<B, G: PermitOwner> HeldBody<B, G> {
        fn new(body: WatchBody<B, Permit<G>>) -> Self {
            Self { body, until: Instant::NEVER, timer: Timer::default(), is_broken: false }
        }
    }

    /// A response body held its permit for longer than [`max_hold`](crate::bulkhead::BulkheadBuilder::max_hold).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
    #[error("the response took longer than its bulkhead allows")]
    pub struct HoldExpired;

    impl<B: Body<Data = Bytes, Error: 'static>, G: PermitOwner> Body for HeldBody<B, G>
    where
        B::Error: Into<BoxError>,
    {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            let mut this = self.project();
            if *this.is_broken {
                return Poll::Ready(None);
            }
            // Without its guard it has ended, and holds nothing.
            while let Some(permit) = this.body.guard() {
                // New settings may have moved the end; a revoked permit keeps its own.
                *this.until = permit.held_until().unwrap_or(*this.until);
                let clock = permit.clock();
                if this.until.is_reached(clock.now()) {
                    *this.is_broken = true;
                    this.body.as_mut().abandon();
                    return Poll::Ready(Some(Err(HoldExpired.into())));
                }
                if *this.until == Instant::NEVER {
                    break;
                }
                if this.timer.poll(clock, *this.until, cx).is_pending() {
                    break;
                }
            }
            this.body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
        }

        fn is_end_stream(&self) -> bool {
            self.is_broken || self.body.is_end_stream()
        }

        fn size_hint(&self) -> SizeHint {
            self.body.size_hint()
        }
    }

    /// A body of its own, that holds nothing.
    impl<B, G: PermitOwner> From<Bytes> for HeldBody<B, G> {
        fn from(bytes: Bytes) -> Self {
            Self::new(bytes.into())
        }
    }

    impl<B: fmt::Debug, G: PermitOwner> fmt::Debug for HeldBody<B, G> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("HeldBody").field("body", &self.body).finish_non_exhaustive()
        }
    }
}
