//! Known-good values of a service, for a rollout without a live baseline.

use super::judge::Judge;
use super::policy::{Class, Kind, Policy};
use crate::config::{ConfigError, Problems};

/// How much worse than recorded is tolerated.
const TOLERATED: f64 = 2.0;
/// Smallest limit of errors: what was recorded may have been luck. The largest one is a half.
const ERROR_LIMIT_MIN: f64 = 0.001;

/// The error rate and the latency of the stable version, as recorded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recorded {
    error_rate: f64,
    p99: Option<f64>,
}

impl Recorded {
    /// Values of the same hour of the week: a rate of server errors, and a p99 in seconds, if that is known.
    ///
    /// # Errors
    ///
    /// A rate outside 0 to 1, and a p99 that is not a finite number above 0.
    pub fn new(error_rate: f64, p99: impl Into<Option<f64>>) -> Result<Self, ConfigError> {
        let (mut problems, p99) = (Problems::default(), p99.into());
        problems.require((0.0..=1.0).contains(&error_rate), "error_rate", error_rate, "from 0 to 1");
        if let Some(p99) = p99 {
            problems.require(p99.is_finite() && p99 > 0.0, "p99", p99, "a finite number of seconds above 0");
        }
        problems.into_result(Self { error_rate, p99 })
    }

    /// Sets the limits that hold while there is no live baseline.
    fn apply(&self, policy: &mut Policy) {
        for trigger in &mut policy.triggers {
            match &mut trigger.kind {
                Kind::Errors { class: Class::Server, rate } => {
                    rate.without_baseline = Some((TOLERATED * self.error_rate).clamp(ERROR_LIMIT_MIN, 0.5));
                }
                Kind::Latency(latency) => latency.recorded = self.p99.map(|p99| (0.01, TOLERATED * p99)),
                _ => {}
            }
        }
    }
}

impl Judge {
    /// A judge at the beginning of a rollout that may have no live baseline: in its stead, twice the recorded rate of
    /// server errors is tolerated (at least 0.1 %), and 1 % of requests above twice the recorded p99.
    ///
    /// As soon as a tick has a baseline, that one counts.
    pub fn recorded(mut policy: Policy, recorded: &Recorded) -> Self {
        recorded.apply(&mut policy);
        Self::new(policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::tick::{Arm, Buckets, Latency, Segment, Tick};
    use crate::rollback::verdict::Decision;

    /// The last decision after five minutes of 100 requests a second.
    fn decision(recorded: Option<Recorded>, errors: f64, slow: f64) -> Decision {
        let policy = Policy::default();
        let mut judge = match recorded {
            Some(recorded) => Judge::recorded(policy, &recorded),
            None => Judge::new(policy),
        };
        let mut decision = Decision::Collecting;
        for at in 1..=300 {
            let counts = vec![100.0 - slow, 0.0, slow];
            let success = Some(Buckets { le: vec![0.1, 0.3], counts });
            let segment = Segment {
                requests: Some(100.0),
                server_errors: Some(errors),
                latency: Latency { success, failure: None },
                ..Segment::default()
            };
            let canary = Arm { segments: [("default".to_owned(), segment)].into(), ..Arm::default() };
            decision = judge.observe(Tick::new(f64::from(at), canary, None).unwrap()).decision;
        }
        decision
    }

    #[test]
    fn without_a_baseline_twice_the_recorded_rate_is_tolerated() {
        let recorded = |rate| Some(Recorded::new(rate, None).unwrap());
        assert_eq!(decision(recorded(0.02), 3.0, 0.0), Decision::Continue, "3 % with 4 % tolerated");
        assert_eq!(decision(None, 3.0, 0.0), Decision::Rollback, "the policy tolerates 1 %");
        assert_eq!(decision(recorded(0.005), 3.0, 0.0), Decision::Rollback);
    }

    #[test]
    fn without_a_baseline_a_tail_beyond_twice_the_recorded_p99_rolls_back() {
        let recorded = |p99| Some(Recorded::new(0.0, p99).unwrap());
        assert_eq!(decision(None, 0.0, 5.0), Decision::Continue, "nothing to compare with");
        assert_eq!(decision(recorded(0.15), 0.0, 5.0), Decision::Rollback);
        assert_eq!(decision(recorded(0.15), 0.0, 0.0), Decision::Continue);
    }
}
