//! Timers of waiting tasks: a thread of this crate, or tokio's timer for a test's clock.
//!
//! tokio's timer cannot serve the system's clock. A runtime may have none, which tokio reports by a panic only, and
//! while tokio's time is paused its timers are over at once, so that a task would look again and again at a clock that
//! stands still. It serves [`Clock::tokio`] and manual clocks, which a test advances together with tokio's time.

#[cfg(feature = "tokio")]
mod thread;

pub(crate) use real::Timer;

#[cfg(feature = "tokio")]
mod real {
    use super::thread::Alarm;
    use crate::clock::{Clock, Instant};
    use crate::panic::catch_panic;
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use std::time::Duration;
    use tokio::runtime::Handle;
    use tokio::time::{Sleep, sleep};

    /// The timers' resolution: a deadline that the clock says is not yet reached has not been missed by more.
    const TICK: Duration = Duration::from_millis(1);

    /// Ready when a time may be over.
    #[derive(Debug, Default)]
    pub(crate) struct Timer {
        /// The time that it is set for.
        until: Option<Instant>,
        /// The time at which it was last set.
        set_at: Option<Instant>,
        source: Option<Source>,
    }

    #[derive(Debug)]
    enum Source {
        Thread(Alarm),
        Tokio(Pin<Box<Sleep>>),
    }

    impl Timer {
        /// Returns whether a future may wait here: outside of a tokio runtime none does.
        pub(crate) fn is_possible() -> bool {
            Handle::try_current().is_ok()
        }

        /// Ready once for each time that it is set for; then look at the clock.
        pub(crate) fn poll(&mut self, clock: &Clock, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
            if self.until != Some(until) {
                let now = clock.now();
                let after = until.saturating_duration_since(now).max(TICK);
                // A clock that stood still while tokio's time went by does not follow it.
                let is_stuck = self.until.is_none() && self.set_at == Some(now);
                self.set_at = Some(now);
                self.until = Some(until);
                self.source = None; // takes the old alarm back
                if !clock.is_system() && !is_stuck && Self::is_possible() {
                    self.source = catch_panic(|| Source::Tokio(Box::pin(sleep(after))));
                }
                if self.source.is_none() {
                    self.source = Alarm::set(after, cx.waker()).map(Source::Thread);
                }
            }
            let is_over = match &mut self.source {
                Some(Source::Thread(alarm)) => alarm.is_over(cx.waker()),
                Some(Source::Tokio(sleep)) => sleep.as_mut().poll(cx).is_ready(),
                None => {
                    cx.waker().wake_by_ref(); // without a thread, a busy loop rather than a hang
                    true
                }
            };
            if !is_over {
                return Poll::Pending;
            }
            (self.until, self.source) = (None, None);
            Poll::Ready(())
        }
    }
}

#[cfg(not(feature = "tokio"))]
mod real {
    use crate::clock::{Clock, Instant};
    use std::task::{Context, Poll};

    /// Never ready.
    #[derive(Debug, Default)]
    pub(crate) struct Timer {}

    #[expect(clippy::unused_self, reason = "as with the feature")]
    impl Timer {
        pub(crate) fn is_possible() -> bool {
            false
        }

        pub(crate) fn poll(&mut self, _: &Clock, _: Instant, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }
}
