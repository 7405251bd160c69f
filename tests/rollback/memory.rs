//! Memory of a judge: bounded, however long the rollout.

use allocation_counter::measure;
use backstop::rollback::{Arm, Buckets, Judge, Policy, Segment, Tick};

const SEGMENTS: u32 = 50;
/// Segments of a tick: others are in the next one.
const AT_ONCE: u32 = 2;

fn arm(at: u32, of: u32, requests: f64) -> Arm {
    let mut arm = Arm::default();
    for i in 0..AT_ONCE {
        let mut segment = Segment::default();
        segment.requests = Some(requests);
        segment.server_errors = Some(f64::from(u32::from(at % 10 == i)));
        if i == 0 {
            segment.latency.success = Some(Buckets { le: vec![0.1, 0.5], counts: vec![requests, 1.0, 0.0] });
        }
        arm.segments.insert(format!("segment {:05}", (at * AT_ONCE + i) % of), segment);
    }
    arm.gauges.insert("cpu".to_owned(), 0.4);
    arm
}

fn feed(judge: &mut Judge, ticks: std::ops::Range<u32>, of: u32) {
    for at in ticks {
        let stage = f64::from(at / 2_000);
        let tick = Tick::new(f64::from(at), arm(at, of, 20.0), Some(arm(at, of, 380.0))).unwrap();
        judge.decide(tick.in_stage(stage).unwrap());
    }
}

#[test]
fn twenty_thousand_ticks_leave_no_more_behind_than_a_thousand() {
    let mut judge = Judge::new(Policy::default());
    feed(&mut judge, 1..1_000, SEGMENTS);
    let grown = measure(|| feed(&mut judge, 1_000..20_000, SEGMENTS)).bytes_current;
    assert!(grown.abs() < 1_024, "{grown} bytes");
}

#[test]
fn segments_that_never_come_again_are_forgotten() {
    let mut judge = Judge::new(Policy::default());
    feed(&mut judge, 1..1_100, u32::MAX);
    let grown = measure(|| feed(&mut judge, 1_100..2_000, u32::MAX)).bytes_current;
    assert!(grown < 10_000, "{grown} bytes");
}

#[test]
fn a_tick_allocates_a_few_times_for_each_segment() {
    let mut judge = Judge::new(Policy::default());
    feed(&mut judge, 1..200, SEGMENTS);
    let tick = |at| Tick::new(f64::from(at), arm(at, SEGMENTS, 20.0), Some(arm(at, SEGMENTS, 380.0))).unwrap();
    let ticks: Vec<_> = (200..300).map(tick).collect();
    let made = measure(|| ticks.into_iter().for_each(|tick| _ = judge.decide(tick))).count_total;
    assert!(made <= 100 * u64::from(AT_ONCE) * 5, "{made} allocations in 100 ticks of {AT_ONCE} segments");
}
