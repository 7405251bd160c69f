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
fn old_evidence_does_not_fire_in_the_stage_after_an_override_and_a_fresh_fault_does() {
    for clean in [0, 30, 200] {
        let mut judge = Judge::new(Policy::default());
        assert_eq!(run(&mut judge, 1..=60, 20.0, 5.0).decision, Decision::Rollback);
        judge.override_by("ana", "the errors are a probe of ours");
        // Bad until the end of the stage, and good from the first second of the next one on.
        assert_eq!(run(&mut judge, 61..=100, 20.0, 5.0).decision, Decision::Continue);
        for at in 101..=100 + clean {
            let verdict = judge.observe(tick(at, 0.0, 20.0));
            assert_eq!(verdict.decision, Decision::Continue, "{at}: {}", verdict.sentence);
        }
        let fresh =
            (101 + clean..200 + clean).find(|at| judge.observe(tick(*at, 20.0, 20.0)).decision == Decision::Rollback);
        assert!(fresh.is_some_and(|at| at <= 106 + clean), "{fresh:?} after {clean} clean seconds");
    }
}

#[test]
fn an_override_silences_what_rolled_back_also_if_it_has_recovered_since() {
    let mut judge = Judge::new(Policy::default());
    run(&mut judge, 1..=10, 20.0, 5.0);
    let recovered = run(&mut judge, 11..=1_500, 0.0, 5.0);
    assert_eq!(recovered.decision, Decision::Rollback);
    assert_eq!(recovered.triggers[0].state, backstop::rollback::TriggerState::Ok);
    judge.override_by("ana", "the probe comes again in a while");
    assert_eq!(run(&mut judge, 1_501..=1_600, 20.0, 5.0).decision, Decision::Continue);
    assert_eq!(run(&mut judge, 1_601..=1_610, 20.0, 20.0).decision, Decision::Rollback);
}

#[test]
fn evidence_is_bounded_over_many_stages_and_overrides() {
    let mut judge = Judge::new(Policy::default());
    for stage in 0..40 {
        let (from, percent) = (stage * 200, f64::from(1 + stage % 2));
        let last = run(&mut judge, from + 1..=from + 200, 50.0, percent);
        assert_eq!(last.decision, Decision::Rollback, "stage {stage}");
        assert!(last.log_e < 30.0, "stage {stage}: {}", last.log_e);
        judge.override_by("ana", "seen");
    }
    let good = run(&mut judge, 8_001..=8_400, 0.0, 5.0);
    assert_eq!(good.decision, Decision::Continue);
    assert!(good.log_e < 0.1, "{}", good.log_e);
}

#[test]
fn ticks_at_the_end_that_are_shorter_than_a_second_are_judged_by_finish() {
    let mut judge = Judge::new(Policy::default());
    assert!(judge.finish().is_none());
    run(&mut judge, 1..=60, 0.0, 5.0);
    let half = |at: f64| Tick::new(at, arm(100.0, 0.0), Some(arm(1_900.0, 2.0))).unwrap();
    assert!(judge.finish().is_none(), "nothing is left");
    let waiting = judge.observe(half(60.2));
    judge.observe(half(60.4));
    let last = judge.finish().unwrap();
    assert_eq!((last.at, last.n.canary), (60.4, waiting.n.canary + 200.0));
    assert!(judge.finish().is_none());
    judge.observe(half(60.4));
    assert!(judge.finish().unwrap().log_e.is_finite(), "at the time of the one before");
    assert_eq!(judge.observe(half(61.4)).decision, Decision::Continue);
}

#[test]
fn a_tick_from_the_past_turns_no_clock_back() {
    let mut judge = Judge::new(Policy::default());
    run(&mut judge, 1..=60, 0.0, 5.0);
    judge.observe(tick(30, 0.0, 5.0));
    assert!((judge.finish().unwrap().at - 60.0).abs() < 1e-9);
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
