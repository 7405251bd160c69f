//! Calls without Tower.

use super::acquire::{self, Place, Waiting, enter_as_future};
use super::admission::{Entry, Wait};
use super::call;
use super::future::outcome;
use super::handle::Bulkhead;
use super::owner::PermitOwner;
use super::permit::Permit;
use super::sink::EventSink as _;
use crate::classify::{AnyResult, Classify};
use crate::outcome::on_behalf_of;
use crate::reject::CallError;
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// A call without Tower, which asks for its permit when it is first polled.
    struct Guarded<'h, 'c, H: PermitOwner, F, C> {
        holder: &'h H,
        #[pin]
        future: F,
        stage: Stage<H>,
        classifier: &'c C,
    }
}

enum Stage<H: PermitOwner> {
    New,
    Waiting(Waiting<H>),
    Called(Permit<H>),
    Ended,
}

impl<T, E, H: PermitOwner, F: Future<Output = Result<T, E>>, C: Classify<T, E>> Future for Guarded<'_, '_, H, F, C> {
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        loop {
            let permit = match this.stage {
                Stage::New => match enter_as_future(*this.holder, Wait::AsConfigured) {
                    Entry::Permit(ticket) => Permit::new(this.holder.clone(), ticket),
                    Entry::Queued(id) => {
                        *this.stage = Stage::Waiting(Waiting::new(Place::new(this.holder.clone(), id)));
                        continue;
                    }
                    Entry::Rejected(rejected) => return Poll::Ready(Err(rejected.into())),
                },
                Stage::Waiting(waiting) => ready!(waiting.poll(cx))?,
                Stage::Called(_) | Stage::Ended => break,
            };
            *this.stage = Stage::Called(permit.carried());
        }
        let polled = match this.stage {
            Stage::Called(permit) => on_behalf_of(permit, || this.future.poll(cx)),
            _ => this.future.poll(cx), // after its end, for which it is to answer
        };
        let result = ready!(polled);
        if let Stage::Called(mut permit) = std::mem::replace(this.stage, Stage::Ended) {
            permit.finish(Some(outcome(*this.classifier, &result)), false);
        }
        Poll::Ready(result.map_err(CallError::Inner))
    }
}

/// Runs a future with a permit.
///
/// A struct and no `async fn`: each of those holds the future twice.
pub(super) fn call_with<T, E, C: Classify<T, E>, H: PermitOwner>(
    holder: &H,
    future: impl Future<Output = Result<T, E>>,
    classifier: &C,
) -> impl Future<Output = Result<T, CallError<E>>> {
    Guarded { holder, future, stage: Stage::New, classifier }
}

/// Runs a closure with a permit.
pub(super) fn call_blocking<T, E, H: PermitOwner>(
    holder: &H,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, CallError<E>> {
    let permit = acquire::acquire_blocking(holder, Wait::AsConfigured)?.carried();
    let result = work();
    permit.end(outcome(&crate::classify::AnyResult, &result));
    result.map_err(CallError::Inner)
}

impl Bulkhead {
    /// Runs a future with a permit, for which it waits as long as the settings allow.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the future's own error in [`CallError::Inner`].
    ///
    /// # Cancel safety
    ///
    /// Dropped, it gives its place back or leaves the queue; the future is dropped with it.
    pub fn call<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        self.call_with(future, &AnyResult)
    }

    /// Runs a future with a permit; `classifier` gives the outcome to an [adaptive](super::limit) limit.
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
    ) -> impl Future<Output = Result<T, CallError<E>>> {
        call::call_with(self, future, classifier)
    }

    /// Runs a future with a permit; a rejected or failed call is answered by `fallback`, which is counted.
    ///
    /// # Errors
    ///
    /// The error that `fallback` returns.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn call_or<T, E>(
        &self,
        future: impl Future<Output = Result<T, E>>,
        fallback: impl FnOnce(CallError<E>) -> Result<T, E>,
    ) -> Result<T, E> {
        match self.call(future).await {
            Ok(value) => Ok(value),
            Err(error) => {
                self.count_fallback();
                fallback(error)
            }
        }
    }

    /// Runs a closure with a permit, for which this thread waits as long as the settings allow. Needs no runtime.
    ///
    /// # Errors
    ///
    /// [`CallError::Rejected`], or the closure's own error in [`CallError::Inner`].
    pub fn call_blocking<T, E>(&self, work: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        call::call_blocking(self, work)
    }
}
