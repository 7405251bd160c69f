//! Regimes: worlds with the goal of the default policy in each.

use backstop::rollback::simulation::{Bursts, Errors, Fault, Latencies, Segments, Shared, Traffic, World};

/// A world, and the goal in it.
#[derive(Clone, Debug)]
pub(crate) struct Regime {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    pub(crate) goal: Goal,
}

/// Goals. A median up to 1.1 times its goal counts as met.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Goal {
    /// Most false rollbacks, and the most that the upper bound of their share may be.
    FalseRollbacks { most: f64, bound: f64 },
    /// Most seconds from the fault to the verdict, at the median, and most requests that fail until then.
    Seconds { median: f64, failed: f64 },
    /// The figures are only reported.
    None,
}

const CLEAN: Goal = Goal::FalseRollbacks { most: 0.01, bound: 0.01 };

fn within(median: f64) -> Goal {
    Goal::Seconds { median, failed: f64::INFINITY }
}

fn traffic(requests_per_second: f64, instances: u32) -> Traffic {
    Traffic { requests_per_second, instances }
}

fn world() -> World {
    World::default()
}

fn with_latencies() -> World {
    World { latencies: Some(Latencies::default()), ..world() }
}

/// Fewer instances, as each one has seconds of 20 segments.
fn twenty() -> World {
    World { canary: traffic(100.0, 2), baseline: traffic(1900.0, 38), segments: Segments::Twenty, ..world() }
}

/// Both arms with 2,000 requests a second.
fn even() -> World {
    World { canary: traffic(2000.0, 40), baseline: traffic(2000.0, 40), ..world() }
}

/// Clean rollouts, in which every rollback is a false alarm.
pub(crate) fn clean() -> Vec<Regime> {
    let of = |name, world| Regime { name, world, goal: CLEAN };
    let latencies = |latencies| World { latencies: Some(latencies), ..world() };
    vec![
        of("independent errors", world()),
        of("bursts of 5", World { bursts: Bursts::Geometric(5.0), ..world() }),
        of("bursts with a heavy tail", World { bursts: Bursts::HeavyTailed, ..world() }),
        // One of the canary's four instances fails 30 % for 8 s: 7 % of the canary, which two seconds should find.
        Regime { goal: Goal::None, ..of("bursts of 8 s", World { bursts: Bursts::Lasting(8), ..world() }) },
        of("errors grow tenfold", World { shared: Shared::Ramp(10.0), ..world() }),
        of("shared outage", World { shared: OUTAGE, ..world() }),
        of("shared outage, uneven instances", World { shared: OUTAGE, is_uneven: true, ..world() }),
        of("uneven instances", World { is_uneven: true, ..world() }),
        of("instances come and go", World { is_changing: true, ..world() }),
        of("5 % of all requests fail", World { error_rate: 0.05, ..world() }),
        of("20 % fail, bursts of 50", World { error_rate: 0.2, bursts: Bursts::Geometric(50.0), ..world() }),
        of("4 % fail, uneven instances", World { error_rate: 0.04, is_uneven: true, ..world() }),
        of(
            "canary 45 times the baseline",
            World { canary: traffic(1957.0, 76), baseline: traffic(43.0, 4), ..world() },
        ),
        of("traffic mix shifts", World { segments: Segments::ShiftingMix, ..world() }),
        of("20 segments", twenty()),
        of("latency noise of 5 %", with_latencies()),
        of("the same at 2,000 requests a second", World { latencies: Some(Latencies::default()), ..even() }),
        Regime {
            goal: Goal::FalseRollbacks { most: 0.02, bound: 0.02 },
            ..of(
                "pauses of garbage collection",
                latencies(Latencies { has_pauses: true, noise: 0.0, ..Latencies::default() }),
            )
        },
        Regime {
            goal: Goal::FalseRollbacks { most: 0.02, bound: 0.03 },
            ..of(
                "cold start: 10 times the errors for a minute",
                World {
                    fault: Fault { until: 60.0, errors: Some(Errors::Times(10.0)), ..Fault::default() },
                    ..world()
                },
            )
        },
    ]
}

const OUTAGE: Shared = Shared::Outage { from: 600.0, times: 200.0 };

