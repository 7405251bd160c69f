//! Stages and drills over the admin page, and the audit of denied requests.

use crate::scene::Scene;
use backstop::clock::Timestamp;
use backstop::kill_switch::{Stage, Trigger};
use serde_json::{Value, json};
use std::time::Duration;

fn within(seconds: u64) -> Value {
    json!({ "at": (Timestamp::now() + Duration::from_secs(seconds)).to_string(), "then": "release" })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engagement_begins_at_the_first_stage_unless_it_says_now() {
    let scene = Scene::new().await;
    let stages = json!({ "reason": "why", "stages": [{ "instances": ["instance"] }, { "regions": ["eu"] }] });
    assert_eq!(scene.post("mira", "/v1/stages", stages.clone()).await.0, 200);
    assert_eq!(scene.post("otto", "/v1/stages", stages).await.1["code"], "wrong_switch", "it is for all switches");
    assert_eq!(scene.get("vera", "/v1/switches").await.1["stages"][1], json!({ "regions": ["eu"] }));

    let (_, told) = scene.engage("mira").await;
    assert_eq!(told["switch"]["engaged"]["stage"], json!({ "instances": ["instance"] }));
    let all = json!({ "reason": "why", "scope": { "all": true }, "stage": "everywhere" });
    let (status, told) = scene.post("mira", "/v1/switches/other/engage", all.clone()).await;
    assert_eq!((status.as_u16(), &told["code"]), (422, &json!("skips_stages")));
    let mut now = all;
    now["now"] = true.into();
    let (_, told) = scene.post("mira", "/v1/switches/other/engage", now).await;
    assert_eq!(told["switch"]["engaged"]["stage"], "everywhere");
    let changed = scene.editor.document().unwrap().unwrap().changed().clone();
    assert_eq!(changed.what, "engage other now");
    let audit = scene.get("vera", "/v1/audit").await.1;
    assert_eq!(audit["entries"].as_array().unwrap().last().unwrap()["change"]["engage"]["now"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_drill_ends_their_own_drill_and_turns_nothing_off_for_good() {
    let scene = Scene::new().await;
    let drill = |expires: Value| json!({ "reason": "november", "scope": { "all": true }, "expires": expires });
    let long = scene.post("dora", "/v1/switches/recs/drill", drill(within(9_999))).await;
    assert_eq!((long.0.as_u16(), &long.1["problems"][0]["field"]), (400, &json!("expires")));
    let claims = json!({ "reason": "x", "scope": { "all": true }, "trigger": "human", "expires": within(60) });
    assert_eq!(scene.post("dora", "/v1/switches/recs/drill", claims).await.1["problems"][0]["field"], "trigger");
    let engage = json!({ "reason": "x", "scope": { "all": true } });
    assert_eq!(scene.post("dora", "/v1/switches/recs/engage", engage).await.1["code"], "wrong_verb");

    assert_eq!(scene.post("dora", "/v1/switches/recs/drill", drill(within(60))).await.0, 200);
    let here = scene.get("vera", "/v1/switches/recs").await.1["switch"]["here"].clone();
    assert_eq!(here, json!({ "instance": "instance", "region": null, "is_engaged": true }));
    let end = json!({ "reason": "over" });
    let of_another = scene.post("mira", "/v1/switches/recs/end_drill", end.clone()).await;
    assert_eq!(of_another.1["code"], "wrong_verb", "mira may release it, and this is not the way");
    assert_eq!(scene.post("dora", "/v1/switches/recs/end_drill", end.clone()).await.0, 200);
    assert_eq!(scene.post("dora", "/v1/switches/recs/end_drill", end.clone()).await.1["code"], "not_engaged");

    scene.engage("mira").await;
    assert_eq!(scene.post("dora", "/v1/switches/recs/end_drill", end).await.1["code"], "wrong_verb");
    let again = scene.post("dora", "/v1/switches/recs/drill", drill(within(60))).await;
    assert_eq!((again.0.as_u16(), &again.1["code"]), (409, &json!("already_engaged")));
    let document = scene.editor.document().unwrap().unwrap();
    let engaged = document.switch("recs").unwrap().engaged.as_ref().unwrap();
    assert_eq!((&engaged.trigger, &engaged.stage), (&Trigger::Human, &Stage::Everywhere));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_to_somebody_with_a_token_is_written_down() {
    let scene = Scene::new().await;
    let why = json!({ "reason": "let me" });
    scene.post("vera", "/v1/switches/recs/release", why.clone()).await; // not hers to do
    scene.post("otto", "/v1/switches/recs/release", why.clone()).await; // not his switch
    scene.post("mira", "/v1/switches/recs/release", why.clone()).await; // not engaged
    scene.post("mira", "/v1/switches/recs/engage", why.clone()).await; // no scope: a slip
    scene.post("stranger", "/v1/switches/recs/release", why.clone()).await;
    scene.post("evi", "/v1/switches/recs/release", why).await;
    scene.engage("mira").await;
    let narrow = json!({ "reason": "for less", "scope": { "tenants": ["acme"] } });
    scene.post("nora", "/v1/switches/recs/engage", narrow.clone()).await; // it would let the others in
    scene.post("nora", "/v1/switches/recs/engage", narrow).await; // again within the minute
    let glass = json!({ "reason": "alone", "break_glass": true });
    scene.post("rene", "/v1/switches/recs/release", glass).await; // it takes approve, too

    let audit = scene.get("vera", "/v1/audit").await.1;
    let told: Vec<_> = audit["entries"].as_array().unwrap().iter().collect();
    let short = |one: &&Value| format!("{} {} {}", one["by"], one["what"], one["refused"]).replace('"', "");
    let expected = [
        "vera release wrong_verb",
        "otto release wrong_switch",
        "mira release not_engaged",
        "mira engage null",
        "nora engage wrong_verb",
        "rene release wrong_verb",
    ];
    assert_eq!(told.iter().map(short).collect::<Vec<_>>(), expected);
    assert_eq!(
        (&told[2]["reason"], &told[2]["switch"], &told[2]["generation"]),
        (&json!("let me"), &json!("recs"), &json!(3))
    );
    let bytes = std::fs::read(scene.folder.path().join("audit.jsonl")).unwrap();
    assert_eq!(backstop::kill_switch::audit::verify(&bytes).unwrap().entries, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_some_switches_lists_those() {
    let scene = Scene::new().await;
    let (status, told) = scene.get("otto", "/v1/switches").await;
    let ids: Vec<_> =
        told["switches"].as_array().unwrap().iter().map(|switch| switch["id"].as_str().unwrap()).collect();
    assert_eq!((status.as_u16(), ids), (200, vec!["other"]));
    assert!(told.get("changed").is_none() && told.get("pending").is_none(), "what others do is none of their business");
    assert_eq!(scene.get("otto", "/v1/switches/recs").await.1["code"], "wrong_switch");
    assert_eq!(scene.get("nora", "/v1/switches").await.1["code"], "wrong_verb");
    assert_eq!(scene.get("evi", "/v1/switches").await.1["code"], "unauthorized");
    assert_eq!(scene.get("vera", "/v1/switches").await.1["switches"].as_array().unwrap().len(), 2);
}

/// It may be mounted where everybody asks, through a proxy that says `localhost`.
#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_a_router_answers_nothing_under_any_name() {
    let switches = backstop::kill_switch::KillSwitches::builder("shop").build().unwrap();
    let router = backstop::admin::Admin::builder(switches).build().unwrap().router();
    for authority in ["127.0.0.1:9901", "localhost", "evil.example"] {
        let request = http::Request::get(format!("http://{authority}/v1/switches")).version(http::Version::HTTP_2);
        let request = request.body(axum::body::Body::empty()).unwrap();
        let response = tower::ServiceExt::oneshot(router.clone(), request).await.unwrap();
        assert_eq!(response.status().as_u16(), 403, "{authority}");
    }
}
