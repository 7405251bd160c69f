//! Settings, clock and counts of all compartments of one name, apart from those on the path of every call.

use super::config::BulkheadConfig;
use super::snapshot::Totals;
use crate::clock::Clock;
use crate::reject::{Mechanism, RejectReason, Rejected};
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use std::time::Duration;

#[doc(hidden)]
#[derive(Debug)]
pub struct Counters {
    pub(super) name: &'static str,
    pub(super) clock: Clock,
    config: Mutex<Arc<BulkheadConfig>>,
    /// Calls that wait.
    pub(super) waiting: AtomicU64,
    pub(super) timed_out: AtomicU64,
    pub(super) shed: AtomicU64,
    pub(super) left_queue: AtomicU64,
    pub(super) abandoned: AtomicU64,
    pub(super) revoked: AtomicU64,
    pub(super) bypassed: AtomicU64,
    pub(super) fallbacks: AtomicU64,
    #[cfg(feature = "metrics")]
    wait_seconds: crate::telemetry::Samples,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn new(name: &'static str, config: BulkheadConfig, clock: Clock) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            name,
            clock,
            config: Mutex::new(Arc::new(config)),
            waiting: zero(),
            timed_out: zero(),
            shed: zero(),
            left_queue: zero(),
            abandoned: zero(),
            revoked: zero(),
            bypassed: zero(),
            fallbacks: zero(),
            #[cfg(feature = "metrics")]
            wait_seconds: crate::bulkhead::metrics::wait_seconds(name),
        }
    }

    /// The settings in force.
    pub(super) fn config(&self) -> Arc<BulkheadConfig> {
        Arc::clone(&self.config.lock())
    }

    pub(super) fn set_config(&self, config: Arc<BulkheadConfig>) {
        *self.config.lock() = config;
    }

    pub(super) fn rejected(&self, reason: RejectReason) -> Rejected {
        Rejected::new(Mechanism::Bulkhead, self.name, reason, None)
    }

    /// A call that waited runs out of time.
    pub(super) fn count_late(&self, reason: RejectReason) {
        count(if reason == RejectReason::Shed { &self.shed } else { &self.timed_out });
    }

    /// Reports how long a call waited. Call it without a lock.
    #[cfg_attr(not(feature = "metrics"), expect(clippy::unused_self, reason = "no recorder to publish to"))]
    pub(super) fn record_wait(&self, waited: Duration) {
        #[cfg(feature = "metrics")]
        self.wait_seconds.record(waited.as_secs_f64());
        #[cfg(not(feature = "metrics"))]
        let _ = waited;
    }

    /// The counts kept here.
    pub(super) fn totals(&self) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            timed_out: read(&self.timed_out),
            shed: read(&self.shed),
            left_queue: read(&self.left_queue),
            abandoned: read(&self.abandoned),
            revoked: read(&self.revoked),
            bypassed: read(&self.bypassed),
            fallbacks: read(&self.fallbacks),
            ..Totals::default()
        }
    }
}
