//! The gradient of round trips: how the last compares with those of a long time.

use super::round::Round;

/// Rounds until the long mean is one of weights instead of a plain one, as published.
const WARM_UP: u32 = 10;

/// Multiplies the limit by how much faster calls have been, and adds a few for a queue.
///
/// ```text
/// gradient = tolerance * long round trip / round trip, from 0.5 to 1
/// limit    = (1 - smoothing) * limit + smoothing * (gradient * limit + queue_size)
/// ```
///
/// The long round trip is an exponential mean. Under an overload that lasts it would take the queue for normal and
/// let the limit drift up; so it is learned anew from time to time, with half of the limit
/// ([`probe_interval`](Self::probe_interval)), and a round of calls that were faster by more than chance is believed at
/// once. A drop counts as the gradient 0.5.
///
/// | setting | default | valid |
/// |---|---|---|
/// | `min`, `max` | 1, 1,000 calls | 1 to 500,000, `min` at most `max` |
/// | `tolerance` | 1.02 | 1 to 10 |
/// | `queue_size` | a fifteenth of the limit, at least 1, from 225 on the square root | 1 to 500,000 calls |
/// | `smoothing` | 0.2 | above 0, at most 1 |
/// | `long_window` | 600 steps | 1 to 500,000 |
/// | `window` | as many calls as show the queue | 1 to 500,000 calls |
/// | `probe_interval` | 100 round trips | 0 (never) to 500,000 |
///
/// Source: `Gradient2Limit` of Netflix' concurrency-limits for the formula, `smoothing`, `queue_size` and
/// `long_window`; its `GradientLimit` for what a drop does.
///
/// # Examples
///
/// ```
/// use backstop::bulkhead::limit::{Gradient2, Limiter, Sample};
/// use std::time::Duration;
///
/// let mut limiter = Limiter::new(Gradient2::new().queue_size(4).smoothing(1.0), 20)?;
/// assert_eq!(limiter.sample(Sample::new(Duration::from_millis(10), 20)), 24);
/// # Ok::<(), backstop::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
pub struct Gradient2 {
    pub(super) min: u32,
    pub(super) max: u32,
    pub(super) tolerance: f64,
    pub(super) queue_size: Option<u32>,
    pub(super) smoothing: f64,
    pub(super) long_window: u32,
    pub(super) window: Option<u32>,
    pub(super) probe_interval: u32,
}

impl Gradient2 {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            min: 1,
            max: 1_000,
            tolerance: 1.02,
            queue_size: None,
            smoothing: 0.2,
            long_window: 600,
            window: None,
            probe_interval: 100,
        }
    }

    /// The limit is never lower. Default: 1. Valid: 1 to `max`, in calls.
    ///
    /// Smaller protects a dependency in deep trouble; larger keeps some traffic whatever the round trips say.
    #[must_use]
    pub const fn min(mut self, calls: u32) -> Self {
        self.min = calls;
        self
    }

    /// The limit is never higher. Default: 1,000. Valid: `min` to 500,000, in calls.
    ///
    /// Smaller bounds the harm of a limit that has learned wrongly; larger lets it find more.
    #[must_use]
    pub const fn max(mut self, calls: u32) -> Self {
        self.max = calls;
        self
    }

    /// Multiple of the long round trip that does not count as a queue. Default: 1.02. Valid: 1 to 10.
    ///
    /// Smaller takes round trips that vary for a queue; larger lets the dependency slow down that far. Where the work
    /// of calls varies as an exponential does, 1.1 keeps the limit from sinking below the knee. The published 1.5 lets
    /// it settle well above.
    #[must_use]
    pub const fn tolerance(mut self, times: f64) -> Self {
        self.tolerance = times;
        self
    }

    /// Calls that may queue, and so what a step can grow by. Default: a fifteenth of the limit, at least 1, from 225 on
    /// the square root. Valid: 1 to 500,000.
    ///
    /// Smaller keeps queues shorter; larger grows faster.
    #[must_use]
    pub const fn queue_size(mut self, calls: u32) -> Self {
        self.queue_size = Some(calls);
        self
    }

    /// The share of each step that is taken. Default: 0.2. Valid: above 0, at most 1.
    ///
    /// Smaller follows more slowly and more calmly.
    #[must_use]
    pub const fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// Steps over which the long round trip is a mean. Default: 600. Valid: 1 to 500,000.
    ///
    /// Smaller gets used to a slower dependency sooner, and to an overload as well.
    #[must_use]
    pub const fn long_window(mut self, steps: u32) -> Self {
        self.long_window = steps;
        self
    }

    /// Calls that [`observe`](super::Limiter::observe) gathers for one step. Default: a round trip's worth, and more
    /// until their mean shows the queue ([the module](super#rounds)). Valid: 1 to 500,000.
    ///
    /// Smaller follows sooner and takes a call that is slow by nature for a queue; larger distinguishes the two.
    #[must_use]
    pub const fn window(mut self, calls: u32) -> Self {
        self.window = Some(calls);
        self
    }

    /// Round trips, of `limit` calls each, after which the long round trip is learned anew. Default: 100. Valid: 0
    /// (never, as published) to 500,000. See [the module](super#probes).
    ///
    /// Smaller drifts less under an overload that lasts, and costs more: half of the limit for about two round trips
    /// each time.
    #[must_use]
    pub const fn probe_interval(mut self, round_trips: u32) -> Self {
        self.probe_interval = round_trips;
        self
    }
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self::new()
    }
}

