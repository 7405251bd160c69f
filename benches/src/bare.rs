//! The inner service of every subject, and how a call is driven to its end.

use std::fmt;
use std::future::{Pending, Ready, pending, ready};
use std::hint::{black_box, spin_loop};
use std::mem;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;

use tower_service::Service;

use crate::{Instance, Mechanism, Subject};

/// The request and the response of every call.
pub type Message = u64;

/// Polls before a pending call gives its core away.
const SPINS: u32 = 1_000;

/// What the inner service fails with, and what a subject without an error of its own refuses with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The inner service failed.
    Failed,
    /// The subject refused.
    Refused,
}

impl fmt::Display for CallError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Failed => "the call failed",
            Self::Refused => "the call was refused",
        })
    }
}

impl std::error::Error for CallError {}

/// The row that all others are compared with.
pub const SUBJECT: Subject = Subject {
    mechanism: Mechanism::Bare,
    name: "bare",
    title: "bare Tower service",
    admits: Some(|| {
        Instance::new(|| {
            let mut service = Works;
            move || serve(&mut service).is_ok()
        })
    }),
    rejects: None,
};

/// A service that is always ready and answers at once with the request.
#[derive(Clone, Copy, Debug)]
pub struct Works;

/// A service that is always ready and fails at once.
#[derive(Clone, Copy, Debug)]
pub struct Fails;

impl Service<Message> for Works {
    type Response = Message;
    type Error = CallError;
    type Future = Ready<Result<Message, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Message) -> Self::Future {
        ready(Ok(request))
    }
}

impl Service<Message> for Fails {
    type Response = Message;
    type Error = CallError;
    type Future = Ready<Result<Message, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Message) -> Self::Future {
        ready(Err(CallError::Failed))
    }
}

/// A service that is always ready and never answers.
#[derive(Clone, Copy, Debug)]
pub struct Hangs;

impl Service<Message> for Hangs {
    type Response = Message;
    type Error = CallError;
    type Future = Pending<Result<Message, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Message) -> Self::Future {
        pending()
    }
}

/// A request that the optimiser knows nothing about.
pub fn request() -> Message {
    black_box(7)
}

/// Waits for the service to be ready, calls it and drives the response to its end.
///
/// # Errors
///
/// Every answer of the service.
pub fn serve<S: Service<Message>>(service: &mut S) -> Result<S::Response, S::Error> {
    poll_until_ready(|context| service.poll_ready(context))?;
    drive(service.call(request()))
}

/// Begins a call that never ends. With a limit of 1 it holds the only permit for the rest of the process.
///
/// # Panics
///
/// When the service, which should stand on [`Hangs`], is not ready or answers.
pub fn occupy<S: Service<Message>>(mut service: S) {
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(service.poll_ready(&mut context), Poll::Ready(Ok(()))), "there is no room");
    let mut call = Box::pin(service.call(request()));
    assert!(call.as_mut().poll(&mut context).is_pending(), "the call has ended");
    mem::forget(call);
}

/// Drives a future to its end on this thread. The response goes through [`black_box`].
///
/// # Errors
///
/// Every result of the future.
pub fn drive<T, E>(future: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let mut future = pin!(future);
    poll_until_ready(|context| future.as_mut().poll(context)).map(black_box)
}

/// Polls with a waker that does nothing. Without contention the first poll is the last.
///
/// Only tower-resilience ever answers `Pending`, when two threads want its lock.
fn poll_until_ready<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0_u32;
    loop {
        if let Poll::Ready(output) = poll(&mut context) {
            return output;
        }
        polls += 1;
        if polls.is_multiple_of(SPINS) {
            thread::yield_now();
        } else {
            spin_loop();
        }
    }
}
