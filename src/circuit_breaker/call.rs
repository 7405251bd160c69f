//! Calls without Tower.

use super::future::finish;
use super::handle::CircuitBreaker;
use super::owner::{Owner as _, PermitOwner};
use super::permit::Permit;
use crate::classify::{ByType, Classified, Classify, classify};
use crate::guarded::poll_call;
use crate::outcome::{Settle, on_behalf_of};
use crate::reject::{CallError, Rejected};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// Calls without Tower: the same for a breaker and for one key's circuit. The type has a method `try_acquire(&self)`.
macro_rules! call_surface {
    () => {
        /// Runs a future if the circuit lets it: `Ok` is a success, `Err` a failure. A response of reqwest or hyper, also
        /// within the result of a timeout, and a status of tonic are judged by what they say, as by
        /// [`Auto`](crate::classify::Auto): a 500 is a failure, `NOT_FOUND` is none.
        ///
        /// # Errors
        ///
        /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
        ///
        /// # Cancel safety
        ///
        /// Dropped before its end, the call counts as abandoned; dropped before its first poll, as nothing.
        pub fn call<T: 'static, E: 'static>(
            &self,
            future: impl Future<Output = Result<T, E>>,
        ) -> impl Future<Output = Result<T, CallError<E>>> {
            self.call_with(future, &ByType)
        }

        /// Runs a future if the circuit lets it; `classifier` says how it ended.
        ///
        /// # Errors
        ///
        /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
        ///
        /// # Cancel safety
        ///
        /// As [`call`](Self::call).
        pub fn call_with<T, E, C: Classify<T, E>>(
            &self,
            future: impl Future<Output = Result<T, E>>,
            classifier: &C,
        ) -> impl Future<Output = Result<C::Response<Permit<Self>>, CallError<E>>> {
            crate::circuit_breaker::call::call_with(|| self.try_acquire(), future, classifier)
        }

        /// Runs a future if the circuit lets it; a rejected or failed call is answered by `fallback`, which is counted.
        ///
        /// # Errors
        ///
        /// The error that `fallback` returns.
        ///
        /// # Cancel safety
        ///
        /// As [`call`](Self::call).
        pub async fn call_or<T: 'static, E: 'static>(
            &self,
            future: impl Future<Output = Result<T, E>>,
            fallback: impl FnOnce(CallError<E>) -> Result<T, E>,
        ) -> Result<T, E> {
            self.call_with_or(future, &ByType, fallback).await
        }

        /// Runs a future if the circuit lets it; `classifier` says how it ended. A rejected call, and one that
        /// returned an error, is answered by `fallback`, which is counted.
        ///
        /// With reqwest and [`Auto`](crate::classify::Auto) it takes the response as it is sent, so that a 404 is no
        /// failure and a `Retry-After` is heard; `error_for_status` would hide both.
        ///
        /// # Errors
        ///
        /// The error that `fallback` returns.
        ///
        /// # Cancel safety
        ///
        /// As [`call`](Self::call).
        pub async fn call_with_or<T, E, C: Classify<T, E>>(
            &self,
            future: impl Future<Output = Result<T, E>>,
            classifier: &C,
            fallback: impl FnOnce(CallError<E>) -> Result<C::Response<Permit<Self>>, E>,
        ) -> Result<C::Response<Permit<Self>>, E> {
            match self.call_with(future, classifier).await {
                Ok(value) => Ok(value),
                Err(error) => {
                    self.count_fallback();
                    fallback(error)
                }
            }
        }

        /// Runs a closure if the circuit lets it: `Ok` is a success, `Err` a failure. Needs no runtime.
        ///
        /// # Errors
        ///
        /// [`CallError::Rejected`], or the closure's own error in [`CallError::Inner`].
        pub fn call_blocking<T: 'static, E: 'static>(
            &self,
            work: impl FnOnce() -> Result<T, E>,
        ) -> Result<T, CallError<E>> {
            crate::circuit_breaker::call::call_blocking(self.try_acquire(), work)
        }
    };
}

pub(super) use call_surface;

impl CircuitBreaker {
    call_surface!();
}

pin_project! {
    /// A call without Tower, which asks for its permit when it is first polled.
    struct Guarded<'a, F, C, G, A> {
        #[pin]
        future: F,
        ask: Option<A>,
        permit: Option<G>,
        classifier: &'a C,
    }
}

impl<F, C, R, E, G, A> Future for Guarded<'_, F, C, G, A>
where
    G: Settle,
    F: Future<Output = Result<R, E>>,
    C: Classify<R, E>,
    A: FnOnce() -> Result<G, Rejected>,
{
    type Output = Result<C::Response<G>, CallError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(ask) = this.ask.take() {
            *this.permit = Some(ask()?);
        }
        let guard = this.permit.as_mut().expect("polled after it was ready");
        let result = ready!(poll_call(this.future, guard, cx));
        Poll::Ready(finish(result, this.permit, *this.classifier, |failed| (failed, false), CallError::Inner))
    }
}

/// Runs a future under the permit that `ask` gets.
///
/// A struct and no `async fn`: each of those holds the future twice.
pub(super) fn call_with<T, E, C: Classify<T, E>, H: PermitOwner>(
    ask: impl FnOnce() -> Result<Permit<H>, Rejected>,
    future: impl Future<Output = Result<T, E>>,
    classifier: &C,
) -> impl Future<Output = Result<C::Response<Permit<H>>, CallError<E>>> {
    Guarded { future, ask: Some(|| ask().map(|permit| permit.into_carried(false))), permit: None, classifier }
}

/// Runs a closure under a permit.
pub(super) fn call_blocking<T: 'static, E: 'static, H: PermitOwner>(
    permit: Result<Permit<H>, Rejected>,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, CallError<E>> {
    let mut permit = permit?;
    let result = on_behalf_of(&mut permit, work);
    if let Classified::Now(classification) = classify(&ByType, &result, false) {
        permit.settle(classification);
    }
    result.map_err(CallError::Inner)
}
