//! Calls without Tower.

use super::acquire::{self, Place, Waiting, enter_as_future};
use super::admission::{Entry, Wait};
use super::future::outcome;
use super::owner::PermitOwner;
use super::permit::Permit;
use crate::classify::Classify;
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
