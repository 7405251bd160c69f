//! Calls without Tower.

use super::acquire::{self, Held};
use super::admission::Wait;
use super::future::outcome;
use super::owner::PermitOwner;
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
        held: Option<Held<H>>,
        classifier: &'c C,
    }
}

impl<T, E, H: PermitOwner, F: Future<Output = Result<T, E>>, C: Classify<T, E>> Future for Guarded<'_, '_, H, F, C> {
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.held.is_none() {
            *this.held = Some(Held::enter(*this.holder)?);
        }
        let held = this.held.as_mut().expect("it has entered");
        ready!(held.poll(cx))?;
        let Held::Permit(permit) = held else { unreachable!("it has been waited for") };
        let result = ready!(on_behalf_of(permit, || this.future.poll(cx)));
        if let Some(mut permit) = permit.take() {
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
    Guarded { holder, future, held: None, classifier }
}

/// Runs a closure with a permit.
pub(super) fn call_blocking<T, E, H: PermitOwner>(
    holder: &H,
    work: impl FnOnce() -> Result<T, E>,
) -> Result<T, CallError<E>> {
    let mut permit = acquire::acquire_blocking(holder, Wait::AsConfigured)?.carried();
    let result = on_behalf_of(&mut permit, work);
    permit.end(outcome(&crate::classify::AnyResult, &result));
    result.map_err(CallError::Inner)
}
