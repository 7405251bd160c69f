//! State that the handles of one bulkhead share.

use super::compartment::Compartment;
use super::config::BulkheadConfig;
use super::counters::Counters;
use super::event::Event;
use super::reserves::Permits;
use super::snapshot::Totals;
use crate::clock::Clock;
use crate::events::Events;
use std::time::Duration;

pub(super) struct Shared {
    pub(super) counters: Counters,
    pub(super) compartment: Compartment,
    pub(super) events: Events<Event>,
    #[cfg(feature = "metrics")]
    pub(super) publication: crate::telemetry::Publication,
}

impl Shared {
    pub(super) fn new(name: &'static str, config: BulkheadConfig, clock: Clock) -> Self {
        Self {
            compartment: Compartment::new(&config, Permits::with_reserves),
            counters: Counters::new(name, config, clock),
            events: Events::default(),
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        }
    }

    pub(super) fn totals(&self) -> Totals {
        let (permitted, rejected_full) = self.compartment.counted(&self.counters);
        Totals { permitted, rejected_full, events_lost: self.events.lost(), ..self.counters.totals() }
    }

    pub(super) fn oldest_call(&self) -> Option<Duration> {
        self.compartment.oldest_age(self.counters.clock.now())
    }
}
