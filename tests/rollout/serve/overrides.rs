//! A person overrides a verdict over HTTP.

use super::scene::{PERSON, Scene, TOKEN};
use backstop::rollback::{Decision, Policy};
use serde_json::json;

#[test]
fn a_person_overrides_a_rollback_by_one_request() {
    let mut scene = Scene::with(Policy::default(), Some(TOKEN));
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    let body = json!({ "by": "an operator", "reason": "the errors are those of the load test" }).to_string();
    assert_eq!(scene.post("/v1/override", Some(PERSON), &body), (202, "in force at the next look\n".to_owned()));
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
        assert_eq!(scene.post("/v1/override", token, body).0, status, "{token:?} {body}");
    }
    assert_eq!(scene.seconds(2, 30.0).decision(), Decision::Rollback);
}
