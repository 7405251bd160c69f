//! Sources that fail, and canaries that are not there.

use super::scene::{Scene, payload};
use crate::kit::{Script, arm};
use backstop::rollback::{Arm, Decision, Instances, Policy, Tick, TriggerState};
use backstop::rollout::judging::{DataState, Judging};
use std::time::Duration;

fn of(total: f64, not_ready: f64) -> Arm {
    let mut arm = Arm::default();
    arm.instances = Some(Instances { total, not_started: 0.0, not_ready });
    arm
}

#[test]
fn a_source_that_fails_is_said_at_once_and_becomes_missing_data() {
    let mut scene = Scene::new();
    scene.seconds(30, 0.0);
    let published = scene.outage(1, "prometheus: the connection was refused");
    assert_eq!(published.decision(), Decision::Continue, "a second without data is no lack of it");
    assert_eq!(published.verdict().warnings, ["prometheus: the connection was refused"]);
    let published = scene.outage(12, "prometheus: the connection was refused");
    assert_eq!((published.decision(), published.data()), (Decision::Collecting, DataState::Stale));
    let verdict = scene.verdict();
    assert_eq!(
        (&verdict["data"], &verdict["warnings"][0]),
        (&"stale".into(), &"prometheus: the connection was refused".into())
    );
    let published = scene.outage(600, "prometheus: the connection was refused");
    assert_eq!(published.decision(), Decision::Pause, "the policy's rule for missing data");
    let published = scene.seconds(3, 0.0);
    assert_eq!((published.decision(), published.verdict().warnings.len()), (Decision::Continue, 0));
}

#[test]
fn a_source_that_never_answered_is_no_data() {
    let mut scene = Scene::new();
    let published = scene.outage(30, "refused");
    assert_eq!((published.decision(), published.data()), (Decision::Collecting, DataState::NoData));
    assert_eq!(scene.outage(600, "refused").decision(), Decision::Pause);
}

#[test]
fn a_slow_source_is_not_missing_data_between_its_ticks() {
    let mut scene = Scene::new();
    (0..15).for_each(|_| drop(scene.look()));
    for _ in 0..20 {
        let published = scene.tick(arm(1_500.0, 0.0), arm(28_500.0, 30.0));
        assert_eq!(published.data(), DataState::Ok);
        for _ in 0..14 {
            assert_eq!(scene.look().data(), DataState::Ok);
        }
    }
    assert_eq!(scene.look().decision(), Decision::Continue);
    (0..60).for_each(|_| drop(scene.look()));
    assert_eq!(scene.look().data(), DataState::Stale);
}

#[test]
fn a_verdict_that_is_not_renewed_is_collecting() {
    let mut scene = Scene::new();
    scene.seconds(30, 0.0);
    let verdicts = scene.judging.verdicts();
    assert_eq!(verdicts.latest().decision(), Decision::Continue);
    scene.advance(Duration::from_secs(61));
    let latest = verdicts.latest();
    assert_eq!((latest.decision(), latest.data()), (Decision::Collecting, DataState::Stale));
    assert_eq!(scene.verdict()["sentence"], "the source has not been looked at for 61 s");
}

