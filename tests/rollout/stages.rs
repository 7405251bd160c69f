//! Each trouble that operators of other controllers reported, played against the stages.

use crate::plans::{PLAN, plan, plan_with};
use crate::player::{Player, WHOLE};
use backstop::rollback::Decision::{Collecting, Continue, Pause, Rollback};
use backstop::rollback::plan::{Level, Plan};
use backstop::rollout::soak::Finding;
use backstop::rollout::stages::{Ask, Event, Outcome, Ready, Rollout};
use std::sync::Arc;

#[test]
fn a_good_release_goes_through_every_stage_and_is_promoted() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).done().after(60).look(Continue).done();
    player.after(60).look(Continue).is("promoting");
    player.done().is("promoted");
    assert_eq!((player.weights, player.runs), (vec![0, 5, 50, 100], vec!["Promote(0)".to_owned()]));
}

#[test]
fn a_bad_release_is_rolled_back_in_the_plans_order_and_watched_until_it_has_recovered() {
    let mut player = Player::soaking(plan());
    player.look(Rollback).is("rolling_back").all_done().is("recovering");
    assert_eq!(player.runs, ["Rollback(0)", "Preserve(0)", "Rollback(2)"], "evidence before the scale-down");
    assert_eq!(player.weights, [0, 5, 0]);
    player.has_alert(Level::Page, "the verdict is rollback");
    player.look_at(Collecting, Finding::Waiting("errors".into())).after(20).look(Continue).after(20).look(Continue);
    player.is("recovering").after(10).look(Continue).is("rolled_back");
}

#[test]
fn no_data_never_promotes_and_a_stage_that_is_not_decided_in_time_is_rolled_back() {
    let mut player = Player::soaking(plan());
    player.samples = 0.0;
    player.after(599).look(Collecting).look(Continue).is("soaking");
    player.has_alert(Level::Notify, "without traffic it cannot be decided");
    player.after(1).is("rolling_back");
    assert_eq!(player.weights, [0, 5]);
}

#[test]
fn a_quiet_stage_is_told_how_long_it_has_to_be() {
    let mut player = Player::soaking(plan());
    player.samples = 20.0;
    player.after(60).look(Continue).is("soaking");
    player.has_alert(Level::Notify, "20 of 100 canary requests in 60 s; with this traffic it must last about 5 min");
}

#[test]
fn a_rollback_is_done_once_and_asked_again_it_is_no_operation() {
    let mut player = Player::soaking(plan());
    player.ask(Ask::Rollback { cut: false }).all_done();
    let weights = player.weights.len();
    player.ask(Ask::Rollback { cut: false });
    assert_eq!(player.answer.as_ref().unwrap().1, "it is rolling back already");
    player.look(Continue).after(30).look(Continue).is("rolled_back");
    player.ask(Ask::Rollback { cut: true }).is("rolled_back");
    assert_eq!((player.weights.len(), player.answer.unwrap().0), (weights, false));
}

#[test]
fn a_promotion_waits_until_every_canary_instance_is_ready() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).done();
    player.canary = Ready { ready: 4, total: 5 };
    player.after(60).look(Continue).is("soaking");
    player.canary = WHOLE;
    player.look(Continue).is("moving");
    assert_eq!(player.weights, [0, 5, 50, 100]);
}

#[test]
fn traffic_returns_in_steps_that_stable_can_carry_unless_glass_is_broken() {
    let plan = plan_with("promote =", "stable = { instances_for_full_traffic = 4 }\npromote =");
    let mut player = Player::soaking(plan);
    player.after(60).look(Continue).done();
    player.stable = Ready { ready: 3, total: 4 };
    player.look(Rollback).done();
    assert_eq!(player.weights, [0, 5, 50, 25], "stable can carry 75 %");
    player.done().look(Continue);
    assert_eq!(player.weights.len(), 4);
    player.has_alert(Level::Notify, "cannot carry more yet: 25 % stay");
    player.ask(Ask::Rollback { cut: true });
    assert_eq!(player.weights, [0, 5, 50, 25, 0]);
    player.all_done().is("recovering");
}

#[test]
fn of_two_actions_the_second_does_not_run_before_the_first_is_done() {
    let mut player = Player::soaking(plan());
    player.look(Rollback).after(20).after(20);
    assert_eq!((player.runs.len(), player.weights.len()), (1, 2), "the kill switch first");
    player.failed("no answer").after(1);
    player.failed("no answer").after(1);
    assert_eq!((player.runs.len(), player.weights.len()), (2, 2), "tried twice");
    player.is("escalated").has_alert(Level::Page, "rollback[0] (kill_switch) failed: no answer. on call: +41 44");
    player.ask(Ask::Rollback { cut: true });
    assert_eq!(player.weights, [0, 5, 0], "break-glass does not wait for it");
}

