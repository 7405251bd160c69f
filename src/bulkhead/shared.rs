//! State that the handles of one bulkhead share.

use super::compartment::Compartment;
use super::config::BulkheadConfig;
use super::counters::Counters;
use super::event::Event;
use crate::clock::Clock;
use crate::events::Events;

pub(super) struct Shared {
    pub(super) counters: Counters,
    pub(super) compartment: Compartment,
    pub(super) events: Events<Event>,
    #[cfg(feature = "metrics")]
    pub(super) publish_lock: crate::telemetry::PublishLock,
}

impl Shared {
    pub(super) fn new(name: &'static str, config: BulkheadConfig, clock: Clock) -> Self {
        Self {
            compartment: Compartment::new(&config),
            counters: Counters::new(name, config, clock),
            events: Events::default(),
            #[cfg(feature = "metrics")]
            publish_lock: crate::telemetry::PublishLock::default(),
        }
    }
}
