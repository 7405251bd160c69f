//! Requests that are answered, and those that are mistakes.

use super::scene::{Scene, TOKEN, payload};
use crate::kit::http;
use backstop::rollback::Policy;
use serde_json::json;

#[test]
fn a_verdict_has_the_fields_that_controllers_read() {
    let mut scene = Scene::new();
    scene.seconds(30, 0.0);
    let verdict = scene.verdict();
    assert_eq!(
        (&verdict["decision"], &verdict["code"], &verdict["data"]),
        (&json!("continue"), &json!(0), &json!("ok"))
    );
    assert_eq!(verdict["n"], json!({ "canary": 3_000.0, "baseline": 57_000.0 }));
    assert_eq!((&verdict["service"], &verdict["rollout"]), (&json!("shop"), &json!("first")));
    assert!(verdict["log_e"].is_number() && verdict["alpha"].is_number() && verdict["override"].is_null());
    let trigger = &verdict["triggers"][0];
    for field in ["name", "state", "canary", "baseline", "ratio", "sentence"] {
        assert!(trigger.get(field).is_some(), "{field}: {trigger}");
    }
    let id = verdict["evidence_id"].as_str().unwrap();
    assert!(id.len() == 12 && id.chars().all(|char| char.is_ascii_hexdigit()), "{id}");
    scene.judging.set_stage(5.0).unwrap();
    scene.seconds(1, 0.0);
    assert_eq!(scene.verdict()["stage"], 5.0);
    assert!(scene.judging.set_stage(101.0).is_err());
}

#[test]
fn mistakes_are_no_decisions() {
    let scene = Scene::new();
    let long = format!("/v1/verdict?service={}", "a".repeat(3_000));
    let longer = format!("/v1/verdict?service={}", "a".repeat(60_000));
    for (path, status, says) in [
        ("/v1/verdict?service=other", 404, "service \\\"other\\\" is not judged here, must be one of shop"),
        ("/v1/verdict?servce=shop", 400, "\\\"servce\\\" is no parameter here, must be one of service, rollout"),
        ("/v1/verdict?service=shop&service=shop", 400, "service is there twice"),
        ("/v1/verdict?service=%ff", 400, "is not UTF-8"),
        ("/v1/verdict?rollout=", 400, "1 to 200 bytes"),
        ("/v1/verdict?rollout=a%00b", 400, "1 to 200 bytes"),
        (&*long, 400, "at most 2048 are read"),
        (&*longer, 431, ""),
        ("/v1/evidence?service=other", 404, "is not judged here"),
        ("/v1/evidence/000000000000", 404, "only the last 100"),
        ("/v1/hooks/rollback", 405, ""),
        ("/v1/hooks/other", 404, ""),
    ] {
        let (found, body) = http("GET", scene.address, path, "");
        // The tests' own server has other limits for heads.
        let is_head = status == 431 && matches!(found, 400 | 414 | 431);
        assert!((found == status || is_head) && body.contains(says), "{}: {found} {body}", &path[..path.len().min(60)]);
    }
    assert_eq!(scene.get("/v1/verdict").0, 200, "one service needs no name");
    for (body, status, says) in [
        ("", 400, "the body cannot be read"),
        ("[]", 400, "the body cannot be read"),
        ("{\"name\": 1}", 400, "the body cannot be read"),
        ("{\"checksum\": \"a\\nb\"}", 400, "checksum"),
        ("{\"checksum\": \"  \"}", 400, "checksum: 1 to 200 bytes without control characters, not blank"),
        ("{\"checksum\": \"a\", \"checksum\": \"b\"}", 400, "duplicate field `checksum`"),
        ("{\"name\": \"x\", \"metadata\": {\"service\": \"other\"}}", 404, "is not judged here"),
        (&*format!("{{\"name\": \"{}\"}}", "a".repeat(70_000)), 413, "longer than 64 KiB"),
    ] {
        let (found, answer) = http("POST", scene.address, "/v1/hooks/confirm-promotion", body);
        assert!(found == status && answer.contains(says), "{}: {found} {answer}", &body[..body.len().min(60)]);
    }
}

#[test]
fn a_token_is_needed_where_it_is_configured_and_never_to_read() {
    let mut scene = Scene::with(Policy::default(), Some(TOKEN));
    scene.seconds(30, 0.0);
    let with = |token: &str| {
        let mut payload = payload("first");
        payload["metadata"]["token"] = json!(token);
        payload
    };
    assert_eq!(scene.hook("confirm-promotion", &payload("first")).0, 401);
    for wrong in ["", "a-token-of-the-test", "a-token-of-the-tests "] {
        let (status, body) = scene.hook("confirm-promotion", &with(wrong));
        assert!(status == 403 && body.contains("wrong_token"), "{wrong}: {body}");
    }
    assert_eq!(scene.hook("confirm-promotion", &with(TOKEN)).0, 200);
    for path in ["/v1/verdict", "/v1/verdict?rollout=first", "/v1/verdict?rollout=second", "/v1/evidence", "/metrics"] {
        assert_eq!(scene.get(path).0, 200, "{path}");
    }
}
