//! False alarms and delays of the default policy, from simulation. A sample: the example `false_alarms` is the whole.
//!
//! `BACKSTOP_FALSE_ALARM_RUNS` sets the number of rollouts a regime.
#![cfg(feature = "simulation")]

#[path = "../../examples/false_alarms/regimes.rs"]
mod regimes;

use backstop::rollback::Policy;
use backstop::rollback::simulation::{Run, World, over_seeds, quantile, run};
use regimes::{Goal, Regime};

/// Seeds that no parameter was tuned on.
const SEEDS: u64 = 1_000_000;
/// A clean rollout in a test: half as long as in the example. The shared outage is in it.
const LENGTH: f64 = 900.0;
/// Regimes that take most of the time.
const SLOW: [&str; 3] = ["20 segments", "the same at 2,000 requests a second", "1,000 instances"];

fn runs(usual: u64) -> u64 {
    std::env::var("BACKSTOP_FALSE_ALARM_RUNS").map_or(usual, |runs| runs.parse().unwrap())
}

fn simulate(world: &World, runs: u64) -> Vec<Run> {
    let policy = Policy::default();
    over_seeds(SEEDS..SEEDS + runs, |seed| run(world, &policy, seed))
}

fn false_rollbacks(regimes: impl Iterator<Item = Regime>, runs: u64) -> (u64, u64) {
    let (mut hits, mut of) = (0, 0);
    for Regime { name, world, goal } in regimes.filter(|regime| regime.goal != Goal::None) {
        let world = World { length: LENGTH.min(world.length), ..world };
        let found = simulate(&world, runs).iter().filter(|run| run.rolled_back.is_some()).count() as u64;
        println!("{name}: {found} of {runs} rolled back");
        let Goal::FalseRollbacks { most, .. } = goal else { panic!("{name} is not clean") };
        // Three standard deviations above the goal.
        let expected = most * runs as f64;
        assert!(found as f64 <= 1.0 + expected + 3.0 * expected.sqrt(), "{name}: {found} of {runs} rolled back");
        hits += found;
        of += runs;
    }
    (hits, of)
}

#[test]
fn clean_rollouts_are_not_rolled_back() {
    let runs = runs(24);
    let regimes = regimes::clean().into_iter().filter(|regime| !SLOW.contains(&regime.name));
    let (hits, of) = false_rollbacks(regimes, runs);
    assert!(hits as f64 <= 0.01 * of as f64 + 3.0, "{hits} of {of} rolled back");
}

#[test]
fn clean_rollouts_are_not_rolled_back_at_other_ticks_and_traffic() {
    let runs = runs(12);
    let regimes = regimes::variations().into_iter().filter(|regime| !SLOW.contains(&regime.name));
    let (hits, of) = false_rollbacks(regimes, runs);
    assert!(hits as f64 <= 0.01 * of as f64 + 3.0, "{hits} of {of} rolled back");
}

#[test]
fn faults_are_found_in_time() {
    let runs = runs(40);
    for Regime { name, world, goal } in regimes::faults() {
        let Goal::Seconds { median: goal, failed } = goal else { continue };
        // A late fault comes after as much clean time as it needs, not after a quarter of an hour of it.
        let from = world.fault.from.min(120.0);
        let world =
            World { fault: backstop::rollback::simulation::Fault { from, ..world.fault }, length: 600.0, ..world };
        let found = simulate(&world, runs);
        let delays: Vec<_> =
            found.iter().map(|run| run.stopped().map_or(f64::INFINITY, |at| at - world.fault.from)).collect();
        let median = quantile(&delays, 0.5);
        println!("{name}: found after {median} s, goal {goal} s");
        // The median of a few rollouts is known to about a third.
        assert!(median <= 1.35 * goal + 1.0, "{name}: found after {median} s, goal {goal} s");
        let lost = quantile(&found.iter().map(|run| run.failed).collect::<Vec<_>>(), 0.5);
        assert!(lost <= 1.35 * failed, "{name}: {lost} requests failed, goal {failed}");
    }
}

#[test]
fn a_seed_is_always_the_same_rollout() {
    let world = regimes::clean().remove(0).world;
    let first = |seed| backstop::rollback::simulation::Generator::new(&world, seed).nth(10);
    assert_eq!(first(1), first(1));
    assert_ne!(first(1), first(2));
}
