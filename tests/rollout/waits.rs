//! The reason for a state: true, and complete.

use crate::plans::{PLAN, plan, plan_with};
use crate::player::{Player, WHOLE};
use backstop::rollback::Decision::{Collecting, Continue, Rollback};
use backstop::rollback::plan::{Level, Plan};
use backstop::rollout::soak::Finding;
use backstop::rollout::stages::{Ask, Event, Look, Reading, Ready};
use std::sync::Arc;
use std::time::Duration;

fn waits(player: &Player, decision: backstop::rollback::Decision, recovery: Finding) -> String {
    let look = Look {
        decision,
        sentence: "the sentence".to_owned(),
        canary: Some(player.canary),
        stable: Some(player.stable),
        samples: player.samples,
        others: 0.0,
        watched: player.watched,
        recovery,
    };
    player.rollout.waits(Some(&look), player.at).join("; ")
}

#[test]
fn the_time_of_a_stage_is_time_that_was_seen() {
    let mut player = Player::soaking(plan());
    player.watched = Duration::from_secs(2);
    player.after(500).look(Continue).is("soaking");
    assert_eq!(waits(&player, Continue, Finding::Good), "data with a verdict to go on in 2 of 60 s");
    player.watched = Duration::from_mins(1);
    player.look(Continue).is("moving");
    let mut player = Player::soaking(plan());
    player.after(601).is("rolling_back");
    player.has_alert(Level::Page, "within its longest duration: too little time with data");
}

#[test]
fn each_condition_that_keeps_a_stage_from_going_on_is_named() {
    let mut player = Player::soaking(plan());
    (player.canary, player.samples) = (Ready { ready: 3, total: 4 }, 20.0);
    player.look(Continue);
    assert_eq!(
        waits(&player, Continue, Finding::Good),
        "3 of 4 instances of checkout:1.2.4 are ready",
        "the rest is as planned"
    );
    player.after(60).look(Collecting);
    assert_eq!(
        waits(&player, Collecting, Finding::Good),
        "3 of 4 instances of checkout:1.2.4 are ready; 20 of 100 canary requests; the verdict is collecting: the sentence"
    );
    player.after(540).is("rolling_back");
    let why =
        "not decided within its longest duration: instances that are not ready, too few canary requests, no verdict";
    player.has_alert(Level::Page, why);
}

#[test]
fn a_start_says_whose_instances_it_waits_for_and_how_it_is_approved() {
    let mut player = Player::new(plan());
    player.stable = Ready { ready: 1, total: 4 };
    player.done().look(Continue).is("checking").after(600).is("rolling_back");
    player.has_alert(Level::Notify, "1 of 4 instances of checkout:1.2.3, which a rollback would return to, are ready");
    let manual = Arc::new(Plan::parse(&format!("start = \"manual\"\n{PLAN}")).unwrap());
    let mut player = Player::new(manual);
    player.canary = Ready { ready: 0, total: 4 };
    player.done().look(Continue);
    assert!(
        player.rollout.why().starts_with("it needs an approval: backstop rollout approve "),
        "{}",
        player.rollout.why()
    );
    assert_eq!(waits(&player, Continue, Finding::Good), "0 of 4 instances of checkout:1.2.4 are ready");
    player.ask(Ask::Approve);
    assert_eq!(player.rollout.why(), "");
}

#[test]
fn an_approved_stage_says_what_it_still_waits_for() {
    let gated = plan_with("samples = 100", "samples = 100, gate = \"manual\"");
    let mut player = Player::soaking(gated);
    player.after(60).look(Continue).is("waiting");
    assert!(player.rollout.why().starts_with("it needs an approval"));
    player.canary = Ready { ready: 2, total: 4 };
    player.look(Continue).ask(Ask::Approve).look(Continue).is("waiting");
    assert_eq!(player.rollout.why(), "");
    assert_eq!(waits(&player, Continue, Finding::Good), "2 of 4 instances of checkout:1.2.4 are ready");
    player.canary = WHOLE;
    player.look(Continue).is("moving");
}

#[test]
fn a_recovery_says_what_is_missing_and_so_does_the_call() {
    let mut player = Player::soaking(plan());
    player.look(Rollback).all_done().is("recovering");
    let missing = Finding::Waiting("errors: 2 % of the requests fail; latency: p99 is 3 s".to_owned());
    player.look_at(Continue, missing.clone());
    let why = "the service has not recovered: errors: 2 % of the requests fail; latency: p99 is 3 s";
    assert_eq!(waits(&player, Continue, missing), why);
    player.after(3_600).has_alert(Level::Page, "has not recovered in time (errors, latency)");
}

#[test]
fn a_weight_that_cannot_be_set_yet_says_why() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).failed("no answer");
    assert_eq!(player.rollout.waits(None, player.at), ["tried again: no answer"]);
}

fn reading(player: &mut Player, reading: Reading) -> usize {
    player.take(&Event::Weight { reading });
    player.alerts.iter().filter(|(_, text)| text.contains("a person has to act")).count()
}

#[test]
fn a_weight_that_changes_in_a_maintenance_window_is_said_once_and_left_alone_until_its_end() {
    let mut player = Player::soaking(plan());
    player.ask(Ask::Disable { seconds: 300 });
    assert_eq!(player.rollout.expected(), Some(5), "it is read all the same");
    for _ in 0..3 {
        assert_eq!(reading(&mut player, Reading::Differs { why: "50 %".to_owned() }), 1);
    }
    assert_eq!(player.weights, [0, 5]);
    assert_eq!(player.rollout.waits(None, player.at), ["the weight is not the one that was set: 50 %"]);
    player.after(300).drift();
    assert_eq!(player.weights, [0, 5, 5], "corrected after the window");
    player.done();
    reading(&mut player, Reading::Same);
    assert!(player.rollout.waits(None, player.at).is_empty());
}

#[test]
fn a_weight_that_changes_while_a_person_is_waited_for_is_said() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue);
    for _ in 0..6 {
        player.failed("no answer").after(10);
    }
    player.is("escalated");
    assert_eq!(reading(&mut player, Reading::Differs { why: "30 %".to_owned() }), 1);
    assert_eq!(player.weights.len(), 8, "nothing is set");
}
