//! Rollouts to their end, through the shipped templates, in old and new versions of Argo Rollouts.

use super::measure::{Answer, Phase};
use super::run::{End, LOOK, Rollout, Run, Story, Version};
use crate::answers::verdict;
use crate::files::named;
use Version::{Before18, From18};
use serde_json::{Value, json};

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

fn say(decision: &str) -> Answer {
    Answer::Http(200, verdict(decision))
}

/// The shipped rollout under a judge.
fn shipped(version: Version, judge: &dyn Fn(u32) -> Answer) -> Rollout<'_> {
    let gate = if version == From18 { "analysis-gate" } else { "analysis-gate-before-1.8" };
    let rollout = named("argo-rollouts/rollout.yaml", "checkout");
    let canary = &rollout["spec"]["strategy"]["canary"];
    assert_eq!(canary["analysis"]["startingStep"], 1);
    Rollout {
        version,
        background: named("argo-rollouts/analysis-background.yaml", "backstop-background"),
        gate: Some(named(&format!("argo-rollouts/{gate}.yaml"), "backstop-gate")),
        steps: canary["steps"].as_array().unwrap().clone(),
        judge,
        promoted_by_hand: None,
    }
}

fn play(version: Version, judge: impl Fn(u32) -> Answer) -> Story {
    shipped(version, &judge).play(2 * DAY)
}

#[test]
fn stories_end_as_intended_in_old_and_new_versions() {
    type Judge = fn(u32) -> Answer;
    let table: [(&str, Judge, [End; 2]); 9] = [
        ("good", |t| say(if t < MINUTE { "collecting" } else { "continue" }), [End::Promoted; 2]),
        ("bad from the start", |_| say("rollback"), [End::Aborted; 2]),
        ("bad at half an hour", |t| say(if t < 30 * MINUTE { "continue" } else { "rollback" }), [End::Aborted; 2]),
        // Argo Rollouts pauses after 22 hours of inconclusive answers; before 1.8 a day of errors aborts.
        ("pause, never decided", |_| say("pause"), [End::Aborted, End::Held(5)]),
        ("no data, ever", |_| say("collecting"), [End::Aborted, End::Held(5)]),
        ("pause, then rolled back", |t| say(if t < HOUR { "pause" } else { "rollback" }), [End::Aborted; 2]),
        ("pause, overridden", |t| say(if t < HOUR { "pause" } else { "continue" }), [End::Promoted; 2]),
        (
            "the judge is away for 3 minutes",
            |t| if t / 60 % 60 < 3 { Answer::Timeout } else { say("continue") },
            [End::Promoted; 2],
        ),
        (
            "the judge is away",
            |t| if t < HOUR / 2 { say("continue") } else { Answer::Http(503, String::new()) },
            [End::Aborted; 2],
        ),
    ];
    for (name, judge, ends) in table {
        assert_eq!([play(Before18, judge).end, play(From18, judge).end], ends, "{name}");
    }
}

/// Field case "an inconclusive background analysis is started anew again and again and in the end promotes"
/// (argo-rollouts#3850), and "a grey zone is wanted: pause for a person instead of aborting" (#2866).
#[test]
fn a_pause_of_half_an_hour_holds_the_weight() {
    let judge = |t: u32| say(if (15 * MINUTE..45 * MINUTE).contains(&t) { "pause" } else { "continue" });
    for version in [Before18, From18] {
        let story = play(version, judge);
        assert_eq!(story.end, End::Promoted);
        // 20 % since minute 10; its gate at minute 20 waits until the pause is over.
        assert_eq!(story.weights, [(0, 5), (10 * MINUTE, 20), (45 * MINUTE, 50)], "{version:?}");
    }
}

/// The simulation shows the defect where it is: a background analysis that is inconclusive on `pause`, without a gate.
#[test]
fn a_background_analysis_that_is_inconclusive_promotes_before_1_8_and_pauses_since() {
    let mut naive = named("argo-rollouts/analysis-background.yaml", "backstop-background");
    naive["spec"]["metrics"][0]["successCondition"] = json!("result.decision == \"continue\"");
    naive["spec"]["metrics"][0]["inconclusiveLimit"] = json!(2);
    let judge = |_: u32| say("pause");
    let ends = [Before18, From18].map(|version| {
        let shipped = shipped(version, &judge);
        let steps = shipped.steps.iter().filter(|step| step["analysis"].is_null()).cloned().collect();
        Rollout { background: naive.clone(), gate: None, steps, ..shipped }.play(DAY).end
    });
    assert_eq!(ends, [End::Promoted, End::Held(5)]);
}

