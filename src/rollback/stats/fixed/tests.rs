//! Agreement with `SciPy`, and defined results where there is little to compare or very much.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

/// Made by `tests/vectors/fixed_horizon.py`.
const VECTORS: &str = include_str!("../../../../tests/vectors/fixed_horizon.jsonl");

fn look(test: &Test<'_>) -> Result<Comparison, LookError> {
    FixedHorizon::new(0).look(test)
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn counts(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

fn proportion(value: &Value) -> Proportion {
    let counts = counts(value);
    Proportion::new(counts[0], counts[1]).unwrap()
}

fn moments(value: &Value) -> Moments {
    let numbers = numbers(value);
    Moments::new(value[0].as_u64().unwrap(), numbers[1], numbers[2]).unwrap()
}

fn of_line(line: &Value) -> Comparison {
    let (canary, baseline) = (&line["canary"], &line["baseline"]);
    let seen = match line["test"].as_str().unwrap() {
        "proportions" => {
            let yates = line["yates"].as_bool().unwrap();
            look(&Test::Proportions { canary: proportion(canary), baseline: proportion(baseline), yates })
        }
        "means" => look(&Test::Means { canary: moments(canary), baseline: moments(baseline) }),
        "means_of" => {
            let [canary, baseline] = [canary, baseline].map(|arm| Moments::of(&numbers(arm)).unwrap());
            look(&Test::Means { canary, baseline })
        }
        "ranks" => look(&Test::Ranks { canary: &numbers(canary), baseline: &numbers(baseline) }),
        "histograms" => look(&Test::Histograms { canary: &counts(canary), baseline: &counts(baseline) }),
        other => panic!("{other}"),
    };
    seen.unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[test]
fn results_are_those_of_scipy() {
    let mut seen = std::collections::BTreeMap::new();
    for line in VECTORS.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let comparison = of_line(&line);
        let p = line["p"].as_f64().unwrap();
        let statistic = line["statistic"].as_f64().unwrap_or(f64::INFINITY);
        assert!((comparison.p - p).abs() <= 1e-9, "{comparison:?}: {line}");
        let is_same = (comparison.statistic.is_infinite() && statistic.is_infinite())
            || (comparison.statistic - statistic).abs() <= 1e-9 * statistic.abs();
        assert!(is_same, "{comparison:?}: {line}");
        *seen.entry(format!("{:?}", comparison.method)).or_insert(0) += 1;
    }
    assert!(seen.len() == 4 && seen.values().all(|count| *count > 60), "{seen:?}");
}

#[test]
fn one_error_of_a_thousand_against_none_of_a_hundred_is_no_evidence() {
    let (canary, baseline) = (Proportion::new(0, 100).unwrap(), Proportion::new(1, 1_000).unwrap());
    let seen = look(&Test::Proportions { canary, baseline, yates: false }).unwrap();
    assert_eq!((seen.method, seen.p), (Method::FisherExact, 1.0));
}

#[test]
fn a_second_look_is_rejected_with_the_reason() {
    let canary = [1.0, 2.0, 3.0];
    let test = Test::Ranks { canary: &canary, baseline: &[4.0, 5.0, 6.0, 7.0] };
    let mut planned = FixedHorizon::new(4);
    assert_eq!(planned.look(&test), Err(LookError::TooEarly { has: 3, needs: 4 }));
    planned = FixedHorizon::new(3);
    let nothing = Test::Ranks { canary: &canary, baseline: &[f64::NAN; 4] };
    assert_eq!(planned.look(&nothing), Err(LookError::NotFinite), "nothing was seen");
    assert!(planned.look(&test).is_ok());
    let error = planned.look(&test).unwrap_err();
    assert_eq!(error, LookError::SecondLook);
    assert!(error.to_string().contains("holds at one look only"), "{error}");
}

#[test]
fn values_that_cannot_be_compared_are_errors() {
    assert_eq!(Proportion::new(2, 1), Err(LookError::MoreThanAll { events: 2, total: 1 }));
    assert_eq!(Proportion::new(0, 0), Err(LookError::TooFew { has: 0, needs: 1 }));
    assert_eq!(Proportion::new(0, u64::MAX), Err(LookError::TooLarge));
    assert_eq!(Moments::of(&[]), Err(LookError::TooFew { has: 0, needs: 2 }));
    assert_eq!(Moments::of(&[1.0]), Err(LookError::TooFew { has: 1, needs: 2 }));
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
        assert_eq!(Moments::of(&[0.0, wrong]), Err(LookError::NotFinite), "{wrong}");
    }
    assert_eq!(Moments::new(2, 0.0, -1.0), Err(LookError::NotFinite));
    let constant = Moments::of(&[1.0, 1.0]).unwrap();
    let other = Moments::of(&[2.0, 2.0]).unwrap();
    assert_eq!(look(&Test::Means { canary: constant, baseline: other }), Err(LookError::Constant));
    assert_eq!(look(&Test::Ranks { canary: &[], baseline: &[1.0] }), Err(LookError::TooFew { has: 0, needs: 1 }));
    let error = look(&Test::Histograms { canary: &[1], baseline: &[1, 2] });
    assert_eq!(error, Err(LookError::Buckets { canary: 1, baseline: 2 }));
    let error = look(&Test::Histograms { canary: &[u64::MAX, 1], baseline: &[1, 1] });
    assert_eq!(error, Err(LookError::TooLarge));
}

#[test]
fn the_effect_has_the_sign_of_canary_minus_baseline() {
    let half = Proportion::new(50, 100).unwrap();
    let tenth = Proportion::new(10, 100).unwrap();
    let seen = look(&Test::Proportions { canary: half, baseline: tenth, yates: true }).unwrap();
    assert!((seen.effect - 0.4).abs() < 1e-12);
    let seen = look(&Test::Ranks { canary: &[1.0, 2.0], baseline: &[3.0, 4.0] }).unwrap();
    assert_eq!((seen.statistic, seen.effect), (0.0, -1.0));
    let slow = Moments::new(10, 3.0, 1.0).unwrap();
    let fast = Moments::new(10, 1.0, 1.0).unwrap();
    assert!((look(&Test::Means { canary: slow, baseline: fast }).unwrap().effect - 2.0).abs() < 1e-12);
}

/// Half of them small, half of them up to the limit.
fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0..50_u64, 0..=1_u64 << 61, Just(1 << 61)]
}

