//! Commands over HTTP: one request with a token and a reason.

use crate::scene::Scene;
use crate::servers::{Fault, eventually};
use backstop::admin::Admin;
use backstop::kill_switch::KillSwitches;
use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
use backstop::rollout::controller::Ended;
use backstop::rollout::stages::{End, Event};
use std::sync::atomic::Ordering;

pub(crate) fn token(number: u8) -> Token {
    Token::from_bytes([number; 32])
}

/// Token 1 may roll back, token 2 may let it go on, token 3 may look.
pub(crate) fn access() -> AccessList {
    let later = "2099-01-01T00:00:00Z".parse().unwrap();
    let grant = |actor: &str, number, verb| {
        Grant::new(actor, token(number).hash(), later).verbs([verb]).switches(Switches::All)
    };
    let grants = [grant("bo", 1, Verb::Rollback), grant("ada", 2, Verb::Rollout), grant("eve", 3, Verb::View)];
    AccessList::new(grants, backstop::clock::Timestamp::now()).unwrap()
}

/// The address of an admin page.
fn admin(scene: &Scene) -> String {
    let switches = KillSwitches::builder("shop").build().unwrap();
    let admin = Admin::builder(switches).access(access()).rollouts(scene.folder.path().join("state")).build().unwrap();
    let app = axum::Router::new().nest("/backstop", admin.router());
    format!("http://{}/backstop/v1/rollouts", crate::kit::serve(app))
}

pub(crate) fn send(url: &str, number: u8, body: Option<&str>) -> (u16, serde_json::Value) {
    crate::kit::block_on(async {
        let client = reqwest::Client::new();
        let request = match body {
            Some(body) => client.post(url).header("content-type", "application/json").body(body.to_owned()),
            None => client.get(url),
        };
        let answer = request.bearer_auth(token(number).reveal()).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    })
}

#[test]
fn a_rollback_is_one_request_with_a_token_and_a_reason_and_is_in_the_journal() {
    let scene = Scene::new("");
    scene.world.not_ready.store(4, Ordering::Relaxed);
    let url = admin(&scene);
    let none = send(&format!("{url}/checkout/pause"), 2, Some(r#"{"reason": "r"}"#));
    assert_eq!((none.0, &none.1["code"]), (503, &"no_controller".into()));
    let running = scene.start();
    scene.reaches("checking");
    for (path, number, body, status, code) in [
        ("checkout/rollback", 2, r#"{"reason": "r"}"#, 403, "wrong_verb"),
        ("checkout/pause", 1, r#"{"reason": "r"}"#, 403, "wrong_verb"),
        ("checkout/pause", 9, r#"{"reason": "r"}"#, 401, "unauthorized"),
        ("checkout/pause", 2, "{}", 400, "invalid"),
        ("checkout/pause", 2, r#"{"reason": " "}"#, 400, "invalid"),
        ("checkout/pause", 2, r#"{"reason": "r", "break_glass": true}"#, 400, "invalid"),
        ("checkout/disable", 2, r#"{"reason": "r", "seconds": 999999}"#, 400, "invalid"),
        ("checkout/enable", 2, r#"{"reason": "r"}"#, 409, "refused"),
        ("payments/pause", 2, r#"{"reason": "r"}"#, 404, "unknown_rollout"),
        ("..%2Fx/pause", 2, r#"{"reason": "r"}"#, 404, "unknown_rollout"),
    ] {
        let answer = send(&format!("{url}/{path}"), number, Some(body));
        assert_eq!((answer.0, answer.1["code"].as_str()), (status, Some(code)), "{path} {body}: {answer:?}");
    }
    let wrong = send(&format!("{url}/checkout/disable"), 2, Some(r#"{"reason": "r", "seconds": -1}"#));
    assert!(wrong.1["detail"].as_str().unwrap().contains("expected a whole number from 0"), "{wrong:?}");
    let answer = send(&format!("{url}/checkout/pause"), 2, Some(r#"{"reason": "lunch"}"#));
    assert_eq!((answer.0, &answer.1["is_accepted"]), (200, &true.into()), "{answer:?}");
    let status = eventually("shown", || {
        Some(send(&format!("{url}/checkout"), 3, None)).filter(|answer| answer.1["state"] == "paused")
    });
    let why = status.1["why"].as_str().unwrap();
    assert_eq!(why, "paused by ada: lunch; 0 of 4 instances of checkout:1.2.4 are ready");
    assert_eq!(send(&url, 3, None).1["rollouts"][0]["service"], "checkout");
    let answer = send(&format!("{url}/checkout/rollback"), 1, Some(r#"{"reason": "bad", "break_glass": true}"#));
    assert_eq!(answer.0, 200, "{answer:?}");
    assert_eq!(running.join().unwrap(), Ended::Done(End::Aborted));
    let journal = scene.journal();
    let is_kept = |by: &str, why: &str| {
        journal.iter().any(
            |record| matches!(&record.event, Event::Asked { by: author, reason, .. } if author == by && reason == why),
        )
    };
    assert!(is_kept("ada", "lunch") && is_kept("bo", "bad"));
}

#[test]
fn without_a_controller_a_rollback_over_http_acts_itself_and_other_commands_do_not() {
    let scene = Scene::new("");
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::Promoted));
    let url = admin(&scene);
    let rollback = |body| send(&format!("{url}/checkout/rollback"), 1, Some(body));
    let answer = rollback(r#"{"reason": "late", "break_glass": true}"#);
    assert_eq!(answer.0, 200, "{answer:?}");
    let text = answer.1["text"].as_str().unwrap();
    assert!(text.starts_with("checkout:1.2.4 has no traffic. Nothing here sees"), "{text}");
    assert!(scene.balancer.is_at(0));
    assert_eq!(scene.log(), ["promoted", "switched", "evidence", "down"], "the plan's actions, too");
    assert!(scene.journal().iter().any(|record| matches!(&record.event, Event::Asked { by, .. } if by == "bo")));
    let again = rollback(r#"{"reason": "late"}"#);
    assert_eq!((again.0, &again.1["code"]), (409, &"refused".into()), "{again:?}");
    assert!(again.1["detail"].as_str().unwrap().contains("has no traffic: nothing to do"), "{again:?}");
    assert_eq!(send(&format!("{url}/checkout/pause"), 2, Some(r#"{"reason": "r"}"#)).0, 503);
    assert_eq!(send(&format!("{url}/payments/rollback"), 1, Some(r#"{"reason": "r"}"#)).0, 404);
}

#[test]
fn a_rollback_over_http_that_cannot_be_done_names_a_person_and_one_that_takes_long_goes_on() {
    let scene = Scene::new("");
    assert_eq!(scene.start().join().unwrap(), Ended::Done(End::Promoted));
    let url = format!("{}/checkout/rollback", admin(&scene));
    *scene.balancer.fault.lock().unwrap() = Fault::Refuses;
    let answer = send(&url, 1, Some(r#"{"reason": "late", "break_glass": true}"#));
    assert_eq!((answer.0, &answer.1["code"]), (409, &"held".into()), "{answer:?}");
    *scene.balancer.fault.lock().unwrap() = Fault::Hangs;
    let answer = send(&url, 1, Some(r#"{"reason": "late", "break_glass": true}"#));
    assert_eq!(answer.0, 200, "{answer:?}");
    assert!(answer.1["text"].as_str().unwrap().ends_with("it goes on, see its status"), "{answer:?}");
    *scene.balancer.fault.lock().unwrap() = Fault::None;
    eventually("weight 0", || scene.balancer.is_at(0).then_some(()));
}