/// State of the gradient.
#[derive(Clone, Debug)]
pub(super) struct Slope {
    pub(super) limit: f64,
    long: f64,
    rounds: u32,
}

impl Slope {
    pub(super) fn new(limit: f64) -> Self {
        Self { limit, long: 0.0, rounds: 0 }
    }

    /// The long round trip in nanoseconds; 0: not known yet.
    pub(super) fn long(&self) -> f64 {
        self.long
    }

    /// A round trip without load: what the long mean goes on from.
    pub(super) fn learn(&mut self, nanos: f64) {
        self.long = nanos;
        self.rounds = WARM_UP;
    }

    pub(super) fn step(&mut self, settings: &Gradient2, round: &Round) {
        let limit = self.limit;
        let gradient = match round.nanos {
            Some(nanos) if !round.is_dropped => self.gradient(settings, nanos, round),
            _ => return self.go(settings, limit / 2.0),
        };
        if round.is_busy(limit) {
            let queue = settings.queue_size.map_or_else(|| (limit / 15.0).min(limit.sqrt()).max(1.0), f64::from);
            self.go(settings, limit * gradient + queue);
        }
    }

    fn gradient(&mut self, settings: &Gradient2, nanos: f64, round: &Round) -> f64 {
        if round.calls > 1 && nanos < self.long - 3.0 * round.error {
            self.long = nanos; // the mean of many calls is lower by more than chance: the dependency is faster
        } else if self.rounds < WARM_UP {
            self.rounds += 1;
            self.long += (nanos - self.long) / f64::from(self.rounds);
        } else {
            self.long += (nanos - self.long) * 2.0 / (f64::from(settings.long_window) + 1.0);
        }
        let ratio = if nanos > 0.0 { self.long / nanos } else { 1.0 };
        if ratio > 2.0 {
            self.long *= 0.9; // an overload is over: its round trips are forgotten sooner than they came
        }
        (settings.tolerance * ratio).clamp(0.5, 1.0)
    }

    fn go(&mut self, settings: &Gradient2, to: f64) {
        let next = (1.0 - settings.smoothing) * self.limit + settings.smoothing * to;
        self.limit = next.clamp(f64::from(settings.min), f64::from(settings.max));
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are chosen so that nothing is rounded")]
mod tests {
    use super::*;

    fn round(millis: f64, in_flight: u32) -> Round {
        Round { nanos: Some(millis * 1e6), error: 0.0, in_flight, is_dropped: false, calls: 1, answered: 1 }
    }

    fn plain() -> Gradient2 {
        Gradient2::new().tolerance(1.0).queue_size(4).smoothing(1.0)
    }

    /// The limit 100 after one step, where a call took 10 ms for a long time.
    fn step(settings: &Gradient2, round: &Round) -> f64 {
        let mut slope = Slope::new(100.0);
        slope.learn(10e6);
        slope.step(settings, round);
        slope.limit
    }

    #[test]
    fn the_limit_shrinks_as_calls_get_slower_at_most_to_half() {
        let settings = plain().long_window(1_000_000);
        for (millis, limit) in [(9.0, 104.0), (10.0, 104.0), (12.5, 84.0), (20.0, 54.0), (500.0, 54.0)] {
            let after = step(&settings, &round(millis, 100));
            assert!((after - limit).abs() < 0.01, "{millis} ms: {after}");
        }
    }

    #[test]
    fn a_tolerated_slowness_is_none() {
        let settings = plain().long_window(1_000_000).tolerance(1.25);
        assert!((step(&settings, &round(12.4, 100)) - 104.0).abs() < 0.01);
        assert!((step(&settings, &round(25.0, 100)) - 54.0).abs() < 0.01);
    }

    #[test]
    fn growth_stops_at_the_maximum() {
        assert_eq!(step(&plain().max(103), &round(10.0, 100)), 103.0);
    }

    #[test]
    fn an_idle_service_does_not_grow_its_limit() {
        assert_eq!(step(&plain(), &round(10.0, 49)), 100.0);
        assert_eq!(step(&plain(), &round(10.0, 50)), 104.0);
    }

    #[test]
    fn a_drop_halves_smoothed_and_teaches_nothing() {
        let mut slope = Slope::new(100.0);
        slope.learn(10e6);
        slope.step(&Gradient2::new(), &Round { is_dropped: true, ..round(1.0, 0) });
        assert_eq!((slope.limit, slope.long()), (90.0, 10e6));
    }

    #[test]
    fn the_long_round_trip_is_a_plain_mean_first_and_forgets_an_overload_quickly() {
        let mut slope = Slope::new(100.0);
        slope.step(&plain(), &round(10.0, 0));
        slope.step(&plain(), &round(20.0, 0));
        assert_eq!(slope.long(), 15e6);
        slope.learn(30e6);
        slope.step(&plain(), &round(10.0, 0));
        assert!(slope.long() < 27e6, "{}", slope.long());
    }

    #[test]
    fn many_calls_that_are_faster_by_more_than_chance_are_believed_at_once() {
        let many = |error| Round { calls: 50, answered: 50, error, ..round(10.0, 0) };
        let mut slope = Slope::new(100.0);
        slope.learn(13e6);
        slope.step(&plain(), &many(1.1e6));
        assert!(slope.long() > 12e6);
        slope.step(&plain(), &many(0.5e6));
        assert_eq!(slope.long(), 10e6);
    }
}
