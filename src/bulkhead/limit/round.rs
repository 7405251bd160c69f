//! Input of one step of an algorithm: a call, or several calls gathered.

use super::sample::Sample;

/// A call, or as many as make one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Round {
    /// The round trip, or the mean of several; `None` when calls were gathered and every one was dropped.
    pub(super) nanos: Option<f64>,
    /// The standard error of that mean; 0 for a single call, which is taken as it is.
    pub(super) error: f64,
    pub(super) in_flight: u32,
    pub(super) is_dropped: bool,
    pub(super) calls: u64,
    pub(super) answered: u64,
}

impl Round {
    /// Returns whether enough of the limit was used to say anything about it.
    pub(super) fn is_busy(&self, limit: f64) -> bool {
        f64::from(self.in_flight) * 2.0 >= limit
    }
}

impl From<Sample> for Round {
    fn from(sample: Sample) -> Self {
        let Sample { round_trip, in_flight, is_dropped } = sample;
        let answered = u64::from(!is_dropped);
        Self { nanos: Some(round_trip.as_nanos() as f64), error: 0.0, in_flight, is_dropped, calls: 1, answered }
    }
}

/// Number of calls that completes a round.
#[derive(Clone, Copy, Debug)]
pub(super) enum Enough {
    /// After so many.
    Calls(u32),
    /// Once the queue is known, but for an error of so many calls, at a limit and a no-load round trip in nanoseconds
    /// (`None` while that is what is sought).
    Queue { calls: f64, limit: u32, no_load: Option<f64> },
}

/// The fewest calls of a round, as published for windows of samples.
pub(super) const CALLS_MIN: u32 = 10;

/// The longest round, in round trips of a full bulkhead.
const ROUND_TRIPS_MAX: u64 = 30;

/// The longest round in calls, if that is more: a low limit has time.
const CALLS_MAX: u64 = 1_000;

/// The error of a round trip that does not matter, as a share of it; with a low limit it is many calls' worth.
const MEAN_ERROR: f64 = 0.04;

/// The error of the queue that does not matter, as a share of the queue: a long one needs no precision.
const QUEUE_ERROR: f64 = 0.125;

/// Calls that become one round: the mean of their round trips, the most in flight, and whether any was dropped.
///
/// A dropped call's round trip counts for nothing: an error comes back faster than an answer, and a timeout says
/// only that there was none.
#[derive(Clone, Debug, Default)]
pub(super) struct Gathered {
    calls: u64,
    answered: u64,
    mean: f64,
    /// The sum of squared distances from the mean (Welford 1962): no cancellation, however alike the calls are.
    squares: f64,
    in_flight: u32,
    is_dropped: bool,
}

impl Gathered {
    /// Adds a call; the round, once there is enough.
    pub(super) fn add(&mut self, call: &Round, enough: Enough) -> Option<Round> {
        self.calls = self.calls.saturating_add(call.calls);
        self.in_flight = self.in_flight.max(call.in_flight);
        self.is_dropped |= call.is_dropped;
        if let (Some(nanos), false) = (call.nanos, call.is_dropped) {
            self.answered = self.answered.saturating_add(1);
            let distance = nanos - self.mean;
            self.mean += distance / self.answered as f64;
            self.squares += distance * (nanos - self.mean);
        }
        if !self.is_enough(enough) {
            return None;
        }
        let error = self.error();
        let Self { calls, answered, mean, in_flight, is_dropped, .. } = std::mem::take(self);
        // A round that a drop has cut short is not precise enough to learn from.
        let is_known = answered > 0 && !(is_dropped && matches!(enough, Enough::Queue { no_load: Some(_), .. }));
        Some(Round { nanos: is_known.then_some(mean), error, in_flight, is_dropped, calls, answered })
    }

    fn is_enough(&self, enough: Enough) -> bool {
        let Enough::Queue { calls, limit, no_load } = enough else {
            return matches!(enough, Enough::Calls(calls) if self.calls >= u64::from(calls));
        };
        let round_trip = u64::from(limit.max(CALLS_MIN));
        let most = round_trip.saturating_mul(ROUND_TRIPS_MAX).max(CALLS_MAX);
        let error = self.mean * (calls / f64::from(limit)).min(MEAN_ERROR);
        // Only a queue may end a round sooner: a mean that is low by chance must not.
        let queue = no_load.map_or(0.0, |no_load| self.mean - no_load);
        let is_dropped = self.is_dropped && no_load.is_some();
        self.calls >= round_trip && (is_dropped || self.calls >= most || self.error() <= error.max(queue * QUEUE_ERROR))
    }

