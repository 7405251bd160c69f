//! Our own rollback verdict: a tick of both arms taken in, and its verdict read.

use std::hint::black_box;

use backstop::rollback::simulation::{Generator, Latencies, World};
use backstop::rollback::{Arm, Decision, Judge, Policy, Tick};

use crate::{Instance, Mechanism, Subject};

/// The rows of the table, in its order. Errors and client errors are two metrics a segment, latency is a third.
pub(super) fn subjects() -> Vec<Subject> {
    let row =
        |name, title, admits| Subject { mechanism: Mechanism::Judge, name, title, admits: Some(admits), rejects: None };
    vec![
        row("ours-judge-1", "backstop, 1 segment, errors", || judging(1, false)),
        row("ours-judge-1-latency", "backstop, 1 segment, errors and latency", || judging(1, true)),
        row("ours-judge-1000", "backstop, 1,000 segments, errors", || judging(1000, false)),
        row("ours-judge-1000-latency", "backstop, 1,000 segments, errors and latency", || judging(1000, true)),
    ]
}

/// A judge in a clean rollout; a call is a tick, which is cloned first.
fn judging(segments: usize, has_latency: bool) -> Instance {
    Instance::new(move || {
        let world = World { latencies: has_latency.then(Latencies::default), length: 60.0, ..World::default() };
        let wide = |arm: &Arm| {
            let mut wide = Arm::default();
            for (number, segment) in (0..segments).zip(arm.segments.values().cycle()) {
                wide.segments.insert(format!("segment-{number}"), segment.clone());
            }
            wide
        };
        let observed: Vec<_> =
            Generator::new(&world, 1).map(|observed| (wide(&observed.canary), wide(&observed.baseline))).collect();
        let mut judge = Judge::new(Policy::default());
        let mut at = 0;
        move || {
            let (canary, baseline) = observed[at % observed.len()].clone();
            at += 1;
            let tick = Tick::new(at as f64, canary, Some(baseline)).expect("the generator makes ticks");
            black_box(judge.observe(tick)).decision != Decision::Rollback
        }
    })
}
