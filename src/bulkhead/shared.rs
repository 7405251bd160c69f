//! What the handles of one bulkhead share.

use super::common::{Common, count};
use super::compartment::Compartment;
use super::config::BulkheadConfig;
use super::handle::Bulkhead;
use super::holder::Holder;
use super::snapshot::Event;
use crate::clock::Clock;
use crate::events::Events;

pub(super) struct Shared {
    pub(super) common: Common,
    pub(super) compartment: Compartment,
    pub(super) events: Events<Event>,
    #[cfg(feature = "metrics")]
    publish_lock: crate::telemetry::PublishLock,
}

impl Shared {
    pub(super) fn new(name: &'static str, config: BulkheadConfig, clock: Clock) -> Self {
        Self {
            compartment: Compartment::new(&config),
            common: Common::new(name, config, clock),
            events: Events::default(),
            #[cfg(feature = "metrics")]
            publish_lock: crate::telemetry::PublishLock::default(),
        }
    }
}

impl Holder for Bulkhead {
    fn name(&self) -> &'static str {
        self.shared.common.name
    }

    #[inline]
    fn common(&self) -> &Common {
        &self.shared.common
    }

    #[inline]
    fn compartment(&self) -> &Compartment {
        &self.shared.compartment
    }

    fn partition(&self) -> usize {
        usize::from(self.partition)
    }

    fn push(&self, event: Event) {
        self.shared.events.push([event]);
    }

    fn dispatch(&self) {
        self.shared.events.dispatch(super::log::event);
    }

    #[cold]
    #[inline(never)]
    fn publish(&self) {
        self.shared.compartment.counted(&self.shared.common); // or the count of permits would wrap unseen
        #[cfg(feature = "metrics")]
        self.shared.publish_lock.run(|publisher| {
            let sample = super::metrics::Sample {
                snapshot: self.shared.compartment.snapshot_as_it_is(),
                totals: self.totals(),
                oldest_call: self.oldest_call(),
            };
            super::metrics::publish(publisher, self.name(), &sample);
        });
    }

    fn count_fallback(&self) {
        count(&self.shared.common.fallbacks);
    }
}