    /// The standard error of the mean.
    fn error(&self) -> f64 {
        let answered = self.answered.max(1) as f64;
        (self.squares / answered / answered).sqrt()
    }
}

/// `log10`, rounded down, at least 1.
pub(super) fn log10(limit: u32) -> u32 {
    limit.checked_ilog10().unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn call(millis: u64, in_flight: u32) -> Sample {
        Sample::new(Duration::from_millis(millis), in_flight)
    }

    #[test]
    fn a_round_is_the_mean_of_the_answers_and_the_most_in_flight() {
        let mut gathered = Gathered::default();
        assert!(gathered.add(&call(10, 3).into(), Enough::Calls(3)).is_none());
        assert!(gathered.add(&call(1, 9).dropped().into(), Enough::Calls(3)).is_none());
        let round = gathered.add(&call(30, 5).into(), Enough::Calls(3)).unwrap();
        assert_eq!((round.nanos, round.in_flight, round.is_dropped, round.calls), (Some(20e6), 9, true, 3));
        assert_eq!((gathered.calls, gathered.in_flight), (0, 0));
    }

    #[test]
    fn drops_alone_say_nothing_about_round_trips() {
        let round = Gathered::default().add(&call(1, 1).dropped().into(), Enough::Calls(1)).unwrap();
        assert_eq!((round.nanos, round.is_dropped), (None, true));
    }

    /// The calls of a round in which every other one takes `spread` more or less than 10 ms.
    fn calls_needed(spread: u64, enough: Enough) -> u64 {
        let mut gathered = Gathered::default();
        let calls = (0_u64..).map(|i| call(if i % 2 == 0 { 10 - spread } else { 10 + spread }, 50));
        calls.map(Round::from).find_map(|call| gathered.add(&call, enough)).unwrap().calls
    }

    #[test]
    fn a_round_grows_until_its_mean_says_something() {
        let enough = |calls, limit| Enough::Queue { calls, limit, no_load: Some(10e6) };
        assert_eq!(calls_needed(0, enough(1.0, 50)), 50, "alike: one round trip");
        assert_eq!(calls_needed(0, enough(1.0, 1)), 10, "ten calls at least");
        assert_eq!(calls_needed(5, enough(1.0, 50)), 626, "0.5 / sqrt(n) is a fiftieth");
        assert_eq!(calls_needed(5, enough(3.0, 30)), 158, "0.5 / sqrt(n) is 4 %, however low the limit");
        assert_eq!(calls_needed(9, enough(0.1, 50)), 1_500, "30 round trips are the end");
        assert_eq!(calls_needed(9, enough(0.1, 5)), 1_000, "1,000 calls with a low limit");
    }

    #[test]
    fn a_long_queue_needs_no_precision() {
        assert_eq!(calls_needed(5, Enough::Queue { calls: 1.0, limit: 50, no_load: Some(2e6) }), 50);
        let low_by_chance = Enough::Queue { calls: 1.0, limit: 50, no_load: Some(90e6) };
        assert_eq!(calls_needed(5, low_by_chance), 626);
    }

    #[test]
    fn a_drop_ends_a_round_early_and_teaches_nothing_but_not_while_the_no_load_round_trip_is_sought() {
        for (no_load, calls, nanos) in [(Some(10e6), 20, None), (None, 158, Some(10e6))] {
            let mut gathered = Gathered::default();
            let enough = Enough::Queue { calls: 1.0, limit: 20, no_load };
            gathered.add(&call(1, 20).dropped().into(), enough);
            let rest = (1_u64..).map(|i| Round::from(call(if i % 2 == 0 { 5 } else { 15 }, 20)));
            let round = rest.into_iter().find_map(|call| gathered.add(&call, enough)).unwrap();
            assert_eq!((round.calls, round.is_dropped), (calls, true), "{no_load:?}");
            assert_eq!(round.nanos.map(|nanos| (nanos / 1e6).round() * 1e6), nanos);
        }
    }
}