#[test]
fn an_action_that_must_not_be_repeated_is_escalated_by_its_name() {
    let mut player = Player::soaking(plan());
    player.look(Rollback).done().done().done().failed("exit code 1").is("escalated");
    player.has_alert(Level::Page, "rollback[2] (scale_down) failed: exit code 1");
}

#[test]
fn a_weight_that_is_changed_from_outside_is_set_again_once_and_then_escalated() {
    let mut player = Player::soaking(plan());
    player.drift().done().is("soaking").has_alert(Level::Notify, "changed from outside: 50 %; 5 % is set again");
    player.drift().drift().is("escalated");
    assert_eq!(player.weights, [0, 5, 5], "no flapping");
    player.look(Rollback).is("rolling_back");
}

#[test]
fn a_share_of_the_requests_that_is_not_the_weight_is_told_once() {
    for (samples, others, is_told) in
        [(50.0, 950.0, false), (90.0, 910.0, false), (500.0, 500.0, true), (5.0, 5.0, false), (500.0, 0.0, false)]
    {
        let mut player = Player::soaking(plan());
        (player.samples, player.others) = (samples, others);
        player.look(Continue).look(Continue).is("soaking");
        let told = player.alerts.iter().filter(|(_, text)| text.contains("instead of 5 %: the load balancer")).count();
        assert_eq!(told, usize::from(is_told), "{samples} {others}: {:?}", player.alerts);
    }
}

#[test]
fn a_weight_that_is_changed_after_a_rollback_is_set_to_0_again() {
    let mut player = Player::soaking(plan());
    player.look(Rollback).all_done().is("recovering");
    player.drift().done().drift().is("escalated");
    assert_eq!(player.weights, [0, 5, 0, 0]);
}

#[test]
fn a_release_that_is_never_ready_ends_after_the_deadline() {
    let mut player = Player::new(plan());
    player.canary = Ready { ready: 0, total: 4 };
    player.done().after(599).look(Collecting).is("checking");
    player
        .after(1)
        .done()
        .is("aborted")
        .has_alert(Level::Notify, "was not ready for traffic in time: 0 of 4 instances");
    assert_eq!(player.weights, [0, 0], "without any traffic");
}

#[test]
fn no_traffic_before_an_approval_and_ready_instances() {
    let mut player = Player::new(plan_with("budget", "start = \"manual\"\nbudget"));
    player.canary = Ready { ready: 0, total: 4 };
    player.done().look(Collecting).has_alert(Level::Notify, "an approval is needed");
    player.after(5_000).ask(Ask::Approve).look(Collecting).is("checking");
    player.canary = WHOLE;
    player.look(Collecting).is("moving");
    assert_eq!(player.weights, [0, 5]);
}

#[test]
fn a_promotion_keeps_its_traffic_while_a_slow_command_starts_the_new_stable_version() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).done().after(60).look(Continue).done().after(60).look(Continue);
    player.after(120).look(Continue).is("promoting");
    assert_eq!(player.weights.last(), Some(&100), "nothing else happens meanwhile");
    player.done().is("promoted");
}

#[test]
fn an_unhealthy_stable_version_keeps_the_rollout_from_starting_aloud() {
    let mut player = Player::new(plan());
    player.stable = Ready { ready: 1, total: 4 };
    player.done().look(Collecting).look(Continue).is("checking").has_alert(Level::Notify, "checkout:1.2.3, which");
    assert_eq!(player.weights, [0]);
}

#[test]
fn a_new_release_takes_the_place_of_one_that_is_on_its_way() {
    let mut player = Player::soaking(plan());
    player.ask(Ask::Supersede { artifact: "checkout:1.2.5".into() }).done().is("superseded");
    assert_eq!((player.weights, player.runs.len()), (vec![0, 5, 0], 0));
}

#[test]
fn traffic_does_not_go_from_a_broken_version_to_a_broken_one() {
    let mut player = Player::soaking(plan());
    player.stable = Ready { ready: 1, total: 4 };
    player.look(Rollback).done().is("escalated");
    player
        .has_alert(Level::Page, "from a broken version to a broken one: 1 of 4 instances of checkout:1.2.3 are ready");
    assert_eq!(player.weights, [0, 5], "held");
    player.stable = WHOLE;
    player.look(Rollback).ask(Ask::Resume).done().all_done().is("recovering");
}

#[test]
fn a_pause_holds_until_a_person_approves_and_then_goes_on() {
    let mut player = Player::soaking(plan());
    player.look(Pause).after(4_000).look(Pause).look(Collecting).is("paused");
    player.has_alert(Level::Page, "still paused at 5 %");
    player.ask(Ask::Approve).is("soaking").after(60).look(Continue).is("moving");
    assert_eq!(player.overrides, 1);
}

