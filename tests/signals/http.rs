//! axum over loopback: classes of answers, bodies, clients that leave, segments.

use crate::common::{self, eventually, hyper_client, serve, soon};
use crate::{bodies, classes, counted, sum};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::routing::get;
use backstop::clock::Clock;
use backstop::kill_switch::store::MemoryStore;
use backstop::kill_switch::{
    Author, Change, Definition, Editor, Engage, KillSwitches, OnUnknown, Scope, SwitchId, Target,
};
use backstop::telemetry::REQUEST_BUCKETS;
use backstop::{Bulkhead, CircuitBreaker, Signals};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

/// The bucket of a latency.
fn bucket(seconds: f64) -> usize {
    REQUEST_BUCKETS.partition_point(|bound| *bound < seconds)
}

#[tokio::test]
async fn each_answer_is_in_its_class() {
    let signals = Signals::new("checkout");
    let app = Router::new()
        .route("/ok", get(async || "paid"))
        .route("/empty", get(async || StatusCode::NO_CONTENT))
        .route("/missing", get(async || (StatusCode::NOT_FOUND, "no such order")))
        .route("/gone", get(async || StatusCode::GONE))
        .route("/limited", get(async || (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")])))
        .route("/late", get(async || StatusCode::REQUEST_TIMEOUT))
        .route("/left", get(async || StatusCode::from_u16(499).unwrap()))
        .route("/failed", get(async || (StatusCode::INTERNAL_SERVER_ERROR, "oh")))
        .route("/busy", get(async || (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "1")])))
        .route("/broken", get(async || bodies::broken()))
        .layer(signals.layer());
    let address = serve(app).await;
    let client = hyper_client();
    let mut expected = [0; 7];
    for (path, class) in [
        ("/ok", 0),
        ("/empty", 0),
        ("/missing", 1),
        ("/gone", 1),
        ("/limited", 1),
        ("/late", 1),
        ("/left", 6),
        ("/failed", 2),
        ("/busy", 2),
        ("/broken", 2),
        ("/nowhere", 1),
    ] {
        let response = soon(path, client.request(common::get(address, path))).await.unwrap();
        assert_eq!(response.into_body().collect().await.is_err(), path == "/broken");
        expected[class] += 1;
        eventually("it is counted", || sum(&signals) == expected.iter().sum::<u64>()).await;
        assert_eq!(counted(&signals), expected, "{path}");
    }
    let snapshot = signals.snapshot();
    let counts = &snapshot.segments["default"];
    let latencies = |counts: &[u64]| counts.iter().sum::<u64>();
    assert_eq!((latencies(&counts.success_latency), latencies(&counts.failure_latency)), (2, 8));
    assert_eq!(snapshot.in_flight, 0);
}

#[tokio::test]
async fn the_head_alone_and_an_upgrade_are_answers_like_others() {
    use tower::{Layer, service_fn};
    let signals = Signals::new("checkout");
    let answer = async |request: Request| {
        let (status, body) = match request.uri().path() {
            "/socket" => (StatusCode::SWITCHING_PROTOCOLS, Body::empty()),
            "/failed" => (StatusCode::BAD_GATEWAY, Body::from("oh")),
            _ => (StatusCode::OK, Body::from("paid")),
        };
        let upgrade = [("connection", "upgrade"), ("upgrade", "echo")].iter();
        let upgrade = upgrade.filter(|_| status == StatusCode::SWITCHING_PROTOCOLS);
        let response =
            upgrade.fold(http::Response::builder().status(status), |made, (name, value)| made.header(*name, *value));
        Ok::<_, Infallible>(response.body(body).unwrap())
    };
    let service = tower::util::BoxCloneSyncService::new(signals.layer().layer(service_fn(answer)));
    let address = serve(Router::new().fallback_service(service)).await;
    for (path, method) in [("/", "HEAD"), ("/failed", "HEAD"), ("/socket", "GET")] {
        let mut request = common::get(address, path);
        *request.method_mut() = method.parse().unwrap();
        request.headers_mut().extend([(http::header::CONNECTION, "upgrade".parse().unwrap())]);
        request.headers_mut().insert(http::header::UPGRADE, "echo".parse().unwrap());
        drop(soon(path, hyper_client().request(request)).await.unwrap());
    }
    eventually("they are counted", || signals.snapshot().in_flight == 0 && sum(&signals) == 3).await;
    assert_eq!(counted(&signals), [2, 0, 1, 0, 0, 0, 0]);
    assert_eq!(signals.snapshot().segments["default"].success_latency.iter().sum::<u64>(), 2);
}

#[tokio::test]
async fn rejections_of_each_mechanism_are_told_apart() {
    let signals = Signals::new("checkout");
    let breaker = CircuitBreaker::new("payments");
    breaker.force_open("test");
    let bulkhead = Bulkhead::builder("payments").max_concurrent_calls(1).build().unwrap();
    let _held = bulkhead.try_acquire().unwrap();
    let store = Arc::new(MemoryStore::new());
    let editor = Editor::new(Arc::clone(&store));
    let by = Author::person("test", backstop::clock::Timestamp::now()).because("test");
    let switch = SwitchId::new("offers").unwrap();
    let definition = Definition::new("team", "offers", backstop::clock::Timestamp::MAX, OnUnknown::Allow);
    editor.change(&Change::Define { switch: switch.clone(), definition }, &by).unwrap();
    editor.change(&Change::Engage(Engage::new(switch, Scope::all())), &by).unwrap();
    let switches = KillSwitches::builder("shop").store(store).build().unwrap();
    let offers = switches.switch("offers", OnUnknown::Allow).unwrap();
    assert!(offers.check(&Target::new()).is_err());
    let app = Router::new()
        .route("/open", get(async || "paid").layer(breaker.layer().respond()))
        .route("/full", get(async || "paid").layer(bulkhead.layer().respond()))
        .route("/off", get(async || "paid").layer(offers.layer().respond()))
        .layer(signals.layer());
    let address = serve(app).await;
    for path in ["/open", "/open", "/full", "/off"] {
        hyper_client().request(common::get(address, path)).await.unwrap().into_body().collect().await.unwrap();
    }
    eventually("they are counted", || sum(&signals) == 4).await;
    assert_eq!(counted(&signals), [0, 0, 0, 2, 1, 1, 0]);
}

#[tokio::test]
async fn a_client_that_leaves_says_nothing_and_a_reader_that_leaves_leaves_a_success() {
    let signals = Signals::new("checkout");
    let app = Router::new()
        .route("/never", get(pending::<()>))
        .route("/stalled", get(async || bodies::stalled()))
        .layer(signals.layer());
    let address = serve(app).await;
    let client = hyper_client();
    let request = tokio::spawn(client.request(common::get(address, "/never")));
    eventually("it is in flight", || signals.snapshot().in_flight == 1).await;
    request.abort();
    eventually("the server has seen it leave", || signals.snapshot().in_flight == 0).await;
    assert_eq!(counted(&signals), [0, 0, 0, 0, 0, 0, 1]);
    let mut body = client.request(common::get(address, "/stalled")).await.unwrap().into_body();
    soon("a part", body.frame()).await.unwrap().unwrap();
    assert_eq!(signals.snapshot().in_flight, 1, "until the body ends");
    drop(body);
    eventually("the server has seen it leave", || signals.snapshot().in_flight == 0).await;
    assert_eq!(counted(&signals), [1, 0, 0, 0, 0, 0, 1]);
}

#[tokio::test]
async fn the_head_ends_the_latency_and_the_end_of_the_body_decides() {
    let (clock, time) = Clock::manual();
    let signals = Signals::builder("checkout").clock(clock).build().unwrap();
    let (send, receive) = tokio::sync::mpsc::channel::<Result<Bytes, Infallible>>(1);
    let receive = Arc::new(std::sync::Mutex::new(Some(receive)));
    let handler_time = time.clone();
    let handler = move || {
        handler_time.advance(Duration::from_millis(30));
        let mut receive = receive.lock().unwrap().take().unwrap();
        async move { Body::from_stream(futures_util::stream::poll_fn(move |cx| receive.poll_recv(cx))) }
    };
    let address = serve(Router::new().route("/", get(handler)).layer(signals.layer())).await;
    let mut body = hyper_client().request(common::get(address, "/")).await.unwrap().into_body();
    time.advance(Duration::from_secs(20));
    send.send(Ok(Bytes::from_static(b"event"))).await.unwrap();
    soon("an event", body.frame()).await.unwrap().unwrap();
    assert_eq!((sum(&signals), signals.snapshot().in_flight), (0, 1));
    drop(send);
    assert!(soon("the end", body.frame()).await.is_none());
    eventually("it is counted", || sum(&signals) == 1).await;
    let snapshot = signals.snapshot();
    let counts = &snapshot.segments["default"];
    assert_eq!(counts.success_latency[bucket(0.03)], 1, "{counts:?}");
    assert_eq!((counts.active_seconds, counts.error_seconds), (1, 0));
}

#[tokio::test]
async fn requests_are_in_their_segments_and_mistyped_ones_in_other() {
    let signals = Signals::builder("checkout").segments(["web", "mobile"]).build().unwrap();
    let layer = signals.layer().segment(|request: &Request| match request.uri().path() {
        "/mobile" => "mobile",
        "/web" => "web",
        "/other" => "other",
        _ => "moblie",
    });
    let failed = async || StatusCode::BAD_GATEWAY;
    let app = Router::new().route("/web", get(async || "paid")).route("/mobile", get(failed)).layer(layer);
    let address = serve(app).await;
    let ask = async |path| {
        hyper_client().request(common::get(address, path)).await.unwrap().into_body().collect().await.unwrap();
    };
    for path in ["/web", "/mobile", "/other"] {
        ask(path).await;
    }
    eventually("they are counted", || signals.snapshot().in_flight == 0).await;
    assert_eq!(signals.unknown_segment(), None);
    ask("/mistyped").await;
    eventually("it is counted", || signals.snapshot().segments["other"].client_errors == 2).await;
    let snapshot = signals.snapshot();
    assert_eq!(snapshot.segments.keys().copied().collect::<Vec<_>>(), ["mobile", "other", "web"]);
    assert_eq!(classes(&snapshot.segments["web"]), [1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(classes(&snapshot.segments["mobile"]), [0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(signals.unknown_segment().as_deref(), Some("moblie"));
}

#[test]
fn a_panic_of_the_handler_is_a_server_error() {
    use tower::{Layer, Service, service_fn};
    let signals = Signals::new("checkout");
    let panics = |()| async {
        if true { panic!("on purpose") } else { Ok::<_, Infallible>(http::Response::new(Body::empty())) }
    };
    let mut service = signals.layer().layer(service_fn(panics));
    let request = service.call(());
    let polled =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| futures_util::FutureExt::now_or_never(request)));
    assert!(polled.is_err());
    assert_eq!(counted(&signals), [0, 0, 1, 0, 0, 0, 0]);
}
