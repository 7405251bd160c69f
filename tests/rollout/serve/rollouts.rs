//! Names of rollouts, and what begins a new one.

use super::scene::{PERSON, Scene, TOKEN, payload};
use crate::kit::arm;
use backstop::rollback::{Arm, Decision, Instances, Policy};
use backstop::rollout::judging::DataState;

fn canary(total: f64) -> Arm {
    let mut arm = if total > 0.0 { arm(100.0, 0.0) } else { Arm::default() };
    arm.instances = Some(Instances { total, ..Instances::default() });
    arm
}

#[test]
fn a_new_name_begins_anew_and_the_old_one_is_refused() {
    let mut scene = Scene::new();
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    assert_eq!(scene.get("/v1/verdict?rollout=first").1["decision"], "rollback");
    assert_eq!(scene.hook("rollback", &payload("second")).0, 403);
    let verdict = scene.verdict();
    assert_eq!((&verdict["decision"], &verdict["rollout"]), (&"collecting".into(), &"second".into()));
    assert_eq!((&verdict["n"]["canary"], &verdict["evidence_id"]), (&0.0.into(), &"".into()));
    let (status, reason) = scene.hook("rollback", &payload("first"));
    assert_eq!((status, &*reason), (403, "rollout first was superseded by another one\n"));
    let published = scene.seconds(30, 0.0);
    assert_eq!((published.decision(), published.rollout()), (Decision::Continue, Some("second")));
    assert_eq!(scene.hook("confirm-promotion", &payload("second")).0, 200);
    let (status, reason) = scene.hook("confirm-rollout", &payload("third"));
    assert_eq!(status, 200, "{reason}");
    assert_eq!(scene.look().rollout(), Some("third"));
}

/// A GET changes no state: evidence and a latched rollback stay, whatever rollout it names.
#[test]
fn a_question_about_another_rollout_is_collecting_and_changes_nothing() {
    let mut scene = Scene::new();
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    let before = scene.verdict();
    for path in ["/v1/verdict?rollout=second", "/v1/verdict?rollout=third&service=shop"] {
        let (status, verdict) = scene.get(path);
        assert_eq!((status, &verdict["decision"], &verdict["data"]), (200, &"collecting".into(), &"no_data".into()));
        assert_eq!((&verdict["n"]["canary"], &verdict["evidence_id"]), (&0.0.into(), &"".into()));
        let sentence = verdict["sentence"].as_str().unwrap();
        assert!(sentence.ends_with("is not judged: first is"), "{sentence}");
        scene.look();
    }
    let after = scene.verdict();
    assert_eq!(
        (&after["decision"], &after["rollout"], &after["evidence_id"], &after["n"]),
        (&before["decision"], &before["rollout"], &before["evidence_id"], &before["n"])
    );
}

/// A process that was restarted without its state does not know the name, and still finds what is wrong.
#[test]
fn a_rollout_without_a_name_promotes_nothing_and_is_rolled_back() {
    let mut scene = Scene::started(Policy::default(), None);
    assert_eq!(scene.seconds(90, 0.0).decision(), Decision::Continue);
    let of = |scene: &Scene| {
        let (status, verdict) = scene.get("/v1/verdict?rollout=first");
        assert_eq!((status, &verdict["rollout"]), (200, &serde_json::Value::Null));
        (verdict["decision"].as_str().unwrap().to_owned(), verdict["sentence"].as_str().unwrap().to_owned())
    };
    let (decision, sentence) = of(&scene);
    assert!(decision == "collecting" && sentence.contains("has no name: begin first"), "{sentence}");
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    assert_eq!(of(&scene).0, "rollback");
}

