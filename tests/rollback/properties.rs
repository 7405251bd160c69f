//! Properties of every judge, with any data.
#![cfg(feature = "simulation")]

use backstop::rollback::simulation::{Generator, Shared, Traffic, World};
use backstop::rollback::{Arm, Buckets, Decision, Judge, Policy, Segment, Tick};
use proptest::prelude::*;

fn judge() -> Judge {
    Judge::new(Policy::default())
}

fn arm(requests: Option<f64>, errors: Option<f64>) -> Arm {
    let mut segment = Segment::default();
    segment.requests = requests;
    segment.server_errors = errors;
    segment.active_seconds = requests.map(|requests| requests.min(4.0));
    segment.error_seconds = errors.map(|errors| errors.min(4.0));
    let mut arm = Arm::default();
    arm.segments.insert("default".to_owned(), segment);
    arm
}

fn with_latency(mut arm: Arm, count: f64) -> Arm {
    if let Some(segment) = arm.segments.get_mut("default") {
        segment.latency.success = Some(Buckets { le: vec![0.1, 0.5, 1.0], counts: vec![count; 4] });
    }
    arm
}

/// Numbers that are no counts, and the largest and smallest that are.
fn odd() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-1.0),
        Just(0.0),
        Just(-0.0),
        Just(f64::MIN_POSITIVE),
        Just(1e12),
        Just(1e300),
        Just(f64::MAX),
        0.0..1e12,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_data_never_promotes(
        ticks in proptest::collection::vec((0.1..90.0_f64, any::<bool>(), any::<bool>(), any::<bool>()), 1..60),
    ) {
        let mut judge = judge();
        let mut at = 0.0;
        for (gap, has_segment, is_zero, has_baseline) in ticks {
            at += gap;
            let empty = || if has_segment { arm(is_zero.then_some(0.0), None) } else { Arm::default() };
            // A baseline with traffic says nothing of the canary.
            let baseline = has_baseline.then(|| arm(Some(1000.0), Some(1.0)));
            let verdict = judge.observe(Tick::new(at, empty(), baseline).unwrap());
            prop_assert_ne!(verdict.decision, Decision::Continue, "{}", verdict.sentence);
            prop_assert_ne!(verdict.decision, Decision::Rollback, "{}", verdict.sentence);
        }
    }

    #[test]
    fn odd_numbers_never_panic(
        ticks in proptest::collection::vec((odd(), [odd(), odd(), odd(), odd(), odd(), odd()]), 1..30),
    ) {
        let mut judge = judge();
        for (at, [own, own_errors, other, other_errors, fast, slow]) in ticks {
            let canary = with_latency(arm(Some(own), Some(own_errors)), fast);
            let baseline = with_latency(arm(Some(other), Some(other_errors)), slow);
            if let Ok(tick) = Tick::new(at, canary, Some(baseline)) {
                let verdict = judge.observe(tick);
                prop_assert!(verdict.log_e.is_finite(), "{verdict:?}");
                prop_assert!(!verdict.sentence.contains("NaN"), "{}", verdict.sentence);
            }
        }
    }

    #[test]
    fn equal_rates_of_any_size_are_not_blamed(
        own in 0.0..12.0_f64, other in 0.0..12.0_f64, rate in 0.0..1.0_f64, ticks in 2_u32..60,
    ) {
        let (own, other) = (10_f64.powf(own).round(), 10_f64.powf(other).round());
        let mut judge = judge();
        for at in 1..=ticks {
            // To the nearest whole error: below that, arms cannot be equal.
            let rate = (rate * own.min(other)).round() / own.min(other);
            let arms = [own, other].map(|requests| arm(Some(requests), Some((rate * requests).round())));
            let [canary, baseline] = arms;
            let decision = judge.decide(Tick::new(at.into(), canary, Some(baseline)).unwrap());
            prop_assert!(matches!(decision, Decision::Continue | Decision::Collecting), "{decision:?} at {at}");
        }
    }

    #[test]
    fn the_decision_alone_is_that_of_the_verdict(seed in any::<u64>(), times in 1.0..30.0_f64) {
        let fault = backstop::rollback::simulation::Fault {
            errors: Some(backstop::rollback::simulation::Errors::Times(times)),
            ..Default::default()
        };
        let world = World { fault, length: 90.0, ..World::default() };
        let (mut one, mut other) = (judge(), judge());
        for observed in Generator::new(&world, seed) {
            let tick = Tick::from(observed);
            prop_assert_eq!(one.decide(tick.clone()), other.observe(tick).decision);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_shared_outage_never_blames_the_canary(
        seed in any::<u64>(), times in 10.0..900.0_f64, canary in 1_u32..20, baseline in 1_u32..40,
    ) {
        let traffic = |instances: u32| Traffic { requests_per_second: 25.0 * f64::from(instances), instances };
        let world = World {
            canary: traffic(canary),
            baseline: traffic(baseline),
            shared: Shared::Outage { from: 30.0, times },
            length: 120.0,
            ..World::default()
        };
        let mut judge = judge();
        for observed in Generator::new(&world, seed).skip(29) {
            let verdict = judge.observe(observed.into());
            let is_fine = matches!(verdict.decision, Decision::Continue | Decision::Collecting);
            prop_assert!(is_fine, "{:?}: {}", verdict.decision, verdict.sentence);
        }
    }
}

#[test]
fn arms_that_are_the_same_in_every_field_are_told() {
    let mut judge = judge();
    let same = || with_latency(arm(Some(100.0), Some(1.0)), 25.0);
    let warned: Vec<_> = (1..=12)
        .map(|at| !judge.observe(Tick::new(at.into(), same(), Some(same())).unwrap()).warnings.is_empty())
        .collect();
    assert_eq!(warned.iter().position(|warned| *warned), Some(9), "after ten ticks");
}
