//! The gradient of round trips: how the last compares with those of a long time.

use super::learned::{Learned, WARM_UP};
use super::round::Round;
use crate::config::{defaults, setters};

defaults! {
    /// Multiplies the limit by how much faster calls have been, and adds a few for a queue.
    ///
    /// ```text
    /// gradient = tolerance * long round trip / round trip, from 0.5 to 1
    /// limit    = (1 - smoothing) * limit + smoothing * (gradient * limit + queue_size)
    /// ```
    ///
    /// The long round trip is an exponential mean. Under an overload that lasts it would take the queue for normal and
    /// let the limit drift up; so it is learned anew from time to time, with half of the limit
    /// ([`probe_interval`](Self::probe_interval)), and a round of calls that were faster by more than chance is
    /// believed at once. A drop counts as the gradient 0.5.
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
        pub(super) min: u32 = 1,
        pub(super) max: u32 = 1_000,
        pub(super) tolerance: f64 = 1.02,
        pub(super) queue_size: Option<u32> = None,
        pub(super) smoothing: f64 = 0.2,
        pub(super) long_window: u32 = 600,
        pub(super) window: Option<u32> = None,
        pub(super) probe_interval: u32 = 100,
    }

    /// The defaults.
    pub const new
}

setters! { const Gradient2:
    /// Multiple of the long round trip that does not count as a queue. Default: 1.02. Valid: 1 to 10.
    ///
    /// Smaller takes round trips that vary for a queue; larger lets the dependency slow down that far. Where the work
    /// of calls varies as an exponential does, 1.1 keeps the limit from sinking below the knee. The published 1.5 lets
    /// it settle well above.
    pub fn tolerance(times: f64);

    /// Calls that may queue, and so what a step can grow by. Default: a fifteenth of the limit, at least 1, from 225 on
    /// the square root. Valid: 1 to 500,000.
    ///
    /// Smaller keeps queues shorter; larger grows faster.
    pub fn queue_size(calls: u32) = Some(calls);

    /// The share of each step that is taken. Default: 0.2. Valid: above 0, at most 1.
    ///
    /// Smaller follows more slowly and more calmly.
    pub fn smoothing(share: f64);

    /// Steps over which the long round trip is a mean. Default: 600. Valid: 1 to 500,000.
    ///
    /// Smaller gets used to a slower dependency sooner, and to an overload as well.
    pub fn long_window(steps: u32);

    /// Calls that [`observe`](super::Limiter::observe) gathers for one step. Default: a round trip's worth, and more
    /// until their mean shows the queue ([the module](super#rounds)). Valid: 1 to 500,000.
    ///
    /// Smaller follows sooner and takes a call that is slow by nature for a queue; larger distinguishes the two.
    pub fn window(calls: u32) = Some(calls);

    /// Round trips, of `limit` calls each, after which the long round trip is learned anew. Default: 100. Valid: 0
    /// (never, as published) to 500,000. See [the module](super#probes).
    ///
    /// Smaller drifts less under an overload that lasts, and costs more: half of the limit for about two round trips
    /// each time.
    pub fn probe_interval(round_trips: u32);
}

impl Gradient2 {
    pub(super) fn step(&self, learned: &mut Learned, round: &Round) {
        let limit = learned.limit;
        let gradient = match round.nanos {
            Some(nanos) if !round.is_dropped => self.gradient(learned, nanos, round),
            _ => return self.go(learned, limit / 2.0),
        };
        if round.is_busy(limit) {
            let queue = self.queue_size.map_or_else(|| (limit / 15.0).min(limit.sqrt()).max(1.0), f64::from);
            self.go(learned, limit * gradient + queue);
        }
    }

    fn gradient(&self, learned: &mut Learned, nanos: f64, round: &Round) -> f64 {
        if round.calls > 1 && nanos < learned.no_load - 3.0 * round.error {
            learned.no_load = nanos; // the mean of many calls is lower by more than chance: the dependency is faster
        } else if learned.rounds < WARM_UP {
            learned.rounds += 1;
            learned.no_load += (nanos - learned.no_load) / f64::from(learned.rounds);
        } else {
            learned.no_load += (nanos - learned.no_load) * 2.0 / (f64::from(self.long_window) + 1.0);
        }
        let ratio = if nanos > 0.0 { learned.no_load / nanos } else { 1.0 };
        if ratio > 2.0 {
            learned.no_load *= 0.9; // an overload is over: its round trips are forgotten sooner than they came
        }
        (self.tolerance * ratio).clamp(0.5, 1.0)
    }

    fn go(&self, learned: &mut Learned, to: f64) {
        let next = (1.0 - self.smoothing) * learned.limit + self.smoothing * to;
        learned.limit = next.clamp(f64::from(self.min), f64::from(self.max));
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

    /// The limit 100 after one step, if a call took 10 ms for a long time.
    fn step(settings: &Gradient2, round: &Round) -> f64 {
        let mut learned = Learned::new(100.0);
        learned.learn(10e6);
        settings.step(&mut learned, round);
        learned.limit
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
        let mut learned = Learned::new(100.0);
        learned.learn(10e6);
        Gradient2::new().step(&mut learned, &Round { is_dropped: true, ..round(1.0, 0) });
        assert_eq!((learned.limit, learned.no_load), (90.0, 10e6));
    }

    #[test]
    fn the_long_round_trip_is_a_plain_mean_first_and_forgets_an_overload_quickly() {
        let mut learned = Learned::new(100.0);
        plain().step(&mut learned, &round(10.0, 0));
        plain().step(&mut learned, &round(20.0, 0));
        assert_eq!(learned.no_load, 15e6);
        learned.learn(30e6);
        plain().step(&mut learned, &round(10.0, 0));
        assert!(learned.no_load < 27e6, "{}", learned.no_load);
    }

    #[test]
    fn many_calls_that_are_faster_by_more_than_chance_are_believed_at_once() {
        let many = |error| Round { calls: 50, answered: 50, error, ..round(10.0, 0) };
        let mut learned = Learned::new(100.0);
        learned.learn(13e6);
        plain().step(&mut learned, &many(1.1e6));
        assert!(learned.no_load > 12e6);
        plain().step(&mut learned, &many(0.5e6));
        assert_eq!(learned.no_load, 10e6);
    }
}