#[test]
fn a_persons_pause_stops_promotion_and_no_rollback() {
    let mut player = Player::soaking(plan());
    player.ask(Ask::Pause).after(4_000).look(Continue).is("paused");
    player.ask(Ask::Resume).is("soaking").look(Continue).is("soaking");
    player.after(60).ask(Ask::Pause).look(Rollback).is("rolling_back");
}

#[test]
fn in_a_maintenance_window_its_owner_is_paged_instead_of_a_rollback() {
    let mut player = Player::soaking(plan());
    player.ask(Ask::Disable { seconds: 3_600 }).after(900).look(Continue).look(Rollback).look(Rollback).is("disabled");
    player.has_alert(Level::Page, "bo decides, who disabled it (because)");
    assert_eq!((player.weights.len(), player.alerts.iter().filter(|alert| alert.0 == Level::Page).count()), (2, 1));
    player.drift().is("disabled");
    assert_eq!(player.weights.len(), 2, "weights that a person sets are left alone");
    player.after(2_700).is("soaking").look(Rollback).is("rolling_back");
}

#[test]
fn a_manual_gate_waits_as_long_as_it_takes_and_a_timed_one_does_not() {
    let gate = |gate: &str| plan_with("samples = 100", &format!("samples = 100, gate = \"{gate}\""));
    let mut player = Player::soaking(gate("manual"));
    player.after(60).look(Continue).is("waiting").has_alert(Level::Notify, "waits for an approval");
    player.after(5_000).look(Continue).is("waiting");
    player.ask(Ask::Approve).look(Continue).is("moving");
    let mut player = Player::soaking(gate("timed"));
    player.after(60).look(Continue).is("waiting");
    player.after(540).look(Continue).is("moving");
    let mut player = Player::soaking(gate("timed"));
    player.after(60).look(Continue).ask(Ask::Reject).is("rolling_back");
}

#[test]
fn a_weight_that_does_not_take_hold_is_tried_again_and_then_escalated_with_the_part() {
    let mut player =
        Player::soaking(plan_with("{ kind = \"kill_switch\", argv = [\"true\"], idempotent = true },", ""));
    player.look(Rollback);
    for pause in [1, 1, 2, 4, 8] {
        player.failed("canary/c2 has weight 50").after(pause);
    }
    player.failed("canary/c2 has weight 50").is("escalated");
    player.has_alert(Level::Page, "the weight of 0 % could not be set: canary/c2 has weight 50");
    assert_eq!(player.weights, [0, 5, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_refusal_is_not_repeated() {
    let mut player = Player::new(plan());
    let why = "backend web uses a static algorithm".to_owned();
    player.done().look(Continue).end(&Outcome::Failed { why, is_final: true }).is("escalated");
}

#[test]
fn a_person_is_called_when_the_service_does_not_recover_within_the_budget() {
    let mut player = Player::soaking(plan());
    player.look(Rollback).all_done();
    player.after(299).look_at(Continue, Finding::Waiting("errors".into())).is("recovering");
    player.after(1).has_alert(Level::Page, "has not recovered in time; the release has no traffic any more. on call");
    player.look(Continue).after(30).look(Continue).is("rolled_back");
}

#[test]
fn a_release_that_can_only_be_fixed_forward_is_contained_and_keeps_its_traffic() {
    let text = PLAN.replace("budget", "forward_fix_only = true\nbudget");
    let text = text.replace("    { kind = \"traffic_shift\", argv = [\"true\"], idempotent = true },\n", "");
    let text = text.replace("    { kind = \"scale_down\", argv = [\"true\"] },\n", "");
    let mut player = Player::soaking(Arc::new(Plan::parse(&text).unwrap()));
    player
        .look(Rollback)
        .all_done()
        .is("escalated")
        .has_alert(Level::Page, "can only be fixed forward: it stays at 5 %");
    assert_eq!(player.weights, [0, 5]);
    player.ask(Ask::Rollback { cut: true });
    assert_eq!(player.weights, [0, 5, 0], "a person may decide otherwise");
}

#[test]
fn an_interrupted_action_is_looked_at_before_it_is_repeated() {
    let mut player = Player::soaking(plan());
    player.look(Rollback).done().done().done();
    player.jobs.clear();
    player.take(&Event::Resumed);
    assert_eq!(player.runs.last().unwrap(), "Rollback(2) again");
}

/// Hours in which no controller ran.
fn away(player: &mut Player, hours: u64) {
    player.jobs.clear();
    player.at += std::time::Duration::from_secs(hours * 3_600);
    player.take(&Event::Resumed);
}

#[test]
fn after_hours_without_a_controller_more_traffic_needs_a_fresh_look() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).is("moving");
    away(&mut player, 3);
    player.is("soaking").done().is("soaking");
    assert_eq!(player.weights, [0, 5, 50, 5], "the weight of the stage before is set again");
    assert!(!player.alerts.iter().any(|(level, _)| *level == Level::Page), "{:?}", player.alerts);
    player.after(60).look(Continue).is("moving").done().is("soaking");
    assert_eq!(player.weights, [0, 5, 50, 5, 50]);
}

#[test]
fn a_move_that_was_interrupted_a_moment_ago_goes_on() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).is("moving");
    player.jobs.clear();
    player.at += std::time::Duration::from_secs(5);
    player.take(&Event::Resumed).is("moving").done().is("soaking");
    assert_eq!(player.weights, [0, 5, 50, 50]);
}

