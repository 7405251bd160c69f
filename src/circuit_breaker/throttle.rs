//! Adaptive throttling: reject a share of the calls instead of all of them.
//!
//! The client-side throttling of Google's Site Reliability Engineering book, chapter 21: over a window,
//! reject with probability `max(0, (requests - K * accepts) / (requests + 1))`. Requests are counted when they end, or
//! when they are rejected here, so that the rejected share settles at what the dependency does not accept. A
//! call in flight is no refusal: counted at its start, the first burst of a healthy service would reject itself.
//!
//! Callers that leave say nothing while the dependency answers others. Those that left since its last answer count as
//! refused: it may hang.

use crate::clock::{Instant, nanos};
use crate::config::{defaults, setters};
use std::collections::VecDeque;
use std::time::Duration;

/// Buckets of the throttle's window.
const BUCKETS: u64 = 10;

defaults! {
    /// Settings of adaptive throttling, an alternative to tripping: the circuit never opens by itself.
    ///
    /// | setting | default | valid |
    /// |---|---|---|
    /// | `accepts_multiplier` (K) | 2 | 1 to 1,000 |
    /// | `window` | 2 min | 10 ms to 1 day |
    /// | `minimum_requests` in the window | 10 | 0 to 1,000,000 |
    /// | `minimum_requests_per_second` (floor) | 0 (off) | 0 to 1,000,000,000 |
    /// | `maximum_rejection_rate` | 0.9 | above 0, at most 1 |
    /// | `aggression` | 1 | 0.1 to 10 |
    ///
    /// # Examples
    ///
    /// ```
    /// use backstop::circuit_breaker::Throttle;
    ///
    /// let throttle = Throttle::new();
    /// assert_eq!(throttle.rejection_probability(100, 50), 0.0);
    /// assert!(throttle.rejection_probability(100, 10) > 0.79);
    /// ```
    #[derive(Clone, Debug, PartialEq)]
    #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default, deny_unknown_fields))]
    pub struct Throttle {
        pub(crate) accepts_multiplier: f64 = 2.0,
        #[cfg_attr(feature = "serde", serde(with = "humantime_serde"))]
        pub(crate) window: Duration = Duration::from_secs(120),
        pub(crate) minimum_requests: u32 = 10,
        pub(crate) minimum_requests_per_second: f64 = 0.0,
        pub(crate) maximum_rejection_rate: f64 = 0.9,
        pub(crate) aggression: f64 = 1.0,
    }

    /// The defaults.
    pub const new
}

setters! { const Throttle:
    /// K: how many requests are let through for each one accepted. Smaller rejects sooner; larger sends more
    /// that will fail, and sees recovery sooner.
    pub fn accepts_multiplier(k: f64);

    /// The stretch of time that counts. Smaller forgets sooner.
    pub fn window(window: Duration);

    /// Requests needed in the window before anything is rejected.
    pub fn minimum_requests(requests: u32);

    /// Below this many requests a second, on average over the window, nothing is rejected.
    pub fn minimum_requests_per_second(rate: f64);

    /// The largest share that is rejected: the rest goes on probing the dependency.
    pub fn maximum_rejection_rate(rate: f64);

    /// The probability is raised to the power `1 / aggression`: above 1 rejects more of a slightly failing
    /// dependency's calls.
    pub fn aggression(aggression: f64);
}

impl Throttle {
    /// The probability with which the next request is rejected, after `requests` attempts of which `accepts`
    /// were accepted. The rate floor is not part of it.
    pub fn rejection_probability(&self, requests: u64, accepts: u64) -> f64 {
        if requests < u64::from(self.minimum_requests) {
            return 0.0;
        }
        let (requests, accepts) = (requests as f64, accepts as f64);
        let excess = (requests - self.accepts_multiplier * accepts).max(0.0) / (requests + 1.0);
        excess.powf(1.0 / self.aggression).min(self.maximum_rejection_rate)
    }
}

/// Counts of the throttle in its window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    ring: VecDeque<Bucket>,
    sum: Bucket,
}

#[derive(Clone, Debug, Default)]
struct Bucket {
    number: u64,
    /// Calls that were answered, and those rejected here.
    requests: u64,
    accepts: u64,
    /// Calls abandoned since the last answer.
    unanswered: u64,
}

