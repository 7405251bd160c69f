//! The admin page over real sockets: what it shows, what it changes, and every way in which it says no.

mod drills;
mod faults;
mod scene;

use backstop::admin::{Admin, ServeError};
use backstop::clock::Timestamp;
use backstop::kill_switch::access::{AccessList, Grant, Switches, Token, Verb};
use backstop::kill_switch::{Author, Change, KillSwitches};
use backstop::{Bulkhead, CircuitBreaker, Registry};
use scene::{NOT_DURABLE, Scene, UNREACHABLE, WELL, access, definition, token, told};
use serde_json::json;
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn the_state_has_groups_with_their_open_keys() {
    use backstop::circuit_breaker::keyed::KeyedCircuitBreaker;
    let registry = Registry::new();
    let hosts = registry.add(KeyedCircuitBreaker::<String>::builder("hosts").build().unwrap()).unwrap();
    hosts.key("eu-1.example").force_open("maintenance");
    hosts.key("eu-2.example").try_acquire().unwrap().success();
    let scene = Scene::with(|builder| builder.access(access()).registry(registry)).await;
    let (_, state) = scene.get("vera", "/v1/state").await;
    let key = json!({ "key": "eu-1.example", "is_overflow": false, "state": "forced_open" });
    let group = json!({ "by": "circuit_breaker", "name": "hosts", "keys": 2, "not_at_rest": [key] });
    assert_eq!(state["groups"], json!([group]));
}