/// And why `pause` must not be inconclusive in the background of 1.8 either: nothing looks at a rollback any more.
#[test]
fn a_rollback_after_an_inconclusive_background_analysis_is_not_acted_on() {
    let mut naive = named("argo-rollouts/analysis-background.yaml", "backstop-background");
    naive["spec"]["metrics"][0]["successCondition"] = json!("result.decision == \"continue\"");
    naive["spec"]["metrics"][0]["inconclusiveLimit"] = json!(0);
    let judge = |t: u32| say(if t < HOUR { "pause" } else { "rollback" });
    assert_eq!(Rollout { background: naive, ..shipped(From18, &judge) }.play(DAY).end, End::Held(5));
    assert_eq!(shipped(From18, &judge).play(DAY).end, End::Aborted);
}

/// Field case "after a person promoted past an inconclusive step nothing goes on" (argo-rollouts#3015).
#[test]
fn an_approved_pause_goes_on_within_a_look() {
    for version in [Before18, From18] {
        let story = play(version, |t| say(if t < 33 * MINUTE { "pause" } else { "continue" }));
        assert_eq!((story.end, story.weights[1]), (End::Promoted, (33 * MINUTE, 20)), "{version:?}");
    }
    // A gate that is inconclusive for Argo: before 1.8 a promotion asks again, so the override is what goes on.
    let naive = json!({ "spec": { "metrics": [{ "name": "verdict", "successCondition": "result.decision == \"continue\"",
        "failureCondition": "result.decision == \"rollback\"", "provider": { "web": { "jsonPath": "{$}" } } }] } });
    let judge = |_: u32| say("pause");
    let ends = [Before18, From18].map(|version| {
        let rollout = Rollout { gate: Some(naive.clone()), promoted_by_hand: Some(HOUR), ..shipped(version, &judge) };
        rollout.play(DAY).weights.len()
    });
    assert_eq!(ends, [1, 2], "weights");
}

#[test]
fn a_rollback_aborts_within_one_look_in_every_step() {
    for at in (0..35 * MINUTE).step_by(LOOK as usize) {
        for version in [Before18, From18] {
            let story = play(version, |t| say(if t < at { "continue" } else { "rollback" }));
            assert_eq!(story.end, End::Aborted);
            assert!(story.at <= at + LOOK, "{version:?}: rollback at {at} s, aborted at {} s", story.at);
            if at >= 30 * MINUTE {
                return; // promoted before
            }
        }
    }
}

#[test]
fn limits_end_a_run_at_the_measurement_after_them() {
    let ends_after = |template: &Value, phase: Phase| {
        let mut run = Run::new(template, From18, 0);
        (1..10_000).find_map(|n| run.measured(phase).map(|end| (n, end)))
    };
    let background = named("argo-rollouts/analysis-background.yaml", "backstop-background");
    assert_eq!(ends_after(&background, Phase::Successful), None);
    assert_eq!(ends_after(&background, Phase::Failed), Some((1, Phase::Failed)));
    assert_eq!(ends_after(&background, Phase::Inconclusive), Some((21, Phase::Inconclusive)));
    assert_eq!(ends_after(&background, Phase::Error), Some((21, Phase::Error)));
    let gate = named("argo-rollouts/analysis-gate.yaml", "backstop-gate");
    assert_eq!(ends_after(&gate, Phase::Successful), Some((1, Phase::Successful)));
    assert_eq!(ends_after(&gate, Phase::Failed), Some((1, Phase::Failed)));
    assert_eq!(ends_after(&gate, Phase::Inconclusive), Some((8001, Phase::Inconclusive)));
    assert_eq!(ends_after(&gate, Phase::Error), Some((21, Phase::Error)));
}

/// A template that old versions misread must not be used there: without `consecutiveSuccessLimit` the gate of 1.8 never opens.
#[test]
fn the_gate_of_1_8_does_not_promote_before_1_8() {
    let judge = |_: u32| say("continue");
    let gate = Some(named("argo-rollouts/analysis-gate.yaml", "backstop-gate"));
    assert_eq!(Rollout { gate, ..shipped(Before18, &judge) }.play(HOUR).end, End::Held(5));
}

/// An inline analysis with an interval and no count is refused; one of the background needs none.
#[test]
fn inline_templates_with_an_interval_have_a_count() {
    let inline = [
        ("argo-rollouts/analysis-gate.yaml", "backstop-gate"),
        ("argo-rollouts/analysis-gate-before-1.8.yaml", "backstop-gate"),
        ("argo-rollouts/analysis-prometheus.yaml", "backstop-prometheus-gate"),
    ];
    for (path, name) in inline {
        for metric in named(path, name)["spec"]["metrics"].as_array().unwrap() {
            assert!(metric["interval"].is_null() || metric["count"].is_u64(), "{path}");
            assert!(
                metric["count"].as_u64() > metric["inconclusiveLimit"].as_u64(),
                "{path}: a count that is reached promotes"
            );
        }
    }
}
