//! TCP Vegas: the queue at the dependency, reckoned from how much longer a call takes than without load.

use super::learned::{Learned, whole};
use super::round::{Round, log10};
use crate::config::{defaults, setters};

/// How far [`Vegas`] lowers the limit in one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Decrease {
    /// By `log10(limit)`, at least 1 call.
    #[default]
    Log10,
    /// To half.
    Half,
}

defaults! {
    /// Keeps a few calls queued at the dependency: more calls below `alpha`, fewer above `beta`.
    ///
    /// ```text
    /// queue = limit * (1 - no-load round trip / round trip)
    ///
    /// queue <= log10(limit)   limit + beta            no queue: find the knee quickly
    /// queue <  alpha          limit + log10(limit)
    /// alpha to beta           stays
    /// queue >  beta           limit - log10(limit)    or half of it; so does a drop
    /// ```
    ///
    /// It settles `alpha` to `beta` calls above the knee. Where the knee is lower than some 20 calls the defaults are
    /// a large part of it: `alpha(1).beta(1)` comes closer, and takes longer.
    ///
    /// | setting | default | valid |
    /// |---|---|---|
    /// | `min`, `max` | 1, 1,000 calls | 1 to 500,000, `min` at most `max` |
    /// | `alpha` | `3 * log10(limit)` | 1 to `beta` |
    /// | `beta` | `6 * log10(limit)` | `alpha` to 500,000 |
    /// | `decrease` | by `log10(limit)` | |
    /// | `smoothing` | 1 (none) | above 0, at most 1 |
    /// | `window` | as many calls as show the queue | 1 to 500,000 calls |
    /// | `probe_interval` | 100 round trips | 0 (never) to 500,000 |
    ///
    /// `log10` is rounded down and at least 1. Source: Brakmo and Peterson, "TCP Vegas" (1995); `VegasLimit` of
    /// Netflix' concurrency-limits for the steps and their defaults.
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::bulkhead::limit::{Limiter, Sample, Vegas};
    /// use std::time::Duration;
    ///
    /// let mut limiter = Limiter::new(Vegas::new(), 20)?;
    /// let millis = Duration::from_millis;
    /// limiter.sample(Sample::new(millis(10), 20)); // the no-load round trip
    /// assert_eq!(limiter.sample(Sample::new(millis(10), 20)), 26);
    /// assert_eq!(limiter.sample(Sample::new(millis(20), 26)), 25);
    /// # Ok::<(), backstop::ConfigError>(())
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct Vegas {
        pub(super) min: u32 = 1,
        pub(super) max: u32 = 1_000,
        pub(super) alpha: Option<u32> = None,
        pub(super) beta: Option<u32> = None,
        pub(super) decrease: Decrease = Decrease::Log10,
        pub(super) smoothing: f64 = 1.0,
        pub(super) window: Option<u32> = None,
        pub(super) probe_interval: u32 = 100,
    }

    /// The defaults.
    pub const new
}

setters! { const Vegas:
    /// Below this many queued calls the limit grows. Default: `3 * log10(limit)`. Valid: 1 to `beta`.
    ///
    /// Smaller keeps queues shorter; larger keeps the dependency busy though arrivals are uneven.
    pub fn alpha(calls: u32) = Some(calls);

    /// Above this many queued calls the limit shrinks. Default: `6 * log10(limit)`. Valid: `alpha` to 500,000.
    ///
    /// It is also the step of the fast growth without a queue. Smaller keeps queues shorter and finds a distant knee
    /// later; larger forgives round trips that vary.
    pub fn beta(calls: u32) = Some(calls);

    /// Decrease in one step. Default: by `log10(limit)`.
    ///
    /// Half gets out of an overload at once and wastes capacity each time.
    pub fn decrease(decrease: Decrease);

    /// The share of each step that is taken. Default: 1. Valid: above 0, at most 1.
    ///
    /// Smaller follows more slowly and more calmly.
    pub fn smoothing(share: f64);

    /// Calls that [`observe`](super::Limiter::observe) gathers for one step. Default: a round trip's worth, as in the
    /// paper, and more until their mean shows the queue ([the module](super#rounds)). Valid: 1 to 500,000.
    ///
    /// Smaller follows sooner and takes a call that is slow by nature for a queue; larger distinguishes the two.
    pub fn window(calls: u32) = Some(calls);

    /// Round trips, of `limit` calls each, after which the no-load round trip is learned anew. Default: 100. Valid:
    /// 0 (never) to 500,000. See [the module](super#probes).
    ///
    /// Smaller follows a dependency that became slower sooner, and costs more: half of the limit for about two round
    /// trips each time.
    pub fn probe_interval(round_trips: u32);
}

