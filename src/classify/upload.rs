//! Time that a handler waits for its caller's body, which is not the handler's slowness.

use crate::clock::{Clock, Instant, nanos};
use crate::sync::{Arc, AtomicU64, Ordering};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// The time that a handler has waited for its caller's body so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Upload(Arc<AtomicU64>);

impl Upload {
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

pin_project! {
    struct Timed<B> {
        #[pin]
        body: B,
        clock: Clock,
        upload: Upload,
        waits_since: Option<Instant>,
    }
}

impl<B: Body> Body for Timed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        if polled.is_pending() {
            this.waits_since.get_or_insert_with(|| this.clock.now());
        } else if let Some(since) = this.waits_since.take() {
            let waited = nanos(this.clock.now().saturating_duration_since(since));
            this.upload.0.fetch_add(waited, Ordering::Relaxed);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Times how long the handler waits for the body of a request of axum or tonic that has not arrived yet. Those of other
/// types pass through: only a body that can be boxed can be replaced.
#[cfg_attr(not(any(feature = "axum-core", feature = "grpc")), expect(unused_variables, reason = "no such body"))]
pub(crate) fn time(request: &mut dyn Any, clock: &Clock) -> Option<Upload> {
    #[cfg(feature = "axum-core")]
    if let Some(request) = request.downcast_mut::<http::Request<axum_core::body::Body>>() {
        return watch(request.body_mut(), clock, axum_core::body::Body::new);
    }
    #[cfg(feature = "grpc")]
    if let Some(request) = request.downcast_mut::<http::Request<tonic::body::Body>>() {
        return watch(request.body_mut(), clock, tonic::body::Body::new);
    }
    None
}

#[cfg(any(feature = "axum-core", feature = "grpc"))]
fn watch<B: Body + Default>(body: &mut B, clock: &Clock, boxed: impl FnOnce(Timed<B>) -> B) -> Option<Upload> {
    if body.is_end_stream() {
        return None;
    }
    let upload = Upload::default();
    let timed = Timed { body: std::mem::take(body), clock: clock.clone(), upload: upload.clone(), waits_since: None };
    *body = boxed(timed);
    Some(upload)
}
