//! Adaptive limits through an outage of the dependency, on a manual clock.

use backstop::bulkhead::limit::{AdaptiveLimit, Aimd, Gradient2, Limiter, Sample, Vegas};
use backstop::bulkhead::{BulkheadBuilder, Permit};
use backstop::clock::{Clock, ManualClock};
use backstop::config::Named;
use backstop::{Bulkhead, Outcome};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

const KNEE: f64 = 50.0;

/// A dependency that serves [`KNEE`] calls at full speed, and more callers than that.
struct World {
    bulkhead: Bulkhead,
    time: ManualClock,
    /// By the microsecond of their end, which is what tells them apart.
    calls: BTreeMap<Reverse<u64>, (Permit, Outcome)>,
    now: u64,
    service_ms: f64,
    /// While it is down: milliseconds of a call, how it ends, and the share of the calls.
    outage: Option<(f64, Outcome, f64)>,
    rng: fastrand::Rng,
}

impl World {
    fn new(adaptive: impl Into<AdaptiveLimit>) -> Self {
        let (clock, time) = Clock::manual();
        let builder: BulkheadBuilder<Named> = Bulkhead::builder("outage").clock(clock).max_concurrent_calls(40);
        let bulkhead = builder.adaptive(adaptive).build().unwrap();
        let rng = fastrand::Rng::with_seed(11);
        Self { bulkhead, time, calls: BTreeMap::new(), now: 0, service_ms: 20.0, outage: None, rng }
    }

    /// Lets time pass; the mean limit of the last tenth.
    fn pass(&mut self, seconds: u64) -> f64 {
        let (ends, mut seen, mut sum) = (self.now + seconds * 1_000_000, 0.0, 0.0);
        while self.now < ends {
            while self.calls.len() < 1_000
                && let Ok(permit) = self.bulkhead.try_acquire()
            {
                self.begin(permit);
            }
            let (Reverse(end), (permit, outcome)) = self.calls.pop_last().expect("a limit is at least 1");
            self.time.advance(Duration::from_micros(end - self.now));
            self.now = end;
            permit.end(outcome);
            if self.now > ends - seconds * 100_000 {
                (seen, sum) = (seen + 1.0, sum + f64::from(self.bulkhead.snapshot().limit));
            }
        }
        sum / seen
    }

    fn begin(&mut self, permit: Permit) {
        let load = ((self.calls.len() + 1) as f64 / KNEE).max(1.0);
        let healthy = (self.service_ms * load, Outcome::Success);
        let (millis, outcome) = match self.outage {
            Some((millis, outcome, share)) if self.rng.f64() < share => (millis, outcome),
            _ => healthy,
        };
        let millis = millis * (0.8 + 0.4 * self.rng.f64());
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "milliseconds")]
        let mut end = self.now + (millis * 1e3) as u64;
        while self.calls.contains_key(&Reverse(end)) {
            end += 1;
        }
        self.calls.insert(Reverse(end), (permit, outcome));
    }
}

fn is_near_the_knee(limit: f64) -> bool {
    (KNEE * 0.8..=KNEE * 1.2).contains(&limit)
}

const OUTAGES: [(f64, Outcome, f64); 5] = [
    (1.0, Outcome::Failure, 1.0),
    (20.0, Outcome::Failure, 1.0),
    (1_000.0, Outcome::Abandoned, 1.0),
    (1.0, Outcome::Failure, 0.99),
    (20.0, Outcome::Failure, 0.5),
];

#[test]
fn a_limit_is_back_at_the_knee_a_minute_after_an_outage_and_stays() {
    let algorithms: [(&str, AdaptiveLimit); 2] =
        [("gradient2", Gradient2::new().into()), ("vegas", Vegas::new().into())];
    let mut wrong = vec![];
    for (which, (name, adaptive)) in algorithms.into_iter().enumerate() {
        for (i, outage) in OUTAGES.into_iter().enumerate() {
            // A debug build is slow: each outage with one of them. `scripts/test_long.sh` plays all.
            if cfg!(debug_assertions) && i % 2 != which {
                continue;
            }
            let mut world = World::new(adaptive.clone());
            let before = world.pass(60);
            world.outage = Some(outage);
            let during = world.pass(30);
            world.outage = None;
            let [soon, late] = [60, 120].map(|seconds| world.pass(seconds));
            world.service_ms = 40.0;
            let slower = world.pass(180);
            println!("{name} {outage:?}: {before:.0}, {during:.0}, then {soon:.0}, {late:.0}, slower {slower:.0}");
            if ![before, soon, late, slower].map(is_near_the_knee).iter().all(|near| *near) {
                wrong.push((name, outage, [before, soon, late, slower]));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_limit_shrinks_through_a_probe_when_every_call_is_dropped() {
    let algorithms: [AdaptiveLimit; 3] = [Gradient2::new().into(), Vegas::new().into(), Aimd::new().into()];
    for adaptive in algorithms {
        let mut limiter = Limiter::new(adaptive.clone(), 200).unwrap();
        let healthy = |limiter: &mut Limiter| {
            let limit = limiter.limit();
            limiter.observe(Sample::new(Duration::from_millis(20), limit));
            limiter.limit() < limit
        };
        // Up to the middle of a probe, where there are probes.
        let _ = (0..200_000).any(|_| healthy(&mut limiter));
        for _ in 0..100_000 {
            let limit = limiter.limit();
            limiter.observe(Sample::new(Duration::from_millis(20), limit).dropped());
        }
        assert_eq!(limiter.limit(), 1, "{adaptive:?}");
    }
}
