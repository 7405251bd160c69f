//! Probes on a real server over loopback.

use crate::checks::good;
use crate::common::{HyperClient, eventually, get, hyper_client, request, serve, soon};
use backstop::Health;
use backstop::health::{Check, Role, Status};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

async fn probe(client: &HyperClient, address: SocketAddr, path: &str) -> (u16, Value) {
    let response = soon(path, client.request(get(address, path))).await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_probe_starts_the_checks_and_liveness_does_not() {
    let runs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&runs);
    let check = Check::new("cache", move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, String>(()) }
    });
    let health = Health::builder().readiness(check).build().unwrap();
    let (address, client) = (serve(health.router()).await, hyper_client());
    assert_eq!(probe(&client, address, "/livez").await, (200, json!({ "status": "passing", "checks": [] })));
    let check = json!({
        "name": "cache", "role": "readiness", "status": "pending", "reason": null,
        "failures": 0, "age_ms": null, "took_ms": null,
    });
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    assert_eq!(probe(&client, address, "/startupz").await, (200, json!({ "status": "passing", "checks": [] })));
    eventually("it has run", || health.is_ready()).await;
    let (status, mut told) = probe(&client, address, "/readyz").await;
    assert_eq!((status, runs.load(Ordering::SeqCst)), (200, 1));
    told["checks"][0]["age_ms"] = check["age_ms"].clone();
    let fields = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(fields(&told["checks"][0]), fields(&check));
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_have_the_status_and_no_body_and_nothing_else_is_allowed() {
    let failing = Check::new("cache", || async { Err::<(), _>("none") }).failure_threshold(1);
    let health = Health::builder().readiness(failing).build().unwrap();
    let (address, client) = (serve(health.router()).await, hyper_client());
    probe(&client, address, "/readyz").await;
    eventually("it has failed", || health.report(Role::Readiness).status == Status::Failing).await;
    for (path, expected) in [("/livez", 200), ("/startupz", 200), ("/readyz", 503), ("/healthz/deep", 200)] {
        let head = client.request(request("HEAD", address, path)).await.unwrap();
        assert_eq!(head.status().as_u16(), expected, "{path}");
        assert!(head.into_body().collect().await.unwrap().to_bytes().is_empty());
        let post = client.request(request("POST", address, path)).await.unwrap();
        assert_eq!(post.status().as_u16(), 405, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_probes_of_a_hundred_checks_cost_the_dependencies_nothing() {
    const PROBES: usize = 10_000;
    const CLIENTS: usize = 8;
    let runs = Arc::new(AtomicU64::new(0));
    let checks = (0..100).map(|place| {
        let counted = Arc::clone(&runs);
        let hour = Duration::from_secs(3_600); // a second run would be seen
        let count = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            async { Ok::<_, String>(()) }
        };
        Check::new(format!("check {place}"), count).period(hour).timeout(Duration::from_secs(60))
    });
    let health = checks.fold(Health::builder(), backstop::health::HealthBuilder::readiness).build().unwrap();
    let address = serve(health.router()).await;
    probe(&hyper_client(), address, "/readyz").await;
    eventually("all have run", || health.is_ready()).await;
    assert_eq!(probe(&hyper_client(), address, "/readyz").await.1["checks"].as_array().unwrap().len(), 100);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            tokio::spawn(async move {
                let client = hyper_client();
                for place in 0..PROBES / CLIENTS {
                    let path = ["/readyz", "/livez"][place % 2];
                    let response = soon(path, client.request(get(address, path))).await.unwrap();
                    assert_eq!(response.status().as_u16(), 200);
                    let length = response.into_body().collect().await.unwrap().to_bytes().len();
                    assert!(path == "/livez" || length > 100 * "check 0".len());
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(runs.load(Ordering::SeqCst), 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_while_every_check_hangs() {
    let hangs = |place| Check::new(format!("hangs {place}"), std::future::pending::<Result<(), String>>);
    let checks = (0..100).fold(Health::builder(), |builder, place| builder.readiness(hangs(place)));
    let health = checks.deep(good("good")).build().unwrap();
    let (address, client) = (serve(health.router()).await, hyper_client());
    assert_eq!(probe(&client, address, "/readyz").await.0, 503);
    for _ in 0..100 {
        assert_eq!(probe(&client, address, "/livez").await.0, 200);
        assert_eq!(probe(&client, address, "/readyz").await.1["status"], "pending");
    }
    eventually("the good one passes", || health.report(Role::Deep).status == Status::Passing).await;
}
