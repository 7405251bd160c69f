//! Strangers, browsers, giants and slow ones.

use crate::scene::{HANGS, Scene, WELL, access, token, told};
use backstop::{Bulkhead, Registry};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const RELEASE: &str = "/v1/switches/recs/release";

fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n{body}").into_bytes()
}

fn bearer(actor: &str) -> String {
    format!("authorization: Bearer {}\r\n", token(actor))
}

const JSON: &str = "content-type: application/json\r\n";

/// The parts of an answer that must not tell strangers apart.
fn plain(answer: &str) -> String {
    answer.lines().filter(|line| !line.to_lowercase().starts_with("date:")).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn all_strangers_get_the_same_answer() {
    let scene = Scene::new().await;
    let good = token("mira");
    let unknown = format!("authorization: Bearer {}\r\n", token("zoe"));
    let twice = format!("authorization: Bearer {good}\r\nauthorization: Bearer {good}\r\n");
    let mut answers = Vec::new();
    for headers in [
        String::new(),
        unknown,
        bearer("evi"),
        twice,
        format!("authorization: Basic {good}\r\n"),
        format!("authorization: {good}\r\n"),
        "authorization: Bearer \r\n".into(),
        "authorization: Bearer \u{e9}\u{1f4a3}\r\n".into(),
        format!("authorization: Bearer {good}x\r\n"),
        format!("authorization: Bearer {}\r\n", "x".repeat(30_000)),
        format!("cookie: token={good}\r\n"),
    ] {
        let answer = scene.raw(&post(RELEASE, &format!("{headers}{JSON}"), "{}")).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{headers:.80}: {answer}");
        answers.push(plain(&answer));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
    assert!(!answers[0].contains("bks_"));
    for length in [100_000, 1 << 20] {
        let huge = format!("authorization: Bearer {}\r\n", "x".repeat(length));
        let answer = scene.raw(&post(RELEASE, &huge, "{}")).await;
        let is_refused = answer.starts_with("HTTP/1.1 431") || answer.starts_with("HTTP/1.1 401");
        assert!(answer.is_empty() || is_refused, "{answer}");
    }
    assert_eq!(scene.get("mira", "/v1/state").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_verbs_and_switches() {
    let scene = Scene::new().await;
    for (actor, path, code) in [
        ("vera", "/v1/switches/recs/engage", "wrong_verb"),
        ("vera", "/v1/revert", "wrong_verb"),
        ("otto", "/v1/switches/recs/engage", "wrong_switch"),
        ("otto", "/v1/revert", "wrong_switch"),
    ] {
        let (status, told) = scene.post(actor, path, json!({ "reason": "why", "generation": 1 })).await;
        assert_eq!((status.as_u16(), &told["code"]), (403, &json!(code)), "{actor} {path}");
    }
    assert_eq!(scene.get("otto", "/v1/state").await.0, 403);
    assert_eq!(scene.get("otto", "/v1/switches/other").await.0, 200);
    let engage = json!({ "reason": "why", "scope": { "all": true } });
    assert_eq!(scene.post("otto", "/v1/switches/other/engage", engage).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_on_other_sites_and_other_types_are_refused() {
    let scene = Scene::new().await;
    let send = |headers: &'static [(&'static str, &'static str)]| {
        let mut request = scene.client.post(scene.url(RELEASE)).bearer_auth(token("mira")).body(r#"{"reason":"x"}"#);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        async { told(request.send().await.unwrap()).await.0.as_u16() }
    };
    assert_eq!(send(&[]).await, 415);
    assert_eq!(send(&[("content-type", "text/plain")]).await, 415);
    assert_eq!(send(&[("content-type", "application/x-www-form-urlencoded")]).await, 415);
    assert_eq!(send(&[("content-type", "application/json; charset=utf-8")]).await, 409, "not engaged: it was read");
    assert_eq!(send(&[("content-type", "application/json"), ("origin", "http://evil.example")]).await, 403);
    assert_eq!(send(&[("content-type", "application/json"), ("origin", "null")]).await, 403);
    assert_eq!(send(&[("content-type", "application/json"), ("sec-fetch-site", "cross-site")]).await, 403);
    let (own, host) = (format!("http://{}", scene.address), scene.url(RELEASE));
    let same = scene.client.post(host).bearer_auth(token("mira")).header("origin", own).json(&json!({ "reason": "x" }));
    assert_eq!(same.send().await.unwrap().status(), 409);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_by_get() {
    let scene = Scene::new().await;
    for path in [RELEASE, "/v1/switches/recs/engage", "/v1/revert", "/v1/approve"] {
        assert_eq!(scene.get("mira", path).await.0, 405, "{path}");
    }
    for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
        let request = scene.client.request(method.parse().unwrap(), scene.url(RELEASE)).bearer_auth(token("mira"));
        assert_eq!(request.send().await.unwrap().status(), 405, "{method}");
    }
    assert_eq!(scene.editor.document().unwrap().unwrap().generation(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn giants_and_depths_are_refused() {
    let scene = Scene::new().await;
    let by_wire = &scene;
    let send =
        |body: String| async move { by_wire.raw(&post(RELEASE, &format!("{}{JSON}", bearer("mira")), &body)).await };
    let answer = send(format!("[{}0]", "0,".repeat(1 << 15))).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    for body in ["[".repeat(60_000), "{\"a\":".repeat(10_000), "{".into(), String::new(), "\u{0}".into()] {
        let answer = send(body).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    // Without a length: it is counted as it comes.
    let mut chunked = format!("POST {RELEASE} HTTP/1.1\r\nhost: localhost\r\n{}{JSON}", bearer("mira")).into_bytes();
    chunked.extend(b"transfer-encoding: chunked\r\n\r\n");
    for _ in 0..10 {
        chunked.extend(format!("2000\r\n{}\r\n", "x".repeat(0x2000)).into_bytes());
    }
    let answer = scene.raw(&chunked).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert_eq!(scene.get("mira", "/v1/state").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tricks_in_a_path_lead_nowhere() {
    let scene = Scene::new().await;
    for id in
        ["..%2f..%2fetc%2fpasswd", "%00", "recs%00", "%ff", "RECS", "recs%0d%0aset-cookie:%20a=b", "%F0%9F%92%A3", "."]
    {
        let path = format!("/v1/switches/{id}/release");
        let headers = format!("{}{JSON}", bearer("mira"));
        let answer = scene.raw(&post(&path, &headers, r#"{"reason":"why"}"#)).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{id}: {answer}");
        assert!(!answer.to_lowercase().contains("set-cookie") && !answer.contains("passwd"), "{answer}");
        let answer = scene.raw(&post(&path, JSON, r#"{"reason":"why"}"#)).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "the token first: {answer}");
    }
    let long = format!("/v1/switches/{}/release", "x".repeat(1 << 20));
    let answer = scene.raw(&post(&long, &bearer("mira"), "{}")).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:.200}");
    assert_eq!(scene.get("mira", "/v1/state").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn control_characters_and_markup_stay_data() {
    let scene = Scene::new().await;
    let told =
        scene.post("mira", "/v1/switches/recs/engage", json!({ "reason": "a\r\nb", "scope": { "all": true } })).await;
    assert_eq!((told.0.as_u16(), &told.1["problems"][0]["field"]), (400, &json!("reason")));
    let reason = "<script>alert(\"1\")</script>";
    let told =
        scene.post("mira", "/v1/switches/recs/engage", json!({ "reason": reason, "scope": { "all": true } })).await;
    assert_eq!(told.1["switch"]["engaged"]["reason"], reason);
    let named = json!({ "reason": "x", "by": "root", "actor": "root" });
    assert_eq!(scene.post("mira", RELEASE, named).await.0, 400, "a body does not say who it is from");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_ones_are_dropped_and_idle_ones_make_way() {
    let timeout = Duration::from_millis(300);
    let scene = Scene::with(|builder| builder.access(access()).timeout(timeout)).await;
    // More than there is room for, and none says anything.
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(TcpStream::connect(scene.address).await.unwrap());
    }
    assert_eq!(scene.get("vera", "/v1/state").await.0, 200);
    let begun = Instant::now();
    let mut last = idle.pop().unwrap();
    last.write_all(b"GET /v1/state HTTP/1.1\r\nhost: local").await.unwrap();
    let _ = last.read_to_end(&mut Vec::new()).await;
    assert!(begun.elapsed() < 10 * timeout, "half a head is not waited for");

    let head =
        format!("POST {RELEASE} HTTP/1.1\r\nhost: localhost\r\n{}{JSON}content-length: 9\r\n\r\n{{", bearer("mira"));
    let answer = scene.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    // Without a token nobody waits for a body.
    let begun = Instant::now();
    let head = format!("POST {RELEASE} HTTP/1.1\r\nhost: localhost\r\n{JSON}content-length: 9\r\n\r\n{{");
    let answer = scene.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401") && begun.elapsed() < timeout, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_takes_sixteen_threads_and_no_more() {
    let scene = Scene::with(|builder| builder.access(access()).timeout(Duration::from_millis(200))).await;
    scene.store.is(HANGS);
    let answers = futures_util::future::join_all((0..20).map(|_| scene.get("vera", "/v1/document"))).await;
    let count = |code: &str| answers.iter().filter(|(_, told)| told["code"] == code).count();
    assert_eq!((count("slow_store"), count("busy")), (16, 4));
    assert_eq!(scene.engage("mira").await.1["code"], "busy", "the threads still hang");
    assert_eq!(scene.get("vera", "/v1/state").await.0, 200, "what is in memory is still told");
    scene.store.is(WELL);
    while scene.get("vera", "/v1/document").await.0 != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_while_the_programs_own_bulkhead_is_full() {
    let registry = Registry::new();
    let full = registry.add(Bulkhead::builder("checkout").max_concurrent_calls(1).build().unwrap()).unwrap();
    let _held = full.try_acquire().unwrap();
    assert!(full.try_acquire().is_err());
    let scene = Scene::with(|builder| builder.access(access()).registry(registry)).await;
    let (status, state) = scene.get("vera", "/v1/state").await;
    assert_eq!((status.as_u16(), &state["bulkheads"][0]["snapshot"]["is_saturated"]), (200, &json!(true)));
    assert_eq!(scene.engage("mira").await.0, 200);
}

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn tokens_are_never_logged() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let scene = Scene::new().await;
    for actor in ["mira", "vera", "otto", "evi", "zoe"] {
        scene.engage(actor).await;
        scene.get(actor, "/v1/state").await;
    }
    for misplaced in [
        json!({ "reason": token("mira"), "scope": { "all": true } }),
        json!({ "reason": "why", "scope": token("mira") }),
        json!({ "reason": "why", "scope": { "all": true }, token("mira"): 1 }),
    ] {
        let (status, told) = scene.post("mira", "/v1/switches/recs/engage", misplaced).await;
        assert_eq!((status.as_u16(), &told["code"]), (400, &json!("token_in_body")));
    }
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("denied a request"), "{logged}");
    for actor in ["mira", "vera", "otto", "evi", "zoe"] {
        assert!(!logged.contains(&token(actor)[4..20]), "{actor}");
    }
}
