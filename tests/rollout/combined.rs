//! Commands, verdicts and failures that come together.

use crate::plans::{plan, plan_with};
use crate::player::Player;
use backstop::rollback::Decision::{Collecting, Continue, Pause, Rollback};
use backstop::rollback::plan::Level;
use backstop::rollout::stages::{Ask, Event, Outcome};
use std::time::Duration;

/// Waits for an approval since longer than its stage may last.
fn waiting_for_long() -> Player {
    let mut player = Player::soaking(plan_with("samples = 100", "samples = 100, gate = \"manual\""));
    player.after(60).look(Continue).is("waiting").after(50_000).look(Continue).is("waiting");
    player
}

#[test]
fn a_stage_that_waited_for_its_approval_is_not_rolled_back_for_a_moment_without_a_verdict() {
    let mut player = waiting_for_long();
    player.look(Collecting).is("soaking").after(5).look(Continue).is("waiting");
    player.ask(Ask::Approve).look(Continue).is("moving");
    let mut player = waiting_for_long();
    player.look(Collecting).after(539).look(Collecting).is("soaking").after(1).is("rolling_back");
}

#[test]
fn an_approval_against_a_late_pause_rolls_nothing_back() {
    let mut player = waiting_for_long();
    player.look(Pause).is("paused").after(30).ask(Ask::Approve).is("soaking").look(Continue).is("moving");
}

#[test]
fn one_resume_ends_a_pause_and_tries_again_what_failed() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).ask(Ask::Pause);
    assert_eq!(player.answer.as_ref().unwrap().1, "paused at 5 %, when 50 % are set; a verdict still rolls back");
    player.end(&Outcome::Failed { why: "refused".to_owned(), is_final: true }).is("escalated");
    player.ask(Ask::Resume).is("moving");
    assert_eq!((player.answer.clone().unwrap().1.as_str(), player.weights.last()), ("tried again", Some(&50)));
    player.ask(Ask::Resume);
    assert!(!player.answer.clone().unwrap().0);
}

#[test]
fn a_rollback_ends_a_pause_and_a_window_and_takes_no_new_ones() {
    for ask in [Ask::Pause, Ask::Disable { seconds: 100 }] {
        let mut player = Player::soaking(plan());
        player.ask(ask.clone()).ask(Ask::Rollback { cut: false }).all_done().is("recovering").after(20);
        assert_eq!(player.rollout.elapsed(player.at), Duration::from_secs(20), "its clock goes on");
        assert!(!player.ask(ask).answer.clone().unwrap().0, "which would be without effect");
        player.look(Continue).after(30).look(Continue).is("rolled_back");
        assert!(!player.alerts.iter().any(|(_, text)| text.contains("enabled again")), "{:?}", player.alerts);
    }
}

#[test]
fn a_controller_that_crashes_again_and_again_is_told_now_and_then() {
    let mut player = Player::soaking(plan());
    let mut pages = Vec::new();
    for restart in 1..=20 {
        player.jobs.clear();
        player.after(50).look(Continue).take(&Event::Resumed).is("soaking");
        if player.alerts.iter().any(|(level, _)| *level == Level::Page) {
            pages.push(restart);
            player.alerts.clear();
        }
    }
    assert_eq!(pages, [4, 8, 16]);
    let told = "the controller was started 20 times while soaking, and its time began anew each time";
    assert_eq!(player.rollout.waits(None, player.at), [told]);
    player.after(60).look(Continue).done().is("soaking");
    assert!(player.rollout.waits(None, player.at).is_empty(), "another state");
    player.look(Rollback).is("rolling_back");
}

#[test]
fn an_approval_says_what_else_stops_the_rollout() {
    for (ask, says) in [
        (Ask::Pause, "it is paused by bo: `resume checkout` ends that"),
        (Ask::Disable { seconds: 100 }, "automation is disabled by bo: `enable checkout` ends that"),
    ] {
        let mut player = Player::soaking(plan());
        player.ask(ask.clone()).ask(Ask::Approve);
        assert_eq!(player.answer.clone().unwrap(), (false, format!("there is nothing to approve: {says}")));
        let mut player = waiting_for_long();
        player.ask(ask.clone()).ask(Ask::Approve);
        assert_eq!(player.answer.clone().unwrap(), (true, format!("approved; {says}")));
        player.look(Pause).ask(Ask::Approve);
        assert_eq!(player.answer.clone().unwrap(), (true, format!("approved against the verdict; {says}")));
    }
    let mut player = Player::soaking(plan());
    player.drift().done().drift().is("escalated").ask(Ask::Approve);
    assert!(player.answer.clone().unwrap().1.ends_with("again: 50 %: `resume checkout` tries again"));
    player.ask(Ask::Pause).ask(Ask::Pause);
    assert_eq!(player.answer.clone().unwrap().1, "it is paused already, by bo: because");
}

#[test]
fn a_rollback_after_the_promotion_began_says_that_the_previous_version_may_be_another() {
    let mut player = Player::soaking(plan());
    player.after(60).look(Continue).done().after(60).look(Continue).done().after(60).look(Continue).is("promoting");
    let (mut promoted, key) = (player.rollout.clone(), player.jobs[0].0);
    player.ask(Ask::Rollback { cut: false }).is("rolling_back");
    let says = "1 of 1 `promote` commands were begun: see whether checkout:1.2.3 is still what it was";
    player.has_alert(Level::Page, says);
    promoted.step(&Event::Finished { key, outcome: Outcome::Done }, player.at);
    assert_eq!(promoted.name(), "promoted");
    let ask = Event::Asked { id: String::new(), ask: Ask::Rollback { cut: true }, by: "bo".into(), reason: "r".into() };
    promoted.step(&ask, player.at);
    assert!(promoted.why().contains(says), "{}", promoted.why());
}

#[test]
fn a_pause_holds_the_next_command_of_a_promotion() {
    let mut player = Player::soaking(plan_with(
        "promote = [",
        "promote = [{ argv = [\"true\"], verify = [\"true\"], timeout = \"2m\" }, ",
    ));
    player.after(60).look(Continue).done().after(60).look(Continue).done().after(60).look(Continue).is("promoting");
    player.ask(Ask::Pause).done().after(5_000).is("paused");
    assert_eq!(player.runs, ["Promote(0)"]);
    player.ask(Ask::Resume).is("promoting").done().is("promoted");
    assert_eq!(player.runs, ["Promote(0)", "Promote(1)"]);
}
