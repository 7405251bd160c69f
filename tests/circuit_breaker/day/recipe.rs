//! Settings of a simulated service: the defaults, and the recipes of the guide.

use backstop::circuit_breaker::{CircuitBreakerBuilder, HalfOpenDecision, OpenTime, SlidingWindow};
use backstop::clock::Clock;
use backstop::{CircuitBreaker, config::Named};
use fastrand::Rng;
use std::time::Duration;

/// Settings, by their place in `src/guide/choosing_thresholds.rs`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Recipe {
    Defaults,
    /// Below one call a second.
    Rare,
    /// 1 to 20 calls a second.
    Minute,
    /// 20 to 500.
    TwoHundred,
    TenSeconds,
    /// Above 500.
    Busy,
    /// Calls that are slow trip, while they are in flight.
    Slow {
        threshold: Duration,
    },
    /// Exponential open time, a decision by successes, a ramp.
    Recovery,
}

/// The part of the evidence that a rule looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Evidence {
    /// Calls.
    Last(u64),
    /// Seconds, and those of a bucket.
    Seconds(f64, f64),
    /// Failures in a row.
    Row(u64),
}

impl Recipe {
    /// The share of failed calls that trips all of them, or soon makes a row.
    pub(crate) const FAILING_SHARE: f64 = 0.5;

    pub(crate) const NAMES: [&str; 8] = [
        "defaults",
        "below 1/s: 5 in a row",
        "1 to 20/s: 60 s",
        "20 to 500/s: 200 calls",
        "20 to 500/s: 10 s",
        "above 500/s: 10 s",
        "slow calls in flight",
        "exponential, ramp",
    ];

    /// One that suits the traffic.
    pub(crate) fn draw(random: &mut Rng, rate: f64, median: f64, sigma: f64) -> Self {
        // Between the p99 of good days and the callers' patience, in the proportion of the guide's example.
        let threshold = Duration::from_secs_f64(2.7 * median * (2.33 * sigma).exp());
        match (random.u8(0..5), rate) {
            (0, _) => Self::Defaults,
            (1, _) => Self::Slow { threshold },
            (2, _) => Self::Recovery,
            (_, ..1.0) => Self::Rare,
            (_, ..20.0) => Self::Minute,
            (3, ..500.0) => Self::TwoHundred,
            (_, ..500.0) => Self::TenSeconds,
            _ => Self::Busy,
        }
    }

    pub(crate) fn breaker(self, clock: Clock, seed: u64) -> CircuitBreaker {
        let builder = CircuitBreaker::builder("simulated").clock(clock).jitter_seed(seed);
        self.configure(builder).build().expect("the guide's settings are allowed")
    }

    fn configure(self, builder: CircuitBreakerBuilder<Named>) -> CircuitBreakerBuilder<Named> {
        let second = Duration::from_secs(1);
        match self {
            Self::Defaults => builder,
            Self::Rare => builder.failure_rate_threshold(None).consecutive_failures_threshold(5),
            Self::Minute => builder.window(SlidingWindow::time(60 * second, 12)).minimum_calls(20),
            Self::TwoHundred => builder.window(SlidingWindow::count(200)).minimum_calls(100),
            Self::TenSeconds => builder.window(SlidingWindow::time(10 * second, 10)).minimum_calls(100),
            Self::Busy => builder.window(SlidingWindow::time(10 * second, 10)).minimum_calls(500),
            Self::Slow { threshold } => builder
                .slow_call_duration_threshold(threshold)
                .slow_call_rate_threshold(0.5)
                .detect_slow_calls_in_flight(true),
            Self::Recovery => builder
                .open_time(OpenTime::exponential(5 * second, 2.0, 120 * second))
                .open_time_jitter(0.1)
                .half_open_max_calls(5)
                .half_open_decision(HalfOpenDecision::ConsecutiveSuccesses { calls: 5 })
                .ramp(30 * second),
        }
    }

    pub(crate) fn number(self) -> usize {
        match self {
            Self::Defaults => 0,
            Self::Rare => 1,
            Self::Minute => 2,
            Self::TwoHundred => 3,
            Self::TenSeconds => 4,
            Self::Busy => 5,
            Self::Slow { .. } => 6,
            Self::Recovery => 7,
        }
    }

    pub(crate) fn evidence(self) -> Evidence {
        match self {
            Self::Defaults | Self::Slow { .. } | Self::Recovery => Evidence::Last(100),
            Self::Rare => Evidence::Row(5),
            Self::Minute => Evidence::Seconds(60.0, 5.0),
            Self::TwoHundred => Evidence::Last(200),
            Self::TenSeconds | Self::Busy => Evidence::Seconds(10.0, 1.0),
        }
    }

    /// Calls needed before failures are trusted; unanswered ones in a row that trip.
    pub(crate) fn minimum_calls(self) -> u64 {
        match self {
            Self::Rare => 5,
            Self::Minute => 20,
            Self::Busy => 500,
            _ => 100,
        }
    }

    /// The longest open time, in seconds.
    pub(crate) fn open_time_max(self) -> f64 {
        if self == Self::Recovery { 132.0 } else { 60.0 }
    }

    pub(crate) fn probes(self) -> u32 {
        if self == Self::Recovery { 5 } else { 10 }
    }
}
