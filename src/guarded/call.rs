//! Polls and judges a call on behalf of its guard.

use crate::classify::{Classified, Classify, classify};
use crate::outcome::{Classification, Outcome, Settle, forget_rejection, on_behalf_of};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls the call.
#[expect(clippy::inline_always, reason = "one frame instead of three: 100 of 285 instructions a call")]
#[inline(always)]
pub(crate) fn poll_call<F: Future, G: Settle>(
    future: Pin<&mut F>,
    guard: &mut G,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let polled = on_behalf_of(guard, || future.poll(cx));
    if polled.is_pending() {
        guard.pending();
    }
    polled
}

/// Classifies the result of a call. That of an error is known: an error has no body to wait for.
///
/// The result stays where it is: with its classification in a tuple, a response would be copied.
#[expect(clippy::inline_always, reason = "as `poll_call`")]
#[inline(always)]
pub(crate) fn judge<C: Classify<R, E>, R, E, G: Settle>(
    result: &Result<R, E>,
    guard: &mut G,
    classifier: &C,
) -> Classified {
    guard.answered();
    match classify(classifier, result, guard.is_inbound()) {
        Classified::AtEnd if result.is_err() => Outcome::Failure.into(),
        Classified::AtEnd => {
            guard.streams();
            Classified::AtEnd
        }
        Classified::Now(classification) => Classified::Now(classification),
    }
}

/// Returns whether a fallback may replace the result of such a call.
pub(crate) const fn has_failed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Failure | Outcome::Panicked)
}

/// Settles a guard by the error of a service that is finished: that is a failed call.
#[cold]
pub(crate) fn settle_broken<C: Classify<R, E>, R, E>(mut guard: impl Settle, classifier: &C, error: E) -> E {
    forget_rejection(); // no call is rejected while a service gets ready
    let result = Err(error);
    let classification: Classification = match classify(classifier, &result, guard.is_inbound()) {
        Classified::Now(classification) => classification,
        Classified::AtEnd => Outcome::Failure.into(),
    };
    guard.settle(classification);
    let Err(error) = result else { unreachable!("it was made an error above") };
    error
}
