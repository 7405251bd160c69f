//! A timer, where there are timers: tokio's, with its feature.

use std::task::{Context, Poll};
use std::time::Duration;

/// Ready once a time is over. Unset, and without the feature `tokio`, it is never ready.
#[derive(Debug, Default)]
pub(super) struct Timer {
    #[cfg(feature = "tokio")]
    sleep: Option<std::pin::Pin<Box<tokio::time::Sleep>>>,
}

#[cfg(feature = "tokio")]
impl Timer {
    pub(super) fn set(&mut self, after: Duration) {
        self.sleep = Some(Box::pin(tokio::time::sleep(after)));
    }

    /// Ready once.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        std::future::Future::poll(sleep.as_mut(), cx).map(|()| self.sleep = None)
    }
}

#[cfg(not(feature = "tokio"))]
#[expect(clippy::unused_self, reason = "the face that it has with a timer")]
impl Timer {
    pub(super) fn set(&mut self, _: Duration) {}

    pub(super) fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}
