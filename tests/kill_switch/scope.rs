//! Percentages of a kill switch: the same keys for ever, nested, of the right size, and apart from other switches'.

#![cfg(feature = "kill-switch")]

use backstop::kill_switch::{CompiledScope, Scope, SwitchId, Target};
use serde_json::Value;

const VECTORS: &str = include_str!("percent_vectors.json");

fn rule(switch: &str, percent: f64) -> CompiledScope {
    CompiledScope::new(&SwitchId::new(switch).unwrap(), &Scope::new().percent(percent))
}

fn is_inside(rule: &CompiledScope, key: &str) -> bool {
    let target = Target::new().key(key);
    rule.matches(&target, &mut target.key_hash())
}

#[test]
fn a_key_is_on_the_same_side_in_every_version_and_on_every_machine() {
    let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
    assert!(vectors.len() >= 40);
    for vector in vectors {
        let (key, switch) = (vector["key"].as_str().unwrap(), vector["switch"].as_str().unwrap());
        let is_inside = is_inside(&rule(switch, vector["percent"].as_f64().unwrap()), key);
        assert_eq!(Some(is_inside), vector["inside"].as_bool(), "{vector}");
    }
}

#[test]
fn a_million_keys_are_nested_and_as_many_as_the_percentage_says() {
    const KEYS: u32 = 1_000_000;
    let percents = [0.0001, 0.1, 1.0, 10.0, 50.0, 99.9, 100.0];
    let rules = percents.map(|percent| rule("recommendations", percent));
    let other = rule("search", 10.0);
    let (mut inside, mut both) = ([0_u32; 7], 0_u32);
    let mut key = String::new();
    for number in 0..KEYS {
        use std::fmt::Write;
        key.clear();
        write!(key, "user-{number}").unwrap();
        let target = Target::new().key(&key);
        let mut hash = target.key_hash();
        let is_inside = rules.each_ref().map(|rule| rule.matches(&target, &mut hash));
        assert!(is_inside.is_sorted(), "{key} is inside a share and outside of a larger one");
        inside.iter_mut().zip(is_inside).for_each(|(count, is_inside)| *count += u32::from(is_inside));
        both += u32::from(is_inside[3] && other.matches(&target, &mut hash));
    }
    let assert_near = |count: u32, share: f64| {
        let (expected, sigma) = (f64::from(KEYS) * share, (f64::from(KEYS) * share * (1.0 - share)).sqrt());
        assert!((f64::from(count) - expected).abs() <= 3.0 * sigma, "{count} where {expected} were expected");
    };
    for (count, percent) in inside.into_iter().zip(percents) {
        assert_near(count, percent / 100.0);
    }
    assert_near(both, 0.01); // a tenth of a tenth: the switches know nothing of each other
}
