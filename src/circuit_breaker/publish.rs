//! When a breaker publishes its metrics, and their end with the last handle.

use super::shared::Shared;
use crate::shared_ref::publishes_while_in_use;

#[cfg(feature = "metrics")]
mod by_time {
    use crate::circuit_breaker::shared::{LOOKS, Shared};
    use crate::sync::Ordering;
    use crate::telemetry::{Look, Source, Waiting};

    impl Shared {
        /// Publishes if a second has passed since the last time. The caller has counted its call.
        #[cold]
        #[inline(never)]
        pub(in crate::circuit_breaker) fn look(&self) {
            match self.publication.look(self.clock().coarse()) {
                Look::Publish => drop(self.publish()),
                Look::Next => {}
                Look::Seldom => drop(self.word.fetch_and(!LOOKS, Ordering::Relaxed)),
            }
        }

        /// As `look`, after work under the lock, if a publication is due.
        pub(in crate::circuit_breaker) fn look_if_due(&self) {
            if self.asks_to_look() || self.publication.is_due(self.clock().coarse()) {
                self.look();
            }
        }

        /// Publishes a change that cannot wait.
        #[cold]
        #[inline(never)]
        pub(in crate::circuit_breaker) fn publish_now(&self) {
            self.publication.note_time(self.clock().coarse());
            self.publish();
        }
    }

    impl Source for Shared {
        fn waiting(&self) -> &Waiting {
            self.publication.waiting()
        }

        fn publish(&self) -> bool {
            self.publication.run(|publisher| {
                // Before the counts are read: a call that counts later looks. Under the lock, or `mirror` could store
                // a word without it.
                let core = self.core.lock();
                self.word.fetch_or(LOOKS, Ordering::Relaxed);
                drop(core);
                crate::circuit_breaker::metrics::publish(publisher, self.name(), &self.sample_as_it_is())
            })
        }
    }
}

/// Without metrics nothing is published.
#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "nothing to publish to")]
impl Shared {
    pub(super) fn look(&self) {}

    pub(super) fn look_if_due(&self) {}

    pub(super) fn publish_now(&self) {}
}

publishes_while_in_use!(Shared);
