//! The signals that users hold.

use super::config::SignalsConfig;
use super::saturation::Saturation;
use super::shared::Shared;
use super::snapshot::Snapshot;
use crate::clock::Clock;
use crate::config::{ConfigError, Problem, intern};
use crate::shared_ref::SharedRef;
use crate::sync::Arc;
use std::fmt;

const GAUGES_MAX: usize = 100;

/// Signals of a service: a cheap handle to shared counts.
///
/// Clones, layers and services of a handle share its counts. See the [module](super) for what is counted.
#[derive(Clone)]
pub struct Signals {
    pub(super) shared: SharedRef<Shared>,
}

impl Signals {
    #[expect(clippy::needless_pass_by_value, reason = "the builder's macro hands it over")]
    pub(super) fn make(name: &'static str, config: SignalsConfig, clock: Clock) -> Self {
        Self { shared: SharedRef::new(Shared::new(name, &config, clock)) }
    }

    /// Keeps the counts for the rest of the process and stops counting references to them.
    ///
    /// Its gauges never end, and the memory is never returned. Requests take about the same time without: threads keep the
    /// references that they count.
    #[must_use]
    pub fn leak(self) -> Self {
        Self { shared: self.shared.leak() }
    }

    /// The name of the service in metrics.
    pub fn name(&self) -> &'static str {
        self.shared.name
    }

    /// The clock that is read.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Returns whether both handles are of the same counts.
    pub fn is_same(&self, other: &Self) -> bool {
        self.shared.is_same(&other.shared)
    }

    /// The counts so far.
    pub fn snapshot(&self) -> Snapshot {
        let (names, counts) = (&self.shared.segments.names, &self.shared.counts);
        let sums: Vec<_> = (0..names.len()).map(|segment| counts.sums(segment)).collect();
        let in_flight = counts.in_flight(&sums);
        Snapshot { in_flight, segments: names.iter().copied().zip(sums.into_iter().map(Into::into)).collect() }
    }

    /// CPU and memory of the process. It reads files of the system: call it about once a second, not in a request.
    pub fn saturation(&self) -> Saturation {
        self.shared.meter.lock().read(self.shared.clock.now())
    }

    /// The first name returned for a request that is no configured segment: a mistake in the program.
    ///
    /// Such requests count as `other`. The log has one line on it (feature `tracing`).
    pub fn unknown_segment(&self) -> Option<String> {
        self.shared.segments.unknown()
    }

    /// Adds a gauge to what a judge reads, such as a share of completed checkouts; one of the same name is replaced.
    ///
    /// `read` is called when an arm is made. Its panics are caught; after one, and for NaN and infinity, the gauge is not
    /// measured.
    ///
    /// # Errors
    ///
    /// A name that is blank, longer than 128 bytes or has control characters, and more than 100 gauges.
    pub fn gauge(&self, name: &str, read: impl Fn() -> f64 + Send + Sync + 'static) -> Result<(), ConfigError> {
        let name = intern("gauge", name)?;
        let mut gauges = self.shared.gauges.lock();
        if gauges.len() >= GAUGES_MAX && !gauges.contains_key(name) {
            let allowed = format!("one of at most {GAUGES_MAX} gauges");
            return Err(ConfigError::of(Problem::new("gauge", format!("\"{name}\""), allowed)));
        }
        let replaced = gauges.insert(name, Arc::new(read));
        drop(gauges);
        drop(replaced); // what it captured may use the handle
        Ok(())
    }

    /// Brings the metrics up to date. [`Registry::publish`](crate::Registry::publish) does it for all.
    pub fn publish(&self) {
        self.shared.publish_now();
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signals").field("name", &self.name()).field("segments", &self.shared.segments.names).finish()
    }
}

crate::registry::registered!(Signals, Signals);