impl Vegas {
    pub(super) fn alpha_at(&self, limit: u32) -> u32 {
        self.alpha.unwrap_or_else(|| 3 * log10(limit))
    }

    fn decreased(&self, limit: f64) -> f64 {
        match self.decrease {
            Decrease::Log10 => limit - f64::from(log10(whole(limit))),
            Decrease::Half => limit / 2.0,
        }
    }

    pub(super) fn step(&self, learned: &mut Learned, round: &Round) {
        let Some(nanos) = round.nanos else { return self.go(learned, self.decreased(learned.limit)) };
        // Of many means that are alike one is the least; a mean must be lower by more than chance to be news.
        if learned.no_load == 0.0 || nanos < learned.no_load - 3.0 * round.error {
            learned.no_load = nanos;
            return;
        }
        let limit = learned.limit;
        if round.is_dropped {
            return self.go(learned, self.decreased(limit));
        }
        if !round.is_busy(limit) {
            return;
        }
        // A whole number of calls that only rounding lifted over its edge stays that number.
        let queue = (limit * (1.0 - learned.no_load / nanos) - 1e-9).ceil();
        let few = log10(whole(limit));
        let alpha = f64::from(self.alpha_at(whole(limit)));
        let beta = f64::from(self.beta.unwrap_or(6 * few));
        let few = f64::from(few);
        if queue <= few {
            self.go(learned, limit + beta);
        } else if queue < alpha {
            self.go(learned, limit + few);
        } else if queue > beta {
            self.go(learned, self.decreased(limit));
        }
    }

    fn go(&self, learned: &mut Learned, to: f64) {
        let to = to.clamp(f64::from(self.min), f64::from(self.max));
        learned.limit = (1.0 - self.smoothing) * learned.limit + self.smoothing * to;
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the numbers are chosen so that nothing is rounded")]
mod tests {
    use super::*;

    fn step(settings: &Vegas, limit: f64, millis: f64, in_flight: u32) -> f64 {
        let mut queue = Learned { limit, no_load: 10e6, rounds: 0 };
        settings.step(
            &mut queue,
            &Round { nanos: Some(millis * 1e6), error: 0.0, in_flight, is_dropped: false, calls: 1, answered: 1 },
        );
        queue.limit
    }

    #[test]
    fn a_longer_queue_turns_growth_into_decrease() {
        let millis_of_queue = |queue: f64| 10.0 / (1.0 - queue / 100.0);
        let after: Vec<_> = [0.0, 2.0, 3.0, 5.0, 6.0, 12.0, 13.0]
            .map(|queue| step(&Vegas::new(), 100.0, millis_of_queue(queue), 100))
            .into();
        assert_eq!(after, [112.0, 112.0, 102.0, 102.0, 100.0, 100.0, 98.0]);
    }

    #[test]
    fn growth_stops_at_the_maximum() {
        assert_eq!(step(&Vegas::new().max(103), 100.0, 10.0, 100), 103.0);
    }

    #[test]
    fn an_idle_service_does_not_grow_its_limit() {
        assert_eq!(step(&Vegas::new(), 100.0, 10.0, 49), 100.0);
        assert_eq!(step(&Vegas::new(), 100.0, 10.0, 50), 112.0);
    }

    #[test]
    fn smoothing_takes_a_share_of_the_step() {
        assert_eq!(step(&Vegas::new().smoothing(0.25), 100.0, 10.0, 100), 103.0);
        assert_eq!(step(&Vegas::new().decrease(Decrease::Half).smoothing(0.5), 100.0, 99.0, 100), 75.0);
    }

    #[test]
    fn drops_never_go_below_the_minimum_even_when_nothing_is_answered() {
        let mut queue = Learned::new(20.0);
        for _ in 0..30 {
            Vegas::new().min(5).step(
                &mut queue,
                &Round { nanos: None, error: 0.0, in_flight: 1, is_dropped: true, calls: 1, answered: 1 },
            );
        }
        assert_eq!((queue.limit, queue.no_load), (5.0, 0.0));
    }

    #[test]
    fn a_mean_that_is_lower_by_chance_is_no_news() {
        let mut queue = Learned { limit: 100.0, no_load: 10e6, rounds: 0 };
        let round =
            Round { nanos: Some(9.8e6), error: 0.1e6, in_flight: 100, is_dropped: false, calls: 99, answered: 99 };
        Vegas::new().step(&mut queue, &round);
        assert_eq!((queue.limit, queue.no_load), (112.0, 10e6), "as if there were no queue");
        Vegas::new().step(&mut queue, &Round { error: 0.05e6, ..round });
        assert_eq!((queue.limit, queue.no_load), (112.0, 9.8e6));
    }
}
