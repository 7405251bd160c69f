//! When the status of checks is published, and the end of its gauges with the last handle.

use super::shared::Shared;
use crate::shared_ref::publishes_while_in_use;

#[cfg(feature = "metrics")]
mod by_time {
    use crate::health::shared::{Entry, Shared};
    use crate::health::state::Role;
    use crate::telemetry::{HEALTH_STATUS, Look, Series, Source, Value, Waiting};

    impl Shared {
        /// Publishes if a second has passed since the last time: a status changes by time, too.
        pub(in crate::health) fn look(&self) {
            if self.publication.look(self.clock.coarse()) == Look::Publish {
                self.publish();
            }
        }

        pub(in crate::health) fn publish_now(&self) {
            self.publication.note_time(self.clock.coarse());
            self.publish();
        }
    }

    impl Source for Shared {
        fn waiting(&self) -> &Waiting {
            self.publication.waiting()
        }

        fn publish(&self) -> bool {
            self.publication.run(|publisher| {
                let now = self.clock.now();
                let roles = Role::ALL.map(|role| (role.as_str(), self.report(role).status));
                let status = |check: &Entry| (check.settings.name, check.machine.lock().report(now).status);
                let rows: Vec<_> = roles.into_iter().chain(self.checks.iter().map(status)).collect();
                let series = rows.iter().map(|(name, _)| Series { metric: HEALTH_STATUS, labels: [name, "", "", ""] });
                publisher.publish(&series, rows.iter().map(|(_, status)| Value::Now(f64::from(*status as u8))))
            })
        }
    }
}

/// Without metrics nothing is published.
#[cfg(not(feature = "metrics"))]
#[expect(clippy::unused_self, reason = "nothing to publish to")]
impl Shared {
    pub(super) fn look(&self) {}

    pub(super) fn publish_now(&self) {}
}

publishes_while_in_use!(Shared);
