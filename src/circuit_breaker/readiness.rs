//! Callers that wait: for the inner service while the circuit lets calls through, or until it does.

use super::owner::Owner;
use super::waiters::Place;
use std::task::{Context, Poll};

/// Polls an inner service for readiness; `None` if the next call is certain to be rejected.
///
/// A caller that waits for the service is woken when the circuit opens, and then gets `None`.
#[expect(clippy::inline_always, reason = "5 of 170 instructions a call")]
#[inline(always)]
pub(crate) fn poll_inner<T>(
    breaker: &impl Owner,
    place: &mut Place,
    cx: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<Option<T>> {
    if !breaker.is_rejecting() {
        match poll(cx) {
            Poll::Ready(ready) => {
                place.leave();
                return Poll::Ready(Some(ready));
            }
            Poll::Pending if !breaker.wake_when_rejecting(place, cx) => return Poll::Pending,
            Poll::Pending => {}
        }
    }
    place.leave();
    Poll::Ready(None)
}

#[cfg(feature = "tokio")]
pub(super) use balancer::Wait;

#[cfg(feature = "tokio")]
mod balancer {
    use crate::circuit_breaker::handle::CircuitBreaker;
    use crate::circuit_breaker::waiters::Place;
    use crate::timer::Timer;
    use std::task::{Context, Poll};

    /// Load-balancer mode: waits for a circuit to let calls through.
    #[derive(Debug, Default)]
    pub(in crate::circuit_breaker) struct Wait {
        place: Place,
        timer: Timer,
    }

    impl Wait {
        pub(in crate::circuit_breaker) fn poll(&mut self, breaker: &CircuitBreaker, cx: &mut Context<'_>) -> Poll<()> {
            let shared = &breaker.shared;
            loop {
                if shared.permits().is_ok() {
                    *self = Self::default();
                    return Poll::Ready(());
                }
                // Register first and look again, as for a service that waits.
                shared.waiters.wake_later(&mut self.place, cx.waker());
                let after = match shared.permits() {
                    Ok(()) => continue,
                    Err(Some(after)) => after,
                    Err(None) => {
                        self.timer = Timer::default();
                        return Poll::Pending; // only a change can help, and that wakes
                    }
                };
                let until = breaker.clock().now().saturating_add(after);
                if self.timer.poll(breaker.clock(), until, cx).is_pending() {
                    return Poll::Pending;
                }
            }
        }
    }
}