#[test]
fn a_controller_begins_a_rollout_with_the_token_alone() {
    let mut scene = Scene::with(Policy::default(), Some(TOKEN));
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    let body = r#"{"rollout": "second", "service": "shop"}"#;
    for (token, body, status) in [
        (None, body, 401),
        (Some(PERSON), body, 403),
        (Some(TOKEN), "{", 400),
        (Some(TOKEN), r#"{"service": "shop"}"#, 400),
        (Some(TOKEN), r#"{"rollout": ""}"#, 400),
        (Some(TOKEN), r#"{"rollout": "a\nb"}"#, 400),
        (Some(TOKEN), r#"{"rollout": "second", "service": "other"}"#, 404),
    ] {
        assert_eq!(scene.post("/v1/rollout", token, body).0, status, "{token:?} {body}");
    }
    assert!(!scene.begin("first"), "it is judged already");
    assert_eq!(scene.look().decision(), Decision::Rollback);
    assert!(scene.begin("second"));
    assert_eq!(scene.get("/v1/verdict?rollout=second").1["sentence"], "the rollout has just begun");
    assert_eq!(scene.seconds(30, 0.0).decision(), Decision::Continue);
    assert!(!scene.begin("second"), "a request that is sent again");
    assert!(scene.begin("first"), "the old version once more");
    assert_eq!(scene.look().rollout(), Some("first"));
    let scene = Scene::new();
    let (status, body) = scene.post("/v1/rollout", Some(TOKEN), body);
    assert!(status == 401 && body.contains("--token-file"), "{status} {body}");
}

#[test]
fn a_canary_that_is_back_after_a_minute_is_a_new_rollout() {
    let mut scene = Scene::new();
    scene.tick(canary(2.0), canary(4.0));
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    (0..30).for_each(|_| drop(scene.tick(canary(0.0), canary(4.0))));
    let published = scene.tick(canary(2.0), canary(4.0));
    assert_eq!(published.decision(), Decision::Rollback, "half a minute is a restart");
    (0..61).for_each(|_| drop(scene.tick(canary(0.0), canary(4.0))));
    assert_eq!(scene.verdict()["decision"], "rollback", "it stays until the next one");
    let published = scene.tick(canary(2.0), canary(4.0));
    assert_eq!((published.verdict().n.canary, published.rollout()), (100.0, None));
    assert_ne!(published.decision(), Decision::Rollback);
    assert_eq!(scene.hook("confirm-rollout", &payload("first")).0, 200, "the same version once more");
    assert_eq!(scene.look().rollout(), Some("first"));
}

#[test]
fn a_process_that_was_started_does_not_promote_on_what_it_does_not_know() {
    let mut scene = Scene::started(Policy::default(), None);
    let published = scene.seconds(40, 0.0);
    assert_eq!((published.decision(), published.data()), (Decision::Collecting, DataState::Restarted));
    assert!(published.verdict().sentence.contains("was started anew"), "{}", published.verdict().sentence);
    scene.hook("rollback", &payload("first"));
    assert_eq!(scene.get("/v1/verdict?rollout=first").1["data"], "restarted", "its name does not change that");
    let published = scene.seconds(21, 0.0);
    assert_eq!((published.decision(), published.data()), (Decision::Continue, DataState::Ok));
    let mut scene = Scene::started(Policy::default(), None);
    assert_eq!(scene.seconds(20, 50.0).decision(), Decision::Rollback, "a rollback passes");
}

#[test]
fn evidence_is_kept_at_each_change_and_stays() {
    let mut scene = Scene::new();
    scene.seconds(30, 0.0);
    let before = scene.verdict()["evidence_id"].as_str().unwrap().to_owned();
    scene.seconds(5, 0.0);
    assert_eq!(scene.verdict()["evidence_id"], before.as_str(), "nothing changed");
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    let id = scene.verdict()["evidence_id"].as_str().unwrap().to_owned();
    assert_ne!(id, before);
    let (status, evidence) = scene.get(&format!("/v1/evidence/{id}"));
    assert_eq!(
        (status, &evidence["id"], &evidence["verdict"]["decision"]),
        (200, &id.as_str().into(), &"rollback".into())
    );
    let ticks = evidence["ticks"].as_array().unwrap();
    assert!(ticks.len() > 30, "{}", ticks.len());
    assert_eq!(ticks.last().unwrap()["canary"]["segments"]["default"]["server_errors"], 30.0);
    scene.judging.begin("second");
    assert_eq!(scene.get(&format!("/v1/evidence/{id}")).0, 200, "also of a rollout before");
    // Many changes push the oldest out.
    for i in 0..110 {
        scene.judging.begin(&i.to_string());
        scene.seconds(4, 0.0);
    }
    let (_, list) = scene.get("/v1/evidence?service=shop");
    assert_eq!(list["evidence"].as_array().unwrap().len(), 100);
    assert_eq!(scene.get(&format!("/v1/evidence/{id}")).0, 404);
}