proptest! {
    #[test]
    fn any_counts_give_a_probability(pairs in [(count(), count()), (count(), count())], yates in any::<bool>()) {
        let [canary, baseline] = pairs.map(|(one, other)| Proportion::new(one.min(other), one.max(other).max(1)).unwrap());
        let seen = look(&Test::Proportions { canary, baseline, yates }).unwrap();
        prop_assert!((0.0..=1.0).contains(&seen.p) && !seen.statistic.is_nan(), "{seen:?}");
    }

    #[test]
    fn any_histograms_give_a_probability_or_an_error(
        buckets in proptest::collection::vec((count(), count()), 0..6),
    ) {
        let (canary, baseline): (Vec<_>, Vec<_>) = buckets.into_iter().unzip();
        if let Ok(seen) = look(&Test::Histograms { canary: &canary, baseline: &baseline }) {
            prop_assert!((0.0..=1.0).contains(&seen.p) && seen.effect.abs() <= 1.0, "{seen:?}");
        }
    }

    #[test]
    fn any_numbers_give_a_probability_or_an_error(
        canary in proptest::collection::vec(any::<f64>(), 0..8),
        baseline in proptest::collection::vec(any::<f64>(), 0..8),
    ) {
        for seen in [
            look(&Test::Ranks { canary: &canary, baseline: &baseline }),
            Moments::of(&canary).and_then(|canary| {
                look(&Test::Means { canary, baseline: Moments::of(&baseline)? })
            }),
        ].into_iter().flatten() {
            prop_assert!((0.0..=1.0).contains(&seen.p) && seen.statistic.is_finite(), "{seen:?}");
        }
    }
}
