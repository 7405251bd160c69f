//! Surface of the handles: permits and calls without Tower, the same for a bulkhead and for one key's permits.

use super::admission::Wait;
use super::config::check::WAIT_MAX;
use super::handle::Bulkhead;
use super::permit::Permit;
use super::sink::EventSink as _;
use super::{acquire, call};
use crate::classify::{AnyResult, Classify};
use crate::reject::{CallError, Rejected};
use std::future::Future;
use std::time::Duration;

/// Permits and calls. The type is an [`Owner`](super::owner::Owner).
macro_rules! acquire_and_call {
    () => {
        /// Asks for a permit. Never waits.
        ///
        /// # Errors
        ///
        /// [`Rejected`] when there is none, or when others wait for one already.
        pub fn try_acquire(&self) -> Result<Permit<Self>, Rejected> {
            acquire::enter_at_once(self)
        }

        /// Asks for a permit, and waits for it as long as [`max_wait`](crate::bulkhead::BulkheadBuilder::max_wait)
        /// allows. Outside of a tokio runtime it does not wait.
        ///
        /// # Errors
        ///
        /// [`Rejected`] when the queue is full, or none came in time.
        ///
        /// # Cancel safety
        ///
        /// Dropped, it leaves the queue; a permit that has come meanwhile goes to the next in turn.
        #[cfg(feature = "tokio")]
        pub async fn acquire(&self) -> Result<Permit<Self>, Rejected> {
            acquire::acquire(self, Wait::AsConfigured).await
        }

        /// Asks for a permit, and waits for it at most so long, and never longer than a day; zero does not wait.
        ///
        /// # Errors
        ///
        /// As [`acquire`](Self::acquire).
        ///
        /// # Cancel safety
        ///
        /// As [`acquire`](Self::acquire).
        #[cfg(feature = "tokio")]
        pub async fn acquire_within(&self, max_wait: Duration) -> Result<Permit<Self>, Rejected> {
            acquire::acquire(self, Wait::Within(max_wait.min(WAIT_MAX))).await
        }

        /// Asks for a permit, and blocks this thread at most so long, and never longer than a day; zero does not block.
        /// Needs no runtime, and does not belong on one.
        ///
        /// # Errors
        ///
        /// As [`acquire`](Self::acquire).
        pub fn acquire_blocking(&self, max_wait: Duration) -> Result<Permit<Self>, Rejected> {
            acquire::acquire_blocking(self, Wait::Within(max_wait.min(WAIT_MAX)))
        }

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

        /// Runs a future with a permit; `classifier` gives the outcome to an [adaptive](crate::bulkhead::limit) limit.
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
    };
}

pub(super) use acquire_and_call;

impl Bulkhead {
    acquire_and_call!();
}
