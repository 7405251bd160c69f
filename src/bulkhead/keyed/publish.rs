//! When a group publishes its metrics, and their end with the last handle.

use super::group::Group;
use crate::keyed_table::Key;
use crate::shared_ref::publishes_while_in_use;

#[cfg(feature = "metrics")]
mod by_time {
    use crate::bulkhead::keyed::group::Group;
    use crate::bulkhead::metrics::{Sample, publish};
    use crate::bulkhead::snapshot::Snapshot;
    use crate::keyed_table::Key;
    use crate::sync::Ordering;
    use crate::telemetry::{Look, Source, Waiting};
    use std::time::Duration;

    /// Buckets of the table that a publication looks at.
    const LOOKS_MAX: usize = 256;

    impl<K: Key> Group<K> {
        /// Publishes if a second has passed since the last time. The caller has counted its call.
        #[cold]
        pub(in crate::bulkhead::keyed) fn look(&self) {
            let now = self.counters.clock.coarse();
            if (self.publication.asks() || self.publication.is_due(now)) && self.publication.look(now) == Look::Publish
            {
                self.publish();
            }
        }

        /// Returns whether each call looks.
        pub(in crate::bulkhead::keyed) fn asks_to_look(&self) -> bool {
            self.publication.asks()
        }

        /// Publishes a change that cannot wait.
        #[cold]
        pub(in crate::bulkhead::keyed) fn publish_now(&self) {
            self.publication.note_time(self.counters.clock.coarse());
            self.publish();
        }

        /// The sums for metrics.
        fn sums(&self) -> Snapshot {
            let whole = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
            // Acquire: pairs with the return, so that its permit has been counted.
            let returned = self.returned.load(Ordering::Acquire);
            let in_flight = whole(self.permitted.load(Ordering::Relaxed).saturating_sub(returned));
            let queue_depth = whole(self.counters.waiting.load(Ordering::Relaxed));
            Snapshot { in_flight, limit: self.counters.config().first_limit(), queue_depth, is_saturated: false }
        }

        /// The age of the oldest call that is known. Each publication looks at a few keys, and at the key of that call.
        fn oldest_call(&self) -> Option<Duration> {
            let now = self.counters.clock.now();
            let (mut at, known) = std::mem::take(&mut *self.oldest.lock());
            let looks = self.keys.scan(&mut at, LOOKS_MAX).into_iter().chain(known);
            let aged = looks.filter_map(|entry| Some((entry.value.oldest_age(now)?, entry)));
            let (age, entry) = aged.max_by_key(|(age, _)| *age).unzip(); // drops keys, foreign code, without the lock
            *self.oldest.lock() = (at, entry);
            age
        }
    }

    impl<K: Key> Source for Group<K> {
        fn waiting(&self) -> &Waiting {
            self.publication.waiting()
        }

        fn publish(&self) -> bool {
            self.publication.run(|publisher| {
                let oldest_call = if self.counters.config().needs_lock() { self.oldest_call() } else { None };
                let sample = Sample { snapshot: self.sums(), totals: self.totals(), oldest_call };
                publish(publisher, self.counters.name, &sample)
            })
        }
    }
}

/// Without metrics nothing is published.
#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "nothing to publish to")]
impl<K: Key> Group<K> {
    pub(super) fn look(&self) {}

    pub(super) fn asks_to_look(&self) -> bool {
        false
    }

    pub(super) fn publish_now(&self) {}
}

publishes_while_in_use!(Group<K>, K);
