//! When a bulkhead publishes its metrics, and their end with the last handle.

use super::shared::Shared;
use crate::shared_ref::publishes_while_in_use;

#[cfg(feature = "metrics")]
mod by_time {
    use crate::bulkhead::metrics::{Sample, publish};
    use crate::bulkhead::permit_word::LOOKS;
    use crate::bulkhead::shared::Shared;
    use crate::telemetry::{Look, Source, Waiting};

    impl Shared {
        /// Publishes if a second has passed since the last time. The caller has counted its call.
        #[cold]
        #[inline(never)]
        pub(in crate::bulkhead) fn look(&self) {
            match self.publication.look(self.counters.clock.coarse()) {
                Look::Publish => drop(self.publish()),
                Look::Next => {}
                Look::Seldom => self.compartment.permits.set(LOOKS, false),
            }
        }

        /// The same for what is counted beside the permits.
        pub(in crate::bulkhead) fn look_if_asked(&self) {
            if self.compartment.permits.word().has(LOOKS) {
                self.look();
            }
        }

        /// Publishes a change that cannot wait.
        #[cold]
        #[inline(never)]
        pub(in crate::bulkhead) fn publish_now(&self) {
            self.publication.note_time(self.counters.clock.coarse());
            self.publish();
        }
    }

    impl Source for Shared {
        fn waiting(&self) -> &Waiting {
            self.publication.waiting()
        }

        fn publish(&self) -> bool {
            self.publication.run(|publisher| {
                self.compartment.permits.set(LOOKS, true); // before the counts are read: a later call looks
                let sample = Sample {
                    snapshot: self.compartment.snapshot_as_it_is(),
                    totals: self.totals(),
                    oldest_call: self.oldest_call(),
                };
                publish(publisher, self.counters.name, &sample)
            })
        }
    }
}

/// Without metrics nothing is published.
#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "nothing to publish to")]
impl Shared {
    pub(super) fn look(&self) {}

    pub(super) fn look_if_asked(&self) {}

    pub(super) fn publish_now(&self) {}
}

publishes_while_in_use!(Shared);