#[tokio::test(flavor = "multi_thread")]
async fn engage_look_release_revert() {
    let registry = Registry::new();
    registry.add(CircuitBreaker::new("payments")).unwrap().force_open("maintenance");
    registry.add(Bulkhead::new("images")).unwrap();
    let scene = Scene::with(|builder| builder.access(access()).registry(registry)).await;
    let (status, told) = scene.engage("mira").await;
    assert_eq!(status, 200, "{told}");
    assert_eq!((&told["generation"], &told["audited"], &told["pending"]), (&json!(4), &json!(true), &json!(null)));
    assert_eq!(told["switch"]["engaged"]["by"], "mira");
    assert!(scene.recs.is_engaged(), "in force before the answer");

    let (_, state) = scene.get("vera", "/v1/state").await;
    assert_eq!(
        (&state["breakers"][0]["state"], &state["bulkheads"][0]["name"]),
        (&json!("forced_open"), &json!("images"))
    );
    assert_eq!((&state["board"]["generation"], &state["board"]["source"]), (&json!(4), &json!("store")));
    let recs = &state["document"]["switches"][1];
    assert_eq!(
        (&recs["id"], &recs["is_engaged"], &recs["engaged"]["reason"]),
        (&json!("recs"), &json!(true), &json!("wrong prices"))
    );
    let (_, one) = scene.get("vera", "/v1/switches/recs").await;
    assert_eq!(&one["switch"], recs);
    assert_eq!(scene.get("vera", "/v1/switches").await.1["hash"], one["hash"]);

    let release = json!({ "reason": "fixed", "if_generation": 4 });
    assert_eq!(scene.post("mira", "/v1/switches/recs/release", release).await.0, 200);
    assert!(!scene.recs.is_engaged());
    let (status, _) = scene.post("mira", "/v1/revert", json!({ "reason": "it was not", "generation": 4 })).await;
    assert_eq!((status.as_u16(), scene.recs.is_engaged()), (200, true));

    let (_, history) = scene.get("vera", "/v1/history?limit=2").await;
    let generations: Vec<_> = history["revisions"].as_array().unwrap().iter().map(|one| &one["generation"]).collect();
    assert_eq!(generations, [6, 5]);
    assert_eq!(scene.get("vera", "/v1/revisions/4").await.1["generation"], 4);
    assert_eq!(scene.get("vera", "/v1/document").await.1["generation"], 6);
    let (_, audit) = scene.get("vera", "/v1/audit?limit=2").await;
    let whats: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|one| &one["what"]).collect();
    assert_eq!(whats, ["release", "revert"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_has_a_route() {
    let scene = Scene::new().await;
    let until = |seconds| (Timestamp::now() + Duration::from_secs(seconds)).to_string();
    let expires = json!({ "at": until(60), "then": "release" });
    for (path, mut body) in [
        ("switches/new/define", json!({ "definition": definition("team-new") })),
        (
            "switches/new/engage",
            json!({ "scope": { "all": true }, "stage": { "instances": ["a"] }, "expires": expires }),
        ),
        ("switches/new/advance", json!({ "stage": { "instances": ["a", "b"] } })),
        ("switches/new/extend", json!({ "until": until(120) })),
        ("switches/new/pin", json!({ "state": "engaged" })),
        ("switches/new/unpin", json!({})),
        ("switches/new/release", json!({})),
        ("switches/new/drill", json!({ "scope": { "tenants": ["drill"] }, "expires": expires })),
        ("switches/new/end_drill", json!({})),
        ("switches/new/drilled", json!({ "instances": 3, "time_to_disable_ms": 4, "time_to_verify_ms": 5 })),
        ("switches/new/retire", json!({})),
        ("stages", json!({ "stages": [{ "instances": ["a"] }] })),
        ("restore", json!({})),
        ("two_person", json!({ "required": true })),
    ] {
        body["reason"] = "why".into();
        let (status, told) = scene.post("mira", &format!("/v1/{path}"), body).await;
        assert_eq!(status, 200, "{path}: {told}");
    }
    let changed = scene.editor.document().unwrap().unwrap().changed().clone();
    assert_eq!((&*changed.what, &*changed.by), ("two_person true", "mira"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_takes_two_waits_for_the_second() {
    let scene = Scene::new().await;
    let by = Author::person("setup", Timestamp::now()).because("policy");
    scene.editor.change(&Change::TwoPerson { required: true }, &by).unwrap();
    scene.engage("mira").await;
    let release = json!({ "reason": "fixed" });
    let (status, waits) = scene.post("mira", "/v1/switches/recs/release", release.clone()).await;
    assert_eq!((status.as_u16(), &waits["pending"]), (202, &json!(6)));
    assert!(scene.recs.is_engaged());
    let again = scene.post("mira", "/v1/switches/recs/release", release).await;
    assert_eq!((again.0.as_u16(), &again.1["code"]), (409, &json!("already_proposed")));

    let approve = json!({ "reason": "agreed", "number": 6, "document": waits["hash"] });
    for (actor, status, code) in [
        ("mira", 422, "same_person"),
        ("otto", 403, "wrong_switch"),
        ("vera", 403, "wrong_verb"),
        ("evi", 401, "unauthorized"),
    ] {
        let told = scene.post(actor, "/v1/approve", approve.clone()).await;
        assert_eq!((told.0.as_u16(), &told.1["code"]), (status, &json!(code)));
    }
    let (status, told) = scene.post("ana", "/v1/approve", approve).await;
    assert_eq!((status.as_u16(), scene.recs.is_engaged()), (200, false), "{told}");
    assert_eq!(scene.get("vera", "/v1/document").await.1["changed"]["approved_by"], "ana");

    scene.engage("mira").await;
    let number =
        scene.post("mira", "/v1/switches/recs/release", json!({ "reason": "fixed" })).await.1["pending"].clone();
    assert_eq!(scene.post("ana", "/v1/reject", json!({ "reason": "no", "number": number })).await.0, 200);
    let glass = json!({ "reason": "one person on call", "break_glass": true });
    assert_eq!(scene.post("mira", "/v1/switches/recs/release", glass).await.0, 200);
    assert_eq!(scene.get("vera", "/v1/document").await.1["changed"]["break_glass"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_for_another_generation_is_not_made() {
    let scene = Scene::new().await;
    let engage = json!({ "reason": "why", "scope": { "all": true }, "if_generation": 3 });
    assert_eq!(scene.post("mira", "/v1/switches/recs/engage", engage.clone()).await.0, 200);
    for _ in 0..2 {
        let (status, told) = scene.post("mira", "/v1/switches/recs/engage", engage.clone()).await;
        assert_eq!((status.as_u16(), &told["code"], &told["generation"]), (409, &json!("moved"), &json!(4)));
    }
    assert_eq!(scene.editor.document().unwrap().unwrap().generation(), 4);
    let fits = json!({ "reason": "why", "if_generation": 4 });
    let both = tokio::join!(
        scene.post("mira", "/v1/switches/recs/release", fits.clone()),
        scene.post("ana", "/v1/switches/recs/release", fits),
    );
    let mut statuses = [both.0.0.as_u16(), both.1.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "one of two at once");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_has_its_reason() {
    let scene = Scene::new().await;
    let why = || json!({ "reason": "why" });
    let long = "x".repeat(513);
    for (path, body, status, code) in [
        ("switches/recs/engage", json!({ "scope": {}, "by": "root", "reason": long }), 400, "invalid"),
        ("switches/recs/release", json!([]), 400, "invalid"),
        ("switches/recs/release", json!({}), 400, "invalid"),
        ("switches/none/release", why(), 404, "unknown_switch"),
        ("switches/recs/release", why(), 409, "not_engaged"),
        ("reject", json!({ "reason": "why", "number": 99 }), 404, "unknown_proposal"),
        ("revert", json!({ "reason": "why", "generation": 99 }), 404, "unknown_revision"),
        ("switches/recs/fly", why(), 404, "not_found"),
    ] {
        let told = scene.post("mira", &format!("/v1/{path}"), body).await;
        assert_eq!((told.0.as_u16(), &told.1["code"]), (status, &json!(code)), "{path}: {}", told.1);
    }
    let told = scene.post("mira", "/v1/switches/recs/engage", json!({ "scope": {}, "reason": " " })).await.1;
    let fields: Vec<_> = told["problems"].as_array().unwrap().iter().map(|one| &one["field"]).collect();
    assert_eq!(fields, ["scope", "reason"], "every range at once");
    for path in ["history?limit=0", "history?limit=501", "history?x=1", "audit?limit=-1"] {
        assert_eq!(scene.get("vera", &format!("/v1/{path}")).await.0, 400, "{path}");
    }
    assert_eq!(scene.get("vera", "/v1/revisions/99").await.1["code"], "unknown_revision");
    assert_eq!(scene.get("vera", "/v1/revisions/x").await.0, 404);

    scene.post("mira", "/v1/switches/other/retire", why()).await;
    let define = json!({ "reason": "again", "definition": definition("team") });
    let told = scene.post("mira", "/v1/switches/other/define", define).await;
    assert_eq!((told.0.as_u16(), &told.1["code"]), (422, &json!("retired")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_told_with_what_came_of_it() {
    let scene = Scene::new().await;
    scene.store.is(UNREACHABLE);
    for answer in [scene.engage("mira").await, scene.get("vera", "/v1/document").await] {
        assert_eq!((answer.0.as_u16(), &answer.1["code"]), (503, &json!("unreachable")));
    }
    assert_eq!(scene.get("vera", "/v1/state").await.1["document"]["generation"], 3, "from memory");
    assert!(!scene.recs.is_engaged());
    scene.store.is(NOT_DURABLE);
    let (status, told) = scene.engage("mira").await;
    assert_eq!((status.as_u16(), &told["code"]), (503, &json!("not_durable")));
    assert!(scene.recs.is_engaged(), "the answer says that it is in place");
    scene.store.is(WELL);
    let (_, audit) = scene.get("vera", "/v1/audit").await;
    assert_eq!(audit["entries"][0]["what"], "engage", "written down all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_made_when_the_audit_cannot_be_written() {
    let scene = Scene::new().await;
    std::fs::create_dir(scene.folder.path().join("audit.jsonl")).unwrap();
    let (status, told) = scene.engage("mira").await;
    assert_eq!((status.as_u16(), &told["audited"]), (200, &json!(false)));
    assert_eq!(scene.get("vera", "/v1/audit").await.1["code"], "unreadable_audit");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tokens_everything_can_be_read_here_and_nothing_changed() {
    let scene = Scene::with(|builder| builder).await;
    for path in ["/v1/state", "/v1/switches", "/v1/switches/recs", "/v1/history", "/v1/document"] {
        let response = scene.client.get(scene.url(path)).send().await.unwrap();
        assert_eq!(told(response).await.0, 200, "{path}");
    }
    assert_eq!(scene.engage("mira").await.0, 404, "there is no such route");
    let rebound = scene.client.get(scene.url("/v1/state")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(rebound.status(), 403);
    for (name, value) in [("x-real-ip", "203.0.113.9"), ("x-forwarded-host", "shop.example"), ("cf-ray", "1")] {
        let proxied = scene.client.get(scene.url("/v1/state")).header("host", "localhost").header(name, value);
        assert_eq!(proxied.send().await.unwrap().status(), 403, "{name}");
    }
    let nginx = scene.raw(b"GET /v1/state HTTP/1.0\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert!(nginx.starts_with("HTTP/1.0 403"), "{nginx}");
}

#[tokio::test]
async fn the_router_is_mounted_beside_other_routes() {
    let switches = KillSwitches::builder("shop").build().unwrap();
    let admin = Admin::builder(switches).access(access()).build().unwrap();
    let app = axum::Router::new().route("/", axum::routing::get(async || "shop")).nest("/ops/{tenant}", admin.router());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    assert_eq!(client.get(&url).send().await.unwrap().text().await.unwrap(), "shop");
    let get = |path: &str| client.get(format!("{url}/ops/acme/v1/{path}")).bearer_auth(token("mira")).send();
    assert_eq!(told(get("state").await.unwrap()).await.0, 200);
    assert_eq!(told(get("switches/recs").await.unwrap()).await.1["code"], "unknown_switch");
    assert_eq!(told(get("document").await.unwrap()).await.1["code"], "no_store");
    assert_eq!(told(get("none").await.unwrap()).await.1["code"], "not_found");
}

#[tokio::test]
async fn a_public_address_without_a_live_token_is_refused() {
    let admin = |access| {
        let switches = KillSwitches::builder("shop").build().unwrap();
        Admin::builder(switches).access(access).build().unwrap()
    };
    let now = Timestamp::now();
    let gone = Grant::new("evi", Token::from_bytes([1; 32]).hash(), now).verbs([Verb::View]).switches(Switches::All);
    for access in [AccessList::default(), AccessList::new([gone], now).unwrap()] {
        let admin = admin(access);
        for address in ["0.0.0.0:0", "[::]:0"] {
            let error = admin.bind(address).await.unwrap_err();
            assert!(matches!(error, ServeError::Public { .. }), "{error}");
            assert!(error.to_string().contains("no token is valid"));
        }
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        assert!(matches!(admin.serve(listener).await, Err(ServeError::Public { .. })));
        let local = tokio::time::timeout(Duration::from_millis(50), admin.bind("127.0.0.1:0")).await;
        assert!(local.is_err(), "it serves");
    }
    let live = tokio::time::timeout(Duration::from_millis(50), admin(access()).bind("0.0.0.0:0")).await;
    assert!(live.is_err(), "it serves");
    let shown = format!("{:?}", admin(access()));
    assert_eq!(shown, "Admin { switches: \"shop\", grants: 8 }");
    assert!(!shown.contains(&token("mira")));
}

#[tokio::test]
async fn who_may_engage_releases_nobody_by_engaging_for_less() {
    let scene = Scene::new().await;
    assert_eq!(scene.engage("nora").await.0, 200);
    let less = json!({ "reason": "x", "scope": { "tenants": ["nobody"] } });
    let (status, told) = scene.post("nora", "/v1/switches/recs/engage", less.clone()).await;
    assert_eq!((status.as_u16(), told["code"].as_str()), (403, Some("wrong_verb")));
    assert!(scene.recs.is_engaged());
    let seen = json!({ "reason": "x", "scope": { "tenants": ["nobody"] }, "if_generation": 1 });
    assert_eq!(scene.post("nora", "/v1/switches/recs/engage", seen).await.1["code"], "moved");
    let (status, told) = scene.post("mira", "/v1/switches/recs/engage", less).await;
    assert_eq!((status.as_u16(), told["code"].as_str()), (422, Some("narrows")), "it has to be said");
    let replace = json!({ "reason": "x", "scope": { "tenants": ["nobody"] }, "replace": true });
    assert_eq!(scene.post("nora", "/v1/switches/recs/engage", replace.clone()).await.0, 403);
    assert_eq!(scene.post("mira", "/v1/switches/recs/engage", replace).await.0, 200, "who may release, may");
}
