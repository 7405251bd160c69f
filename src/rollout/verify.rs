//! Recovery: whether the previous version does again what it did before the rollout.

use super::soak::Finding;
use super::stages::Ready;
use crate::rollback::plan::Recovery;
use crate::rollback::{Arm, Buckets};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// Looks that count as now: fewer are noise, more would hide a relapse.
const NOW: usize = 10;
/// Error rate that counts as none: a single failure among a thousand requests is no outage.
const LEAST_ERRORS: f64 = 0.001;

/// Requests of one version.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Health {
    pub(crate) requests: f64,
    pub(crate) errors: f64,
    latency: Option<Buckets>,
}

impl Health {
    pub(crate) fn of(arm: &Arm) -> Self {
        let mut health = Self::default();
        for segment in arm.segments.values() {
            health.requests += segment.requests.unwrap_or(0.0);
            health.errors += segment.server_errors.unwrap_or(0.0);
            health.add_latency(segment.latency.success.as_ref());
        }
        health
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.add_latency(other.latency.as_ref());
    }

    /// Histograms with other bounds are of another time: only the newer one counts.
    fn add_latency(&mut self, other: Option<&Buckets>) {
        let Some(other) = other else { return };
        match &mut self.latency {
            Some(own) if own.le == other.le && own.counts.len() == other.counts.len() => {
                for (count, more) in own.counts.iter_mut().zip(&other.counts) {
                    *count += more;
                }
            }
            own => *own = Some(other.clone()),
        }
    }

    pub(crate) fn error_rate(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }

    /// Upper bound of the bucket with the 99th percentile; infinite if it is above all of them.
    pub(crate) fn p99(&self) -> Option<f64> {
        let buckets = self.latency.as_ref()?;
        let all: f64 = buckets.counts.iter().sum();
        let mut below = 0.0;
        let place = buckets.counts.iter().position(|count| {
            below += count;
            below >= 0.99 * all
        });
        (all > 0.0).then(|| place.and_then(|place| buckets.le.get(place).copied()).unwrap_or(f64::INFINITY))
    }
}

/// The last looks at a version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now(VecDeque<Health>);

impl Now {
    pub(crate) fn push(&mut self, health: Health) {
        self.0.push_back(health);
        if self.0.len() > NOW {
            self.0.pop_front();
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Compares with the time before the rollout.
    pub(crate) fn recovery(&self, plan: &Recovery, before: &Health, stable: Option<Ready>) -> Finding {
        let mut now = Health::default();
        self.0.iter().for_each(|health| now.add(health));
        let mut missing = Vec::new();
        if let Some(Ready { ready, total }) = stable.filter(|stable| !stable.is_whole()) {
            missing.push(format!("readiness: {ready} of {total} instances are ready"));
        }
        if before.requests <= 0.0 {
            missing.push("data: nothing was measured before the rollout, so a person has to look".to_owned());
        } else if now.requests <= 0.0 {
            missing.push("data: no requests are measured".to_owned());
        } else {
            let (found, allowed) = (now.error_rate(), before.error_rate().max(LEAST_ERRORS) * plan.errors);
            if found > allowed {
                let (found, allowed) = (found * 100.0, allowed * 100.0);
                missing.push(format!("errors: {found:.2} % of the requests fail, above {allowed:.2} %"));
            }
            missing.extend(slower(plan, now.p99(), before.p99()));
        }
        if missing.is_empty() { Finding::Good } else { Finding::Waiting(missing.join("; ")) }
    }
}

/// Beyond the last bound is worse than any bound.
fn slower(plan: &Recovery, now: Option<f64>, before: Option<f64>) -> Option<String> {
    let (now, before) = now.zip(before).filter(|(now, before)| *now > before * plan.p99)?;
    let found = if now.is_finite() { format!("{now} s") } else { "beyond the last bound".to_owned() };
    Some(format!("latency: p99 is {found}, above {} times {before} s", plan.p99))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollback::Segment;
    use std::time::Duration;

    fn health(requests: f64, errors: f64, slow: f64) -> Health {
        let mut segment = Segment::default();
        (segment.requests, segment.server_errors) = (Some(requests), Some(errors));
        segment.latency.success = Some(Buckets { le: vec![0.1, 0.5], counts: vec![requests - slow, slow, 0.0] });
        let mut arm = Arm::default();
        arm.segments.insert("default".to_owned(), segment);
        Health::of(&arm)
    }

    /// With every request above the last bound.
    fn beyond(requests: f64) -> Health {
        let latency = Buckets { le: vec![0.1, 0.5], counts: vec![0.0, 0.0, requests] };
        Health { requests, errors: 0.0, latency: Some(latency) }
    }

    fn plan() -> Recovery {
        Recovery { metric: String::new(), errors: 1.5, p99: 1.25, lasts: Duration::from_secs(60) }
    }

    #[test]
    fn errors_latency_and_readiness_have_to_be_back() {
        let before = health(1_000.0, 10.0, 0.0);
        for (now, ready, is_good) in [
            (health(1_000.0, 15.0, 0.0), 4, true),
            (health(1_000.0, 16.0, 0.0), 4, false),
            (health(1_000.0, 10.0, 11.0), 4, false),
            (health(1_000.0, 10.0, 9.0), 4, true),
            (beyond(1_000.0), 4, false),
            (health(1_000.0, 10.0, 0.0), 3, false),
            (health(0.0, 0.0, 0.0), 4, false),
        ] {
            let mut looks = Now::default();
            looks.push(now.clone());
            let found = looks.recovery(&plan(), &before, Some(Ready { ready, total: 4 }));
            assert_eq!(found == Finding::Good, is_good, "{now:?} {ready}: {found:?}");
        }
    }

    #[test]
    fn beyond_the_last_bound_is_worse_than_the_last_bound() {
        let recovery = |now, before| {
            let mut looks = Now::default();
            looks.push(now);
            looks.recovery(&plan(), &before, None)
        };
        let Finding::Waiting(why) = recovery(beyond(100.0), health(100.0, 0.0, 100.0)) else { panic!() };
        assert_eq!(why, "latency: p99 is beyond the last bound, above 1.25 times 0.5 s");
        assert_eq!(recovery(beyond(100.0), beyond(100.0)), Finding::Good, "as before");
        assert_eq!(recovery(health(100.0, 0.0, 100.0), beyond(100.0)), Finding::Good);
    }

    #[test]
    fn everything_that_is_missing_is_named() {
        let mut looks = Now::default();
        looks.push(health(1_000.0, 16.0, 11.0));
        let stable = Some(Ready { ready: 3, total: 4 });
        let Finding::Waiting(why) = looks.recovery(&plan(), &health(1_000.0, 10.0, 0.0), stable) else { panic!() };
        assert_eq!(
            why,
            "readiness: 3 of 4 instances are ready; errors: 1.60 % of the requests fail, above 1.50 %; latency: p99 is 0.5 s, \
             above 1.25 times 0.1 s"
        );
    }

    #[test]
    fn nothing_is_good_that_was_not_measured_before() {
        let mut looks = Now::default();
        looks.push(health(1_000.0, 0.0, 0.0));
        assert!(matches!(looks.recovery(&plan(), &Health::default(), None), Finding::Waiting(_)));
    }
}
