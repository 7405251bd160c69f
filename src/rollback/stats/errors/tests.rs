use super::*;
use crate::rollback::stats::mixture::{COMPONENTS, Mixture, ratios};

const NONE: Increments = [0.0; COMPONENTS];

fn counts(errors: f64, requests: f64, seconds: (f64, f64)) -> Counts {
    Counts { errors, requests, seconds: Some(Seconds { error: seconds.0, active: seconds.1 }) }
}

fn evidence(canary: &Counts, baseline: &Counts) -> Increments {
    let mut out = NONE;
    ErrorModel::new().compare(canary, baseline, 1.0, &ratios(180.0), &mut out);
    out
}

/// ln C(n, k).
fn choose(n: f64, k: f64) -> f64 {
    statrs::function::gamma::ln_gamma(n + 1.0)
        - statrs::function::gamma::ln_gamma(k + 1.0)
        - statrs::function::gamma::ln_gamma(n - k + 1.0)
}

#[test]
fn error_seconds_follow_the_hypergeometric_distribution() {
    for (own, other, errors, others) in [(4.0_f64, 76.0, 2.0, 1.0), (40.0, 40.0, 30.0, 10.0), (3.0, 2.0, 0.0, 2.0)] {
        let total: f64 = errors + others;
        let support = || (0..=100).map(f64::from).filter(|k| *k <= own.min(total) && total - k <= other);
        let weight = |k: f64, odds: f64| (choose(own, k) + choose(other, total - k) + k * odds.ln()).exp();
        for odds in [0.3, 1.0, 2.5, 100.0] {
            let all: f64 = support().map(|k| weight(k, odds)).sum();
            let exact = weight(errors, odds) / all;
            let got = 1.0 / Hypergeometric::new((own, other), (errors, others)).weight(odds);
            assert!((got / exact - 1.0).abs() < 1e-9, "{own} {other} {errors} {others} {odds}: {got} {exact}");
        }
    }
}

#[test]
fn saturated_or_empty_seconds_are_no_evidence() {
    let is_none = |evidence: Increments| evidence.iter().all(|value| value.abs() < f64::MIN_POSITIVE);
    assert!(is_none(evidence(&counts(0.0, 100.0, (0.0, 4.0)), &counts(0.0, 1900.0, (0.0, 76.0)))));
    assert!(is_none(evidence(&counts(0.0, 0.0, (0.0, 0.0)), &counts(9.0, 1900.0, (9.0, 76.0)))));
    // Every second of both arms has an error: error-seconds say nothing, and the errors are alike.
    let both = evidence(&counts(50.0, 100.0, (4.0, 4.0)), &counts(950.0, 1900.0, (76.0, 76.0)));
    assert!(both.iter().all(|value| value.is_finite() && *value <= 0.0), "{both:?}");
}

#[test]
fn more_errors_are_more_evidence_and_none_are_less() {
    let of = |errors: f64| evidence(&counts(errors, 100.0, (errors, 4.0)), &counts(2.0, 1900.0, (2.0, 76.0)))[4];
    assert!(of(0.0) < 0.0 && of(1.0) > of(0.0) && of(3.0) > of(1.0), "{} {} {}", of(0.0), of(1.0), of(3.0));
}

#[test]
fn a_canary_of_busier_instances_has_more_error_seconds_and_is_not_worse() {
    // 30 requests a second and instance against 3, at the same rate of 1 %.
    let canary = counts(30.0, 3_000.0, (26.0, 100.0));
    let baseline = counts(30.0, 3_000.0, (30.0, 1_000.0));
    assert!(evidence(&canary, &baseline).iter().all(|value| *value < 0.5));
}

#[test]
fn the_rate_behind_error_seconds_is_found() {
    for rate in [1e-6, 1e-3, 0.03] {
        let (active, load) = ((4.0, 76.0), (25.0, 5.0));
        let got = solve(expected_seconds(rate, active, load), active, load);
        assert!((got / rate - 1.0).abs() < 1e-6, "{got} {rate}");
    }
}

#[test]
fn errors_that_come_together_are_held_to_the_limit_as_those_that_do_not() {
    // 3 % of 100 requests, all in one of four instances, or one in each of three.
    let seconds = |error: f64| {
        let canary = Counts { errors: 3.0, requests: 100.0, seconds: Some(Seconds { error, active: 4.0 }) };
        let (mut model, ratios) = (ErrorModel::new(), ratios(5.0));
        let mut evidence = Mixture::new(1.0);
        let is_over = |_: &u32| {
            let mut out = NONE;
            model.alone(&canary, 0.01, &ratios, &mut out);
            model.learn(&canary, None, 1.0);
            evidence.step(&out, 1.0);
            evidence.value() > 66.0
        };
        (1..60).find(is_over)
    };
    assert!(seconds(3.0).is_some_and(|at| at <= 5), "{:?}", seconds(3.0));
    assert!(seconds(1.0).is_some_and(|at| at <= 20), "{:?}", seconds(1.0));
}

#[test]
fn extreme_counts_stay_finite() {
    for value in [0.0, 1.0, 1e12, 1e18] {
        for other in [0.0_f64, 1.0, 1e12, 1e18] {
            for seconds in [None, Some(Seconds { error: value, active: value })] {
                let canary = Counts { errors: value, requests: value, seconds };
                let baseline = Counts { errors: other.min(1.0), requests: other, seconds };
                let mut model = ErrorModel::new();
                let mut out = NONE;
                for _ in 0..3 {
                    model.compare(&canary, &baseline, 1.0, &ratios(180.0), &mut out);
                    model.alone(&canary, 0.01, &ratios(25.0), &mut out);
                    model.learn(&canary, Some(&baseline), 1.0);
                }
                assert!(out.iter().all(|value| !value.is_nan()), "{value} {other} {seconds:?}: {out:?}");
            }
        }
    }
}

#[test]
fn the_arm_with_less_traffic_is_as_dispersed_as_the_other_one_until_it_shows_otherwise() {
    let (mut random, mut bursts) = (fastrand::Rng::with_seed(1), Dispersion::default());
    for _ in 0..2_000 {
        let events = (0..100).filter(|_| random.f64() < 0.01).count() as f64;
        bursts.learn(events * 5.0, 100.0);
    }
    let unknown = Dispersion::default();
    for (share, arms) in [(0.05, [&unknown, &bursts]), (0.95, [&bursts, &unknown])] {
        let mean = mean_dispersion(arms[0], arms[1], share, 2.0);
        assert!((4.0..6.0).contains(&mean), "{share}: {mean}");
    }
}
