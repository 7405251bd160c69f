//! Additive increase, multiplicative decrease: the rule of TCP's congestion window.

use super::learned::{Learned, whole};
use super::round::Round;
use crate::config::{defaults, setters};
use std::time::Duration;

defaults! {
    /// One call more while all goes well, a share less when a call is dropped.
    ///
    /// It looks at drops only, so it needs a [`timeout`](Aimd::timeout) a little above the slowest healthy round trip;
    /// with the default it acts on calls that hang, and on those that the classifier calls failures: a bulkhead's
    /// default takes no error for one ([`BulkheadBuilder::adaptive`](crate::bulkhead::BulkheadBuilder::adaptive)).
    ///
    /// | setting | default | valid |
    /// |---|---|---|
    /// | `min`, `max` | 1, 1,000 calls | 1 to 500,000, `min` at most `max` |
    /// | `backoff_ratio` | 0.9 | from 0.5, below 1 |
    /// | `timeout` | 5 s | longer than 0 |
    /// | `window` | as many calls as the limit, at least 10 | 1 to 500,000 calls |
    ///
    /// Source: `AIMDLimit` of Netflix' concurrency-limits, its default `backoff_ratio` and `timeout` among it; the rule
    /// is that of Chiu and Jain (1989).
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::bulkhead::limit::{Aimd, Limiter, Sample};
    /// use std::time::Duration;
    ///
    /// let mut limiter = Limiter::new(Aimd::new().timeout(Duration::from_millis(300)), 30)?;
    /// assert_eq!(limiter.sample(Sample::new(Duration::from_millis(301), 30)), 27);
    /// assert_eq!(limiter.sample(Sample::new(Duration::from_millis(200), 27)), 28);
    /// # Ok::<(), backstop::ConfigError>(())
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[cfg_attr(feature = "serde", derive(serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct Aimd {
        pub(super) min: u32 = 1,
        pub(super) max: u32 = 1_000,
        pub(super) backoff_ratio: f64 = 0.9,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(super) timeout: Duration = Duration::from_secs(5),
        pub(super) window: Option<u32> = None,
    }

    /// The defaults.
    pub const new
}

setters! { const Aimd:
    /// Factor of the limit after a drop. Default: 0.9. Valid: from 0.5, below 1.
    ///
    /// Smaller gets out of an overload sooner and wastes more capacity after each drop.
    pub fn backoff_ratio(ratio: f64);

    /// A round trip that takes longer counts as dropped. Default: 5 s. Valid: longer than 0.
    ///
    /// Smaller keeps queues shorter, down to the slowest healthy call, below which the limit sinks to `min`; larger
    /// lets the dependency slow down that far before anything is done.
    pub fn timeout(timeout: Duration);

    /// Calls that [`observe`](super::Limiter::observe) gathers for one step. Default: as many as the limit, at least
    /// 10: about one round trip, in which a drop is answered once. Valid: 1 to 500,000.
    ///
    /// Smaller answers a burst of drops several times over; larger moves more slowly.
    pub fn window(calls: u32) = Some(calls);
}

impl Aimd {
    /// Whole calls, after a round.
    pub(super) fn step(&self, learned: &mut Learned, round: &Round) {
        let is_late = round.nanos.is_some_and(|nanos| nanos > self.timeout.as_nanos() as f64);
        let next = if round.is_dropped || is_late {
            whole(learned.limit * self.backoff_ratio)
        } else {
            learned.calls() + u32::from(round.is_busy(learned.limit))
        };
        learned.limit = next.clamp(self.min, self.max).into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(aimd: &Aimd, limit: u32, round: &Round) -> u32 {
        let mut learned = Learned::new(limit.into());
        aimd.step(&mut learned, round);
        learned.calls()
    }

    fn round(millis: u32, in_flight: u32) -> Round {
        Round { nanos: Some(f64::from(millis) * 1e6), error: 0.0, in_flight, is_dropped: false, calls: 1, answered: 1 }
    }

    #[test]
    fn growth_stops_at_the_maximum() {
        let aimd = Aimd::new().max(21);
        assert_eq!(step(&aimd, 20, &round(1, 20)), 21);
        assert_eq!(step(&aimd, 21, &round(1, 11)), 21);
    }

    #[test]
    fn an_idle_service_does_not_grow_its_limit() {
        assert_eq!(step(&Aimd::new(), 20, &round(1, 9)), 20);
        assert_eq!(step(&Aimd::new(), 20, &round(1, 10)), 21);
    }

    #[test]
    fn only_a_round_trip_longer_than_the_timeout_is_a_drop() {
        assert_eq!(step(&Aimd::new(), 30, &round(5_000, 30)), 31);
        assert_eq!(step(&Aimd::new(), 30, &round(5_001, 30)), 27);
    }

    #[test]
    fn drops_never_go_below_the_minimum() {
        let dropped = Round { is_dropped: true, ..round(1, 0) };
        assert_eq!(step(&Aimd::new().min(20), 21, &dropped), 20);
        assert_eq!(step(&Aimd::new(), 1, &dropped), 1);
    }
}
