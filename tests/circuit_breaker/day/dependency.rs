//! A dependency behind the Tower layer, whose answers come at times that their requests name.

use backstop::circuit_breaker::{CircuitBreakerService, Permit};
use backstop::classify::WatchBody;
use backstop::clock::{Clock, Instant};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body, Frame};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Service};

/// The answer that a request asks for.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Time of the head.
    pub(crate) head_at: Instant,
    pub(crate) status: StatusCode,
    pub(crate) frames: u32,
    pub(crate) between_frames: Duration,
    /// The body ends in an error.
    pub(crate) breaks: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Dependency(pub(crate) Clock);

pub(crate) struct Reply {
    clock: Clock,
    script: Script,
}

pub(crate) struct SlowBody {
    clock: Clock,
    next_at: Instant,
    script: Script,
}

pub(crate) type Guarded = CircuitBreakerService<Dependency>;
pub(crate) type Answer = <Guarded as Service<Script>>::Future;
pub(crate) type Watched = WatchBody<SlowBody, Permit>;

impl Service<Script> for Dependency {
    type Response = Response<SlowBody>;
    type Error = Infallible;
    type Future = Reply;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, script: Script) -> Reply {
        Reply { clock: self.0.clone(), script }
    }
}

impl Future for Reply {
    type Output = Result<Response<SlowBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if !self.script.head_at.is_reached(self.clock.now()) {
            return Poll::Pending;
        }
        let next_at = self.script.head_at;
        let mut response = Response::new(SlowBody { clock: self.clock.clone(), next_at, script: self.script.clone() });
        *response.status_mut() = self.script.status;
        Poll::Ready(Ok(response))
    }
}

impl Body for SlowBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.script.frames == 0 {
            return Poll::Ready(self.script.breaks.then(|| Err(io::Error::other("broken"))));
        }
        if !self.next_at.is_reached(self.clock.now()) {
            return Poll::Pending;
        }
        self.script.frames -= 1;
        self.next_at = self.next_at.saturating_add(self.script.between_frames);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"frame")))))
    }

    fn is_end_stream(&self) -> bool {
        self.script.frames == 0 && !self.script.breaks
    }
}

/// Calls the dependency; `None` if the breaker rejects it.
pub(crate) fn call(service: &mut Guarded, script: Script) -> Option<Pin<Box<Answer>>> {
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(matches!(Service::<Script>::poll_ready(service, cx), Poll::Ready(Ok(()))));
    let mut answer = Box::pin(service.call(script));
    match answer.as_mut().poll(cx) {
        Poll::Pending => Some(answer),
        Poll::Ready(rejected) => {
            let _: Option<BoxError> = rejected.err();
            None
        }
    }
}

/// The answer of a call whose head is due.
pub(crate) fn head(mut answer: Pin<Box<Answer>>) -> Response<Watched> {
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        _ => panic!("the head is due"),
    }
}

/// Reads what has come of a body; whether it ended well, if it has.
pub(crate) fn read(body: &mut Pin<Box<Watched>>) -> Option<bool> {
    loop {
        match body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => return None,
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(end) => return Some(end.is_none()),
        }
    }
}
