//! Bodies of requests that are still to come: inbound, the time that a handler waits for its caller's is not the handler's
//! slowness; on both sides, a failure after one broke off is not the dependency's.

use crate::clock::{Clock, Instant};
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The time that a call has waited for the body of its request, and whether that broke off. Shared by the body, the permits
/// of the call, and the mechanisms that watch it in flight.
#[derive(Clone, Debug)]
pub struct Upload(Arc<Waits>);

#[derive(Debug)]
struct Waits {
    /// Nanoseconds of the waits that are over.
    over: AtomicU64,
    /// Start of the wait that goes on, in nanoseconds; the maximum if there is none.
    since: AtomicU64,
    is_answered: AtomicBool,
    has_broken: AtomicBool,
}

#[cfg_attr(
    not(any(feature = "axum-core", feature = "grpc")),
    expect(dead_code, reason = "without a body that can be watched there is none")
)]
impl Upload {
    fn new() -> Self {
        Self(Arc::new(Waits {
            over: AtomicU64::new(0),
            since: AtomicU64::new(u64::MAX),
            is_answered: AtomicBool::new(false),
            has_broken: AtomicBool::new(false),
        }))
    }

    /// The time of the waits that are over: an answer that comes during one did not wait for it.
    pub(crate) fn waited(&self) -> Duration {
        Duration::from_nanos(self.0.over.load(Ordering::Relaxed))
    }

    /// The time of all waits, with the one that goes on.
    pub(crate) fn waited_until(&self, now: Instant) -> Duration {
        // Acquire: pairs with the store in `resume`, so that no wait is missed that has just ended.
        let since = Instant::from_nanos(self.0.since.load(Ordering::Acquire));
        self.waited() + now.saturating_duration_since(since)
    }

    /// Returns whether the handler waits now.
    pub(crate) fn is_waiting(&self) -> bool {
        self.0.since.load(Ordering::Relaxed) != u64::MAX
    }

    /// The call is answered, or its caller has left.
    pub(crate) fn end(&self) {
        self.0.is_answered.store(true, Ordering::Relaxed);
    }

    /// Returns whether the call is answered, or its caller has left.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_answered.load(Ordering::Relaxed)
    }

    /// The body breaks off.
    fn break_off(&self) {
        self.0.has_broken.store(true, Ordering::Relaxed);
    }

    /// Returns whether the body broke off.
    pub(crate) fn has_broken(&self) -> bool {
        self.0.has_broken.load(Ordering::Relaxed)
    }

    /// The handler waits.
    fn pause(&self, clock: &Clock) {
        if self.0.since.load(Ordering::Relaxed) == u64::MAX {
            self.0.since.store(clock.now().as_nanos(), Ordering::Relaxed);
        }
    }

    /// The handler goes on.
    fn resume(&self, clock: &Clock) {
        let since = self.0.since.load(Ordering::Relaxed);
        if since != u64::MAX {
            self.0.over.fetch_add(clock.now().as_nanos().saturating_sub(since), Ordering::Relaxed);
            // Release: pairs with the load in `waited_until`.
            self.0.since.store(u64::MAX, Ordering::Release);
        }
    }
}

/// Equal are those of one call.
impl PartialEq for Upload {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Upload {}

/// Watches the body of a request, if it has not arrived yet: one of axum, and on the inbound side of tonic, as each call of
/// its clients has one. Those of other types pass through: only a body that can be boxed can be replaced.
#[cfg_attr(not(feature = "grpc"), expect(unused_variables, reason = "no such body"))]
#[cfg_attr(
    not(any(feature = "axum-core", feature = "grpc")),
    expect(clippy::needless_pass_by_ref_mut, reason = "no such body")
)]
#[inline]
pub(crate) fn watch<Request: 'static>(request: &mut Request, clock: &Clock, is_inbound: bool) -> Option<Upload> {
    #[cfg(feature = "axum-core")]
    if let Some(request) = (request as &mut dyn std::any::Any).downcast_mut::<http::Request<axum_core::body::Body>>() {
        return body::watch(request.body_mut(), clock, axum_core::body::Body::new);
    }
    #[cfg(feature = "grpc")]
    if is_inbound
        && let Some(request) = (request as &mut dyn std::any::Any).downcast_mut::<http::Request<tonic::body::Body>>()
    {
        return body::watch(request.body_mut(), clock, tonic::body::Body::new);
    }
    None
}

#[cfg(any(feature = "axum-core", feature = "grpc"))]
mod body {
    use super::Upload;
    use crate::clock::Clock;
    use http_body::{Body, Frame, SizeHint};
    use pin_project_lite::pin_project;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    pin_project! {
        pub(super) struct Watched<B> {
            #[pin]
            body: B,
            clock: Clock,
            upload: Upload,
        }

        impl<B> PinnedDrop for Watched<B> {
            fn drop(this: Pin<&mut Self>) {
                this.upload.resume(&this.clock); // a handler that drops it waits no longer
            }
        }
    }

    impl<B: Body> Body for Watched<B> {
        type Data = B::Data;
        type Error = B::Error;

        fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
            let this = self.project();
            let polled = this.body.poll_frame(cx);
            if polled.is_pending() {
                this.upload.pause(this.clock);
            } else {
                this.upload.resume(this.clock);
            }
            if let Poll::Ready(Some(Err(_))) = polled {
                this.upload.break_off();
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

    #[inline]
    pub(super) fn watch<B: Body + Default>(
        body: &mut B,
        clock: &Clock,
        boxed: impl FnOnce(Watched<B>) -> B,
    ) -> Option<Upload> {
        // It is foreign code, and may panic where no permit is held yet.
        let is_to_come = crate::panic::catch_panic(|| !body.is_end_stream()).unwrap_or(false);
        if is_to_come { Some(replace(body, clock, boxed)) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn replace<B: Body + Default>(body: &mut B, clock: &Clock, boxed: impl FnOnce(Watched<B>) -> B) -> Upload {
        let upload = Upload::new();
        *body = boxed(Watched { body: std::mem::take(body), clock: clock.clone(), upload: upload.clone() });
        upload
    }
}
