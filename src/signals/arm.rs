//! Signals as an arm of a tick, for the judge.

use super::handle::Signals;
use super::snapshot::SegmentCounts;
use crate::panic::catch_panic;
use crate::rollback::{Arm, Buckets, Latency, Segment};
use crate::telemetry::REQUEST_BUCKETS;

impl Signals {
    /// Counters and gauges of this instance, as one arm of a tick.
    ///
    /// The counts are cumulative: a line of ticks with them says `"cumulative": true`. `requests` are those that are
    /// evidence; `server_errors` include what a circuit breaker or a bulkhead rejected, since that client was failed, too.
    /// Requests that a kill switch rejected, and those that say nothing, are in neither. Gauges are `cpu`, `memory`, `in_flight` and those
    /// of [`gauge`](Self::gauge). [`Registry::observe`](crate::Registry::observe) adds breakers, bulkheads and switches.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::rollback::TickReader;
    /// use backstop::signals::Signals;
    /// use backstop::{Bulkhead, Registry};
    ///
    /// let registry = Registry::new();
    /// let checkout = registry.add(Signals::new("checkout"))?;
    /// registry.add(Bulkhead::new("payments"))?;
    ///
    /// // The answer of the instance to the judge, once a second:
    /// let mut arm = checkout.arm();
    /// registry.observe(&mut arm);
    /// let canary = serde_json::to_string(&arm).unwrap();
    ///
    /// // And there:
    /// let line = format!(r#"{{"at": 1, "cumulative": true, "canary": {canary}}}"#);
    /// let tick = TickReader::new().read(&line).unwrap();
    /// assert!(tick.is_some() && canary.contains(r#""bulkhead.payments":0.0"#));
    /// # Ok::<(), backstop::ConfigError>(())
    /// ```
    pub fn arm(&self) -> Arm {
        let snapshot = self.snapshot();
        let mut arm = Arm::default();
        arm.gauges.insert("in_flight".to_owned(), snapshot.in_flight as f64);
        let saturation = self.saturation();
        let process = [("cpu", saturation.cpu), ("memory", saturation.memory)];
        arm.gauges.extend(process.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let gauges = self.shared.gauges.lock().clone();
        let read = gauges.into_iter().filter_map(|(name, read)| Some((name.to_owned(), catch_panic(|| read())?)));
        arm.gauges.extend(read.filter(|(_, value)| value.is_finite()));
        arm.segments = snapshot.segments.into_iter().map(|(name, counts)| (name.to_owned(), segment(counts))).collect();
        arm
    }
}

fn segment(counts: SegmentCounts) -> Segment {
    let rejected = counts.rejected_by_circuit_breaker + counts.rejected_by_bulkhead;
    let server_errors = counts.server_errors + rejected;
    let requests = counts.successful + counts.client_errors + server_errors;
    let buckets = |counts: Vec<u64>| {
        Some(Buckets { le: REQUEST_BUCKETS.to_vec(), counts: counts.into_iter().map(|count| count as f64).collect() })
    };
    Segment {
        requests: Some(requests as f64),
        client_errors: Some(counts.client_errors as f64),
        server_errors: Some(server_errors as f64),
        active_seconds: Some(counts.active_seconds as f64),
        error_seconds: Some(counts.error_seconds as f64),
        latency: Latency { success: buckets(counts.success_latency), failure: buckets(counts.failure_latency) },
    }
}
