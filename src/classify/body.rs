//! Response body that reports the outcome of its call.

use super::errors::of_error;
use super::grpc;
use crate::outcome::{Classification, Outcome, Settle, Side, on_behalf_of};
use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

pin_project! {
    /// A response body that settles its call when it ends, fails or is dropped.
    ///
    /// It holds the call's permit until then. A half-open probe whose body flows on is a success when the half-open time
    /// is over.
    pub struct WatchBody<B, G: Settle> {
        #[pin]
        inner: Inner<B>,
        watch: Watch<G>,
    }
}

pin_project! {
    #[project = InnerProjected]
    enum Inner<B> {
        Body { #[pin] body: B },
        Own { bytes: Bytes },
    }
}

/// Settles the guard when it is dropped.
struct Watch<G: Settle> {
    guard: Option<G>,
    /// A gRPC body that ends without a status is a failure; one dropped before its first message is abandoned.
    is_grpc: bool,
    /// Whether the status blames the caller.
    is_by_caller: bool,
    /// Whether a frame has arrived.
    has_flowed: bool,
    progress: Progress,
}

/// State of the body, to classify a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// No frame was requested since the last one.
    Idle,
    /// In a poll; a body left in this state panicked.
    Inside,
    /// The first frame is pending.
    Begun,
    /// A further frame is pending.
    Flowing,
}

impl<B: Body, G: Settle> WatchBody<B, G> {
    #[inline]
    pub(crate) fn watch(response: Response<B>, guard: Option<G>) -> Response<Self> {
        let is_grpc = guard.is_some() && crate::reject::is_grpc(response.headers());
        let is_by_caller = response.status().is_client_error();
        response.map(|body| {
            let mut watch = Watch { guard, is_grpc, is_by_caller, has_flowed: false, progress: Progress::Idle };
            if watch.guard.is_some() && body.is_end_stream() {
                watch.end(); // a client may never poll such a body
            }
            Self { inner: Inner::Body { body }, watch }
        })
    }
}

impl<B, G: Settle> WatchBody<B, G> {
    /// The guard, until it is settled.
    pub(crate) fn guard(&self) -> Option<&G> {
        self.watch.guard.as_ref()
    }

    /// Drops the guard, as if the body had been dropped before its end.
    pub(crate) fn abandon(self: Pin<&mut Self>) {
        self.project().watch.guard = None;
    }
}

impl<G: Settle> Watch<G> {
    /// Where the guard is: moving it out takes longer than to settle it.
    #[inline]
    fn settle(&mut self, classification: impl Into<Classification>) {
        self.guard.settle(classification.into());
        self.guard = None;
    }

    fn side(&self) -> Side {
        if self.guard.is_inbound() { Side::Inbound } else { Side::Outbound }
    }

    /// Settles at an end without a status.
    fn end(&mut self) {
        if self.is_grpc { self.settle(Outcome::Failure) } else { self.succeed() }
    }

    fn succeed(&mut self) {
        let success = Classification::new(Outcome::Success);
        self.settle(if self.is_by_caller { success.by_caller() } else { success });
    }

    /// Looks at a frame, after which the body may be at its end.
    #[inline]
    fn see<T, E: 'static>(&mut self, frame: Option<&Result<Frame<T>, E>>, is_end_stream: impl FnOnce() -> bool) {
        match frame {
            Some(Ok(frame)) if frame.is_data() => {
                // hyper may not poll for the final `None`
                if is_end_stream() {
                    self.end();
                }
            }
            Some(Ok(frame)) => self.see_trailers(frame.trailers_ref()),
            Some(Err(error)) => self.settle(of_error(error)),
            None => self.end(),
        }
    }

    #[inline(never)]
    fn see_trailers(&mut self, trailers: Option<&HeaderMap>) {
        match trailers.map(|trailers| grpc::of_headers(trailers, self.side())) {
            None => {}
            Some(Some(status)) => self.settle(status),
            Some(None) => self.end(), // nothing follows trailers
        }
    }
}

impl<G: Settle> Drop for Watch<G> {
    #[inline]
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.leave();
        }
    }
}

impl<G: Settle> Watch<G> {
    /// Settles a body that is dropped before its end.
    #[cold]
    #[inline(never)]
    fn leave(&mut self) {
        // A caller that drops a flowing stream says nothing about it; one that drops a stalled stream does.
        let has_enough = match self.progress {
            Progress::Idle => self.has_flowed || !self.is_grpc,
            Progress::Inside | Progress::Begun => false,
            Progress::Flowing => !self.guard.is_stalled(),
        };
        if has_enough {
            // The status of HTTP was in the head; that of gRPC would have been in the trailers.
            if self.is_grpc { self.settle(Outcome::Ignored) } else { self.succeed() }
        }
    }
}

impl<B: Body<Data = Bytes, Error: 'static>, G: Settle> Body for WatchBody<B, G> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let mut body = match this.inner.project() {
            InnerProjected::Own { bytes } if bytes.is_empty() => return Poll::Ready(None),
            InnerProjected::Own { bytes } => return Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            InnerProjected::Body { body } => body,
        };
        let watch = this.watch;
        if watch.guard.is_none() {
            return body.poll_frame(cx);
        }
        let was_idle = std::mem::replace(&mut watch.progress, Progress::Inside) == Progress::Idle;
        let polled = on_behalf_of(&mut watch.guard, || body.as_mut().poll_frame(cx));
        let Poll::Ready(frame) = &polled else {
            watch.progress = if watch.has_flowed { Progress::Flowing } else { Progress::Begun };
            if was_idle {
                watch.guard.awaits_frame();
            }
            return Poll::Pending;
        };
        watch.progress = Progress::Idle;
        watch.has_flowed = true;
        watch.see(frame.as_ref(), || body.is_end_stream());
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Body { body } => body.is_end_stream(),
            Inner::Own { bytes } => bytes.is_empty(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Body { body } => body.size_hint(),
            Inner::Own { bytes } => SizeHint::with_exact(bytes.len() as u64),
        }
    }
}

/// A body without a call to settle, as of a rejection.
impl<B, G: Settle> From<Bytes> for WatchBody<B, G> {
    fn from(bytes: Bytes) -> Self {
        Self {
            inner: Inner::Own { bytes },
            watch: Watch {
                guard: None,
                is_grpc: false,
                is_by_caller: false,
                has_flowed: false,
                progress: Progress::Idle,
            },
        }
    }
}

impl<B: fmt::Debug, G: Settle> fmt::Debug for WatchBody<B, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("WatchBody");
        match &self.inner {
            Inner::Body { body } => shown.field("body", body),
            Inner::Own { bytes } => shown.field("body", bytes),
        };
        shown.field("is_watching", &self.watch.guard.is_some()).finish()
    }
}
