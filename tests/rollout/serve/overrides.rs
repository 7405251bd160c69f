//! A person overrides a verdict over HTTP.

use super::scene::{PERSON, Scene, TOKEN};
use crate::kit::block_on;
use backstop::rollback::{Decision, Policy};
use serde_json::json;

/// Status and body of a request to override, with this token.
fn ask(scene: &Scene, token: Option<&str>, body: &str) -> (u16, String) {
    let request = reqwest::Client::new().post(format!("http://{}/v1/override", scene.address)).body(body.to_owned());
    let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
    block_on(async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    })
}

#[test]
fn a_person_overrides_a_rollback_by_one_request() {
    let mut scene = Scene::with(Policy::default(), Some(TOKEN));
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    let body = json!({ "by": "an operator", "reason": "the errors are those of the load test" }).to_string();
    assert_eq!(ask(&scene, Some(PERSON), &body), (202, "in force at the next look\n".to_owned()));
    assert_eq!(scene.verdict()["decision"], "rollback", "not before the next look");
    assert_ne!(scene.seconds(2, 30.0).decision(), Decision::Rollback);
    let shown = &scene.verdict()["override"];
    assert_eq!((&shown["by"], &shown["decision"]), (&json!("an operator"), &json!("rollback")));
}

#[test]
fn only_a_person_overrides() {
    let mut scene = Scene::with(Policy::default(), Some(TOKEN));
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    let body = json!({ "by": "an operator", "reason": "load test" }).to_string();
    for (token, body, status) in [
        (None, &*body, 401),
        (Some(TOKEN), &*body, 403),
        (Some(PERSON), "{", 400),
        (Some(PERSON), r#"{"by": "an operator"}"#, 400),
        (Some(PERSON), r#"{"by": "", "reason": "x"}"#, 400),
        (Some(PERSON), r#"{"by": "x", "reason": "a\nb"}"#, 400),
        (Some(PERSON), r#"{"by": "x", "reason": "y", "service": "other"}"#, 404),
    ] {
        assert_eq!(ask(&scene, token, body).0, status, "{token:?} {body}");
    }
    assert_eq!(scene.seconds(2, 30.0).decision(), Decision::Rollback);
}
