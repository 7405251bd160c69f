//! Canaries to their end, in every kind of version.

use super::scheduler::{Flagger, Outside, Phase, Version};
use crate::answers::{DECISIONS, hook_status};
use crate::files::{documents, named};
use Version::{OwnPhase, OwnPhaseWithoutRollback, Released};
use serde_json::{Value, json};

const CONTINUE: u8 = 0;
const COLLECTING: u8 = 1;
const PAUSE: u8 = 2;
const ROLLBACK: u8 = 3;

/// A judge whose decision is set from interval to interval.
struct Script {
    decision: u8,
    /// Steps that were allowed without data.
    first_steps: u64,
    is_judge_up: bool,
    is_prometheus_up: bool,
}

impl Default for Script {
    fn default() -> Self {
        Self { decision: COLLECTING, first_steps: 0, is_judge_up: true, is_prometheus_up: true }
    }
}

impl Outside for Script {
    fn hook(&mut self, name: &str) -> Option<u16> {
        let is_first = self.first_steps == 0;
        let status = hook_status(name, DECISIONS[usize::from(self.decision)], is_first);
        if name == "confirm-traffic-increase" && status == 200 {
            self.first_steps += 1;
        }
        self.is_judge_up.then_some(status)
    }

    fn metric(&mut self, name: &str) -> Option<f64> {
        // The queries end in `or vector(..)`.
        let verdict = if self.is_judge_up { f64::from(self.decision) } else { 1.0 };
        self.is_prometheus_up.then_some(if name == "backstop-verdict" { verdict } else { 0.0 })
    }
}

fn canary() -> Value {
    named("flagger/canary.yaml", "checkout")
}

/// The canary after these decisions, one an interval.
fn play(version: Version, canary: &Value, decisions: impl IntoIterator<Item = u8>) -> Flagger {
    let (mut flagger, mut judge) = (Flagger::new(canary, version), Script::default());
    for decision in decisions {
        judge.decision = decision;
        flagger.interval(&mut judge);
    }
    flagger
}

#[test]
fn a_good_canary_is_promoted() {
    for version in [Released, OwnPhase, OwnPhaseWithoutRollback] {
        // Start, 5, 20 and 50 %, confirmed, traffic back, scaled down.
        let good = play(version, &canary(), [CONTINUE; 7]);
        assert_eq!((good.phase, good.failed_checks, &good.alerts[..]), (Phase::Succeeded, 0, &[][..]), "{version:?}");
    }
}

/// Field case "failed checks are counted while a hook waits, and no rollback comes" (flagger#1801).
#[test]
fn a_bad_canary_is_rolled_back_in_the_interval_of_the_verdict() {
    let mut rolled_back = 0;
    for version in [Released, OwnPhase] {
        for before in [CONTINUE, COLLECTING, PAUSE] {
            for (good, waiting) in (0..4).flat_map(|good| (0..4).map(move |waiting| (good, waiting))) {
                // Two intervals start it and take the first step.
                let decisions = [vec![COLLECTING; 2], vec![CONTINUE; good], vec![before; waiting]].concat();
                let mut flagger = play(version, &canary_once(), decisions);
                if matches!(flagger.phase, Phase::Promoting | Phase::Finalising | Phase::Succeeded) {
                    continue; // Flagger asks no more
                }
                flagger.interval(&mut Script { decision: ROLLBACK, ..Script::default() });
                assert_eq!(
                    (flagger.phase, flagger.weight),
                    (Phase::Failed, 0),
                    "{version:?} {good} {before} {waiting}"
                );
                assert_eq!(flagger.alerts, ["rolling back, manual webhook invoked"]);
                rolled_back += 1;
            }
        }
    }
    assert!(rolled_back >= 60, "{rolled_back}");
}

#[test]
fn a_rollback_comes_by_the_metric_where_the_hook_is_away() {
    let mut without = canary();
    without["spec"]["analysis"]["webhooks"].as_array_mut().unwrap().retain(|hook| hook["type"] != "rollback");
    let threshold = 3;
    assert_eq!(without["spec"]["analysis"]["threshold"], threshold);
    let before = [vec![COLLECTING; 2], vec![CONTINUE], vec![ROLLBACK; threshold]].concat();
    assert_eq!(play(Released, &without, before.clone()).phase, Phase::Progressing);
    let flagger = play(Released, &without, [before, vec![ROLLBACK]].concat());
    assert_eq!(flagger.phase, Phase::Failed);
    assert_eq!(flagger.alerts, ["failed checks threshold reached"]);
}

