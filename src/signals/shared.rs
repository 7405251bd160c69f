//! State that the handles of one service's signals share.

use super::config::SignalsConfig;
use super::counts::Counts;
use super::outcome_class::OutcomeClass;
use super::saturation::Meter;
use super::segments::SegmentSet;
use crate::clock::{Clock, Instant};
use crate::sync::{Arc, Mutex};
use std::collections::BTreeMap;
use std::fmt;

/// A function that reads a user's gauge.
pub(super) type Gauge = Arc<dyn Fn() -> f64 + Send + Sync>;

pub(crate) struct Shared {
    pub(super) name: &'static str,
    pub(super) clock: Clock,
    pub(super) segments: SegmentSet,
    pub(super) counts: Counts,
    pub(super) gauges: Mutex<BTreeMap<&'static str, Gauge>>,
    pub(super) meter: Mutex<Meter>,
    #[cfg(feature = "metrics")]
    pub(super) publication: crate::telemetry::Publication,
}

impl Shared {
    pub(super) fn new(name: &'static str, config: &SignalsConfig, clock: Clock) -> Self {
        let segments = SegmentSet::new(config);
        let meter = Mutex::new(Meter::new(clock.now()));
        Self {
            name,
            clock,
            counts: Counts::new(segments.names.len()),
            segments,
            gauges: Mutex::new(BTreeMap::new()),
            meter,
            #[cfg(feature = "metrics")]
            publication: crate::telemetry::Publication::default(),
        }
    }

    #[inline]
    pub(super) fn count(&self, segment: u8, class: OutcomeClass, bucket: Option<u8>, now: Instant) {
        if self.counts.end(segment, class, bucket, now) || self.asks_to_look() {
            self.look();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name).finish_non_exhaustive()
    }
}
