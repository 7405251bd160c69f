//! A timer, where there are timers: tokio's, with its feature and on its runtime.

use crate::clock::Instant;
use std::task::{Context, Poll};
use std::time::Duration;

/// Ready once a time is over. Unset, and where there are no timers, it is never ready.
#[derive(Debug, Default)]
pub(super) struct Timer {
    /// What it was set for.
    until: Option<Instant>,
    #[cfg(feature = "tokio")]
    sleep: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

impl Timer {
    /// Whether there are timers here: on a thread without tokio's runtime nobody can be made to wait for a time.
    pub(super) fn is_possible() -> bool {
        #[cfg(feature = "tokio")]
        return tokio::runtime::Handle::try_current().is_ok();
        #[cfg(not(feature = "tokio"))]
        return false;
    }

    /// Sets it for that time, which is so far away. A timer that is set for it already goes on.
    pub(super) fn set(&mut self, until: Instant, after: Duration) {
        if self.until == Some(until) {
            return;
        }
        self.until = Some(until);
        #[cfg(feature = "tokio")]
        {
            // A runtime may be without timers; tokio tells that by a panic.
            let sleep = || Self::is_possible().then(|| Box::pin(tokio::time::sleep(after)));
            self.sleep = crate::caught::caught(sleep).flatten();
        }
        #[cfg(not(feature = "tokio"))]
        let _ = after;
    }

    /// Ready once; then it is unset.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        #[cfg(feature = "tokio")]
        if let Some(sleep) = &mut self.sleep
            && std::future::Future::poll(sleep.as_mut(), cx).is_ready()
        {
            *self = Self::default();
            return Poll::Ready(());
        }
        let _ = cx;
        Poll::Pending
    }
}
