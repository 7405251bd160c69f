//! What holds, and until when: rollbacks, pauses, overrides, the only look of a fixed-horizon test.

use backstop::rollback::{Arm, Decision, Judge, Kpi, Policy, Segment, Tick, Verdict};

fn arm(requests: f64, errors: f64) -> Arm {
    let mut segment = Segment::default();
    (segment.requests, segment.server_errors) = (Some(requests), Some(errors));
    let mut arm = Arm::default();
    arm.segments.insert("default".to_owned(), segment);
    arm
}

fn tick(at: u32, errors: f64, stage: f64) -> Tick {
    let tick = Tick::new(f64::from(at), arm(100.0, errors), Some(arm(1_900.0, 2.0))).unwrap();
    tick.in_stage(stage).unwrap()
}

fn run(judge: &mut Judge, seconds: std::ops::RangeInclusive<u32>, errors: f64, stage: f64) -> Verdict {
    seconds.map(|at| judge.observe(tick(at, errors, stage))).last().unwrap()
}

#[test]
fn a_rollback_holds_until_a_person_overrides_it_and_then_for_the_stage() {
    let mut judge = Judge::new(Policy::default());
    assert_eq!(run(&mut judge, 1..=60, 20.0, 5.0).decision, Decision::Rollback);
    let healthy = run(&mut judge, 61..=2_000, 0.0, 5.0);
    assert_eq!(healthy.decision, Decision::Rollback, "it latches");

    let mut judge = Judge::new(Policy::default());
    run(&mut judge, 1..=60, 20.0, 5.0);
    judge.override_by("ana", "the errors are a probe of ours");
    let next = run(&mut judge, 61..=300, 20.0, 5.0);
    assert_eq!(next.decision, Decision::Continue, "{}", next.sentence);
    let overridden = next.overridden.unwrap();
    assert_eq!((&*overridden.by, overridden.decision), ("ana", Decision::Rollback));
    let next = run(&mut judge, 301..=400, 20.0, 20.0);
    assert_eq!(next.decision, Decision::Rollback, "a new stage is judged anew");
}

#[test]
fn a_person_may_accept_that_data_is_missing_for_as_long_again() {
    let mut judge = Judge::new(Policy::default());
    run(&mut judge, 1..=100, 0.0, 5.0);
    let silent = |judge: &mut Judge, seconds: std::ops::RangeInclusive<u32>| {
        let silent = |at| judge.observe(Tick::new(f64::from(at), arm(0.0, 0.0), Some(arm(1_900.0, 2.0))).unwrap());
        seconds.map(silent).last().unwrap().decision
    };
    assert_eq!(silent(&mut judge, 101..=600), Decision::Collecting);
    assert_eq!(silent(&mut judge, 601..=800), Decision::Pause);
    judge.override_by("ana", "nobody is awake");
    assert_eq!(silent(&mut judge, 801..=1_300), Decision::Collecting);
    assert_eq!(silent(&mut judge, 1_301..=1_500), Decision::Pause);
}

#[test]
fn a_test_for_one_look_pauses_in_the_grey_zone_and_looks_no_more() {
    let policy = "[[trigger]]\nname = \"checkout\"\nkind = \"kpi\"\nkpi = \"checkout\"\nlook_once = 4000\nalpha = 0.02";
    let mut judge = Judge::new(Policy::parse(policy).unwrap());
    let mut kpi = |at: u32, bad: f64| {
        let arm = |bad| {
            let mut arm = Arm::default();
            arm.kpis.insert("checkout".to_owned(), Kpi { good: 100.0 - bad, total: 100.0 });
            arm
        };
        judge.observe(Tick::new(f64::from(at), arm(bad), Some(arm(1.0))).unwrap())
    };
    for at in 1..40 {
        assert_eq!(kpi(at, 1.6).decision, Decision::Collecting);
    }
    let looked = kpi(40, 1.6); // 64 of 4,000 and 40 of 4,000: p is 0.018
    assert_eq!(looked.decision, Decision::Pause, "{}", looked.sentence);
    let later = (41..400).map(|at| kpi(at, 50.0)).last().unwrap();
    assert_eq!(later.sentence, looked.sentence, "it is the only look");
}
