//! Load-balancer mode: pending until a call may pass.

use super::handle::CircuitBreaker;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// The timer's resolution; the coarse clock may need a moment more to get there.
const TICK: Duration = Duration::from_millis(1);

/// Waits for a circuit to let calls through.
#[derive(Debug, Default)]
pub(super) struct Wait {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    pub(super) fn poll(&mut self, breaker: &CircuitBreaker, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &breaker.shared;
        loop {
            if shared.permits().is_ok() {
                self.timer = None;
                return Poll::Ready(());
            }
            // Register first and look again: a change in between wakes, or is seen.
            shared.wake_later(cx);
            let after = match shared.permits() {
                Ok(()) => continue,
                Err(Some(after)) => after,
                Err(None) => {
                    self.timer = None;
                    return Poll::Pending; // only a change can help, and that wakes
                }
            };
            let timer = self.timer.insert(Box::pin(sleep(after.max(TICK))));
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}
