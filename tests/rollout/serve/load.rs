//! Verdicts under load.

use super::scene::Scene;
use crate::kit::block_on;
use axum::Router;
use backstop::rollback::Decision;
use backstop::signals::Signals;
use futures_util::future::join_all;
use std::time::Duration;

const SECONDS: usize = 3;
const A_SECOND: usize = 1_000;
const CLIENTS: usize = 20;

fn resident_kilobytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// A thousand questions a second beside a service that serves as many, while the verdict changes.
#[test]
fn every_question_is_answered_beside_the_traffic() {
    let mut scene = Scene::new();
    scene.seconds(30, 0.0);
    let signals = Signals::new("beside");
    let app = Router::new().route("/", axum::routing::get(async || "ok")).layer(signals.layer());
    let service = format!("http://{}/", crate::kit::serve(app));
    let verdict = format!("http://{}/v1/verdict?service=shop", scene.address);
    let client = reqwest::Client::new();
    let before = resident_kilobytes();
    let judging = std::thread::spawn(move || {
        for i in 0..200 {
            scene.seconds(1, if i % 100 < 50 { 0.0 } else { 30.0 });
            std::thread::sleep(Duration::from_millis(10));
        }
        scene
    });
    let answers = block_on(async {
        let clients = (0..CLIENTS).map(|_| {
            let (client, service, verdict) = (client.clone(), service.clone(), verdict.clone());
            async move {
                let mut answered = 0;
                for _ in 0..SECONDS * A_SECOND / CLIENTS {
                    let (asked, served) = (client.get(&verdict).send(), client.get(&service).send());
                    let (asked, served) = futures_util::future::join(asked, served).await;
                    let body: serde_json::Value = asked.unwrap().json().await.unwrap();
                    assert!(body["decision"].is_string() && served.unwrap().status() == 200);
                    answered += 1;
                }
                answered
            }
        });
        join_all(clients.map(tokio::spawn)).await.into_iter().map(Result::unwrap).sum::<usize>()
    });
    let scene = judging.join().unwrap();
    assert_eq!((answers, signals.snapshot().in_flight), (SECONDS * A_SECOND, 0));
    assert_eq!(scene.judging.verdicts().latest().decision(), Decision::Rollback);
    if let Some((before, after)) = before.zip(resident_kilobytes()) {
        assert!(after < before + 100_000, "{before} to {after} kB");
    }
}
