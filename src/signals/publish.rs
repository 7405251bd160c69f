//! When signals publish their metrics, and their end with the last handle.

use super::shared::Shared;
use crate::shared_ref::publishes_while_in_use;

#[cfg(feature = "metrics")]
mod by_time {
    use crate::signals::metrics;
    use crate::signals::shared::Shared;
    use crate::telemetry::{Look, Source, Waiting};

    impl Shared {
        /// Returns whether each request looks whether a publication is due.
        #[inline]
        pub(in crate::signals) fn asks_to_look(&self) -> bool {
            self.publication.asks()
        }

        /// Publishes if a second has passed since the last time. The caller has counted its request.
        ///
        /// Samples of latencies are left to others, as there may be many: no request waits for them.
        #[cold]
        #[inline(never)]
        pub(in crate::signals) fn look(&self) {
            if self.publication.look(self.clock.coarse()) == Look::Publish {
                self.publication.run(|publisher| metrics::publish(publisher, self, false));
            }
        }

        /// Publishes a change that cannot wait.
        #[cold]
        pub(in crate::signals) fn publish_now(&self) {
            self.publication.note_time(self.clock.coarse());
            self.publish();
        }
    }

    impl Source for Shared {
        fn waiting(&self) -> &Waiting {
            self.publication.waiting()
        }

        fn publish(&self) -> bool {
            self.publication.run(|publisher| metrics::publish(publisher, self, true))
        }
    }
}

/// Without metrics nothing is published.
#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "nothing to publish to")]
impl Shared {
    pub(super) fn asks_to_look(&self) -> bool {
        false
    }

    pub(super) fn look(&self) {}

    pub(super) fn publish_now(&self) {}
}

publishes_while_in_use!(Shared);
