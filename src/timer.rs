//! A timer, where there are timers: tokio's, with its feature and on its runtime.

pub(super) use real::Timer;

#[cfg(feature = "tokio")]
mod real {
    use crate::clock::Instant;
    use crate::panic::catch_panic;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;
    use tokio::runtime::Handle;
    use tokio::time::{Sleep, sleep};

    /// Ready once a time is over. Unset, and where there are no timers, it is never ready.
    #[derive(Debug, Default)]
    pub(in crate::bulkhead) struct Timer {
        /// Time that it was set for.
        until: Option<Instant>,
        sleep: Option<Pin<Box<Sleep>>>,
    }

    impl Timer {
        /// Whether there are timers here: a thread without tokio's runtime has none.
        pub(in crate::bulkhead) fn is_possible() -> bool {
            Handle::try_current().is_ok()
        }

        /// Sets it for that time, which is so far away. A timer that is set for it already goes on.
        pub(in crate::bulkhead) fn set(&mut self, until: Instant, after: Duration) {
            if self.until != Some(until) {
                self.until = Some(until);
                // A runtime may have no timers; tokio reports that by a panic.
                self.sleep = catch_panic(|| Self::is_possible().then(|| Box::pin(sleep(after)))).flatten();
            }
        }

        /// Ready once; then it is unset.
        pub(in crate::bulkhead) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            let is_over = self.sleep.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready());
            if !is_over {
                return Poll::Pending;
            }
            *self = Self::default();
            Poll::Ready(())
        }
    }
}

#[cfg(not(feature = "tokio"))]
mod real {
    use crate::clock::Instant;
    use std::task::{Context, Poll};
    use std::time::Duration;

    /// Never ready.
    #[derive(Debug, Default)]
    pub(in crate::bulkhead) struct Timer {}

    #[expect(clippy::unused_self, reason = "the face that it has with a timer")]
    impl Timer {
        pub(in crate::bulkhead) fn is_possible() -> bool {
            false
        }

        pub(in crate::bulkhead) fn set(&mut self, _: Instant, _: Duration) {}

        pub(in crate::bulkhead) fn poll(&mut self, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }
}
