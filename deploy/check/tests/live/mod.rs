//! A real fault, seen by the real Prometheus and the real judge.

mod scene;

use crate::argo::{Answer, Phase, measure};
use crate::files::{documents, named, text};
use crate::flagger::{Flagger, Outside, Phase as Canary, Version};
use crate::real::token;
use scene::{Scene, until};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Queries of the dashboard, with its variables set.
fn dashboard() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&text("grafana/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| {
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets
            .into_iter()
            .map(|target| (panel["title"].as_str().unwrap().to_owned(), target["expr"].as_str().unwrap().to_owned()))
    });
    let set = |query: String| query.replace("$service", "checkout").replace("$app", "checkout");
    targets.map(|(title, query)| (title, set(query))).collect()
}

fn check_metrics(page: &str) {
    let mut command = Command::new("promtool");
    let piped = command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = piped.spawn().unwrap_or_else(|error| panic!("promtool cannot be run: {error}"));
    std::io::Write::write_all(&mut promtool.stdin.take().unwrap(), page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

/// Argo's loop around one metric: a measurement at each interval after the fault.
struct Argo {
    metric: Value,
    next: f64,
    decided: Option<f64>,
}

impl Argo {
    fn new(path: &str, template: &str) -> Self {
        Self { metric: named(path, template)["spec"]["metrics"][0].clone(), next: 0.0, decided: None }
    }

    fn look(&mut self, now: f64, scene: &Scene) {
        if self.decided.is_some() || now < self.next {
            return;
        }
        self.next += 10.0;
        assert_eq!(self.metric["interval"], "10s");
        let answer = if let Some(url) = self.metric["provider"]["web"]["url"].as_str() {
            let path = url.strip_prefix("http://backstop-judge:9909").unwrap();
            let path = path.replace("{{args.service}}", "checkout").replace("{{args.rollout}}", "r1");
            scene.get(&scene.judge, &path, &[]).map_or(Answer::Timeout, |(status, body)| Answer::Http(status, body))
        } else {
            let query = self.metric["provider"]["prometheus"]["query"].as_str().unwrap();
            let series = scene.query(&query.replace("{{args.service}}", "checkout"));
            Answer::Vector(series.iter().map(|one| one["value"][1].as_str().unwrap().parse().unwrap()).collect())
        };
        self.decided = (measure(&self.metric, &answer) == Phase::Failed).then_some(now);
    }
}

/// Flagger's questions to the real judge and the real Prometheus.
struct Asked<'a>(&'a Scene);

impl Outside for Asked<'_> {
    fn hook(&mut self, name: &str) -> Option<u16> {
        let body = json!({ "name": "checkout", "namespace": "shop", "phase": "Progressing", "checksum": "r1", "metadata": { "service": "checkout", "token": token() } });
        Some(self.0.post(&format!("/v1/hooks/{name}"), &body))
    }

    fn metric(&mut self, name: &str) -> Option<f64> {
        let template =
            documents("flagger/metric-templates.yaml").into_iter().find(|one| one["metadata"]["name"] == name).unwrap();
        let query = template["spec"]["query"].as_str().unwrap().replace("{{ target }}", "checkout");
        self.0.query(&query).last().map(|one| one["value"][1].as_str().unwrap().parse().unwrap())
    }
}

#[test]
#[ignore = "needs prometheus: scripts/test.sh"]
fn prometheus_and_the_judge_see_a_real_fault_and_four_ways_decide() {
    let scene = Scene::start();
    until("both arms are scraped, with their labels", 60, || {
        let up = |arm: &str| scene.query(&format!("up{{app=\"checkout\", arm=\"{arm}\"}} == 1")).len();
        ((up("canary"), up("baseline"), scene.query("up{job=\"backstop-judge\"} == 1").len()) == (1, 1, 1))
            .then_some(())
    });
    for address in [&scene.canary, &scene.baseline, &scene.judge] {
        check_metrics(&scene.get(address, "/metrics", &[]).unwrap().1);
    }
    // A judge that was just started waits for a minute of data, unless another rollout begins: r1, after r0.
    scene.begin("r0");
    // A Flagger canary, begun: its first step is taken.
    let mut flagger = Flagger::new(&named("flagger/canary.yaml", "checkout"), Version::Released);
    until("the judge allows a step", 60, || {
        flagger.interval(&mut Asked(&scene));
        (flagger.weight == 5).then_some(())
    });

    for (panel, query) in dashboard() {
        until(&format!("the panel {panel} has data: {query}"), 60, || (!scene.query(&query).is_empty()).then_some(()));
    }
    assert!(dashboard().len() >= 15);
    let quiet = scene.firing();
    assert!(quiet.is_empty(), "healthy, and {quiet:?} fire");

    scene.fault(60);
    let fault = Instant::now();
    let mut ways = [
        Argo::new("argo-rollouts/analysis-background.yaml", "backstop-background"),
        Argo::new("argo-rollouts/analysis-prometheus.yaml", "backstop-prometheus-background"),
    ];
    let (mut alert, mut breaker, mut rolled_back, mut next) = (None, None, None, 30.0);
    until("four ways decide", 90, || {
        let now = fault.elapsed().as_secs_f64();
        let firing = scene.firing();
        let fires = |name: &str| firing.iter().any(|firing| firing == name);
        alert = alert.or(fires("BackstopRollback").then_some(now));
        breaker = breaker.or(fires("BackstopBreakerOpenInCanary").then_some(now));
        for way in &mut ways {
            way.look(now, &scene);
        }
        if rolled_back.is_none() && now >= next {
            next += 30.0;
            flagger.interval(&mut Asked(&scene));
            rolled_back = (flagger.phase == Canary::Failed).then_some(now);
        }
        [alert, breaker, rolled_back, ways[0].decided, ways[1].decided].iter().all(Option::is_some).then_some(())
    });
    // The rules beside the verdict, too: the breaker's fails, and error seconds are a query that Prometheus takes.
    let template = named("argo-rollouts/analysis-prometheus.yaml", "backstop-prometheus-background");
    for metric in template["spec"]["metrics"].as_array().unwrap() {
        let query = metric["provider"]["prometheus"]["query"].as_str().unwrap();
        let query = query.replace("{{args.service}}", "checkout").replace("{{args.app}}", "checkout");
        let values = scene.query(&query).iter().map(|one| one["value"][1].as_str().unwrap().parse().unwrap()).collect();
        let phase = measure(metric, &Answer::Vector(values));
        assert!(phase == Phase::Failed || metric["name"] == "error-seconds", "{}: {phase:?}", metric["name"]);
    }
    println!("seconds from a fault (60 % of the canary's calls fail, 100 a second) to a decision");
    println!("{:38} {:>8} {:>9}  real | simulated", "way", "interval", "decision");
    let rows = [
        ("Prometheus rule BackstopRollback", "1 s", alert, "services, judge, Prometheus, rule", "-"),
        ("Prometheus rule, breaker", "1 s", breaker, "services, Prometheus, rule", "-"),
        (
            "Argo Rollouts, web",
            "10 s",
            ways[0].decided,
            "services, judge, endpoint, condition",
            "the controller's loop",
        ),
        (
            "Argo Rollouts, Prometheus",
            "10 s",
            ways[1].decided,
            "services, judge, Prometheus, condition",
            "the controller's loop",
        ),
        ("Flagger, hook", "30 s", rolled_back, "services, judge, endpoint", "the controller's loop"),
    ];
    for (way, interval, decision, real, simulated) in rows {
        println!("{way:38} {interval:>8} {:>7.1} s  {real} | {simulated}", decision.unwrap());
    }
}