/// Canary pods crash-loop: no requests, no errors.
#[test]
fn a_canary_that_is_never_ready_rolls_back() {
    let mut scene = Scene::new();
    let published = (0..360).map(|_| scene.tick(of(2.0, 2.0), of(2.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Rollback, "{}", published.verdict().sentence);
    let readiness = published.verdict().triggers.iter().find(|trigger| trigger.kind == "readiness").unwrap();
    assert_eq!(readiness.state, TriggerState::Fired);
}

#[test]
fn without_a_canary_there_is_nothing_to_judge() {
    let mut scene = Scene::started(Policy::default(), None);
    let published = (0..1_000).map(|_| scene.tick(of(0.0, 0.0), of(2.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Collecting);
    assert_eq!(published.verdict().sentence, "there is no canary: no instance is listed");
}

/// An arm with traffic and instances that are ready; none is scaled to 0.
fn ready(instances: f64, errors: f64) -> Arm {
    let mut arm = if instances > 0.0 { arm(100.0, errors) } else { Arm::default() };
    arm.instances = of(instances, 0.0).instances;
    arm
}

/// After a promotion the controller scales the canary to 0, and the judge goes on looking.
#[test]
fn a_rollout_that_ended_well_is_idle_rather_than_rolled_back() {
    let mut scene = Scene::new();
    let published = (0..100).map(|_| scene.tick(ready(2.0, 0.0), ready(4.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Continue, "{}", published.verdict().sentence);
    for second in 0..1_000 {
        let published = scene.tick(ready(0.0, 0.0), ready(4.0, 0.0));
        let is_idle = published.verdict().sentence == "there is no canary: no instance is listed";
        assert!(matches!(published.decision(), Decision::Continue | Decision::Collecting), "{second}: {published:?}");
        assert_eq!(is_idle, second >= 60, "{second}: {}", published.verdict().sentence);
    }
    assert_eq!(scene.outage(700, "refused").decision(), Decision::Collecting, "nothing is missing");
    let published = scene.tick(ready(2.0, 0.0), ready(4.0, 0.0));
    assert_eq!((published.verdict().n.canary, published.rollout()), (100.0, None), "the next rollout");
}

#[test]
fn a_pause_of_a_named_rollout_outlives_a_night_without_the_canary() {
    let policy = r#"{ "trigger": [{ "name": "errors", "kind": "errors", "acts": "pause" }] }"#;
    let mut scene = Scene::with(Policy::parse(policy).unwrap(), None);
    let published = (0..60).map(|_| scene.tick(ready(2.0, 20.0), ready(4.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Pause, "{}", published.verdict().sentence);
    let published = (0..1_000).map(|_| scene.tick(ready(0.0, 0.0), ready(4.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Pause);
    let published = scene.tick(ready(2.0, 0.0), ready(4.0, 0.0));
    assert_eq!((published.decision(), published.rollout()), (Decision::Pause, Some("first")));
    assert!(published.verdict().n.canary > 6_000.0, "the same rollout");
}

/// Flagger's confirm-rollout names the rollout before it scales the canary up.
#[test]
fn the_time_to_become_ready_begins_with_the_first_listed_instance() {
    let mut scene = Scene::started(Policy::default(), None);
    assert_eq!(scene.hook("confirm-rollout", &payload("first")).0, 200);
    let published = (0..600).map(|_| scene.tick(of(0.0, 0.0), of(2.0, 0.0))).last().unwrap();
    assert_eq!((published.decision(), published.rollout()), (Decision::Collecting, Some("first")));
    let published = (0..290).map(|_| scene.tick(of(2.0, 2.0), of(2.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Collecting, "{}", published.verdict().sentence);
    let published = (0..20).map(|_| scene.tick(of(2.0, 2.0), of(2.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Rollback, "{}", published.verdict().sentence);
}

#[test]
fn a_rollout_that_our_side_began_without_an_instance_rolls_back() {
    let mut scene = Scene::new();
    let published = (0..310).map(|_| scene.tick(of(0.0, 0.0), of(2.0, 0.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Rollback, "{}", published.verdict().sentence);
}

/// The query sums pods of both versions, so canary and baseline are the same numbers.
#[test]
fn arms_that_look_like_one_are_a_warning() {
    let mut scene = Scene::new();
    (0..10).for_each(|_| drop(scene.tick(arm(100.0, 1.0), arm(100.0, 1.0))));
    let warning = scene.verdict()["warnings"][0].as_str().unwrap().to_owned();
    assert!(warning.contains("canary and baseline were the same in every field for 10 ticks"), "{warning}");
}

#[test]
fn a_recorded_baseline_without_this_hour_is_said_while_there_is_no_live_one() {
    let source = Script::default();
    let recorded = backstop::signals::Baseline::parse(r#"{"hours": {}}"#).unwrap();
    let mut judging = Judging::new("shop", Policy::default(), source.clone()).recorded(recorded);
    for (at, baseline, is_said) in [(1.0, None, true), (2.0, Some(arm(1_900.0, 2.0)), false)] {
        source.push(Tick::new(at, arm(100.0, 0.0), baseline).unwrap());
        let published = judging.look();
        let warnings = &published.verdict().warnings;
        assert_eq!(warnings.iter().any(|warning| warning.contains("lacks the hour")), is_said, "{warnings:?}");
    }
}
