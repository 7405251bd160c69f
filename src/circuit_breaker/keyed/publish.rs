//! When a group publishes its metrics, and their end with the last handle.

use super::group::Group;
use crate::keyed_table::Key;
use crate::shared_ref::publishes_while_in_use;

#[cfg(feature = "metrics")]
mod by_time {
    use crate::circuit_breaker::keyed::group::Group;
    use crate::keyed_table::Key;
    use crate::telemetry::{Look, Source, Waiting};

    impl<K: Key> Group<K> {
        /// Returns whether each call looks whether a publication is due.
        pub(in crate::circuit_breaker::keyed) fn asks_to_look(&self) -> bool {
            self.publication.asks()
        }

        /// Publishes if a second has passed since the last time. The caller has counted its call.
        #[cold]
        pub(in crate::circuit_breaker::keyed) fn look(&self) {
            let now = self.stopwatch.clock.coarse();
            self.sweep_if_due(now);
            if (self.publication.asks() || self.publication.is_due(now)) && self.publication.look(now) == Look::Publish
            {
                self.publish();
            }
        }

        /// Publishes a change that cannot wait.
        #[cold]
        pub(in crate::circuit_breaker::keyed) fn publish_now(&self) {
            let now = self.stopwatch.clock.coarse();
            self.publication.note_time(now);
            self.sweep(now);
            self.publish();
        }
    }

    impl<K: Key> Source for Group<K> {
        fn waiting(&self) -> &Waiting {
            self.publication.waiting()
        }

        fn publish(&self) -> bool {
            let name = self.name();
            self.publication.run(|publisher| crate::circuit_breaker::metrics::publish(publisher, name, &self.sample()))
        }
    }
}

/// Without metrics nothing is published.
#[cfg(not(feature = "metrics"))]
impl<K: Key> Group<K> {
    #[expect(clippy::unused_self, reason = "nothing to publish to")]
    pub(super) fn asks_to_look(&self) -> bool {
        false
    }

    pub(super) fn look(&self) {
        self.sweep_if_due(self.stopwatch.clock.coarse());
    }

    pub(super) fn publish_now(&self) {
        self.sweep(self.stopwatch.clock.coarse());
    }
}

publishes_while_in_use!(Group<K>, K);