#[test]
fn the_time_without_a_controller_is_no_time_of_a_stage() {
    let mut player = Player::soaking(plan());
    player.after(59);
    away(&mut player, 3);
    player.is("soaking").look(Continue).is("soaking").after(59).look(Continue).is("soaking");
    player.after(1).look(Continue).is("moving");

    let mut player = Player::soaking(plan());
    player.after(10).ask(Ask::Pause);
    away(&mut player, 3);
    player.after(30).ask(Ask::Resume).after(59).look(Continue).is("soaking").after(1).look(Continue).is("moving");

    let mut player = Player::soaking(plan());
    player.look(Rollback).all_done().look(Continue).is("recovering");
    away(&mut player, 3);
    player.look(Continue).is("recovering").after(30).look(Continue).is("rolled_back");
}

#[test]
fn an_approval_of_a_stage_that_has_not_begun_is_refused_with_the_reason() {
    let mut player = Player::soaking(plan_with("weight = 50,", "weight = 50, gate = \"manual\","));
    player.after(60).look(Continue).is("moving").ask(Ask::Approve);
    let (is_accepted, text) = player.answer.clone().unwrap();
    assert!(!is_accepted && text == "the weight of 50 % is being set: approve when its stage has begun", "{text}");
    player.done().after(60).look(Continue).is("waiting").ask(Ask::Approve);
    assert!(player.answer.clone().unwrap().0);
    player.look(Continue).is("moving");
}

#[test]
fn a_failed_move_to_more_traffic_is_not_tried_again_while_it_is_paused() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).failed("no answer");
    player.ask(Ask::Pause).after(30);
    assert_eq!(player.weights, [0, 5, 50]);
    player.ask(Ask::Resume).after(1);
    assert_eq!(player.weights, [0, 5, 50, 50]);
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).failed("no answer");
    player.look(Pause).after(30);
    assert_eq!(player.weights, [0, 5, 50], "by a verdict as well");
}

#[test]
fn a_release_that_lost_its_traffic_stays_without_while_a_person_is_waited_for() {
    let mut player = Player::soaking(plan());
    player.look(Rollback);
    while player.rollout.weight() > 0 || player.weights.last() != Some(&0) {
        player.done();
    }
    player.end(&Outcome::Failed { why: "no such host".to_owned(), is_final: true });
    while player.rollout.name() != "escalated" {
        player.end(&Outcome::Failed { why: "no such host".to_owned(), is_final: true });
    }
    assert_eq!(player.rollout.expected(), Some(0));
    let (weights, runs) = (player.weights.len(), player.runs.len());
    player.drift().done().is("escalated");
    assert_eq!((player.weights.len(), player.weights.last()), (weights + 1, Some(&0)));
    player.ask(Ask::Resume);
    assert!(player.runs.len() > runs, "the step that failed is tried again, and none is left out");
}

#[test]
fn a_window_that_is_extended_is_no_time_of_the_stage() {
    let mut player = Player::soaking(plan());
    player.after(30).ask(Ask::Disable { seconds: 7_200 });
    player.after(6_600).ask(Ask::Disable { seconds: 7_200 });
    player.after(7_200).is("soaking");
    player.after(20).look(Continue).is("soaking").after(10).look(Continue).is("moving");
}

#[test]
fn the_share_that_is_assumed_of_a_lost_rollout_is_never_set() {
    let mut player = Player::new(plan());
    player.rollout = Rollout::new(plan());
    player.jobs.clear();
    player.weights.clear();
    player.take(&Event::Lost { why: "changed".to_owned() }).is("escalated");
    player.drift().look(Continue).take(&Event::Resumed).drift().look(Continue);
    assert_eq!((&player.weights[..], player.jobs.len()), (&[][..], 0));
    player.ask(Ask::Rollback { cut: true }).all_done();
    assert_eq!(player.weights, [0]);
}
