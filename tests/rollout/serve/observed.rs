//! Metrics and log of verdicts.

use super::scene::Scene;
use crate::kit::http;
use backstop::rollback::{Decision, Policy};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::io::Write;
use std::sync::{Arc, Mutex};

#[test]
fn every_series_of_a_trigger_is_there_at_0_and_counts_changes() {
    let mut scene = Scene::new();
    let page = |scene: &Scene| http("GET", scene.address, "/metrics", "").1;
    let text = page(&scene);
    for trigger in Policy::default().triggers() {
        for state in ["ok", "collecting", "no_data", "not_measured", "borderline", "fired"] {
            let series = format!(
                "backstop_rollback_triggers_total{{service=\"shop\",trigger=\"{trigger}\",state=\"{state}\"}} 0\n"
            );
            assert!(text.contains(&series), "{series} is not in\n{text}");
        }
    }
    assert!(
        text.contains("# HELP backstop_verdict Verdict on the release")
            && text.contains("# TYPE backstop_verdict gauge")
    );
    assert!(text.contains("backstop_verdict{service=\"shop\"} 1\n"));
    while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
    scene.outage(5, "away");
    let text = page(&scene);
    assert!(text.contains("backstop_verdict{service=\"shop\"} 3\n"), "{text}");
    assert!(text.contains("trigger=\"errors\",state=\"fired\"} 1\n"), "{text}");
    assert!(text.contains("backstop_verdict_source_stale_seconds{service=\"shop\"} 5.000\n"), "{text}");
}

#[test]
fn the_same_metrics_go_through_the_facade() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let text = metrics::with_local_recorder(&recorder, || {
        let mut scene = Scene::new();
        let handle = recorder.handle();
        assert!(handle.render().contains("backstop_verdict{service=\"shop\"} 1"), "{}", handle.render());
        while scene.seconds(1, 30.0).decision() != Decision::Rollback {}
        handle.render()
    });
    assert!(text.contains("backstop_verdict{service=\"shop\"} 3"), "{text}");
    assert!(
        text.contains("backstop_rollback_triggers_total{service=\"shop\",trigger=\"errors\",state=\"fired\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("backstop_rollback_triggers_total{service=\"shop\",trigger=\"memory\",state=\"fired\"} 0"),
        "{text}"
    );
}

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

/// Why it was rolled back is visible in the verdict, the evidence, the hook, the metric and the log.
#[test]
fn the_reason_is_one_sentence_everywhere() {
    let log = Log::default();
    let to = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || to.clone()).with_ansi(false).finish();
    let mut scene = Scene::new();
    let sentence = tracing::subscriber::with_default(subscriber, || {
        scene.seconds(30, 0.0);
        loop {
            let published = scene.seconds(1, 30.0);
            if published.decision() == Decision::Rollback {
                return published.verdict().sentence.clone();
            }
        }
    });
    assert!(sentence.starts_with("errors: "), "{sentence}");
    let verdict = scene.verdict();
    let (_, evidence) = scene.get(&format!("/v1/evidence/{}", verdict["evidence_id"].as_str().unwrap()));
    assert_eq!(
        (&verdict["sentence"], &evidence["verdict"]["sentence"]),
        (&sentence.as_str().into(), &sentence.as_str().into())
    );
    assert!(scene.hook("rollback", &super::scene::payload("first")).1.contains(&sentence));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(&sentence)).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains("WARN") && lines[0].contains("decision=\"rollback\""), "{text}");
}