/// Flagger is silent: the rules of deploy/prometheus notify once, whatever the length of the pause.
#[test]
fn a_paused_canary_stays_and_is_alerted_once() {
    let decisions = [vec![COLLECTING; 2], vec![CONTINUE], vec![PAUSE; 60]].concat();
    for version in [Released, OwnPhase] {
        let flagger = play(version, &canary(), decisions.clone());
        assert_eq!((flagger.weight, flagger.failed_checks, flagger.alerts.len()), (20, 0, 0), "{version:?}");
        let flagger = play(version, &canary(), decisions.iter().copied().chain([CONTINUE; 4]));
        assert_eq!(flagger.phase, Phase::Succeeded);
    }
    let alerts = documents("prometheus/alerts.yaml");
    let rules = alerts[0]["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap());
    let on_pause =
        rules.filter(|rule| rule["expr"].as_str().unwrap().trim() == "max by (service) (backstop_verdict) == 2");
    assert_eq!(on_pause.count(), 1);
    // Without `muteAlert` it is an alert an interval.
    let mut loud = canary();
    for webhook in loud["spec"]["analysis"]["webhooks"].as_array_mut().unwrap() {
        webhook.as_object_mut().unwrap().remove("muteAlert");
    }
    assert_eq!(play(Released, &loud, decisions).alerts.len(), 60);
}

#[test]
fn a_canary_that_waits_for_its_promotion_stays_and_goes_on() {
    let at_the_end = [vec![COLLECTING; 2], vec![CONTINUE; 2], vec![PAUSE; 9]].concat();
    let flagger = play(Released, &canary(), at_the_end.clone());
    assert_eq!((flagger.phase, flagger.weight), (Phase::Progressing, 50));
    assert_eq!(play(Released, &canary(), at_the_end.into_iter().chain([CONTINUE; 3])).phase, Phase::Succeeded);
    // By iterations: each refusal sets their counter back, so the hook is asked in every second interval, and passes.
    let mut ab = canary();
    ab["spec"]["analysis"]["iterations"] = json!(3);
    let waiting = [vec![CONTINUE; 4], vec![PAUSE; 10]].concat();
    assert_eq!(play(Released, &ab, waiting.clone()).phase, Phase::WaitingPromotion);
    let ended = play(Released, &ab, waiting.iter().copied().chain([CONTINUE; 4]));
    assert_eq!(ended.phase, Phase::Succeeded);
    assert_eq!(play(Released, &ab, waiting.into_iter().chain([ROLLBACK])).phase, Phase::Failed);
}

/// Field case "no traffic in the canary: one system rolls back, another promotes" (flagger#1035, #1011).
#[test]
fn a_canary_without_data_gets_its_first_step_and_no_more() {
    for version in [Released, OwnPhase, OwnPhaseWithoutRollback] {
        let flagger = play(version, &canary(), [COLLECTING; 200]);
        assert_eq!((flagger.weight, flagger.failed_checks, flagger.alerts.len()), (5, 0, 0), "{version:?}");
    }
}

#[test]
fn nothing_else_is_asked_while_confirm_rollout_refuses() {
    let mut flagger = play(Released, &canary(), [ROLLBACK; 5]);
    assert_eq!(
        (flagger.phase, flagger.weight, &flagger.asked[..]),
        (Phase::Waiting, 0, &["confirm-rollout".to_owned()][..])
    );
    flagger.interval(&mut Script::default());
    assert_eq!(flagger.phase, Phase::Progressing, "a new rollout is collecting");
}

#[test]
fn a_judge_that_is_away_holds_the_weight_and_a_prometheus_that_is_away_rolls_back() {
    let mut flagger = play(Released, &canary(), [COLLECTING, COLLECTING, CONTINUE]);
    let mut judge = Script { is_judge_up: false, ..Script::default() };
    for _ in 0..50 {
        flagger.interval(&mut judge);
    }
    assert_eq!((flagger.phase, flagger.weight), (Phase::Progressing, 20));
    let mut judge = Script { is_prometheus_up: false, decision: CONTINUE, ..Script::default() };
    flagger.interval(&mut judge);
    assert_eq!(flagger.phase, Phase::Progressing, "one failed query");
    for _ in 0..3 {
        flagger.interval(&mut judge);
    }
    assert_eq!(flagger.phase, Phase::Failed);
}

/// After any five decisions, the next one is carried out.
#[test]
fn no_history_leaves_a_canary_stuck() {
    for version in [Released, OwnPhase] {
        for history in 0..4_u32.pow(5) {
            let decisions: Vec<_> = (0..5).map(|i| (history / 4_u32.pow(i) % 4) as u8).collect();
            for (last, end) in [(CONTINUE, Phase::Succeeded), (ROLLBACK, Phase::Failed)] {
                let mut flagger = Flagger::new(&canary_once(), version);
                let mut judge = Script::default();
                for decision in &decisions {
                    judge.decision = *decision;
                    flagger.interval(&mut judge);
                }
                // A rollback before the start is one of an older rollout: `confirm-rollout` waits for a new one.
                let was_begun = !matches!(flagger.phase, Phase::Initialized | Phase::Waiting);
                judge.decision = if was_begun { last } else { CONTINUE };
                let was_over = !matches!(
                    flagger.phase,
                    Phase::Progressing | Phase::WaitingPromotion | Phase::WaitingTrafficIncrease
                );
                for _ in 0..8 {
                    flagger.interval(&mut judge);
                }
                let is_over = matches!(flagger.phase, Phase::Succeeded | Phase::Failed);
                assert!(
                    is_over && (was_over || flagger.phase == end),
                    "{version:?}: {decisions:?}, {last}: {:?}",
                    flagger.phase
                );
            }
        }
    }
}

fn canary_once() -> Value {
    thread_local!(static CANARY: Value = canary());
    CANARY.with(Clone::clone)
}

/// The one case that no answer of a hook leads out of: the page of deploy/prometheus is what is left (see the guide).
#[test]
fn a_phase_of_its_own_that_asks_no_rollback_waits_for_a_person() {
    let decisions = [vec![COLLECTING; 2], vec![PAUSE; 3], vec![ROLLBACK; 20]].concat();
    let flagger = play(OwnPhaseWithoutRollback, &canary(), decisions);
    assert_eq!((flagger.phase, flagger.weight), (Phase::WaitingTrafficIncrease, 5));
    assert!(flagger.failed_checks > 10, "counted, and not looked at");
}

/// The traps of a hook's status: 204, 429 and 5xx are no decisions.
#[test]
fn statuses_are_read_as_flagger_reads_them() {
    struct Fixed(Option<u16>);
    impl Outside for Fixed {
        fn hook(&mut self, _: &str) -> Option<u16> {
            self.0
        }
        fn metric(&mut self, _: &str) -> Option<f64> {
            Some(0.0)
        }
    }
    for (status, is_yes) in
        [(200, true), (202, true), (204, false), (301, false), (403, false), (429, false), (503, false)]
    {
        let mut flagger = Flagger::new(&canary(), Released);
        flagger.interval(&mut Fixed(Some(status)));
        assert_eq!(flagger.phase == Phase::Progressing, is_yes, "{status}");
    }
    let hooks = ["rollback", "confirm-rollout", "confirm-traffic-increase", "confirm-promotion"];
    for (hook, decision) in hooks.iter().flat_map(|hook| DECISIONS.map(|decision| (hook, decision))) {
        assert!([200, 403].contains(&hook_status(hook, decision, false)));
    }
}

/// Several series are the last one for Flagger, and an empty result is a failed check: each query makes one of them.
#[test]
fn every_metric_returns_one_series_and_is_never_empty() {
    for template in documents("flagger/metric-templates.yaml") {
        let query = template["spec"]["query"].as_str().unwrap().trim();
        assert!(["max(", "count("].iter().any(|aggregate| query.starts_with(aggregate)), "{query}");
        assert!(query.contains(") or vector("), "{query}");
    }
}