impl Traffic {
    /// Returns whether to reject a call; `random` is a number in [0, 1).
    pub(crate) fn is_rejected(&mut self, settings: &Throttle, now: Instant, random: f64) -> bool {
        self.bucket(settings, now);
        let requests = self.sum.requests + self.sum.unanswered;
        let rate = requests as f64 / settings.window.as_secs_f64();
        let probability = settings.rejection_probability(requests, self.sum.accepts);
        rate >= settings.minimum_requests_per_second && random < probability
    }

    /// Counts a call that was rejected here.
    pub(crate) fn reject(&mut self, settings: &Throttle, now: Instant) {
        self.bucket(settings, now).requests += 1;
        self.sum.requests += 1;
    }

    /// Counts a call that was answered.
    pub(crate) fn answer(&mut self, settings: &Throttle, now: Instant, is_accepted: bool) {
        if self.sum.unanswered > 0 {
            self.ring.iter_mut().for_each(|bucket| bucket.unanswered = 0);
            self.sum.unanswered = 0;
        }
        let accepts = u64::from(is_accepted);
        let bucket = self.bucket(settings, now);
        (bucket.requests, bucket.accepts) = (bucket.requests + 1, bucket.accepts + accepts);
        (self.sum.requests, self.sum.accepts) = (self.sum.requests + 1, self.sum.accepts + accepts);
    }

    /// Counts a call that its caller abandoned.
    pub(crate) fn abandon(&mut self, settings: &Throttle, now: Instant) {
        self.bucket(settings, now).unanswered += 1;
        self.sum.unanswered += 1;
    }

    /// The bucket of now, without those that are too old.
    fn bucket(&mut self, settings: &Throttle, now: Instant) -> &mut Bucket {
        let number = now.as_nanos() / (nanos(settings.window) / BUCKETS).max(1);
        let is_old = |bucket: &Bucket| number.saturating_sub(bucket.number) >= BUCKETS;
        while self.ring.front().is_some_and(is_old)
            && let Some(old) = self.ring.pop_front()
        {
            self.sum.requests -= old.requests;
            self.sum.accepts -= old.accepts;
            self.sum.unanswered -= old.unanswered;
        }
        if self.ring.back().is_none_or(|last| last.number < number) {
            self.ring.push_back(Bucket { number, ..Bucket::default() });
        }
        self.ring.back_mut().expect("pushed if there was none")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn rejects_nothing_while_half_is_accepted_and_most_when_nothing_is() {
        let throttle = Throttle::new().maximum_rejection_rate(1.0);
        assert!(throttle.rejection_probability(100, 50).abs() < f64::EPSILON);
        assert!((throttle.rejection_probability(100, 40) - 20.0 / 101.0).abs() < 1e-12);
        assert!((throttle.rejection_probability(100, 0) - 100.0 / 101.0).abs() < 1e-12);
        assert!(throttle.rejection_probability(9, 0).abs() < f64::EPSILON, "below the minimum");
    }

    #[test]
    fn a_failing_dependency_still_gets_the_share_that_the_cap_leaves() {
        let throttle = Throttle::new().window(Duration::from_secs(10));
        let mut traffic = Traffic::default();
        let mut rng = fastrand::Rng::with_seed(7);
        let mut call = |i| {
            let is_rejected = traffic.is_rejected(&throttle, at(i), rng.f64());
            if is_rejected {
                traffic.reject(&throttle, at(i));
            } else {
                traffic.answer(&throttle, at(i), false);
            }
            !is_rejected
        };
        let admitted = (0..10_000).filter(|i| call(*i)).count();
        assert!((900..1_150).contains(&admitted), "about a tenth: {admitted}");
    }

    #[test]
    fn old_traffic_is_forgotten_and_the_floor_admits_all() {
        let throttle = Throttle::new().window(Duration::from_secs(1)).minimum_requests_per_second(50.0);
        let mut traffic = Traffic::default();
        for i in 0..50 {
            assert!(!traffic.is_rejected(&throttle, at(i), 0.0), "below 50 in the second");
            traffic.answer(&throttle, at(i), false);
        }
        assert!(traffic.is_rejected(&throttle, at(51), 0.0));
        assert!(!traffic.is_rejected(&throttle, at(5_000), 0.0));
        assert_eq!((traffic.sum.requests, traffic.ring.len()), (0, 1));
    }
}
