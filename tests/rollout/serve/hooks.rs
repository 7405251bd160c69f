//! Hooks of Flagger over a rollout.

use super::scene::{Scene, payload};
use crate::kit::arm;
use backstop::rollback::{Decision, Policy};

#[test]
fn hooks_answer_by_the_verdict() {
    let mut scene = Scene::new();
    assert_eq!(scene.answers(), [403, 200, 200, 403], "collecting, before the first step");
    scene.seconds(30, 0.0);
    assert_eq!(scene.answers(), [403, 200, 200, 200]);
    // More client errors pause.
    let mut canary = arm(100.0, 0.0);
    canary.segments.get_mut("default").unwrap().client_errors = Some(60.0);
    let mut baseline = arm(1_900.0, 2.0);
    baseline.segments.get_mut("default").unwrap().client_errors = Some(20.0);
    while scene.tick(canary.clone(), baseline.clone()).decision() != Decision::Pause {}
    assert_eq!(scene.answers(), [403, 403, 403, 403]);
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    assert_eq!(scene.answers(), [200, 403, 403, 403]);
    let (_, reason) = scene.hook("confirm-promotion", &payload("first"));
    assert!(reason.starts_with("rollback: errors: ") && reason.contains("(evidence "), "{reason}");
}

#[test]
fn the_first_step_of_traffic_needs_no_data_and_the_next_ones_do() {
    let mut scene = Scene::new();
    let step = |scene: &Scene| scene.hook("confirm-traffic-increase", &payload("first")).0;
    assert_eq!([step(&scene), step(&scene), step(&scene)], [200, 200, 403], "a step, and one more try");
    scene.tick(arm(3.0, 0.0), arm(1_900.0, 2.0));
    assert_eq!(step(&scene), 403, "too few requests to say anything");
    assert_eq!(scene.hook("confirm-promotion", &payload("first")).0, 403);
    assert_eq!(scene.hook("confirm-traffic-increase", &payload("second")).0, 200, "another rollout");
}

/// No traffic in the canary: one system rolls back, another promotes. Here nothing is promoted, and what was learned before is
/// not forgotten.
#[test]
fn a_canary_without_traffic_is_never_promoted() {
    let mut scene = Scene::new();
    let published = (0..590).map(|_| scene.tick(arm(0.0, 0.0), arm(1_900.0, 2.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Collecting);
    assert_eq!(scene.hook("confirm-promotion", &payload("first")).0, 403);
    let published = (0..60).map(|_| scene.tick(arm(0.0, 0.0), arm(1_900.0, 2.0))).last().unwrap();
    assert_eq!(published.decision(), Decision::Pause, "{}", published.verdict().sentence);
    assert!(published.verdict().sentence.contains("no data for"), "{}", published.verdict().sentence);
    assert_eq!(scene.answers(), [403, 403, 403, 403]);
    let mut scene = Scene::new();
    let learned = scene.seconds(60, 0.0).verdict().n.canary;
    let published = (0..30).map(|_| scene.tick(arm(0.0, 0.0), arm(1_900.0, 2.0))).last().unwrap();
    assert_eq!((published.decision(), published.verdict().n.canary), (Decision::Collecting, learned));
}

/// Failed checks are counted while a hook waits: the rollback hook answers at the next question.
#[test]
fn rollback_is_answered_while_traffic_increase_refuses() {
    let mut scene = Scene::new();
    scene.tick(arm(3.0, 0.0), arm(1_900.0, 2.0));
    let ask = |scene: &Scene, hook: &str| scene.hook(hook, &payload("first")).0;
    let steps = [(); 3].map(|()| ask(&scene, "confirm-traffic-increase"));
    assert_eq!((ask(&scene, "rollback"), steps), (403, [200, 200, 403]), "stray requests are no traffic");
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {
        assert_eq!(ask(&scene, "rollback"), 403);
    }
    assert_eq!((ask(&scene, "rollback"), ask(&scene, "confirm-traffic-increase")), (200, 403));
}

/// An inconclusive verdict is not asked for so often that it promotes in the end; after a person's decision it goes on.
#[test]
fn a_pause_stays_until_a_person_decides() {
    let mut scene = Scene::new();
    scene.seconds(30, 0.0);
    while scene.outage(1, "away").decision() != Decision::Pause {}
    for _ in 0..1_800 {
        assert_eq!(scene.outage(1, "away").decision(), Decision::Pause);
    }
    assert_eq!(scene.answers(), [403, 403, 403, 403]);
    scene.judging.override_by("ann", "the source is known to be down");
    let verdict = scene.verdict();
    assert_eq!(verdict["override"]["by"], "ann");
    assert_eq!(verdict["decision"], "collecting", "{verdict}");
    assert_eq!(scene.seconds(3, 0.0).decision(), Decision::Continue);
    assert_eq!(scene.answers(), [403, 200, 200, 200]);
}

/// A metric that must have data has none, and the score is still good: here it is no pass, and the sentence names it.
#[test]
fn a_required_kpi_without_data_is_no_pass() {
    let policy = "[[trigger]]\nname = \"errors\"\nkind = \"errors\"\n[[trigger]]\nname = \"checkout\"\nkind = \"kpi\"\nkpi = \"checkout\"";
    let mut scene = Scene::with(Policy::parse(policy).unwrap(), None);
    let published = scene.seconds(300, 0.0);
    assert_eq!(published.decision(), Decision::Collecting);
    assert!(published.verdict().sentence.contains("checkout"), "{}", published.verdict().sentence);
    assert_eq!(scene.hook("confirm-promotion", &payload("first")).0, 403);
}
