//! Worlds: what happens in a simulated rollout.

/// A simulated rollout. The default one is clean: a canary with 5 % of 2,000 requests a second, of which 0.1 % fail in both
/// arms, read each second for half an hour, without latencies.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// Traffic of the canary.
    pub canary: Traffic,
    /// Traffic of the baseline.
    pub baseline: Traffic,
    /// Share of requests that fail on an ordinary day.
    pub error_rate: f64,
    /// How errors come.
    pub bursts: Bursts,
    /// Changes that both arms share.
    pub shared: Shared,
    /// Faults of the canary.
    pub fault: Fault,
    /// Whether some instances get many times the traffic of others: lognormal weights with a sigma of 1.
    pub is_uneven: bool,
    /// Whether instances come and go: each minute, up to half of an arm's are away and the others take their traffic.
    pub is_changing: bool,
    /// Kinds of traffic.
    pub segments: Segments,
    /// Latencies, if they are measured.
    pub latencies: Option<Latencies>,
    /// Whether instances count error-seconds and active seconds.
    pub has_seconds: bool,
    /// Seconds in a tick.
    pub tick: f64,
    /// Chance that a tick is missed: its counts come with the next one.
    pub missed: f64,
    /// Chance that an arm's counts of a tick are lost, as after the reset of a counter.
    pub lost: f64,
    /// Seconds in the rollout.
    pub length: f64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            canary: Traffic { requests_per_second: 100.0, instances: 4 },
            baseline: Traffic { requests_per_second: 1900.0, instances: 76 },
            error_rate: 0.001,
            bursts: Bursts::None,
            shared: Shared::Steady,
            fault: Fault::default(),
            is_uneven: false,
            is_changing: false,
            segments: Segments::One,
            latencies: None,
            has_seconds: true,
            tick: 1.0,
            missed: 0.0,
            lost: 0.0,
            length: 1800.0,
        }
    }
}

/// Traffic of an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    /// Requests a second, of all instances together.
    pub requests_per_second: f64,
    /// Instances, at least one.
    pub instances: u32,
}

/// How errors come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bursts {
    /// One by one.
    None,
    /// In bursts within a second of an instance, geometric with this mean size.
    Geometric(f64),
    /// In bursts within a second of an instance, whose sizes have a heavy tail: Pareto with an index of 1.5, at most the
    /// instance's requests of a second.
    HeavyTailed,
    /// In bursts of so many seconds, in which an instance fails 30 % of its requests.
    Lasting(u32),
}

/// Changes that both arms share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shared {
    /// Nothing.
    Steady,
    /// The error rate grows evenly to so many times itself by the end.
    Ramp(f64),
    /// The error rate is multiplied in the minute from this second on, as if a dependency were down.
    Outage {
        /// When the minute begins.
        from: f64,
        /// Times the error rate.
        times: f64,
    },
}

/// Fault of the canary for a time. Default: none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fault {
    /// The second in which it begins.
    pub from: f64,
    /// The second in which it ends, such as 60 for a cold start.
    pub until: f64,
    /// More errors.
    pub errors: Option<Errors>,
    /// The only segment that has these errors.
    pub segment: Option<usize>,
    /// Factor of all latencies.
    pub slower: f64,
    /// Share of the requests that take longer by [`added`](Self::added).
    pub slow_share: f64,
    /// Seconds that the slow share takes longer.
    pub added: f64,
}

impl Default for Fault {
    fn default() -> Self {
        Self { from: 0.0, until: f64::INFINITY, errors: None, segment: None, slower: 1.0, slow_share: 0.0, added: 0.0 }
    }
}

/// Errors of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Errors {
    /// So many times those of the baseline.
    Times(f64),
    /// This share of the requests.
    Rate(f64),
}

/// Kinds of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Segments {
    /// All requests are alike.
    One,
    /// Two, of which the second fails 11 times as often; after five minutes the canary gets three times its part of the
    /// second, so that it looks twice as bad as a whole and is not.
    ShiftingMix,
    /// Twenty: the first has most of the traffic and each one fails more often than the one before.
    Twenty,
}

/// Latencies of requests that succeed: lognormal.
#[derive(Clone, Debug, PartialEq)]
pub struct Latencies {
    /// Median in seconds.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
    /// Standard deviation of the logarithm of an arm's factor, drawn anew for each arm and minute.
    pub noise: f64,
    /// Whether each instance stops for half a second about each 40 seconds, as a garbage collector does.
    pub has_pauses: bool,
    /// Upper bounds of the buckets in seconds, ascending.
    pub bounds: Vec<f64>,
}

impl Latencies {
    /// Bounds from a millisecond on, each one so many times the one before.
    pub fn exponential(factor: f64, count: u16) -> Vec<f64> {
        (0..count).map(|i| 1e-3 * factor.powi(i.into())).collect()
    }
}

impl Default for Latencies {
    /// A median of 50 ms, a sigma of 0.5, noise of 5 %, no pauses, and 50 buckets from a millisecond to a minute.
    fn default() -> Self {
        Self { median: 0.05, sigma: 0.5, noise: 0.05, has_pauses: false, bounds: Self::exponential(1.25, 50) }
    }
}

impl World {
    /// Segments: the share of each arm's traffic, and the factor of the error rate.
    pub(super) fn mix(&self, at: f64) -> Vec<(f64, f64, f64)> {
        match self.segments {
            Segments::One => vec![(1.0, 1.0, 1.0)],
            Segments::ShiftingMix => {
                let shifted = if at > 300.0 { 0.3 } else { 0.1 };
                vec![(1.0 - shifted, 0.9, 0.5), (shifted, 0.1, 5.5)]
            }
            Segments::Twenty => {
                let total: f64 = (1..=20).map(|i| 1.0 / f64::from(i)).sum();
                (1..=20_u32)
                    .map(|i| 1.0 / f64::from(i) / total)
                    .zip(0_u32..)
                    .map(|(share, i)| (share, share, 0.3 + 0.1 * f64::from(i)))
                    .collect()
            }
        }
    }

    /// Error rates of the canary and of the baseline.
    pub(super) fn rates(&self, segment: usize, factor: f64, at: f64) -> (f64, f64) {
        let shared = match self.shared {
            Shared::Ramp(most) => 1.0 + (most - 1.0) * at / self.length,
            Shared::Outage { from, times } if (from..from + 60.0).contains(&at) => times,
            Shared::Steady | Shared::Outage { .. } => 1.0,
        };
        let baseline = self.error_rate * factor * shared;
        let is_here = self.fault.segment.is_none_or(|only| only == segment);
        let canary = match self.fault.errors {
            Some(Errors::Times(times)) if self.is_faulty(at) && is_here => baseline * times,
            Some(Errors::Rate(rate)) if self.is_faulty(at) && is_here => rate,
            _ => baseline,
        };
        (canary.min(0.95), baseline.min(0.95))
    }

    pub(super) fn is_faulty(&self, at: f64) -> bool {
        (self.fault.from..self.fault.until).contains(&at)
    }
}
