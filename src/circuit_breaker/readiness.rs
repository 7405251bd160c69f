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
#[derive(Debug)]
pub(super) struct Wait {
    breaker: CircuitBreaker,
    id: u64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Wait {
    pub(super) fn new(breaker: &CircuitBreaker) -> Self {
        Self { breaker: breaker.clone(), id: breaker.shared.waiters.new_id(), timer: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = &self.breaker.shared;
        loop {
            if shared.permits().is_ok() {
                self.timer = None;
                return Poll::Ready(());
            }
            // Register first and look again: a change in between wakes, or is seen.
            shared.waiters.wake_later(self.id, cx.waker());
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

impl Clone for Wait {
    fn clone(&self) -> Self {
        Self::new(&self.breaker)
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.breaker.shared.waiters.forget(self.id);
    }
}