/// Latencies that are nearly all in one bucket, from 64 to 128 ms.
fn narrow(median: f64) -> Latencies {
    Latencies { median, sigma: 0.03, bounds: Latencies::exponential(2.0, 14), ..Latencies::default() }
}

/// Variations of the traffic and of the ticks.
pub(crate) fn variations() -> Vec<Regime> {
    let of = |name, world| Regime { name, world, goal: CLEAN };
    let bursts = Bursts::Geometric(5.0);
    vec![
        of("ticks of 0.5 s", World { tick: 0.5, ..world() }),
        of("ticks of 5 s, bursts of 5", World { tick: 5.0, bursts, ..world() }),
        of("ticks of 15 s", World { tick: 15.0, ..world() }),
        of("ticks of 15 s, bursts of 5", World { tick: 15.0, bursts, ..world() }),
        of("a tenth of the ticks missed", World { missed: 0.1, bursts, ..world() }),
        of("counters reset each minute", World { lost: 1.0 / 60.0, ..world() }),
        of("no error-seconds", World { has_seconds: false, ..world() }),
        of("no error-seconds, bursts of 5", World { has_seconds: false, bursts, ..world() }),
        of(
            "1 request a second and instance",
            World { canary: traffic(4.0, 4), baseline: traffic(76.0, 76), ..world() },
        ),
        of("10,000, and one instance an arm", World { canary: traffic(1e4, 1), baseline: traffic(1e4, 1), ..world() }),
        of("1,000 instances", World { canary: traffic(5e3, 50), baseline: traffic(95e3, 950), ..world() }),
        of("0.01 % fail", World { error_rate: 1e-4, ..world() }),
        of("30 % fail", World { error_rate: 0.3, ..world() }),
        of(
            "10 coarse buckets",
            World {
                latencies: Some(Latencies { bounds: Latencies::exponential(2.5, 10), ..Latencies::default() }),
                ..world()
            },
        ),
        of("latencies in one bucket, near its bound", World { latencies: Some(narrow(0.12)), ..world() }),
    ]
}

/// Faults of the canary.
pub(crate) fn faults() -> Vec<Regime> {
    let errors = |name, errors, from, goal| Regime {
        name,
        goal,
        world: World { fault: Fault { errors: Some(errors), from, ..Fault::default() }, ..world() },
    };
    let slow = |name, fault, goal| Regime { name, goal, world: World { fault, ..with_latencies() } };
    let half = Fault { errors: Some(Errors::Times(1.5)), ..Fault::default() };
    let one = Fault { errors: Some(Errors::Rate(0.02)), segment: Some(3), ..Fault::default() };
    let failed = Goal::Seconds { median: 85.0, failed: 27.0 };
    vec![
        errors("10 % fail", Errors::Rate(0.1), 0.0, within(2.0)),
        errors("2 % fail", Errors::Rate(0.02), 0.0, within(15.0)),
        errors("2 % fail, from minute 2", Errors::Rate(0.02), 120.0, within(8.0)),
        errors("3 times the errors", Errors::Times(3.0), 0.0, failed),
        errors("3 times the errors, from minute 15", Errors::Times(3.0), 900.0, within(85.0)),
        Regime {
            name: "1.5 times 5 %, 2,000 requests a second",
            world: World { fault: half, error_rate: 0.05, ..even() },
            goal: within(35.0),
        },
        Regime { name: "one of 20 segments: 2 % fail", world: World { fault: one, ..twenty() }, goal: Goal::None },
        slow("latency x 1.25", Fault { slower: 1.25, ..Fault::default() }, within(45.0)),
        slow("latency x 1.5", Fault { slower: 1.5, ..Fault::default() }, within(12.0)),
        slow("latency x 1.5, from minute 15", Fault { slower: 1.5, from: 900.0, ..Fault::default() }, Goal::None),
        slow("2 % take 300 ms longer", Fault { slow_share: 0.02, added: 0.3, ..Fault::default() }, within(20.0)),
        Regime {
            name: "latencies in one bucket: 2 % take 300 ms longer",
            world: World {
                latencies: Some(narrow(0.09)),
                fault: Fault { slow_share: 0.02, added: 0.3, ..Fault::default() },
                ..world()
            },
            goal: within(20.0),
        },
        slow("0.5 % take 1 s longer", Fault { slow_share: 0.005, added: 1.0, ..Fault::default() }, Goal::None),
    ]
}
